"""What judging costs is bounded by counted steps: for a message, an author's writes in a command, and a command."""

from __future__ import annotations

from typing import Any, Final

import pytest

from visor.protocol import verbs
from visor.protocol.limits import DEFAULT
from visord.state.auth import effort as efforts
from visord.state.auth.auth_store import AuthStore
from visord.state.auth.effort import Effort
from visord.state.auth.grant import READ, Grant
from visord.state.auth.rights import Rights
from visord.state.auth.told import answer
from visord.state.command import encode
from visord.state.machine import Machine
from visord.state.refusal import Refusal
from visord.state.selector import Selector, parse

HARD: Final = [["write", [verbs.SEL_GLOB, f"/*a*b*{number}*/**"]] for number in range(40)]
"""Grants that take long to compare with."""


def selector(kind: int, text: str) -> Selector:
    found = parse([kind, text], DEFAULT)
    assert isinstance(found, Selector)
    return found


def ruled() -> Machine:
    """A machine where `ci` has the hard grants, and `plain` one tree."""
    machine = Machine()
    changes: list[tuple[str, dict[str, Any]]] = [
        ("set_role", {"name": "hard", "grants": HARD}),
        ("set_role", {"name": "plain", "grants": [["write", [verbs.SEL_TREE, "/p"]]]}),
        ("set_user", {"name": "boss", "roles": ["root"]}),
        ("set_user", {"name": "ci", "roles": ["hard"]}),
        ("set_user", {"name": "plain", "roles": ["plain"]}),
        ("set_user", {"name": "anonymous", "roles": []}),
    ]
    frames = [[verbs.AUTH, number, 1, *change] for number, change in enumerate(changes, 1)]
    machine.apply(1, 1, encode(1, [[None, "boss", frames, ""]]))
    return machine


def trees(count: int) -> list[list[Any]]:
    """Recursive deletions of trees that are hard to judge."""
    path = "/" + "xaxb" * 20
    return [[verbs.DELETE, number, 1, f"{path}{number}7/y", True] for number in range(1, count + 1)]


def test_an_author_that_asks_for_too_much_is_put_off_and_others_are_not() -> None:
    machine = ruled()
    mine = [[verbs.SET, number, 1, f"/p/{number}", b""] for number in range(1, 101)]
    batches = [[None, "x", trees(500), "user:ci/"], [None, "y", mine, "user:plain/"]]
    hard, plain = machine.apply(2, 1, encode(2, batches))
    codes = [outcome.code if isinstance(outcome, Refusal) else "ok" for outcome in hard]
    assert "overloaded" in codes
    first = codes.index("overloaded")
    assert first > 10
    assert set(codes[first:]) == {"overloaded"}
    assert not any(isinstance(outcome, Refusal) for outcome in plain)


def test_a_command_is_bounded_whoever_its_authors_are() -> None:
    machine = ruled()
    batches = [[None, "x", trees(200), "user:ci/"] for _ in range(20)]
    outcomes = machine.apply(2, 1, encode(2, batches))
    judged = [
        outcome
        for batch in outcomes
        for outcome in batch
        if not (isinstance(outcome, Refusal) and outcome.code == "overloaded")
    ]
    assert 0 < len(judged) < 4000 / 3
    again = ruled().apply(2, 1, encode(2, batches))
    assert again == outcomes, "the same on every member"


def test_what_was_put_off_is_judged_anew_when_it_is_asked_again() -> None:
    machine = ruled()
    session = b"s" * 16
    frames = [*trees(500), [verbs.SET, 501, 1, "/xaxb7/y", b"1"]]
    (outcomes,) = machine.apply(2, 1, encode(2, [[session, "x", frames, "user:ci/"]]))
    assert isinstance(outcomes[-1], Refusal) and outcomes[-1].code == "overloaded"
    retry = [verbs.RETRY, 501, frames[-1], 0]
    ((again,),) = machine.apply(3, 1, encode(3, [[session, "x", [retry], "user:ci/"]]))
    assert again == 1


