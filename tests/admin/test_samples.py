"""What members hold at one entry of the log is compared every few seconds: on a clock that is turned by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.peers.lone import TurnedLoop
from visor.protocol import verbs
from visord.members.replica_check import LAG_SECONDS, ReplicaCheck
from visord.peers import messages as msg
from visord.raft.configuration import Configuration, Member
from visord.state.command import encode
from visord.state.digest import PORTION, portion
from visord.state.machine import Machine

PERIOD = 2.0
NAMES = ("a", "b", "c")
CONFIGURATION = Configuration(tuple(Member(one, one, f"{one}:1", "", True, False) for one in NAMES))


class Consensus:
    leader = "a"
    reads_are_current = True
    configuration = CONFIGURATION

    def __init__(self, member: str) -> None:
        self.member = member
        self.is_leader = member == "a"


class Cluster:
    """Three members whose machines are given the same entries, unless a test gives one of them others."""

    def __init__(self) -> None:
        self.loop = TurnedLoop()
        self.machines = {name: Machine() for name in NAMES}
        self.diverged: list[str] = []
        self.full = 0
        """How often all was hashed."""
        self.index = 0
        self.checks = {name: self._make(name) for name in NAMES}
        self._look()

    def _make(self, name: str) -> ReplicaCheck:
        return ReplicaCheck(
            Consensus(name),
            lambda: self.machines[name],
            lambda to, message: self._say(name, to, message),
            self.loop,
            (0.0, PERIOD),
            lambda rev, own, majority: self.diverged.append(name),
            0,
        )

    def _look(self) -> None:
        self.loop.call_later(0.05, self._look)
        for one in self.checks.values():
            one.tick()

    def _say(self, source: str, target: str, message: list[Any]) -> bool:
        assert msg.well_formed(message)
        self.full += message[0] == msg.HASH
        to = self.checks[target]
        take: dict[int, Callable[[str, list[Any]], None]] = {
            msg.HASH: to.on_hash,
            msg.HASHED: to.on_hashed,
            msg.VERDICT: to.on_verdict,
            msg.SAMPLE: to.on_sample,
            msg.SAMPLED: to.on_sampled,
            msg.DIGEST: to.on_digest,
            msg.TOLD: to.on_told,
        }
        self.loop.call_later(0.001, take[message[0]], source, message)
        return True

    def apply(self, path: str, value: bytes, *members: str, skipped: tuple[str, ...] = ()) -> None:
        """Commit one write at `members` (all); who is in `skipped` applies an entry that holds nothing."""
        self.index += 1
        for name in members or NAMES:
            frames = [] if name in skipped else [[verbs.SET, 1, 0, path, value]]
            self.machines[name].apply(self.index, 1, encode(self.index, [[None, "x", frames, ""]]))
            self.checks[name].applied()

    def change(self, name: str, path: str) -> None:
        """Let one member hold another value."""
        file = self.machines[name].store.files[path]
        rev, _, created, count, lease = file.versions[-1]
        file.replace(len(file.versions) - 1, (rev, b"other", created, count, lease))


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    for number in range(20):
        made.apply(f"/f/{number}", b"x")
    return made


def test_equal_members_are_never_hashed_as_a_whole(cluster: Cluster) -> None:
    for number in range(2000):
        cluster.apply(f"/g/{number}", b"x" * (number % 50))
        cluster.loop.turn(0.01)
    assert (cluster.full, cluster.diverged) == (0, [])
    assert cluster.checks["a"].sampled > 0


@pytest.mark.parametrize("bad", NAMES)
def test_the_same_rev_with_other_content_is_found_within_two_periods(cluster: Cluster, bad: str) -> None:
    cluster.loop.turn(PERIOD + 0.1)
    cluster.change(bad, "/f/7")
    cluster.loop.turn(2 * PERIOD)
    assert cluster.diverged == [bad]
    for name in NAMES:
        assert list(cluster.checks[name].differing) == ([] if name == bad else [bad])


@pytest.mark.parametrize("bad", NAMES)
def test_one_rev_less_is_found_within_two_periods(cluster: Cluster, bad: str) -> None:
    cluster.loop.turn(PERIOD + 0.1)
    cluster.apply("/f/1", b"y", skipped=(bad,))
    cluster.apply("/f/2", b"y")
    cluster.loop.turn(2 * PERIOD)
    assert cluster.diverged == [bad]


def test_a_file_that_nobody_has_touched_for_long_has_its_turn(cluster: Cluster) -> None:
    for number in range(10 * PORTION):
        cluster.apply(f"/g/{number:05}", b"x")
    cluster.change("b", "/g/00400")
    cluster.loop.turn(12 * PERIOD)
    assert cluster.diverged == ["b"]


def test_who_never_gets_to_the_entry_says_what_it_has(cluster: Cluster) -> None:
    cluster.apply("/late", b"x", "a", "b")
    answers: list[Any] = []
    cluster.checks["a"].query.start([None], lambda ok, result: answers.append(result), lambda: None)
    cluster.loop.turn(LAG_SECONDS + 1.0)
    (result,) = answers
    assert (result["index"], result["rev"], result["equal"]) == (21, 21, True)
    rows = {row["id"]: (row["rev"], row["why"]) for row in result["digests"]}
    assert rows["c"] == (20, "at entry 20 only, which left rev 20")
    assert rows["b"] == (21, "")
    assert cluster.diverged == []


def test_portions_of_the_tree_are_equal_whatever_was_trimmed(cluster: Cluster) -> None:
    store = cluster.machines["a"].store
    whole = portion(store, 20, None, None, 0)
    assert whole is not None and whole[1] is None
    assert portion(store, 20, None, "/z", 0) == (whole[0], "/z")
    assert portion(store, 20, None, "/f/7", 0) != whole
    assert portion(store, 21, None, None, 0) is None
    assert portion(store, 20, None, None, 21) is None


def test_many_questions_at_once_are_bounded(cluster: Cluster) -> None:
    one = cluster.checks["b"]
    for number in range(1000):
        one.on_sample("a", [msg.SAMPLE, number, 1 << 40, 0, None, None])
        one.on_hash("a", [msg.HASH, number, 1 << 40, number])
    assert len(one._owed) <= 16
    assert len(one._digests._waiting) <= 16
