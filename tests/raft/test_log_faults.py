"""The log against a disk that loses, tears, flips and fills up: what was acknowledged is there, or it refuses.

A history of adds, flushes, truncations, trims and votes runs on the fake disk. After every flush the log's
contents are remembered: what a later start reads must be the contents after the last durable flush, or
after the one that was under way.
"""

from __future__ import annotations

import errno
import random
from dataclasses import dataclass, field

import pytest

from tests.storage.fake_disk import FakeDisk, PowerCut
from visord.raft.log import RaftLog
from visord.raft.records import FRAME_SIZE, RECORD_SIZE
from visord.raft.segments import Options
from visord.storage.errors import DamageError, FormatError
from visord.storage.worker import Done, Inline, Job

DIRECTORY = "d"
TINY = Options(segment=2048, chunk=512, ahead=700, first=256, reserve=0, keep=50)
INLINE = Inline()


def open_log(disk: FakeDisk, options: Options = TINY) -> RaftLog:
    rng = random.Random(7)
    return RaftLog.open(
        disk, DIRECTORY, options=options, sync=INLINE, background=INLINE, random32=lambda: rng.getrandbits(32)
    )


@dataclass
class World:
    """A log, and what it must hold."""

    disk: FakeDisk
    log: RaftLog
    rng: random.Random
    before: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    """Contents after the last durable flush: index -> (command, term)."""
    after: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    """Contents after the flush that is under way."""
    votes: list[tuple[int, str | None]] = field(default_factory=lambda: [(0, None)])
    """The last vote that was stored, and the one that was being stored."""
    checkpoint: int = 1
    term: int = 0

    def now(self) -> dict[int, tuple[bytes, int]]:
        return {index: (command, term) for command, index, term in self.log[:]}

    def step(self) -> None:
        choice = self.rng.random()
        if choice < 0.55:
            self.add(self.rng.choice((0, 1, 30, 200, 700)))
        elif choice < 0.80:
            self.flush()
        elif choice < 0.88:
            self.truncate()
        elif choice < 0.94:
            self.trim()
        elif choice < 0.97:
            self.renew()
        else:
            self.vote()

    def add(self, size: int) -> None:
        self.log.add(self.rng.randbytes(size), self.log.last_index + 1, self.term)

    def flush(self) -> None:
        self.after = self.now()
        self.log.on_durable = self.durable
        while self.log.durable_index < self.log.last_index or self.log._waiting:
            self.log.flush()

    def durable(self) -> None:
        self.before = {index: entry for index, entry in self.after.items() if index <= self.log.durable_index}

    def truncate(self) -> None:
        first = max(self.checkpoint + 1, self.log.first_index + 1)
        if self.log.last_index > first:
            self.term += 1
            self.log.deleteEntriesFrom(
                self.rng.randrange(first, self.log.last_index + 1) - self.log.first_index
            )
            self.add(20)

    def trim(self) -> None:
        self.checkpoint = max(self.checkpoint, self.log.durable_index - self.rng.randrange(4))
        self.log.trim(self.checkpoint)

    def renew(self) -> None:
        self.after = self.now()  # what waits may be written as soon as there are new files
        self.log.on_durable = self.durable
        self.log.renew(self.log.last_index)

    def vote(self) -> None:
        self.term += 1
        self.votes.append((self.term, self.rng.choice(("a", "bb", None))))
        self.log.setCurrentTerm(*self.votes[-1])
        del self.votes[0]


def make(seed: int, disk: FakeDisk | None = None) -> World:
    rng = random.Random(seed)
    disk = disk or FakeDisk(rng)
    disk.mkdir(DIRECTORY)
    return World(disk, open_log(disk), rng, before={1: (b"\x01", 0)}, after={1: (b"\x01", 0)})


def check(world: World, log: RaftLog) -> None:
    """What a start found is what one of the two flushes left, from where it begins up to its end."""
    found = {index: (command, term) for command, index, term in log[:]}
    assert log.first_index <= max(world.checkpoint, 1)
    for wanted in (world.before, world.after, {**world.before, **world.after}):
        tail = {index: entry for index, entry in wanted.items() if index >= log.first_index}
        known = {index: entry for index, entry in found.items() if index >= min(tail, default=0)}
        if known == tail:
            break
    else:
        # The frame under way held only the first part of what was flushed.
        upto = {index: entry for index, entry in world.after.items() if index <= log.last_index}
        known = {index: entry for index, entry in found.items() if index >= min(upto, default=0)}
        assert known == upto
        assert log.last_index >= max(
            (index for index, entry in world.before.items() if world.after.get(index) == entry), default=0
        )
    assert (log.getCurrentTerm(), log.getVotedForNodeId()) in world.votes