def test_a_message_is_bounded_by_itself() -> None:
    rights = Rights(Grant(READ, selector(*row[1])) for row in HARD)
    spent = Effort(efforts.MESSAGE)
    asked = selector(verbs.SEL_GLOB, "/" + "*a*b*" * 20 + "/**")
    rights.covers(READ, asked, spent)
    assert spent.left > -2 * efforts.MESSAGE


def test_a_tree_that_is_plainly_not_granted_costs_next_to_nothing() -> None:
    rights = Rights(Grant(READ, selector(verbs.SEL_TREE, f"/apps/a{number}")) for number in range(200))
    spent = Effort(efforts.MESSAGE)
    for number in range(500):
        assert not rights.covers(READ, selector(verbs.SEL_TREE, f"/zz/{number}"), spent)
    assert not spent.over


def test_who_has_the_same_grants_as_before_has_the_same_rights() -> None:
    store = AuthStore()
    for name in ("a", "b"):
        assert store.change("set_role", {"name": name, "grants": HARD[:2]}, 0) is None
        assert store.change("set_user", {"name": name, "roles": [name]}, 0) is None
    assert store.change("set_user", {"name": "boss", "roles": ["root"]}, 0) is None
    assert store.change("set_user", {"name": "anonymous", "roles": []}, 0) is None
    mine, theirs = store.rights("a"), store.rights("b")
    assert store.change("set_role", {"name": "b", "grants": HARD}, 0) is None
    assert store.rights("a") is mine
    assert store.rights("b") is not theirs


def test_what_is_longer_than_a_path_is_neither_looked_at_nor_remembered() -> None:
    """A frame of 400 KB of slashes took every member 26 s, and each of a thousand such texts stayed in memory."""
    machine = ruled()
    frames = [[verbs.SET, number, 1, "/" * (DEFAULT.path + number), b""] for number in range(1, 50)]
    (outcomes,) = machine.apply(2, 1, encode(2, [[None, "x", frames, "user:plain/"]]))
    assert {outcome.code for outcome in outcomes if isinstance(outcome, Refusal)} == {"bad_path"}
    assert machine.auth.rights("plain").written == {}


def test_a_tree_of_the_longest_path_can_be_granted() -> None:
    longest = ("/" + "x" * 255) * 4
    assert len(longest) == DEFAULT.path
    rights = Rights([Grant(READ, selector(verbs.SEL_GLOB, "/x*/**"))])
    assert rights.may(READ, longest)
    assert rights.covers(READ, selector(verbs.SEL_TREE, longest), Effort(efforts.MESSAGE))
    assert not rights.may(READ, longest + "x")


def test_a_question_has_one_effort_however_many_roles_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has said HELLO may ask: each role by itself may take as long as a whole message."""
    store = AuthStore()
    last = [["write", [verbs.SEL_TREE, "/p"]]]
    for number in range(30):
        role = {"name": f"r{number:02}", "grants": HARD if number < 29 else last}
        assert store.change("set_role", role, 0) is None
    roles = sorted(name for name in store.roles if name != "root")
    assert store.change("set_user", {"name": "boss", "roles": ["root"]}, 0) is None
    assert store.change("set_user", {"name": "ci", "roles": roles}, 0) is None
    assert store.change("set_user", {"name": "anonymous", "roles": []}, 0) is None
    used: list[Effort] = []
    original = Rights.covers

    def note(self: Rights, right: str, chosen: Selector, effort: Effort) -> bool:
        used.append(effort)
        return original(self, right, chosen, effort)

    monkeypatch.setattr(Rights, "covers", note)
    told = answer(
        store, "", "can", {"right": "write", "selector": [verbs.SEL_TREE, "/p"], "user": "ci"}, DEFAULT
    )
    assert told == {"allowed": True, "roles": ["r29"], "missing": None}
    assert len(used) == 31
    assert len(set(map(id, used))) == 1
