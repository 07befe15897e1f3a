"""Random roles, random requests of every verb: the verdict beside a naive oracle, and what is done beside both.

    roles, users, leases  -->  AuthStore, Judge  -->  allowed?        `visord/state/auth`, what decides
                          -->  oracle.World      -->  allowed?        every path of a small world, tried one by one

Nothing may be allowed that the oracle denies. What is denied though the oracle allows it has to be one of two kinds: a
range, which one tree has to hold, or something that means a path outside of the small world; that one is shown.

What is allowed is then executed, by a machine with files in it: what it changes and what it tells has to lie within
what was granted, whatever `needs` thinks that such a message does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pytest

from tests.auth.asking import ADDRESS, ATTACHED, LEASES, USERS, VERBS, Dice
from tests.auth.oracle import NOTHING, WORLD, Want, World, fits, means, paths
from visor.protocol import verbs
from visor.protocol.limits import DEFAULT
from visord.state import command
from visord.state.auth.auth_store import AuthStore
from visord.state.auth.coverage import left_out
from visord.state.auth.effort import MESSAGE, Effort
from visord.state.auth.grant import RIGHTS
from visord.state.auth.judge import Judge
from visord.state.auth.needs import Needs, amounts_to, needs
from visord.state.auth.told import answer as say
from visord.state.formats import FORMAT, OWNERS
from visord.state.lease import Lease
from visord.state.machine import Machine
from visord.state.query import answer
from visord.state.refusal import Refusal

SOAK: Final = float(os.environ.get("VISOR_SOAK", "1"))
SOME: Final = ("/a", "/b/a", "/b/b/a", "/ab/b", "/ab/z", "/z")
"""Files that there are; those of the leases come to them."""
READS: Final = (verbs.GET, verbs.STAT, verbs.LIST, verbs.SCAN, verbs.LOG, verbs.DIFF)
DONE: Final = (*READS, *sorted(verbs.WRITES - {verbs.RETRY, verbs.RETAIN, verbs.AUTH, verbs.REDACT}))
"""Verbs whose effects are looked at."""


# -- the verdict --------------------------------------------------------------------------------------------------


def author(name: str) -> str:
    """Return the author of what a user does."""
    return ADDRESS if name == "anonymous" else f"user:{name}/"


def changes(world: World) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the changes of rights that make a world."""
    yield "set_user", {"name": "boss", "roles": ["root"]}
    for name, rows in world.roles.items():
        yield "set_role", {"name": name, "grants": [[right, selector] for right, selector in rows]}
    for name, has in world.users.items():
        yield "set_user", {"name": name, "roles": has}


def made(number: int) -> Lease:
    """Return a lease as the machine has it."""
    owner = LEASES[number]
    lease = Lease(number, 10_000, f"user:{owner}" if owner in USERS else owner)
    lease.files = dict.fromkeys(ATTACHED[number])
    return lease


MADE: Final = {number: made(number) for number in LEASES}


def table_of(world: World) -> AuthStore:
    """Return the same world as a registry keeps it."""
    table = AuthStore()
    for action, arguments in changes(world):
        assert table.change(action, arguments, 1) is None
    return table


class Verdict(NamedTuple):
    """Why a message is refused, None when it is not; and what it spent."""

    refusal: Refusal | None
    effort: Effort


def verdict(table: AuthStore, user: str, asked: list[Any]) -> Verdict:
    """Return what `visord/state/auth` makes of it."""
    judge = Judge(table, MADE.get, DEFAULT)
    may, effort = judge.rights(author(user), 1), Effort(MESSAGE)
    if may is None:
        return Verdict(None, effort)
    return Verdict(judge.refusal(may, author(user).rstrip("/"), asked, effort), effort)


def outside(world: World, user: str, right: str, selector: list[Any]) -> bool:
    """Tell whether a selector means a path that lies outside of the small world and was not granted: the one that the
    search for it found is looked at by hand."""
    granted = [wide for has, wide in world.grants(user) if has == right]
    texts = [text for wide in granted for text in as_globs(wide)]
    for text in as_globs(selector):
        path = left_out(text, texts, Effort(MESSAGE))
        if path and means(selector, path) and not any(means(wide, path) for wide in granted):
            assert path not in WORLD
            return True
    return False


def as_globs(selector: list[Any]) -> list[str]:
    """Return the globs that mean together what a selector does; none for a range."""
    kind, text = selector[0], selector[1]
    if kind == verbs.SEL_ANY:
        return [glob for part in text for glob in as_globs(part)]
    if kind == verbs.SEL_RANGE:
        return []
    base = text.rstrip("/")
    if kind == verbs.SEL_TREE:
        return [text, f"{base}/**"] if base else ["/", "/**"]
    return [f"{base}/*"] if kind == verbs.SEL_CHILDREN else [text]