def test_a_power_cut_at_every_call_loses_nothing_that_was_durable() -> None:
    for seed in range(4):
        calls = 0
        while True:
            calls += 1
            rng = random.Random(f"{seed}/{calls}")
            disk = FakeDisk(rng)
            disk.mkdir(DIRECTORY)
            try:
                world = make(seed, disk)
            except PowerCut:
                continue
            disk.crash_at = disk.calls + calls
            try:
                for _ in range(120):
                    world.step()
            except PowerCut:
                found = disk.after_crash()
                check(world, open_log(found))
                check(world, open_log(found.after_kill()))
                continue
            break
        assert calls > 100


def test_a_power_cut_while_a_new_log_is_made_leaves_a_new_log() -> None:
    for calls in range(1, 40):
        for seed in range(8):
            disk = FakeDisk(random.Random(f"{seed}/{calls}"))
            disk.mkdir(DIRECTORY)
            disk.crash_at = calls
            try:
                open_log(disk)
            except PowerCut:
                log = open_log(disk.after_crash())
                assert (log.first_index, log.last_index, log.durable_index) == (1, 1, 1)
                assert log.getCurrentTerm() == 0


def test_many_crashes_in_a_row() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        world = make(seed)
        for _ in range(8):
            world.disk.crash_at = world.disk.calls + rng.randrange(1, 120)
            try:
                for _ in range(60):
                    world.step()
                world.disk.after_kill()
            except PowerCut:
                world.disk = world.disk.after_crash()
            log = open_log(world.disk)
            check(world, log)
            world.log = log
            world.before = world.after = world.now()
            world.votes = [(log.getCurrentTerm(), log.getVotedForNodeId())]
            world.term = max(world.term, log.getCurrentTerm(), log[-1][2])


def written_world() -> World:
    """A small log with several segments, a truncation, a vote and a recycled file."""
    world = make(5)
    for position in range(34):
        world.add(150)
        world.flush()
        if position == 12:
            world.truncate()
            world.flush()
        if position == 15:
            world.trim()
    world.vote()
    assert len([name for name in world.disk.names if name.endswith(".log")]) >= 3
    assert world.log._segments.row[0].number > 1, "a file was retired, and used again or kept as a spare"
    return world


@pytest.mark.soak
def test_a_flipped_bit_anywhere_is_found_or_harmless() -> None:
    world = written_world()
    refused = harmless = 0
    for path in sorted(world.disk.names):
        for position in range(len(world.disk.read(path))):
            disk = world.disk.copy()
            disk.flip(path, position * 8 + position % 8)
            try:
                log = open_log(disk)
            except (DamageError, FormatError) as error:
                refused += 1
                assert path in str(error) or isinstance(error, DamageError)
                continue
            harmless += 1
            assert log[-1] == world.log[-1]
            check(world, log)
    assert refused > 1000
    assert harmless > 1000


def test_a_flip_in_the_last_acknowledged_entry_is_found() -> None:
    world = make(1)
    world.add(40)
    world.flush()
    segment = world.disk.names["d/00000000000000000001.log"]
    end = world.log._segments.offset
    start = end - FRAME_SIZE - RECORD_SIZE - 40
    for position in range(start, end):
        disk = world.disk.copy()
        disk.flip(segment_path := "d/00000000000000000001.log", position * 8)
        with pytest.raises(DamageError) as caught:
            open_log(disk)
        assert caught.value.path == segment_path
        assert caught.value.offset == start
    assert segment.pending == []


def test_a_last_frame_torn_at_any_byte_is_cut_and_never_returns() -> None:
    world = make(2)
    world.add(30)
    world.flush()
    offset = world.log._segments.offset
    durable = world.now()
    before = world.disk.copy()
    world.add(60)
    world.flush()
    path = "d/00000000000000000001.log"
    whole = world.disk.read(path)
    end = world.log._segments.offset
    for cut in range(offset, end):
        disk = before.copy()
        disk.put(path, whole[:cut] + before.read(path)[cut:])
        log = open_log(disk)
        assert {index: (command, term) for command, index, term in log[:]} == durable
        assert not any(disk.read(path)[offset:end])
        log.add(b"other", log.last_index + 1, 3)
        log.flush()
        assert open_log(disk.after_kill())[-1] == (b"other", 3, 3)


