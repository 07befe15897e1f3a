"""What a member owes after a redaction: remembered over restarts, told, and done when nothing of before is left."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from tests.storage.fake_disk import FakeDisk
from visord import scrubbing
from visord.scrubbing import ALARM_SECONDS, NAME, Scrubbing
from visord.state.redacted import ANY, MOST_FRESH, Redacted
from visord.storage.disk import write_atomic
from visord.storage.worker import Inline


def found_clean() -> bool:
    return True


class Log:
    """A log that renews when told."""

    def __init__(self) -> None:
        self.renewed_behind: int | None = None
        self.worn = True
        self.asked: list[int] = []
        self.left: list[str] = []

    def renew(self, index: int) -> None:
        self.asked.append(index)

    def trim(self, index: int, most: int) -> bool:
        self.worn = index <= (self.renewed_behind or 0)
        return False

    def remains(self) -> list[str]:
        return self.left


class World:
    """A node as far as scrubbing sees it; what it asks for is noted."""

    def __init__(self, disk: FakeDisk | None = None) -> None:
        self.disk = disk or FakeDisk(random.Random(1))
        self.disk.mkdir("d")
        self.now = 100.0
        self.asked: list[str] = []
        self.redacted = Redacted()
        self.log = Log()
        self.checkpointer = SimpleNamespace(index=0, running=False, cleaner=lambda: found_clean)
        self.machine = SimpleNamespace(index=0, store=SimpleNamespace(redacted=self.redacted))
        incoming = SimpleNamespace(
            active=False, abandon_before=lambda index: self.asked.append(f"end {index}")
        )
        outgoing = SimpleNamespace(index=3, release=self.asked.append)
        self.install = SimpleNamespace(incoming=incoming, outgoing=outgoing, installing=False)
        self.engine = SimpleNamespace(trimmed=lambda: None)
        self.maintenance = SimpleNamespace(
            checkpoint_now=lambda: self.asked.append("checkpoint"), status=lambda: {"failure": None}
        )
        self.proposer = SimpleNamespace(
            refusal=lambda: None, submit=lambda author, frames, size: self.asked.append("nop")
        )
        self.failed: list[BaseException] = []
        node: Any = self
        loop: Any = SimpleNamespace(time=lambda: self.now)
        self.scrubbing = Scrubbing(node, self.disk, "d", Inline(), loop, self.failed.append)

    def redact(self, index: int) -> None:
        self.redacted.applied(index)
        self.machine.index = index

    def tick(self, seconds: float = 0.0) -> list[str]:
        self.now += seconds
        self.asked.clear()
        self.scrubbing.tick()
        return list(self.asked)


def test_step_by_step_to_nothing_owed() -> None:
    world = World()
    assert world.tick() == [] and world.scrubbing.owed == 0
    world.redact(10)
    assert world.scrubbing.owed == 1
    assert world.tick() == ["end 10", "values were redacted"]
    assert world.log.asked == [10]
    world.log.renewed_behind = 12
    world.machine.index = 12
    assert world.tick(0.1) == []
    assert world.tick(2.0) == ["nop"], "nobody writes: an entry is proposed"
    assert world.tick(0.1) == []
    world.machine.index = 13
    assert world.tick() == ["checkpoint"]
    world.checkpointer.index = 13
    world.tick()
    assert not world.log.worn
    world.install.outgoing.index = None
    world.log.left = ["7.log"]
    world.tick()
    assert world.scrubbing.owed == 1, "a file of before is there yet"
    world.log.left = []
    world.tick()
    assert world.scrubbing.owed == 0
    again = World(world.disk)
    again.redacted = again.machine.store.redacted = world.redacted
    assert again.scrubbing.owed == 0, "it is remembered"
    again.redact(20)
    assert again.scrubbing.owed == 1


def test_a_crash_begins_again_from_what_the_state_says() -> None:
    world = World()
    world.redact(10)
    world.redact(11)
    world.tick()
    again = World(world.disk)
    again.machine.store.redacted = world.redacted
    assert again.scrubbing.owed == 2
    again.tick()
    assert again.log.asked == [11]


def test_what_takes_long_is_an_alarm_that_says_what_it_waits_for() -> None:
    world = World()
    world.redact(10)
    world.tick()
    assert world.scrubbing.alarm is None
    world.now += ALARM_SECONDS
    assert "the log could not begin new files yet" in (world.scrubbing.alarm or "")
    world.log.renewed_behind = 12
    assert "an entry after 12 has to be committed" in (world.scrubbing.alarm or "")
    world.machine.index = 13
    assert "a checkpoint behind entry 12 has to be made" in (world.scrubbing.alarm or "")
    world.checkpointer.index = 13
    assert "files of before have to be removed" in (world.scrubbing.alarm or "")


def test_a_checkpoint_that_is_being_installed_is_waited_for() -> None:
    world = World()
    world.redact(10)
    world.install.installing = True
    assert world.tick() == []
    assert world.log.asked == []


@pytest.mark.parametrize("note", [b"", b"[]", b'{"entry": "x", "redactions": 1}', b"\xff"])
def test_a_note_that_says_nothing_means_that_nothing_is_done(note: bytes) -> None:
    disk = FakeDisk(random.Random(1))
    disk.mkdir("d")
    write_atomic(disk, "d", NAME, (note,))
    world = World(disk)
    world.redact(10)
    assert world.scrubbing.owed == 1


def test_a_full_disk_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.redact(10)
    world.tick()
    world.log.renewed_behind, world.log.worn = 12, False
    world.machine.index = world.checkpointer.index = 13

    def full(*_: Any) -> None:
        raise OSError(28, "full")

    with monkeypatch.context() as patched:
        patched.setattr(scrubbing, "write_atomic", full)
        world.tick()
    assert world.scrubbing.owed == 1 and not world.failed
    world.tick()
    assert world.scrubbing.owed == 0


def test_of_very_many_redactions_only_that_they_were_is_remembered() -> None:
    redacted = Redacted()
    for number in range(MOST_FRESH + 5):
        redacted.note(f"/{number}", 1, number + 1)
    fresh = redacted.take_fresh()
    assert fresh[0] == (ANY, 1, MOST_FRESH)
    assert len(fresh) == 6
    assert redacted.fresh == []