def has_range(selector: list[Any]) -> bool:
    return selector[0] == verbs.SEL_RANGE or (
        selector[0] == verbs.SEL_ANY and any(map(has_range, selector[1]))
    )


def excused(world: World, user: str, asked: list[Any]) -> bool:
    """Tell whether it may be refused although the oracle would not."""
    wants = needs(asked, DEFAULT)
    assert isinstance(wants, Needs)
    for right, selector in wants.grants:
        raw = (
            list(selector.form)
            if selector.several is None
            else [verbs.SEL_ANY, [*map(list, selector.form[1:])]]
        )
        if has_range(raw) or outside(world, user, right, raw):
            return True
    return False


def test_every_verb_of_a_client_is_asked() -> None:
    answered = {verb for verb in range(verbs.OK) if not isinstance(needs([verb, 1], DEFAULT), Refusal)}
    assert answered <= set(VERBS)
    assert set(VERBS) >= verbs.WRITES


def test_the_oracle_is_right_where_everybody_can_see_it() -> None:
    world = World(
        roles={"one": [("read", [verbs.SEL_TREE, "/a"]), ("write", [verbs.SEL_GLOB, "/*/b"])]},
        users={"ann": ["one"], "bob": [], "anonymous": []},
    )
    assert world.allows("ann", [verbs.GET, 1, "/a/b"])
    assert world.allows("ann", [verbs.SET, 1, 1, "/a/b", b"", verbs.G_EXISTS, 0])
    assert not world.allows("ann", [verbs.SET, 1, 1, "/b/b", b"", verbs.G_EXISTS, 0])
    assert not world.allows("ann", [verbs.GET, 1, "/ab"])
    assert not world.allows("ann", [verbs.GET, 1, "/a/b", 5])
    assert not world.allows("bob", [verbs.GET, 1, "/a/b"])
    assert not world.allows("anonymous", [verbs.REV, 1])
    assert fits("/a**", "/a/b") and not fits("/a/**", "/a") and not fits("/?b", "//b")
    assert paths([verbs.SEL_TREE, "/"]) == WORLD


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_allowed_that_the_oracle_denies(verb: int) -> None:
    seen = set()
    for seed in range(int(100 * SOAK)):
        dice = Dice(seed * 1000 + verb)
        asked = dice.message(verb)
        world, user = dice.world([asked]), dice.choice(USERS)
        refusal, effort = verdict(table_of(world), user, asked)
        allowed = world.allows(user, asked)
        seen.add(allowed)
        if refusal is None:
            assert allowed, (world.grants(user), user, asked)
        elif allowed:
            assert refusal.code == "denied", refusal
            assert effort.over or excused(world, user, asked), (world.grants(user), user, asked, refusal)
    assert True in seen
    assert False in seen or verb in NOTHING


@pytest.mark.parametrize("right", RIGHTS)
def test_who_asks_what_it_may_is_told_what_the_oracle_says(right: str) -> None:
    for seed in range(int(100 * SOAK)):
        dice = Dice(f"{right}/{seed}")
        selector = dice.wide()
        world, user = dice.world([[verbs.SCAN, 1, selector]]), dice.choice(USERS)
        table, arguments = table_of(world), {"right": right, "selector": selector}
        told = say(table, author(user), "can", arguments, DEFAULT)
        allowed = {(right, path) for path in paths(selector)} <= world.given(user)
        assert told == say(table, "", "can", {**arguments, "user": user}, DEFAULT)
        if told["allowed"]:
            assert allowed, (world.grants(user), selector)
            together = [row for role in told["roles"] for row in world.roles[role] if row[0] == right]
            assert paths(selector) <= {path for _, wide in together for path in paths(wide)}
        elif allowed:
            assert outside(world, user, right, selector), (world.grants(user), selector)


# -- what is done -------------------------------------------------------------------------------------------------


class Registry:
    """A machine with files, leases and the rights of a world."""

    def __init__(self, world: World) -> None:
        self.machine = Machine()
        for owner in LEASES.values():
            self.write(
                f"user:{owner}/" if owner in USERS else owner, [verbs.GRANT, 1, 0, 10_000], form=OWNERS
            )
        for path in SOME:
            self.write("", [verbs.SET, 1, 0, path, b"x"])
        for lease, attached in ATTACHED.items():
            for path in attached:
                self.write("", [verbs.SET, 1, 0, path, b"x", 0, 0, lease])
        self.write("", [verbs.DELETE, 1, 0, "/z"])
        for change in changes(world):
            self.write("", [verbs.AUTH, 1, 0, *change])

    def write(self, owner: str, frame: list[Any], form: int = FORMAT) -> Any:
        """Apply one write; return its outcome."""
        entry = command.encode(1000, [[None, "me", [frame], owner]], form=form)
        ((outcome,),) = self.machine.apply(self.machine.index + 1, 1, entry)
        return outcome

    def files(self) -> dict[str, Any]:
        """Return the last version of every file there ever was."""
        return {path: file.versions[-1] for path, file in self.machine.store.files.items()}

    def lies(self, path: str) -> set[str]:
        """Return the files at and below a path that there ever were."""
        return {each for each in self.files() if each == path or each.startswith(f"{path.rstrip('/')}/")}


