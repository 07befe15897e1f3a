"""Each checker passes what is right and finds what is wrong, on histories made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.checkers import (
    PROPERTIES,
    check,
    client_order,
    commits,
    exactly_once,
    leases,
    locks,
    progress,
    reads,
    real_time,
    registers,
    replicas,
    revoked,
    same_commands,
    survival,
    watches,
)
from tests.checkers.history import (
    LINEARIZABLE,
    NEVER,
    OK,
    PAST,
    REJECTED,
    STALE,
    UNKNOWN,
    Commit,
    Digest,
    Event,
    Goal,
    Grant,
    History,
    Lease,
    Operation,
    Read,
    Revocation,
    Violation,
    Watch,
    Write,
)
from visor.protocol import verbs

Check = Callable[[History], None]


# -- building blocks ----------------------------------------------------------------------------------------


def value(token: str) -> bytes:
    return f"{token}.x".encode()


def setting(token: str, *paths: str, guard: tuple[int, Any] | None = None) -> Write:
    guards = tuple((guard[0], path, guard[1]) for path in paths) if guard else ()
    then = tuple((verbs.T_SET, path, value(token)) for path in paths)
    return Write(token, guards, then, (), len(paths) == 1)


def wrote(
    call: float, end: float, what: Write, rev: int | None, outcome: str = OK, client: int = 0
) -> Operation:
    return Operation(client, what, call, end, outcome, rev)


def got(
    call: float,
    end: float,
    path: str,
    rev: int,
    version: tuple[Any, ...] | None,
    mode: str = LINEARIZABLE,
    client: int = 0,
) -> Operation:
    found = {} if version is None else {path: version}
    return Operation(client, Read(path, False, mode), call, end, OK, rev, found)


def commit(
    rev: int, token: str, *changes: tuple[int, str, tuple[Any, ...], tuple[Any, ...] | None]
) -> Commit:
    return (rev, 1000 + rev, "c0", token, list(changes))


A1 = (1, value("t1"), 1, 1, 0)
A2 = (2, value("t2"), 1, 2, 0)
FIRST = commit(1, "t1", (verbs.CREATE, "/a", A1, None))
SECOND = commit(2, "t2", (verbs.UPDATE, "/a", A2, A1))
T1, T2 = setting("t1", "/a"), setting("t2", "/a")


def two_writes(*more: Operation) -> History:
    operations = [wrote(1.0, 2.0, T1, 1), wrote(3.0, 4.0, T2, 2), *more]
    return History(operations=operations, commits=[FIRST, SECOND])


def finds(judge: Check, history: History, text: str = "") -> None:
    with pytest.raises(Violation, match=text):
        judge(history)


# -- what is right ------------------------------------------------------------------------------------------


def test_a_good_history_passes_every_checker() -> None:
    history = two_writes(
        got(1.5, 2.5, "/a", 0, None, client=1),
        got(2.6, 2.7, "/a", 1, A1, client=1),
        got(4.5, 4.6, "/a", 2, A2, client=1),
        got(4.7, 4.8, "/a", 1, A1, PAST, client=1),
        wrote(5.0, NEVER, setting("lost", "/a"), None, UNKNOWN, client=2),
    )
    history.operations[-2].asked = 1
    history.applied = {"n1": [(1, 1, 11), (2, 1, 12)], "n2": [(1, 1, 11), (2, 1, 12), (3, 2, 13)]}
    history.digests = [Digest("n1", "state", 2, "d"), Digest("n2", "state", 2, "d")]
    history.goals = [Goal("rest", 9.0, 8.0)]
    history.leases = [Lease(7, 2.0, [1.0, 2.0], expired_at=4.5)]
    events = [
        Event(2.0, "resumed", 1),
        Event(2.1, "commit", 1, [*FIRST[:4], [[verbs.CREATE, "/a", list(A1)]]]),
        Event(3.0, "resumed", 2),
        Event(4.1, "commit", 2, [*SECOND[:4], [[verbs.UPDATE, "/a", list(A2)]]]),
        Event(4.2, "mark", 2),
    ]
    history.watches = [Watch(3, "/", events, complete_to=2)]
    assert check(history) == []


def test_every_property_has_its_own_name() -> None:
    assert len(PROPERTIES) == 14


# -- commands and replicas ----------------------------------------------------------------------------------


def test_another_command_at_the_same_index_is_found() -> None:
    finds(same_commands.check, History(applied={"n1": [(1, 1, 5)], "n2": [(1, 1, 6)]}), "index 1")
    finds(same_commands.check, History(applied={"n1": [(1, 1, 5), (1, 2, 5)]}), "index 1")


def test_terms_that_fall_are_found() -> None:
    finds(same_commands.check, History(applied={"n1": [(1, 3, 5), (2, 2, 6)]}), "terms fall")


def test_replicas_that_differ_are_found() -> None:
    digests = [Digest("n1", "state", 4, "x"), Digest("n2", "state", 5, "y"), Digest("n2", "state", 4, "z")]
    finds(replicas.check, History(digests=digests), "state at 4")


# -- writes -------------------------------------------------------------------------------------------------


def test_a_lost_acknowledged_write_is_found() -> None:
    history = two_writes(wrote(5.0, 6.0, setting("t3", "/b"), 3))
    finds(survival.check, history, "t3 was acknowledged as rev 3")


def test_a_write_acknowledged_with_another_rev_is_found() -> None:
    history = two_writes()
    history.operations[0].rev = 2
    finds(survival.check, history, "t1 was acknowledged as rev 2")


def test_a_refused_write_that_happened_is_found() -> None:
    history = two_writes()
    history.operations[1].outcome = REJECTED
    history.operations[1].result = ("exists", {})
    finds(survival.check, history, "t2 was refused")


def test_a_transaction_may_change_nothing_but_must_answer_rightly() -> None:
    looking = Write("t3", (), ((verbs.T_GET, "/a"),))
    good = Operation(0, looking, 5.0, 6.0, OK, 2, (True, [list(A2)]))
    survival.check(two_writes(good))
    bad = Operation(0, looking, 5.0, 6.0, OK, 2, (True, [list(A1)]))
    finds(survival.check, two_writes(bad), "answered")


def test_a_write_applied_twice_is_found() -> None:
    again = commit(3, "t1", (verbs.UPDATE, "/a", (3, value("t1"), 1, 3, 0), A2))
    history = two_writes()
    history.commits.append(again)
    finds(exactly_once.check, history, r"t1 was applied as revs \[1, 3\]")


CHOSEN = 1 << 48


def expiries(lease: int, grants: list[int], *revs: int) -> History:
    """A history in which a lease was granted at some revs, and expired at others."""
    history = History(grants=[Grant(lease, rev) for rev in grants])
    for rev in revs:
        gone = (verbs.EXPIRE, "/a", (rev, None, 0, 0, 0), (rev - 1, b"x", rev - 1, 1, lease))
        history.commits.append((rev, 1000 + rev, "visord", f"lease {lease} expired", [gone]))
    return history


@pytest.mark.parametrize("lease", [7, CHOSEN], ids=["by the registry", "by a client"])
@pytest.mark.parametrize("grants", [[], [1], [8], [1, 8]], ids=str)
def test_a_lease_that_expires_twice_is_found(lease: int, grants: list[int]) -> None:
    # Granted again only when it had expired for the second time: that makes good for nothing.
    history = expiries(lease, grants, 4, 8)
    finds(exactly_once.check, history, "was granted at" if lease == 7 and len(grants) > 1 else r"\[4, 8\]")


def test_a_chosen_id_may_expire_once_for_each_time_that_it_was_granted() -> None:
    exactly_once.check(expiries(CHOSEN, [1], 4))
    exactly_once.check(
        expiries(CHOSEN, [1, 4, 9], 4, 8, 12)
    )  # a grant takes no rev: the second one is after rev 4
    finds(exactly_once.check, expiries(CHOSEN, [1, 2, 4], 4, 8, 12), r"\[4, 8, 12\]")
    finds(exactly_once.check, expiries(7, [1, 4], 4), r"lease 7 was granted at revs \[1, 4\]")


def test_a_write_that_was_applied_once_as_an_expiry_is_found() -> None:
    history = two_writes()
    history.grants = [Grant(CHOSEN, 1)]
    gone = (verbs.EXPIRE, "/a", (3, None, 0, 0, 0), (2, value("t2"), 1, 2, CHOSEN))
    history.commits.append(commit(3, "t2", gone))
    finds(exactly_once.check, history, r"t2 was applied as revs \[2, 3\]")


def test_half_a_transaction_is_found() -> None:
    both = setting("t1", "/a", "/b")
    history = History(operations=[wrote(1.0, 2.0, both, 1)], commits=[FIRST])
    finds(commits.check, history, "t1")


def test_a_commit_whose_guard_did_not_hold_is_found() -> None:
    guarded = setting("t2", "/a", guard=(verbs.G_MISSING, 0))
    history = History(
        operations=[wrote(1.0, 2.0, T1, 1), wrote(3.0, 4.0, guarded, 2)], commits=[FIRST, SECOND]
    )
    finds(commits.check, history, "a guard does not hold")


def test_wrong_bookkeeping_of_versions_is_found() -> None:
    wrong = commit(2, "t2", (verbs.UPDATE, "/a", (2, value("t2"), 2, 1, 0), A1))
    finds(commits.check, History(operations=[wrote(3.0, 4.0, T2, 2)], commits=[FIRST, wrong]), "expected")


def test_a_gap_between_revs_is_found() -> None:
    finds(commits.check, History(commits=[SECOND]), "from 0 to 2")


def test_time_that_goes_back_is_found() -> None:
    earlier = (2, 900, "c0", "t2", SECOND[4])
    finds(commits.check, History(commits=[FIRST, earlier]), "time")


# -- linearizability ----------------------------------------------------------------------------------------


def test_a_stale_read_that_claims_to_be_linearizable_is_found() -> None:
    history = two_writes(got(5.0, 6.0, "/a", 1, A1, client=1))
    finds(real_time.check, history, "rev 2 was seen before")
    finds(registers.check, history, "no order")


def test_a_stale_read_that_says_so_is_fine() -> None:
    assert check(two_writes(got(5.0, 6.0, "/a", 1, A1, STALE, client=1))) == []


def test_a_commit_below_what_was_seen_when_it_began_is_found() -> None:
    # t1 takes rev 1 although somebody had read rev 2 before it was asked.
    operations = [wrote(3.0, 4.0, T2, 2, client=1), wrote(5.0, 6.0, T1, 1)]
    finds(real_time.check, History(operations=operations, commits=[FIRST, SECOND]), "t1")


def test_an_unknown_write_may_take_effect_late_but_not_before_it_was_asked() -> None:
    late = [wrote(1.0, NEVER, T2, None, UNKNOWN), wrote(1.5, 2.0, T1, 1, client=1)]
    real_time.check(History(operations=late, commits=[FIRST, SECOND]))
    early = [wrote(9.0, NEVER, T1, None, UNKNOWN), got(3.0, 4.0, "/a", 2, A2, client=1)]
    finds(real_time.check, History(operations=early, commits=[FIRST, SECOND]), "t1")


def refused(call: float, end: float, code: str, details: dict[str, Any]) -> Operation:
    create = setting("t3", "/a", guard=(verbs.G_MISSING, 0))
    return Operation(2, create, call, end, REJECTED, None, (code, details))


def test_a_refusal_must_be_justified_at_some_rev_of_its_time() -> None:
    real_time.check(two_writes(refused(5.0, 6.0, "exists", {"path": "/a", "actual": 2})))
    real_time.check(two_writes(refused(1.5, 6.0, "exists", {"path": "/a", "actual": 1})))
    history = two_writes(refused(0.1, 0.2, "exists", {"path": "/a", "actual": 1}))
    history.seen_at = {1: 1.5, 2: 3.5}
    finds(real_time.check, history, "nothing refuses it")


def test_a_read_of_what_never_was_is_found() -> None:
    finds(reads.check, two_writes(got(5.0, 6.0, "/a", 2, (2, b"other", 1, 2, 0))), "/a")
    finds(reads.check, two_writes(got(5.0, 6.0, "/a", 7, A2)), "the last is 2")


def test_a_torn_scan_is_found() -> None:
    both = setting("t1", "/g/a", "/g/b")
    version = (1, value("t1"), 1, 1, 0)
    made = commit(1, "t1", (verbs.CREATE, "/g/a", version, None), (verbs.CREATE, "/g/b", version, None))
    scan = Operation(0, Read("/g", True, LINEARIZABLE), 3.0, 4.0, OK, 1, {"/g/a": version})
    finds(reads.check, History(operations=[wrote(1.0, 2.0, both, 1), scan], commits=[made]), "/g/b")


def test_a_read_at_a_rev_is_of_that_rev() -> None:
    asked = got(5.0, 6.0, "/a", 2, A2, PAST)
    asked.asked = 1
    finds(reads.check, two_writes(asked), "asked for rev 1")


# -- linearizability by values ------------------------------------------------------------------------------


def step(
    call: float, end: float, needs: bytes, writes: bool = False, content: bytes | None = None
) -> registers.Step:
    return registers.Step(call, end, needs, writes, content)


def put(call: float, end: float, content: bytes) -> registers.Step:
    return step(call, end, registers.ANY, True, content)


def saw(call: float, end: float, content: bytes) -> registers.Step:
    return step(call, end, b"=" + content)


def test_the_search_finds_an_order_of_concurrent_operations() -> None:
    overlapping = [put(0, 10, b"1"), put(0, 10, b"2"), saw(1, 2, b"2"), saw(3, 4, b"1"), saw(11, 12, b"1")]
    assert registers.search(overlapping) is True


def test_the_search_rejects_a_value_that_comes_back() -> None:
    assert registers.search([put(0, 1, b"1"), put(2, 3, b"2"), saw(4, 5, b"1")]) is False
    flipping = [put(0, 10, b"1"), put(0, 10, b"2"), saw(1, 2, b"2"), saw(3, 4, b"1"), saw(5, 6, b"2")]
    assert registers.search(flipping) is False


def test_the_search_lets_an_unknown_write_happen_or_not() -> None:
    maybe = put(0, NEVER, b"1")
    assert registers.search([maybe, step(5, 6, registers.ABSENT)]) is True
    assert registers.search([maybe, saw(5, 6, b"1")]) is True
    assert registers.search([maybe, saw(5, 6, b"1"), step(7, 8, registers.ABSENT)]) is False


def test_the_search_knows_what_guards_need() -> None:
    create = step(2, 3, registers.ABSENT, True, b"2")
    assert registers.search([put(0, 1, b"1"), create]) is False
    assert registers.search([put(0, 1, b"1"), step(2, 3, registers.PRESENT), put(4, 5, b"2")]) is True


def test_the_search_gives_up_instead_of_never_ending() -> None:
    hard = [put(0, 100, b"%d" % number) for number in range(40)] + [saw(101, 102, b"none")]
    assert registers.search(hard, max_steps=1000) is None


def test_a_long_list_is_cut_soundly() -> None:
    operations = [
        wrote(float(n), n + 0.5, setting(f"w{n}", "/a"), n + 1) for n in range(registers.MAX_OPERATIONS + 9)
    ]
    steps = registers.steps_of(operations)["/a"]
    assert len(steps) == registers.MAX_OPERATIONS
    assert registers.search(steps) is True


# -- clients, watches, leases, progress ---------------------------------------------------------------------


def test_a_client_whose_rev_goes_back_is_found() -> None:
    history = two_writes(
        got(5.0, 6.0, "/a", 2, A2, STALE, client=1), got(7.0, 8.0, "/a", 1, A1, STALE, client=1)
    )
    finds(client_order.check, history, "had seen rev 2")


def test_what_a_watch_showed_counts_as_seen() -> None:
    history = two_writes(got(7.0, 8.0, "/a", 1, A1, STALE, client=1))
    history.watches = [Watch(1, "/", [Event(6.0, "mark", 2)])]
    finds(client_order.check, history, "had seen rev 2")


def told(rev: int) -> list[Any]:
    version, kind = (A1, verbs.CREATE) if rev == 1 else (A2, verbs.UPDATE)
    return [rev, 1000 + rev, "c0", f"t{rev}", [[kind, "/a", list(version)]]]


def watching(*events: Event, path: str = "/", complete_to: int | None = None) -> History:
    history = two_writes()
    history.watches = [Watch(1, path, [Event(0.0, "resumed", 1), *events], complete_to=complete_to)]
    return history


def test_a_gap_in_a_watch_is_found() -> None:
    finds(watches.check, watching(Event(5.0, "commit", 2, told(2))), "before")


def test_a_commit_delivered_twice_is_found() -> None:
    events = [Event(4.0, "commit", 1, told(1)), Event(5.0, "resumed", 1), Event(6.0, "commit", 1, told(1))]
    finds(watches.check, watching(*events), "again")


def test_half_a_commit_is_found() -> None:
    finds(watches.check, watching(Event(4.0, "commit", 1, [*told(1)[:4], []])), "differently")


def test_a_mark_that_lies_is_found() -> None:
    finds(watches.check, watching(Event(4.0, "mark", 2)), "rev 1 is missing")


def test_a_watch_that_never_ends_its_work_is_found() -> None:
    finds(watches.check, watching(Event(4.0, "commit", 1, told(1)), complete_to=2), "rev 2 is missing")


def test_a_watch_sees_its_path_alone() -> None:
    watches.check(watching(Event(4.0, "mark", 2), path="/b", complete_to=2))
    finds(watches.check, watching(Event(4.0, "commit", 1, told(1)), path="/b"), "nothing more")


def test_files_that_a_watch_begins_with_must_be_those_of_the_rev() -> None:
    history = two_writes()
    good = [Event(4.0, "state", 1, {"/a": A1}), Event(5.0, "commit", 2, told(2))]
    history.watches = [Watch(1, "/", good, complete_to=2)]
    watches.check(history)
    history.watches = [Watch(1, "/", [Event(4.0, "state", 2, {"/a": A1})])]
    finds(watches.check, history, "files at rev 2")


def test_a_lease_that_goes_early_is_found() -> None:
    finds(leases.check, History(leases=[Lease(7, 2.0, [1.0, 3.0], expired_at=4.5)]), "0.500000 s early")
    leases.check(History(leases=[Lease(7, 2.0, [1.0, 3.0, 6.0], expired_at=5.0)]))


# -- locks --------------------------------------------------------------------------------------------------

FIRST_IN, SECOND_IN = "/locks/p/c1", "/locks/p/c2"
COMES = [
    commit(1, "x", (verbs.CREATE, FIRST_IN, (1, b"", 1, 1, 7), None)),
    commit(2, "x", (verbs.CREATE, SECOND_IN, (2, b"", 2, 1, 8), None)),
]
GOES = (verbs.EXPIRE, FIRST_IN, (4, None, 0, 0, 0), None)


def counted(rev: int, number: int, fence: int) -> Commit:
    return commit(rev, "x", (verbs.UPDATE, "/counted/p", (rev, b"x.%d.%d" % (number, fence), 3, 1, 0), None))


def test_holders_that_count_one_after_the_other_are_fine() -> None:
    turns = [counted(3, 1, 1), commit(4, "x", GOES), counted(5, 2, 2), counted(6, 3, 2)]
    locks.check(History(commits=[*COMES, *turns]))


def test_a_write_of_somebody_who_does_not_hold_the_lock_is_found() -> None:
    finds(locks.check, History(commits=[*COMES, counted(3, 1, 2)]), r"fence 2, waiting: \[1, 2\]")
    gone = [*COMES, counted(3, 1, 1), commit(4, "x", GOES), counted(5, 2, 1)]
    finds(locks.check, History(commits=gone), r"rev 5.*fence 1, waiting: \[2\]")
    finds(locks.check, History(commits=[counted(1, 1, 1)]), r"waiting: \[\]")


def test_a_number_that_is_lost_is_found() -> None:
    finds(locks.check, History(commits=[*COMES, counted(3, 1, 1), counted(4, 1, 1)]), "was 1, 1 was written")
    finds(locks.check, History(commits=[*COMES, counted(3, 2, 1)]), "was 0, 2 was written")


def test_a_goal_that_was_missed_is_found() -> None:
    finds(progress.check, History(goals=[Goal("rest", 9.0, None)]), "rest by 9.000: never")
    finds(progress.check, History(goals=[Goal("rest", 9.0, 9.5)]), "rest")


# -- rights -------------------------------------------------------------------------------------------------


def by(rev: int, actor: str) -> Commit:
    return (rev, rev, actor, f"t{rev}", [])


def test_who_was_revoked_writes_no_more() -> None:
    commits = [by(1, "u1/c3"), by(2, "u2/c4"), by(3, "c1"), by(4, "u11/c5")]
    revoked.check(History(commits=commits, revocations=[Revocation("u1", 1), Revocation("u2", 2)]))
    revoked.check(History(commits=commits))
    finds(
        revoked.check,
        History(commits=[*commits, by(5, "u1/c3")], revocations=[Revocation("u1", 1)]),
        "rev 5 is by u1/c3, who was revoked as of rev 1",
    )
