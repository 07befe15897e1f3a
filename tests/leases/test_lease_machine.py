"""Leases in the replicated machine: the same everywhere, one rev a lease, within bounds."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.leases.clerk import Clerk
from visor.protocol import verbs as v
from visor.protocol.limits import Limits
from visord.state.digest import state_hash
from visord.state.exporting import export_commits
from visord.state.importing import import_commits
from visord.state.refusal import Refusal
from visord.state.tables import export_tables, import_tables
from visord.state.trim import trim


@pytest.fixture
def clerk() -> Clerk:
    return Clerk()


def code(outcome: Any) -> str:
    assert isinstance(outcome, Refusal), outcome
    return outcome.code


# -- granting -----------------------------------------------------------------------------------------


def test_ids_are_handed_out_in_order_and_never_twice(clerk: Clerk) -> None:
    first, second = clerk.grant(), clerk.grant()
    assert (first, second) == (1, 2)
    clerk.write(v.REVOKE, second)
    assert clerk.grant() == 3


def test_a_grant_takes_no_rev_and_says_what_was_granted(clerk: Clerk) -> None:
    clerk.set("/a")
    assert clerk.write(v.GRANT, 1000) == [1, 1, 1000]
    assert clerk.machine.store.rev == 1


def test_a_wanted_id_is_far_above_those_that_are_handed_out(clerk: Clerk) -> None:
    wanted = 1 << 48
    assert clerk.write(v.GRANT, 5000, wanted) == [0, wanted, 5000]
    assert code(clerk.write(v.GRANT, 5000, wanted)) == "lease_exists"
    assert code(clerk.write(v.GRANT, 5000, 7)) == "bad_request"
    assert clerk.grant() == 1
    clerk.write(v.REVOKE, wanted)
    assert clerk.grant(wanted=wanted) == wanted


@pytest.mark.parametrize("ttl", [0, 999, 366 * 86_400_000 + 1, -1, 1.5, None, True, "5000"])
def test_a_time_to_live_has_bounds(clerk: Clerk, ttl: Any) -> None:
    refused = clerk.write(v.GRANT, ttl)
    assert code(refused) == "bad_request"
    assert refused.details["field"] == "ttl"
    assert not len(clerk.machine.store.leases)


def test_there_are_so_many_leases_and_no_more() -> None:
    clerk = Clerk(Limits(leases=2))
    first = clerk.grant()
    clerk.grant()
    refused = clerk.write(v.GRANT, 5000)
    assert (refused.code, refused.details) == ("too_large", {"what": "leases", "limit": 2, "actual": 3})
    clerk.expire(first)
    assert clerk.grant() == 3


def test_a_repeated_grant_gives_the_same_lease(clerk: Clerk) -> None:
    frame = [v.GRANT, 1, 1, 5000]
    (outcome,) = clerk.send(frame, session=b"s" * 16)
    assert clerk.send([v.RETRY, 1, frame], session=b"s" * 16) == [outcome]
    assert len(clerk.machine.store.leases) == 1


# -- attaching ----------------------------------------------------------------------------------------


def test_what_is_attached_follows_the_last_write(clerk: Clerk) -> None:
    one, two = clerk.grant(), clerk.grant()
    clerk.set("/a", one)
    clerk.set("/b", one)
    assert clerk.attached(one) == ["/a", "/b"]
    clerk.set("/a", two)
    assert (clerk.attached(one), clerk.attached(two)) == (["/b"], ["/a"])
    clerk.write(v.SET, "/b", b"plain")
    clerk.write(v.DELETE, "/a")
    assert (clerk.attached(one), clerk.attached(two)) == ([], [])


def test_deletes_of_all_kinds_detach(clerk: Clerk) -> None:
    lease = clerk.grant()
    for name in "abcd":
        clerk.set(f"/d/{name}", lease)
    clerk.write(v.DELETE, "/d/a")
    clerk.write(v.TXN, [], [[v.T_DELETE, "/d/b"]])
    assert clerk.attached(lease) == ["/d/c", "/d/d"]
    clerk.write(v.DELETE, "/d", True)
    assert clerk.attached(lease) == []


def test_a_transaction_attaches_and_sees_it(clerk: Clerk) -> None:
    lease = clerk.grant()
    outcome = clerk.write(v.TXN, [], [[v.T_SET, "/a", b"1", lease], [v.T_GET, "/a"], [v.T_SET, "/b", b"2"]])
    assert outcome == [1, True, [None, (1, b"1", 1, 1, lease), None]]
    assert clerk.attached(lease) == ["/a"]
    clerk.write(v.TXN, [], [[v.T_SET, "/a", b"1"]])
    assert clerk.attached(lease) == []


def test_what_a_revert_brings_back_has_no_lease(clerk: Clerk) -> None:
    lease = clerk.grant()
    clerk.set("/a", lease, b"old")
    clerk.set("/a", lease, b"new")
    clerk.write(v.REVERT, "/a", 1)
    assert clerk.attached(lease) == []
    assert clerk.machine.store.version("/a", 3) == (3, b"old", 1, 3, 0)


@pytest.mark.parametrize(
    "frame",
    [
        [v.SET, "/a", b"", 0, 0, 9],
        [v.TXN, [], [[v.T_SET, "/b", b""], [v.T_SET, "/a", b"", 9]]],
        [v.REVOKE, 9],
    ],
)
def test_an_unknown_lease_is_refused_and_leaves_no_trace(clerk: Clerk, frame: list[Any]) -> None:
    refused = clerk.write(*frame)
    assert code(refused) == "lease_not_found"
    assert refused.details["lease"] == 9
    assert clerk.machine.store.rev == 0
    assert not clerk.there("/b")


def test_a_lease_holds_what_can_go_in_one_rev_and_no_more() -> None:
    clerk = Clerk(Limits(lease_files=3))
    lease, other = clerk.grant(), clerk.grant()
    for name in "abc":
        clerk.set(f"/{name}", lease)
    refused = clerk.set("/d", lease)
    assert (refused.code, refused.details["limit"], refused.details["actual"]) == ("too_large", 3, 4)
    assert clerk.set("/a", lease) == 4, "what is attached already may be written again"
    assert code(clerk.write(v.TXN, [], [[v.T_SET, "/d", b"", lease]])) == "too_large"
    moved = [[v.T_DELETE, "/a"], [v.T_SET, "/d", b"", lease], [v.T_SET, "/e", b"", other]]
    assert clerk.write(v.TXN, [], moved)[1] is True, "what counts is what is left in the end"
    assert (clerk.attached(lease), clerk.attached(other)) == (["/b", "/c", "/d"], ["/e"])


# -- ending -------------------------------------------------------------------------------------------


def test_everything_attached_expires_in_one_rev(clerk: Clerk) -> None:
    lease = clerk.grant()
    for path in ("/x/1", "/a", "/x/2"):
        clerk.set(path, lease)
    clerk.set("/stays")
    assert clerk.expire(lease) == 5
    assert clerk.changes(5) == [(v.EXPIRE, "/a"), (v.EXPIRE, "/x/1"), (v.EXPIRE, "/x/2")]
    (commit,) = clerk.machine.store.commits(5, 5)
    assert commit[3] == f"lease {lease} expired"
    assert clerk.there("/stays")
    assert code(clerk.set("/again", lease)) == "lease_not_found"


def test_what_is_revoked_is_deleted_in_one_rev_by_whoever_did_it(clerk: Clerk) -> None:
    lease = clerk.grant()
    clerk.set("/a", lease)
    clerk.set("/b", lease)
    assert clerk.write(v.REVOKE, lease, "bye") == 3
    assert clerk.changes(3) == [(v.REMOVE, "/a"), (v.REMOVE, "/b")]
    (commit,) = clerk.machine.store.commits(3, 3)
    assert commit[2:4] == ("tester", "bye")


def test_a_lease_without_files_takes_no_rev(clerk: Clerk) -> None:
    one, two = clerk.grant(), clerk.grant()
    clerk.set("/a", one)
    clerk.write(v.DELETE, "/a")
    assert (clerk.expire(one), clerk.write(v.REVOKE, two)) == (2, 2)
    assert not len(clerk.machine.store.leases)


def test_an_expiry_counts_only_in_the_term_of_the_leader_that_measured(clerk: Clerk) -> None:
    lease = clerk.grant()
    clerk.set("/a", lease)
    clerk.term = 8
    assert isinstance(clerk.expire(lease, term=7), Refusal)
    assert clerk.there("/a")
    assert clerk.expire(lease, term=8) == 2


def test_no_client_can_expire_a_lease(clerk: Clerk) -> None:
    lease = clerk.grant()
    clerk.set("/a", lease)
    frame = [v.EXPIRE_LEASE, 50, 0, lease, clerk.term]
    (outcome,) = clerk.send(frame, session=b"s" * 16)
    assert isinstance(outcome, Refusal)
    for session in (b"s" * 16, None):
        clerk.send([v.NOP, 51, 0], session=session)
        (outcome,) = clerk.send([v.RETRY, 52, [v.EXPIRE_LEASE, 52, 0, lease, clerk.term]], session=session)
        assert isinstance(outcome, Refusal)
    assert clerk.there("/a")


# -- reading, and checkpoints -------------------------------------------------------------------------


def test_leases_are_listed_in_pages(clerk: Clerk) -> None:
    from visord.state.query import answer

    for _ in range(5):
        clerk.grant()
    clerk.set("/a", 2)
    wanted = clerk.grant(wanted=1 << 50)
    rows, cursor = [], None
    while True:
        rev, page, cursor = answer(clerk.machine.store, [v.LEASES, 1, cursor, 2])
        assert rev == 1
        assert len(page) <= 2
        rows += page
        if cursor is None:
            break
    assert rows == [[n, 5000, int(n == 2)] for n in range(1, 6)] + [[wanted, 5000, 0]]
    for cursor in ("x", "", "²", 5, "9" * 30):
        assert code(answer(clerk.machine.store, [v.LEASES, 1, cursor])) == "bad_request"


@pytest.mark.parametrize("floor", [0, 4])
def test_a_checkpoint_keeps_leases_and_what_is_attached(clerk: Clerk, floor: int) -> None:
    one, two, three = clerk.grant(), clerk.grant(2000), clerk.grant()
    clerk.set("/a", one)
    clerk.set("/b", two)
    clerk.set("/c", one)
    clerk.set("/c", two)
    clerk.expire(three)
    if floor:
        clerk.write(v.RETAIN, None, None, floor)
        trim(clerk.machine.store, 1000)
    fresh = clerk.restarted()
    leases = fresh.store.leases
    assert {n: (lease.ttl, sorted(lease.files)) for n, lease in leases.by_id.items()} == {
        one: (5000, ["/a"]),
        two: (2000, ["/b", "/c"]),
    }
    assert leases.next == 4
    assert state_hash(fresh.store) == state_hash(clerk.machine.store)
    assert export_tables(fresh) == export_tables(clerk.machine)


def test_a_checkpoint_with_files_of_a_lease_that_is_not_there_is_refused(clerk: Clerk) -> None:
    from visord.state.importing import CorruptHistory
    from visord.state.machine import Machine

    clerk.set("/a", clerk.grant())
    fresh = Machine()
    import_commits(fresh.store, export_commits(clerk.machine.store, 1, 1))
    with pytest.raises(CorruptHistory, match="lease"):
        import_tables(fresh, export_tables(clerk.machine) | {"leases": [5, []]})


@pytest.mark.parametrize("seed", range(20))
def test_what_is_attached_is_what_the_files_say_whatever_happens(seed: int) -> None:
    rng = random.Random(seed)
    clerk = Clerk(Limits(lease_files=5))
    paths = [f"/{a}/{b}" for a in "xyz" for b in "1234"]

    def operation() -> list[Any]:
        if rng.random() < 0.6:
            return [v.T_SET, rng.choice(paths), b"t", rng.randrange(6)]
        return [v.T_DELETE, rng.choice([*paths, "/x", "/y"]), True]

    for _ in range(300):
        choice = rng.random()
        if choice < 0.1:
            clerk.write(v.GRANT, 5000)
        elif choice < 0.45:
            clerk.set(rng.choice(paths), rng.randrange(6))
        elif choice < 0.5:
            clerk.write(v.SET, rng.choice(paths), b"plain")
        elif choice < 0.6:
            clerk.write(v.DELETE, rng.choice([*paths, "/x", "/"]), True)
        elif choice < 0.8:
            clerk.write(v.TXN, [], [operation() for _ in range(rng.randrange(6))])
        elif choice < 0.85:
            clerk.write(v.REVERT, rng.choice(["/", "/x", "/y/1"]), rng.randrange(clerk.machine.store.rev + 1))
        elif choice < 0.93:
            clerk.expire(rng.randrange(8))
        elif choice < 0.97:
            clerk.write(v.REVOKE, rng.randrange(8))
        else:
            clerk.machine = clerk.restarted()
        store = clerk.machine.store
        said = {lease.id: sorted(lease.files) for lease in store.leases.by_id.values()}
        found: dict[int, list[str]] = {lease: [] for lease in said}
        for path in sorted(store.files):
            version = store.version(path, store.rev)
            if version is not None and version[4]:
                found[version[4]].append(path)
        assert said == found
        assert all(len(files) <= 5 for files in said.values())