def names(asked: list[Any]) -> list[str]:
    """Return the directories that an answer lists names of, in the order of the lists."""
    if asked[0] == verbs.LIST:
        return [asked[2]]
    if asked[0] != verbs.TXN:
        return []
    return [operation[1] for branch in asked[4:6] for operation in branch if operation[0] == verbs.T_LIST]


def shown(told: Any) -> Iterator[str]:
    """Yield every path in an answer, as deep as it lies."""
    if type(told) is str and told.startswith("/"):
        yield told
    elif type(told) is list or type(told) is tuple:
        for each in told:
            yield from shown(each)
    elif type(told) is Refusal:
        yield from (each for each in told.details.values() if type(each) is str and each.startswith("/"))


def listed(asked: list[Any], told: Any) -> Iterator[str]:
    """Yield the paths whose names an answer lists: any of its names may be in any of the directories."""
    for directory in names(asked):
        for row in every_row(told):
            yield f"{directory.rstrip('/')}/{row}"


def every_row(told: Any) -> Iterator[str]:
    """Yield the names `[name, kind, ...]` in an answer."""
    if type(told) is list and told and type(told[0]) is str and "/" not in told[0]:
        yield told[0]
    elif type(told) is list or type(told) is tuple:
        for each in told:
            yield from every_row(each)


@pytest.mark.parametrize("verb", DONE)
def test_what_is_done_lies_within_what_was_granted(verb: int) -> None:
    for seed in range(int(100 * SOAK)):
        dice = Dice(seed * 1000 + verb)
        asked = [dice.message(verb) for _ in range(3)]
        world, user = dice.world(asked), dice.choice(USERS)
        registry, given = Registry(world), world.given(user)
        for one in asked:
            if verb in verbs.WRITES:
                wrote(registry, world, user, one, given)
            else:
                was_told(registry, user, one, given)


def ends(registry: Registry, world: World, user: str, asked: list[Any]) -> set[str]:
    """Return what hangs on a lease that somebody may end: its own, or any where it rules."""
    lease = registry.machine.store.leases.by_id.get(asked[3]) if asked[0] == verbs.REVOKE else None
    if lease is None:
        return set()
    itself = ADDRESS if user == "anonymous" else user
    return set(lease.files) if world.rules(user) or LEASES[lease.id] == itself else set()


def wrote(registry: Registry, world: World, user: str, asked: list[Any], given: set[Want]) -> None:
    """Let somebody write: what has changed may be written, or hung on a lease that it may end."""
    before, mine = registry.files(), ends(registry, world, user, asked)
    outcome = registry.write(author(user), asked)
    after = registry.files()
    changed = {path for path in after if before.get(path) != after[path]}
    assert {("write", path) for path in changed - mine} <= given, (world.grants(user), user, asked)
    if type(outcome) is Refusal and outcome.code == "denied":
        assert not changed
        return
    results = outcome[2] if asked[0] == verbs.TXN and type(outcome) is list else []
    for path in listed(asked, results):
        assert {("read", each) for each in registry.lies(path)} <= given, (
            world.grants(user),
            user,
            asked,
            outcome,
        )


def denied(machine: Machine, user: str, asked: list[Any]) -> bool:
    """Tell whether somebody may not have a message executed."""
    may, owner = machine.judge.rights(author(user), 1), author(user).rstrip("/")
    return may is not None and machine.judge.refusal(may, owner, asked, Effort(MESSAGE)) is not None


def was_told(registry: Registry, user: str, asked: list[Any], given: set[Want]) -> None:
    """Let somebody read: what is told may be read, and is no history where that was not granted."""
    machine = registry.machine
    if denied(machine, user, asked):
        return
    told = answer(machine.store, asked)
    amount = amounts_to(asked, told)
    if amount is not None and denied(machine, user, amount):
        return
    paths_ = {path for path in shown(told) if path in registry.files()}
    for listed_ in listed(asked, told):
        paths_ |= registry.lies(listed_)
    if amount is not None:
        paths_ |= registry.lies(asked[2])
    assert {("read", path) for path in paths_} <= given, (user, asked, told)
    if paths_ and asked[0] in (verbs.LOG, verbs.DIFF):
        assert {("history", path) for path in paths_} <= given, (user, asked, told)
