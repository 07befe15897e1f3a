"""A lone node: what it promises about commit, apply, restart and failure."""

from __future__ import annotations

import gc
import random
import sys
import threading
from pathlib import Path
from typing import Any

import pysyncobj.syncobj
import pytest

from tests.storage.fake_disk import FakeDisk
from visord.peers import messages as msg
from visord.raft.engine import Engine, alone
from visord.raft.log import RaftLog
from visord.raft.segments import Options
from visord.storage.errors import DamageError
from visord.storage.worker import Done, Inline, Job, Submitter

TINY = Options(segment=4096, chunk=1024, ahead=2048, first=1024, reserve=0, keep=10)


class Later:
    """A sync thread that runs when told."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Job, Done]] = []

    def submit(self, job: Job, done: Done) -> None:
        self.jobs.append((job, done))

    def run(self) -> None:
        jobs, self.jobs = self.jobs, []
        for job, done in jobs:
            Inline().submit(job, done)


class Node:
    """An engine on a fake disk, with what it applied."""

    def __init__(
        self,
        disk: FakeDisk | None = None,
        sync: Submitter | None = None,
        applied: tuple[int, int] = (0, 0),
        options: Options = TINY,
    ) -> None:
        self.disk = disk or FakeDisk()
        self.disk.mkdir("d")
        self.now = 0.0
        self.applied: list[tuple[int, int, bytes]] = []
        self.failures: list[BaseException] = []
        self.log = RaftLog.open(
            self.disk,
            "d",
            options=options,
            sync=sync or Inline(),
            background=Inline(),
            random32=lambda: 99,
        )
        self.engine = Engine(
            "a",
            alone("a"),
            self.log,
            clock=lambda: self.now,
            random=random.Random(1),
            on_apply=lambda *entry: self.on_apply(*entry),  # noqa: PLW0108 - tests replace it
            applied=applied,
        )
        self.log.on_durable = self.engine.tick
        self.log.on_failure = self.failures.append
        self.engine.tick()

    def on_apply(self, index: int, term: int, command: bytes) -> None:
        self.applied.append((index, term, command))

    def commands(self) -> list[bytes]:
        return [command for _, _, command in self.applied if command[:1] == b"\0"]

    def restart(self, applied: tuple[int, int] = (0, 0)) -> Node:
        return Node(self.disk.after_kill(), applied=applied)


def test_a_lone_node_leads_at_once_and_is_current_when_its_first_entry_is_durable() -> None:
    later = Later()
    node = Node(sync=later)
    assert node.engine.is_leader
    assert node.engine.leader == "a"
    assert node.engine.term == 1
    assert not node.engine.reads_are_current
    assert node.applied == []
    later.run()
    assert node.engine.reads_are_current
    assert node.engine.applied_index == node.engine.commit_index == 2


def test_nothing_is_committed_before_it_is_durable() -> None:
    later = Later()
    node = Node(sync=later)
    later.run()
    position = node.engine.propose(b"\0one")
    assert position == (3, 1)
    for _ in range(3):
        node.now += 10
        node.engine.tick()
    assert node.commands() == []
    assert node.engine.commit_index == 2
    later.run()
    assert node.commands() == [b"\0one"], "the end of the sync applies, no timer is waited for"


def test_proposals_gather_while_a_sync_runs() -> None:
    later = Later()
    node = Node(sync=later)
    later.run()
    before = node.log.syncs
    for number in range(20):
        assert node.engine.propose(b"\0%d" % number) == (3 + number, 1)
    assert len(later.jobs) == 1
    later.run()
    assert node.commands() == [b"\0" + b"0"]
    later.run()
    assert node.commands() == [b"\0%d" % number for number in range(20)]
    assert node.log.syncs - before == 2


def test_commands_keep_their_identity() -> None:
    class Command(bytes):
        pass

    node = Node()
    command = Command(b"\0x")
    node.engine.propose(command)
    assert node.applied[-1][2] is command


def test_an_applied_command_may_propose_the_next() -> None:
    node = Node()
    depth = 0

    def on_apply(index: int, term: int, command: bytes) -> None:
        nonlocal depth
        depth += 1
        assert depth == 1, "apply is not entered again"
        node.applied.append((index, term, command))
        if len(node.commands()) < 5 and command[:1] == b"\0":
            assert node.engine.propose(b"\0next") is not None
        depth -= 1

    node.on_apply = on_apply  # type: ignore[method-assign]
    node.engine.propose(b"\0first")
    assert node.commands() == [b"\0first"] + [b"\0next"] * 4


def test_a_restart_applies_everything_again_once_and_in_order() -> None:
    node = Node()
    for number in range(50):
        node.engine.propose(b"\0%d" % number)
    again = node.restart()
    assert again.commands() == node.commands()
    assert [index for index, _, _ in again.applied] == list(range(2, again.engine.applied_index + 1))
    assert again.engine.term == 2
    assert again.engine.is_leader


def test_a_restart_from_a_checkpoint_applies_only_the_tail() -> None:
    node = Node()
    for number in range(30):
        node.engine.propose(b"\0%d" % number)
    index, term, _ = node.applied[-6]
    node.log.trim(index)
    again = node.restart(applied=(index, term))
    assert again.commands() == node.commands()[-5:]


def test_the_log_is_forgotten_by_so_many_bytes_at_a_time() -> None:
    node = Node()
    for _ in range(60):
        node.engine.propose(b"\0" + bytes(200))
    last, steps = node.engine.applied_index, 0
    first = node.log.first_index
    while node.log.trim(last, most=2000):
        assert 0 < node.log.first_index - first < 10
        first, steps = node.log.first_index, steps + 1
    assert steps > 5
    assert node.log.first_index > last - 30
    first = node.log.first_index
    assert not node.log.trim(last)
    assert node.log.first_index == first


def test_a_checkpoint_ahead_of_the_log_replaces_it() -> None:
    node = Node()
    node.engine.propose(b"\0x")
    again = node.restart(applied=(50, 7))
    assert again.log.first_index == 50
    assert again.engine.term > 7
    assert again.engine.propose(b"\0y") == (52, again.engine.term)
    last = again.restart(applied=(50, 7))
    assert last.commands() == [b"\0y"]


def test_a_checkpoint_of_another_branch_replaces_the_log() -> None:
    node = Node()
    for _ in range(5):
        node.engine.propose(b"\0x")
    again = node.restart(applied=(4, 9))
    assert again.log.first_index == 4
    assert again.commands() == []


def test_a_log_that_begins_after_the_checkpoint_is_refused() -> None:
    node = Node()
    for _ in range(60):
        node.engine.propose(b"\0" + bytes(200))
    node.log.trim(node.engine.applied_index)
    assert node.log.first_index > 5
    with pytest.raises(DamageError, match="checkpoint"):
        node.restart(applied=(2, 1))


def test_an_apply_that_raises_stops_the_node_and_is_not_repeated() -> None:
    node = Node()
    calls = []

    def on_apply(index: int, term: int, command: bytes) -> None:
        calls.append(index)
        raise RuntimeError("a bug")

    node.on_apply = on_apply  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        node.engine.propose(b"\0x")
    for _ in range(3):
        node.engine.tick()
    assert calls == [3]
    assert isinstance(node.engine.failure, RuntimeError)
    assert node.engine.propose(b"\0y") is None


def test_a_failing_disk_stops_the_node_before_anything_is_acknowledged() -> None:
    node = Node()
    node.disk.broken_sync = ".log"
    node.engine.propose(b"\0x")
    assert node.commands() == []
    assert len(node.failures) == 1
    node.engine.tick()
    assert node.engine.failure is node.failures[0]
    assert node.engine.propose(b"\0y") is None


def test_a_full_disk_refuses_and_recovers() -> None:
    node = Node()
    node.disk.capacity = node.disk.used()
    accepted = 0
    while node.engine.propose(b"\0" + bytes(100)) is not None:
        accepted += 1
        assert len(node.commands()) == accepted
    assert node.log.full is not None
    assert node.engine.is_leader
    node.disk.capacity = 1 << 30
    node.log.retry()
    assert node.engine.propose(b"\0again") is not None
    assert node.commands()[-1] == b"\0again"
    assert len(node.restart().commands()) == accepted + 1


def test_a_command_larger_than_what_is_prepared_is_taken_when_there_is_room() -> None:
    node = Node()
    heard = []
    node.log.on_room = lambda: heard.append(1)
    large = b"\0" + bytes(9000)
    while node.engine.propose(large) is None:
        assert heard, "somebody tells when to try again"
        heard.clear()
    assert node.commands() == [large]
    assert node.restart().commands() == [large]


def test_leadership_is_told() -> None:
    disk = FakeDisk()
    node = Node(disk)
    told: list[tuple[Any, int]] = []
    node.engine.on_leadership(lambda leader, term: told.append((leader, term)))
    node.engine.tick()
    assert told == []
    again = Node(disk.after_kill())
    again.engine.on_leadership(lambda leader, term: told.append((leader, term)))
    assert again.engine.leader == "a"


def test_the_engine_opens_no_descriptor_and_no_thread_and_leaves_pysyncobj_alone() -> None:
    names = ("monotonicTime", "random", "createJournal", "pickle", "createPoller", "globalDnsResolver")
    before = {name: getattr(pysyncobj.syncobj, name) for name in names}
    Node()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    threads = threading.active_count()
    node = Node()
    for _ in range(10):
        node.engine.propose(b"\0x")
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert threading.active_count() == threads
    assert {name: getattr(pysyncobj.syncobj, name) for name in names} == before


def test_the_cost_of_a_proposal_does_not_grow_with_the_log() -> None:
    node = Node(options=Options(segment=1 << 22, chunk=1 << 20, ahead=1 << 21, first=1 << 21, reserve=0))

    def calls() -> int:
        count = 0

        def seen(frame: Any, event: str, argument: Any) -> None:
            nonlocal count
            count += 1

        gc.disable()  # others hear of a collection, and that is no cost of a proposal
        sys.setprofile(seen)
        node.engine.propose(b"\0x")
        sys.setprofile(None)
        gc.enable()
        return count

    calls()
    short = calls()
    for _ in range(3000):
        node.engine.propose(b"\0x")
    assert calls() <= short + 5


def test_what_strangers_and_old_leaders_say_changes_nothing() -> None:
    node = Node()
    before = (node.engine.term, node.log.last_index, node.engine.commit_index)
    for message in (
        [msg.TIMEOUT_NOW, 9],
        [msg.POSITION, 1, 99, False, True, 1],
        [msg.POSITION, 1, 99, True, False, 1],
        [msg.VOTED, 1],
        [msg.PREVOTED, 2, True, 1],
        [msg.ROUNDED, 1, 99],
        [msg.VOTE, 9, 99, 9, False],
        [msg.APPEND, 0, 1, 0, 1, 1, []],
        [19],
    ):
        node.engine.receive("stranger", message)
    assert (node.engine.term, node.log.last_index, node.engine.commit_index) == before
    assert node.engine.is_leader


@pytest.mark.parametrize(
    "message",
    [
        [msg.APPEND, 1, 1, 0, 1, 1, [[1]]],
        [msg.APPEND, 1, 1, 0, 1, 1, [[1, "text"]]],
        [msg.APPEND, 1, 1, 0, 1, 1, [[1, b""]]],
        [msg.APPEND, 1, 1, 0, -1, 1, []],
        [msg.APPEND, 1, 1, 0],
        [msg.POSITION, 1, 2, 1, True, 1],
        [msg.VOTE, True, 1, 1, False],
        [msg.READ_AT],
        [99, 1],
    ],
)
def test_a_message_with_wrong_fields_is_told_apart(message: list[Any]) -> None:
    assert not msg.well_formed(message)