def test_without_its_mark_a_log_is_read_and_damage_before_its_end_still_found() -> None:
    world = written_world()
    disk = world.disk.copy()
    disk.unlink("d/mark")
    check(world, open_log(disk))
    disk = world.disk.copy()
    disk.unlink("d/mark")
    first = min(name for name in disk.names if name.endswith(".log"))
    disk.flip(first, 100 * 8)
    with pytest.raises(DamageError):
        open_log(disk)


def test_a_missing_segment_is_damage() -> None:
    world = written_world()
    names = sorted(name for name in world.disk.names if name.endswith(".log"))
    assert len(names) >= 3
    for name in names[1:]:
        disk = world.disk.copy()
        disk.unlink(name)
        if name == names[-1] and world.log._segments.at < len(names) - 1:
            open_log(disk)  # prepared, never used
            continue
        with pytest.raises(DamageError):
            open_log(disk)


def test_a_recycled_file_never_gives_old_entries_back() -> None:
    world = make(3)
    for _ in range(60):
        world.add(200)
        world.flush()
        world.trim()
    segments = world.log._segments
    assert segments.row[0].number > 4
    assert len([name for name in world.disk.names if "spare" in name]) <= 4
    assert any(world.disk.read(segments.current.file.path)[segments.offset + FRAME_SIZE :]), "it was recycled"
    for _ in range(40):
        disk = world.disk.copy()
        check(world, open_log(disk))


def test_what_a_waiting_truncation_removes_is_not_durable_by_a_part_of_the_flush() -> None:
    """Entries are removed again and again while nothing is flushed; then only a part of it fits into the segment."""
    for used in range(1300, 1520, 8):
        world = make(2)
        for size in (*[20] * 8, used):
            world.add(size)
        world.flush()
        log = world.log
        for index in (9, 7, 5, 3):
            world.term += 1
            log.deleteEntriesFrom(index - log.first_index)
            world.add(200)
            world.add(200)
        while log._waiting:
            assert log.durable_index < log.last_index
            log.flush()
            assert log.durable_index <= log.last_index
            found = {index: (command, term) for command, index, term in open_log(world.disk.copy())[:]}
            durable = {index: entry for index, entry in world.now().items() if index <= log.durable_index}
            assert durable.items() <= found.items()


def test_term_and_vote_survive_one_bad_copy_and_refuse_two() -> None:
    world = make(4)
    world.log.setCurrentTerm(7, "node-b")
    for slot in (0, 4096):
        for position in range(slot, slot + 60):
            disk = world.disk.copy()
            disk.flip("d/vote", position * 8 + 3)
            log = open_log(disk)
            assert (log.getCurrentTerm(), log.getVotedForNodeId()) == (7, "node-b")
            log.close()
            other = 4096 - slot
            disk.flip("d/vote", other * 8)  # the first copy was repaired at the start
            assert open_log(disk).getCurrentTerm() == 7
    disk = world.disk.copy()
    disk.flip("d/vote", 9)
    disk.flip("d/vote", 4096 * 8 + 9)
    with pytest.raises(DamageError, match="vote"):
        open_log(disk)


def test_a_lost_vote_file_is_not_replaced_by_an_empty_one() -> None:
    world = written_world()
    world.disk.unlink("d/vote")
    with pytest.raises(DamageError, match="vote"):
        open_log(world.disk)


def test_a_lost_log_beside_a_checkpoint_is_not_replaced_by_an_empty_one() -> None:
    disk = FakeDisk()
    disk.mkdir(DIRECTORY)
    with pytest.raises(DamageError):
        RaftLog.open(
            disk, DIRECTORY, options=TINY, sync=INLINE, background=INLINE, random32=lambda: 1, create=False
        )


def test_a_full_disk_leaves_prepared_blocks_to_what_makes_room() -> None:
    world = make(6)
    log = world.log
    spare = log._spare
    assert spare > 300
    world.disk.capacity = world.disk.used()
    while log.full is None and log.has_room(100):
        world.add(100)
        log.flush()
    assert log.full is not None
    reserved = 0
    while log.has_room(100):  # while it is full, the reserve counts as room
        world.add(100)
        log.flush()
        assert log.durable_index == log.last_index, "accepted, and then no block for it"
        reserved += 100
    assert reserved + 400 >= spare
    world.disk.capacity = 1 << 30
    log.retry()
    assert log.has_room(100)


