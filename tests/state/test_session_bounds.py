"""What sessions may hold, and who goes for whom."""

from __future__ import annotations

import random
from typing import Any

import msgpack
import pytest

from visor.protocol import verbs as v
from visord.state import sessions as limits
from visord.state.command import encode
from visord.state.machine import Machine
from visord.state.refusal import Refusal, is_directory, rev_mismatch
from visord.state.sessions import LARGE, OUTCOME_BYTES, SESSION_BYTES, Sessions, abridged, weigh
from visord.state.tables import export_tables, import_tables

MINUTE = limits.YOUNG


class Log:
    """A machine and what is committed to it."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.time = 10_000
        self.id = 0

    @property
    def sessions(self) -> Sessions:
        return self.machine.sessions

    def write(self, session: bytes, owner: str = "a", *frames: Any) -> Any:
        """Write once, or `frames`; return the first outcome."""
        self.id += 1
        groups = [[session, "me", list(frames) or [[v.NOP, self.id, 0]], owner]]
        return self.machine.apply(self.machine.index + 1, 1, encode(self.time, groups))[0][0]

    def retry(self, session: bytes, write: int, owner: str = "a", born: int | None = None) -> Any:
        return self.write(session, owner, [v.RETRY, 1, [v.NOP, write, 0], born])

    def known(self) -> set[bytes]:
        return {row[0] for row in self.sessions.export()}


def few(patch: pytest.MonkeyPatch, most: int, of_one: int) -> Log:
    patch.setattr(limits, "MAX_SESSIONS", most)
    patch.setattr(limits, "MAX_OWNER_SESSIONS", of_one)
    return Log()


def test_who_opens_sessions_as_fast_as_he_can_is_refused_and_drives_nobody_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = few(monkeypatch, 20, 10)
    assert log.write(b"victim") == 0
    mine = log.id
    outcomes = [log.write(b"x%d" % number) for number in range(50)]
    assert outcomes[:9] == [0] * 9
    refused = outcomes[-1]
    assert (refused.code, refused.details) == (
        "overloaded",
        {"what": "sessions of one address", "limit": 10, "actual": 11},
    )
    assert log.retry(b"victim", mine) == 0
    assert log.write(b"elsewhere", "b") == 0
    assert log.sessions.forgotten == -1, "nothing was forgotten for those that were refused"


def test_an_owner_at_its_limit_gives_its_own_oldest_session_once_it_is_a_minute_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = few(monkeypatch, 20, 3)
    for name, owner in ((b"other", "b"), (b"1", "a"), (b"2", "a"), (b"3", "a")):
        log.write(name, owner)
    log.time += MINUTE - 1
    log.write(b"1")
    assert log.write(b"4").code == "overloaded"
    log.time += 1
    assert log.write(b"4") == 0
    assert log.known() == {b"other", b"1", b"3", b"4"}, "2 was the least recently used of its owner"
    log.time += MINUTE


def test_when_all_are_too_many_the_owner_with_most_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    log = few(monkeypatch, 6, 6)
    log.write(b"small", "b")
    for number in range(5):
        log.write(b"%d" % number, "a")
    assert log.write(b"5", "a").code == "overloaded", "who has most is refused while all are young"
    assert log.write(b"new", "c") == 0, "a newcomer is not: he has less than his share"
    assert log.known() == {b"small", b"new", b"1", b"2", b"3", b"4"}
    log.time += MINUTE
    assert log.write(b"6", "a") == 0
    assert log.known() == {b"small", b"new", b"2", b"3", b"4", b"6"}, (
        "never of others while it has most itself"
    )


def test_owners_with_as_many_each_do_not_drive_each_other_out(monkeypatch: pytest.MonkeyPatch) -> None:
    log = few(monkeypatch, 5, 5)
    for number in range(5):
        log.write(b"%d" % number, f"owner {number}")
    refused = log.write(b"late", "late")
    assert (refused.code, refused.details["what"]) == ("overloaded", "sessions")
    log.time += MINUTE
    assert log.write(b"late", "late") == 0
    assert b"0" not in log.known()


def test_a_refused_session_loses_nothing_and_may_begin_later(monkeypatch: pytest.MonkeyPatch) -> None:
    log = few(monkeypatch, 2, 1)
    log.write(b"first")
    assert log.retry(b"second", 5, born=0).code == "overloaded"
    log.time += MINUTE
    log.machine.store.rev = 7  # it began after the one that goes for it
    assert log.retry(b"second", 5, born=7) == 7


# -- bytes -----------------------------------------------------------------------------------------------


def test_of_a_refusal_the_code_and_the_numbers_are_kept() -> None:
    path = "/p" * 500
    for refusal in (rev_mismatch(path, 3, 9), is_directory(path)):
        kept = abridged(refusal)
        assert kept.code == refusal.code
        assert path not in f"{kept}"
        assert weigh(kept) < 700
    assert abridged(rev_mismatch(path, 3, 9)).details == {"expected": 3, "actual": 9}
    assert abridged(is_directory(path)).text is abridged(is_directory("/b")).text, "one text for all"


def unacknowledged(log: Log, session: bytes, owner: str, count: int) -> int:
    """Write `count` refused writes of long paths and never acknowledge; return the last id."""
    first = log.id + 1
    last = log.id = log.id + count
    log.write(
        session, owner, *([v.SET, write, 0, "/x" * 400, b"", v.G_REV, 5] for write in range(first, last + 1))
    )
    return last


def test_a_session_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SESSION_BYTES", 100_000)
    log = Log()
    last = unacknowledged(log, b"big", "a", 1000)
    session = log.sessions.get(b"big")
    assert session is not None
    assert 0 < session.held == session.bytes() == log.sessions.held <= 100_000
    assert log.retry(b"big", last).code == "rev_mismatch"
    assert log.retry(b"big", last - 999).code == "session_lost"


def test_a_million_tiny_outcomes_cost_their_own_owner_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_OWNER_BYTES", 400_000)
    log = Log()
    log.write(b"victim", "a")
    mine = log.id
    log.write(b"other", "b")
    theirs = log.id
    for number in range(20):
        unacknowledged(log, b"x%d" % number, "a", 200)
    assert log.sessions.held < 450_000
    assert log.retry(b"victim", mine, "a") == 0, "not even a small session of the same owner"
    assert log.retry(b"other", theirs, "b") == 0


def test_who_has_most_gives_when_all_hold_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_BYTES", 300_000)
    monkeypatch.setattr(limits, "RELIEF", 5_000)
    log = Log()
    log.write(b"small", "small")
    mine = log.id
    for number in range(40):
        unacknowledged(log, b"x%d" % number, f"owner {number % 3}", 60)
        assert log.sessions.held <= 300_000
    assert log.retry(b"small", mine, "small") == 0


def test_small_sessions_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_OWNER_BYTES", 50_000)
    log = Log()
    for number in range(100):
        unacknowledged(log, b"x%d" % number, "a", 3)
        assert log.sessions.held <= 50_000
    log = Log()
    for number in range(100):
        log.write(b"x%d" % number)
    assert log.sessions.held <= 50_000
    assert log.sessions.held >= 50_000 - 2 * SESSION_BYTES - OUTCOME_BYTES


@pytest.mark.soak
def test_what_goes_does_not_depend_on_a_checkpoint_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SESSIONS", 12)
    monkeypatch.setattr(limits, "MAX_OWNER_SESSIONS", 6)
    monkeypatch.setattr(limits, "MAX_SESSION_BYTES", 60_000)
    monkeypatch.setattr(limits, "MAX_OWNER_BYTES", 100_000)
    monkeypatch.setattr(limits, "MAX_BYTES", 200_000)
    monkeypatch.setattr(limits, "RELIEF", 10_000)
    for seed in range(30):
        rng = random.Random(seed)
        one, two = Machine(), Machine()
        time = 0
        for index in range(1, 200):
            time += rng.choice([0, 10, 5_000, 30_000])
            groups = []
            for _ in range(rng.randint(1, 3)):
                first = index * 100
                count = rng.choice([1, 3, 50])
                acked = rng.choice([0, first, first])
                frames = [
                    [v.SET, first + n, acked, "/d" * rng.randint(1, 3), b"x", v.G_REV, n]
                    for n in range(count)
                ]
                session, owner = b"%d" % rng.randrange(20), rng.choice("abcd")
                groups.append([session, "me", frames, owner])
            command = encode(time, groups)
            assert one.apply(index, 1, command) == two.apply(index, 1, bytes(command))
            if rng.random() < 0.2:  # one of them starts again
                tables = msgpack.unpackb(msgpack.packb(export_tables(two)), strict_map_key=False)
                store, two = two.store, Machine()
                two.store = store
                import_tables(two, tables)
        assert export_tables(one) == export_tables(two)
        check(one.sessions)
        check(two.sessions)


def check(sessions: Sessions) -> None:
    """The sums and tables are those of the sessions."""
    rows = sessions.export()
    found = [sessions.get(row[0]) for row in rows]
    assert sessions.held == sum(one.bytes() for one in found if one is not None)
    for one in found:
        assert one is not None
        assert one.held == one.bytes()
        assert (one.id in one.owner.large) == (one.held >= LARGE)
        assert one.owner.held == sum(other.held for other in one.owner.sessions.values())
    assert len(rows) <= limits.MAX_SESSIONS
    assert all(isinstance(one, Refusal) or one for one in found)


def test_rows_of_older_checkpoints_are_read() -> None:
    long = {"refusal": ["is_directory", "/x" * 500 + " is a directory", {"path": "/x" * 500}]}
    rows = [[b"old", 3, 3, 77, [[3, 5], [4, long]]], [b"born", 3, 3, 78, [], 9]]
    sessions = Sessions.load(rows, 4)
    old, born = sessions.get(b"old"), sessions.get(b"born")
    assert old is not None
    assert born is not None
    assert (old.acked, old.last, old.outcomes[3], old.owner.name, born.born) == (3, 77, 5, "", 9)
    assert old.bytes() < 3_000
    check(sessions)


def test_a_retry_of_a_refused_write_is_told_what_a_compare_and_set_needs() -> None:
    """The path is not kept, it comes with the write again."""
    machine = Machine()
    first = [[v.SET, 1, 0, "/a", b"1"], [v.SET, 2, 0, "/a", b"2", v.G_REV, 7]]
    again = [v.RETRY, 3, [v.SET, 2, 0, "/a", b"2", v.G_REV, 7], 0]
    outcomes = machine.apply(2, 1, encode(1, [[b"s" * 16, "me", first, "a"]]))
    (told,) = machine.apply(3, 1, encode(1, [[b"s" * 16, "me", [again], "a"]]))[0]
    assert outcomes[0][1].code == told.code == "rev_mismatch"
    assert told.details == {"path": "/a", "expected": 7, "actual": 1}


def test_who_has_most_is_told_from_a_bounded_number_of_notes() -> None:
    """A heap got an entry for each session that came or went, and was cleared only when there were too many."""
    sessions = Sessions()
    for number in range(5_000):
        begun = sessions.begin(b"%d" % number, number * MINUTE, 0, "a")
        assert not isinstance(begun, Refusal)
        sessions.evict(number * MINUTE)
    assert len(sessions) < 100
    assert len(sessions._most) < 2_000


def test_a_large_transaction_that_reads_nothing_is_told_again_as_it_was() -> None:
    """Its results, all nil, were too much to keep, and a retry was told that nobody knows what became of it."""
    machine = Machine()
    operations = [[v.T_SET, f"/d/{number}", b"x"] for number in range(4096)]
    write = [v.TXN, 1, 0, [], operations]
    first = machine.apply(2, 1, encode(1, [[b"s" * 16, "me", [write], "a"]]))
    tables = export_tables(machine)
    restored = Machine()
    restored.sessions = Sessions.load(msgpack.unpackb(msgpack.packb(tables["sessions"])), tables["forgotten"])
    for one in (machine, restored):
        again = one.apply(3, 1, encode(1, [[b"s" * 16, "me", [[v.RETRY, 2, write, 0]], "a"]]))
        assert again == first == [[[1, True, [None] * 4096]]]
    assert machine.store.rev == 1
    assert machine.sessions.held < 10_000
