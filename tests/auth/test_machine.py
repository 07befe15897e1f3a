"""Rights at apply: each write is judged by the rights of its own entry, the same on every member."""

from __future__ import annotations

from typing import Any, Final

import msgpack
import pytest

from visor.protocol import verbs
from visord.state import command
from visord.state.auth.auth_store import ANONYMOUS, ROOT
from visord.state.formats import OWNERS, RIGHTS, SECRETS
from visord.state.machine import Machine
from visord.state.refusal import Refusal
from visord.state.tables import export_tables, import_tables

APPS: Final = [verbs.SEL_TREE, "/apps"]
BOSS, CI, HOST = "user:boss", "user:ci", "10.0.0.7"
SESSION: Final = b"s" * 16


class Registry:
    """A machine and the entries that it is given, one command a call."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.time = 1000

    def write(
        self, owner: str, *frames: list[Any], session: bytes | None = None, form: int = RIGHTS
    ) -> list[Any]:
        self.time += 1
        entry = command.encode(self.time, [[session, "me", list(frames), owner]], form=form)
        (outcomes,) = self.machine.apply(self.machine.index + 1, 1, entry)
        return outcomes

    def one(self, owner: str, frame: list[Any], **more: Any) -> Any:
        (outcome,) = self.write(owner, frame, **more)
        return outcome

    def auth(self, owner: str, action: str, **arguments: Any) -> Any:
        return self.one(owner, [verbs.AUTH, 1, 0, action, arguments])


def code(outcome: Any) -> str:
    return outcome.code if isinstance(outcome, Refusal) else "ok"


@pytest.fixture
def registry() -> Registry:
    """Closed: boss may do everything, ci reads and writes below /apps."""
    registry = Registry()
    for action, arguments in (
        ("set_user", {"name": "boss", "roles": [ROOT]}),
        ("set_role", {"name": "deployer", "grants": [["write", APPS], ["read", APPS]]}),
        ("set_user", {"name": "ci", "roles": ["deployer"]}),
        ("set_user", {"name": ANONYMOUS, "roles": []}),
    ):
        assert code(registry.auth(HOST, action, **arguments)) == "ok"
    return registry


def put(path: str, *more: Any) -> list[Any]:
    return [verbs.SET, 1, 0, path, b"x", *more]


def test_an_open_registry_is_everybodys() -> None:
    registry = Registry()
    assert code(registry.one(HOST, put("/a"))) == "ok"
    assert code(registry.one("user:nobody", put("/a"))) == "denied"


def test_who_may_writes_and_who_may_not_does_not(registry: Registry) -> None:
    assert code(registry.one(CI, put("/apps/web"))) == "ok"
    assert code(registry.one(BOSS, put("/b"))) == "ok"
    for owner in (CI, HOST, "unix:0", "user:nobody"):
        refused = registry.one(owner, put("/b"))
        assert refused == Refusal(
            "denied",
            "denied: this needs write on /b" if owner == CI else refused.text,
            refused.details,
        )
        assert code(refused) == "denied"
    assert registry.machine.store.rev == 2


def test_a_refusal_says_the_same_whatever_is_there(registry: Registry) -> None:
    registry.one(BOSS, put("/there"))
    there = registry.one(CI, put("/there", verbs.G_MISSING, 0))
    missing = registry.one(CI, put("/gone!", verbs.G_MISSING, 0))
    assert there.text.replace("/there", "") == missing.text.replace("/gone!", "")


@pytest.mark.parametrize(
    "frame",
    [
        [verbs.TXN, 1, 0, [[verbs.G_EXISTS, "/b", 0]], [[verbs.T_SET, "/apps/x", b""]], []],
        [verbs.TXN, 1, 0, [], [[verbs.T_SET, "/apps/x", b""]], [[verbs.T_GET, "/b"]]],
        [verbs.TXN, 1, 0, [], [[verbs.T_GET, "/b"]], []],
        [verbs.DELETE, 1, 0, "/", True],
        [verbs.REVERT, 1, 0, "/apps", 1],  # history is not granted
        [verbs.RETAIN, 1, 0, 5],
        [verbs.AUTH, 1, 0, "set_user", {"name": "ci", "roles": [ROOT]}],
        [verbs.RETRY, 1, [verbs.SET, 1, 0, "/b", b""], 0],
    ],
    ids=str,
)
def test_no_way_leads_around_it(registry: Registry, frame: list[Any]) -> None:
    before = registry.machine.store.rev
    outcome = registry.one(CI, frame, session=SESSION)
    assert code(outcome) in ("denied", "session_lost")
    assert registry.machine.store.rev == before
    assert registry.machine.auth.users["ci"].roles == ("deployer",)


def test_what_was_taken_away_counts_for_the_very_next_write(registry: Registry) -> None:
    taken = [verbs.AUTH, 1, 0, "set_user", {"name": "boss2", "roles": [ROOT]}]
    away = [verbs.AUTH, 2, 0, "set_user", {"name": "boss", "roles": []}]
    outcomes = registry.write(BOSS, taken, put("/a"), away, put("/b"), [verbs.SET, 9, 0, "/c", b"", 0, 0])
    assert list(map(code, outcomes)) == ["ok", "ok", "ok", "denied", "denied"]


def test_a_retry_is_told_what_was_done_while_it_was_allowed(registry: Registry) -> None:
    first = registry.one(CI, put("/apps/x"), session=SESSION)
    registry.auth(BOSS, "set_user", name="ci", roles=[])
    assert registry.one(CI, [verbs.RETRY, 1, put("/apps/x"), 0], session=SESSION) == first
    again = [verbs.RETRY, 2, [verbs.SET, 2, 0, "/apps/x", b"y"], 0]
    assert code(registry.one(CI, again, session=SESSION)) == "denied"


def test_the_session_of_a_user_is_nobody_elses(registry: Registry) -> None:
    registry.one(CI, put("/apps/x"), session=SESSION)
    for owner in (BOSS, HOST):
        assert code(registry.one(owner, put("/apps/y"), session=SESSION)) == "session_lost"
    assert code(registry.one(CI, [verbs.SET, 2, 0, "/apps/y", b""], session=SESSION)) == "ok"


def test_the_lease_of_a_user_is_nobody_elses_but_an_administrators(registry: Registry) -> None:
    _, lease, _ = registry.one(CI, [verbs.GRANT, 1, 0, 10_000])
    registry.auth(BOSS, "set_user", name="ann", roles=["deployer"])
    attach = put("/apps/z", 0, 0, lease)
    assert code(registry.one("user:ann", attach)) == "lease_not_found"
    assert code(registry.one("user:ann", [verbs.REVOKE, 1, 0, lease])) == "lease_not_found"
    assert code(registry.one(CI, attach)) == "ok"
    assert code(registry.one(BOSS, [verbs.REVOKE, 1, 0, lease])) == "ok"


def test_what_hangs_on_the_lease_of_another_user_is_moved_and_hangs_there_still(registry: Registry) -> None:
    """A deployer stops an instance: the entry that says so has to go with the host whose lease it is."""
    _, lease, _ = registry.one(BOSS, [verbs.GRANT, 1, 0, 10_000])
    for path in ("/apps/live", "/secret"):
        assert code(registry.one(BOSS, put(path, 0, 0, lease))) == "ok"
    new, gone = [verbs.T_SET, "/apps/stopping", b"", lease], [verbs.T_DELETE, "/apps/live"]
    move = [verbs.TXN, 1, 0, [], [gone, new], []]
    for other in (
        [verbs.TXN, 1, 0, [], [new], []],
        [verbs.TXN, 1, 0, [], [new, [verbs.T_DELETE, "/apps", True]], []],
        [verbs.TXN, 1, 0, [], [new, [verbs.T_DELETE, "/secret"]], []],
        [verbs.REVOKE, 1, 0, lease],
    ):
        assert code(registry.one(CI, other, form=SECRETS)) in ("lease_not_found", "denied"), other
    assert code(registry.one(CI, move, form=RIGHTS)) == "lease_not_found", "as members of before do"
    assert code(registry.one(CI, move, form=SECRETS)) == "ok"
    assert sorted(registry.machine.store.leases.by_id[lease].files) == ["/apps/stopping", "/secret"]
    assert code(registry.one(CI, put("/apps/stopping", 0, 0, lease), form=SECRETS)) == "ok", "written again"


def test_who_may_delete_what_is_attached_ends_a_lease_of_somebody_unproven(registry: Registry) -> None:
    """Else whoever guesses its number, a small one, deletes what it may not write."""
    lease = registry.one(HOST, [verbs.GRANT, 1, 0, 10_000], form=OWNERS)[1]
    assert code(registry.one(HOST, put("/apps/host", 0, 0, lease), form=OWNERS)) == "ok"
    registry.auth(BOSS, "set_role", name="reader", grants=[["read", APPS]])
    registry.auth(BOSS, "set_user", name="ann", roles=["reader"])
    revoke = [verbs.REVOKE, 1, 0, lease]
    assert code(registry.one("user:ann/", revoke, form=SECRETS)) == "lease_not_found"
    assert "/apps/host" in registry.machine.store.leases.by_id[lease].files
    assert code(registry.one(CI, revoke, form=SECRETS)) == "ok"


def test_members_of_before_end_a_lease_of_somebody_unproven_for_anybody(registry: Registry) -> None:
    """All members have to come to the same, whichever version they are of."""
    lease = registry.one(HOST, [verbs.GRANT, 1, 0, 10_000], form=OWNERS)[1]
    assert code(registry.one(HOST, put("/apps/host", 0, 0, lease), form=OWNERS)) == "ok"
    registry.auth(BOSS, "set_role", name="known", grants=[["read", [verbs.SEL_PATH, "/x"]]])
    registry.auth(BOSS, "set_user", name="ann", roles=["known"])
    assert code(registry.one("user:ann/", [verbs.REVOKE, 1, 0, lease], form=RIGHTS)) == "ok"


def signed(registry: Registry, owner: str, form: int = SECRETS) -> str:
    """Return who is named in history when somebody has written."""
    assert code(registry.one(owner, put("/apps/signed"), form=form)) == "ok"
    store = registry.machine.store
    (commit,) = store.commits(store.rev, store.rev)
    return commit[2]


def test_history_tells_what_somebody_unproven_says_of_itself_from_who_is_proven(registry: Registry) -> None:
    registry.auth(BOSS, "set_user", name=ANONYMOUS, roles=["deployer"])
    assert signed(registry, HOST) == "anonymous/me"
    assert signed(registry, "unix:1000") == "anonymous/me"
    assert signed(registry, CI) == "me", "the door has put the user before it"
    assert signed(registry, "") == "me", "the cluster itself"
    assert signed(registry, HOST, form=RIGHTS) == "me", "as members of before do"


def test_history_of_a_registry_without_users_is_as_it_always_was() -> None:
    assert signed(Registry(), HOST) == "me"


def test_the_cluster_itself_ends_leases(registry: Registry) -> None:
    _, lease, _ = registry.one(CI, [verbs.GRANT, 1, 0, 10_000])
    assert code(registry.one("", [verbs.EXPIRE_LEASE, 1, 0, lease, 1])) == "ok"
    assert code(registry.one(CI, [verbs.EXPIRE_LEASE, 1, 0, lease, 1])) != "ok"


def test_commands_of_before_are_not_judged_and_change_no_rights() -> None:
    registry = Registry()
    change = [verbs.AUTH, 1, 0, "set_user", {"name": "x", "roles": []}]
    assert code(registry.one(HOST, change, form=OWNERS)) == "bad_request"
    assert code(registry.one("user:nobody", put("/a"), form=OWNERS)) == "ok"


def test_rights_come_back_with_the_checkpoint(registry: Registry) -> None:
    tables = msgpack.unpackb(msgpack.packb(export_tables(registry.machine)), strict_map_key=False)
    again = Machine()
    import_tables(again, tables)
    assert again.auth.rows() == registry.machine.auth.rows()
    entry = command.encode(5000, [[None, "me", [put("/b"), put("/apps/b")], CI]])
    assert list(map(code, again.apply(again.index + 1, 1, entry)[0])) == ["denied", "ok"]


def test_a_machine_that_takes_over_another_ones_state_takes_its_rights(registry: Registry) -> None:
    other = Machine()
    other.become(registry.machine)
    entry = command.encode(5000, [[None, "me", [put("/b")], CI]])
    assert code(other.apply(other.index + 1, 1, entry)[0][0]) == "denied"


def test_tables_of_before_know_no_rights() -> None:
    registry = Registry()
    registry.one(HOST, put("/a"), form=OWNERS)
    tables = export_tables(registry.machine)
    assert tables["format"] == OWNERS and "auth" not in tables


TOKEN: Final = "k3x9q2mv7a"
CI_BY_TOKEN: Final = f"user:ci/{TOKEN}"


def test_a_token_proves_its_user_until_it_is_taken_back(registry: Registry) -> None:
    assert code(registry.one(CI_BY_TOKEN, put("/apps/a"))) == "denied"
    registry.auth(BOSS, "add_token", id=TOKEN, user="ci", digest=b"d" * 32)
    assert code(registry.one(CI_BY_TOKEN, put("/apps/a"))) == "ok"
    assert code(registry.one(f"user:boss/{TOKEN}", put("/b"))) == "denied"
    registry.auth(BOSS, "revoke_token", id=TOKEN)
    assert code(registry.one(CI_BY_TOKEN, put("/apps/a"))) == "denied"


def test_a_token_ends_by_the_time_of_the_command(registry: Registry) -> None:
    registry.auth(BOSS, "add_token", id=TOKEN, user="ci", digest=b"d" * 32, ttl=2)
    assert code(registry.one(CI_BY_TOKEN, put("/apps/a"))) == "ok"
    assert code(registry.one(CI_BY_TOKEN, put("/apps/a"))) == "denied"


def test_what_a_user_has_is_its_own_by_whichever_token(registry: Registry) -> None:
    other = "aaaaaaaaaa"
    for number in (TOKEN, other):
        registry.auth(BOSS, "add_token", id=number, user="ci", digest=b"d" * 32)
    first = registry.one(CI_BY_TOKEN, put("/apps/a"), session=SESSION)
    again = [verbs.RETRY, 1, put("/apps/a"), 0]
    assert registry.one(f"user:ci/{other}", again, session=SESSION) == first
    _, lease, _ = registry.one(CI_BY_TOKEN, [verbs.GRANT, 1, 0, 10_000])
    assert registry.machine.store.leases.by_id[lease].owner == "user:ci"
    assert code(registry.one(f"user:ci/{other}", [verbs.REVOKE, 1, 0, lease])) == "ok"