def test_without_file_descriptors_the_disk_is_full_and_not_broken() -> None:
    for number in (errno.EMFILE, errno.ENFILE):
        world = make(6)
        segments = world.log._segments
        segments._prepared(None, OSError(number, "too many open files"))
        assert world.log.failure is None
        assert world.log.full is not None
        segments._retired(None, OSError(number, "too many open files"))
        assert world.log.failure is None
        world.log.retry()
        assert world.log.full is None
        assert world.log.has_room(100)


def test_disk_full_shows_before_anything_is_accepted_and_passes_without_a_restart() -> None:
    for room in range(0, 6000, 97):
        world = make(6)
        log = world.log
        world.disk.capacity = world.disk.used() + room
        accepted = 0
        while log.full is None and log.has_room(100) and accepted < 200:
            world.add(100)
            log.flush()
            assert log.durable_index == log.last_index, "accepted, and then no block for it"
            accepted += 1
        assert log.full is not None
        assert log.full.path == DIRECTORY
        assert log.failure is None
        before = world.now()
        log.retry()
        assert log.full is not None
        world.disk.capacity = 1 << 30
        log.retry()
        assert log.full is None
        assert log.has_room(100)
        world.add(100)
        log.flush()
        assert log.durable_index == log.last_index
        found = open_log(world.disk.after_kill())
        assert {index: entry for index, entry in world.now().items() if index in before} == before
        assert found[-1] == log[-1]


def test_a_failing_sync_stops_the_log_for_good() -> None:
    world = make(8)
    failures: list[BaseException] = []
    world.log.on_failure = failures.append
    world.add(10)
    world.flush()
    durable = world.log.durable_index
    world.disk.broken_sync = ".log"
    world.add(10)
    world.log.flush()
    assert len(failures) == 1
    assert world.log.failure is failures[0]
    world.disk.broken_sync = None
    world.log.flush()
    world.add(10)
    world.log.flush()
    assert world.log.durable_index == durable
    assert len(failures) == 1


def test_what_was_written_after_a_failed_sync_is_made_durable_before_it_counts() -> None:
    # The page cache holds a frame whose sync failed: the next process sees it, the platter does not have it.
    world = make(9)
    world.add(10)
    world.flush()
    world.disk.broken_sync = ".log"
    world.add(33)
    world.log.flush()
    world.disk.broken_sync = None
    again = open_log(world.disk.after_kill())
    assert len(again[-1][0]) == 33
    assert again.durable_index == again.last_index
    assert open_log(world.disk.after_crash())[-1] == again[-1]


def test_after_a_renewal_no_file_holds_what_was_logged_before() -> None:
    world = written_world()
    secret = b"correct horse"
    for _ in range(20):
        world.log.add(secret * 10, world.log.last_index + 1, world.term)
        world.flush()
    world.log.trim(world.log.durable_index - 1)
    world.log.add(b"x" * 100, world.log.last_index + 1, world.term)
    world.flush()
    world.log.renew(world.log.last_index)
    behind = world.log.renewed_behind
    assert behind == world.log.last_index
    world.log.trim(behind)
    assert world.log.worn, "what the last file holds is needed yet"
    for _ in range(2):
        world.add(100)
        world.flush()
    world.log.trim(behind + 1)
    assert not world.log.worn
    assert world.log.remains() == []
    names = world.disk.listdir(DIRECTORY)
    assert not any(secret in world.disk.read(f"{DIRECTORY}/{name}") for name in names)
    world.checkpoint = behind + 1
    check(world, open_log(world.disk.after_kill()))
    for _ in range(60):  # files are used again as ever
        world.add(200)
        world.flush()
        world.trim()
    assert any(name.startswith("spare-") for name in world.disk.listdir(DIRECTORY))


def test_a_renewal_waits_for_the_frame_under_way_and_for_room() -> None:
    world = make(3)
    later = Postponed()
    world.log._sync = later
    world.log.add(b"one", 2, 1)
    world.log.flush()
    world.log.add(b"two", 3, 1)
    world.log.renew(3)
    assert world.log.renewed_behind is None
    later.run()
    assert world.log.renewed_behind is None, "an entry that it is about is in no file yet"
    world.log.flush()
    later.run()
    assert world.log.renewed_behind == 3
    world.log._sync = INLINE
    world.add(50)
    world.flush()
    check(world, open_log(world.disk.after_kill()))


class Postponed:
    """Runs jobs when told."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Job, Done]] = []

    def submit(self, job: Job, done: Done) -> None:
        self.jobs.append((job, done))

    def run(self) -> None:
        jobs, self.jobs = self.jobs, []
        for job, done in jobs:
            INLINE.submit(job, done)
