"""The files of the audit: over restarts, power cuts, full disks and rotation the chain goes on, and is told of."""

from __future__ import annotations

import stat
from typing import Any

import pytest

from tests.audit.world import World
from visord.audit import recorded
from visord.audit.auditor import WAITING, Auditor
from visord.audit.book import ChainBounds
from visord.storage.disk import OsFile


def retain(world: World, auditor: Auditor, times: int = 1, **fields: Any) -> None:
    for _ in range(times):
        auditor.record(recorded.RETAIN, **fields)
    world.background.run()


def test_a_restart_goes_on_with_the_chain(world: World) -> None:
    for _ in range(3):
        auditor = world.auditor()
        retain(world, auditor, 2)
        auditor.close()
        world.background.run()
    assert [line["n"] for line in world.lines("changes")] == [1, 2, 3, 4, 5, 6]
    assert world.found("changes").problem == ""


@pytest.mark.parametrize("cut", [1, 2, 10, 140])
@pytest.mark.parametrize("zeros", [0, 1, 5000])
def test_what_a_power_cut_left_of_a_line_is_cut_off_and_told(world: World, cut: int, zeros: int) -> None:
    retain(world, world.auditor(), 3)
    file = world.directory / "changes.log"
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut] + bytes(zeros))
    retain(world, world.auditor())
    lines = world.lines("changes")
    assert [line["event"] for line in lines] == ["retain", "retain", "torn", "retain"]
    assert "cut off" in lines[2]["reason"]
    assert world.found("changes").problem == ""


def test_zeros_behind_a_whole_line_are_cut_off_too(world: World) -> None:
    retain(world, world.auditor(), 2)
    file = world.directory / "changes.log"
    file.write_bytes(file.read_bytes() + bytes(4096))
    retain(world, world.auditor())
    assert [line["event"] for line in world.lines("changes")] == ["retain", "retain", "torn", "retain"]


@pytest.mark.parametrize("content", [b"", bytes(100), b"no end", b"\0\n", b"nonsense\n" * 3, b"x" * 100_000])
def test_whatever_the_file_holds_lines_are_written_again(world: World, content: bytes) -> None:
    """Whoever can write it can break the chain, and not more than that."""
    world.directory.mkdir()
    (world.directory / "changes.log").write_bytes(content)
    auditor = world.auditor()
    retain(world, auditor, 3)
    assert auditor.trouble == ""
    written = b"".join(file.read_bytes() for file in world.directory.glob("changes*.log"))
    assert written.count(b'"event":"retain"') == 3


def test_files_are_rotated_and_the_chain_goes_over_it(world: World) -> None:
    bounds = ChainBounds(bytes=1000, files=3, reserve=0)
    for _ in range(20):  # also over restarts, at any place of a file
        retain(world, world.auditor(bounds), 3, reason="x" * 100)
    files = sorted(world.directory.iterdir())
    assert len(files) == 4
    assert all(file.stat().st_size <= 1000 for file in files)
    lines = world.lines("changes")
    assert [line["n"] for line in lines] == list(range(lines[0]["n"], 61))
    assert world.found("changes").problem == ""
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert stat.S_IMODE(world.directory.stat().st_mode) == 0o700


def test_a_crash_between_the_two_halves_of_a_rotation_loses_nothing(world: World) -> None:
    retain(world, world.auditor(), 3)
    (world.directory / "changes.log").rename(world.directory / "changes-000000000001.log")
    retain(world, world.auditor())
    assert [line["n"] for line in world.lines("changes")] == [1, 2, 3, 4]
    assert world.found("changes").problem == ""


def test_a_full_disk_stops_nothing_and_its_lines_come_later(world: World) -> None:
    auditor = world.auditor(ChainBounds(1 << 24, 3, reserve=1 << 20))
    retain(world, auditor)
    world.disk.free_bytes = 1000
    retain(world, auditor, WAITING + 10)
    assert "changes cannot be written: No space left on device" in auditor.trouble
    assert auditor.lost == 10
    world.pass_time(auditor, 3)
    assert len(world.lines("changes")) == 1
    world.disk.free_bytes = 1 << 30
    world.pass_time(auditor, 1)
    lines = world.lines("changes")
    assert auditor.trouble == ""
    assert [line["event"] for line in lines[-1:]] == ["lost"]
    assert lines[-1]["more"] == 10
    assert len(lines) == 1 + WAITING + 1
    assert world.found("changes").problem == ""


def test_a_sync_that_fails_breaks_no_chain(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    auditor = world.auditor()
    retain(world, auditor, 2)

    def fail(file: OsFile) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(OsFile, "sync", fail)
    retain(world, auditor, 2)
    assert "Input/output error" in auditor.trouble
    monkeypatch.undo()
    world.pass_time(auditor, 1)
    assert world.found("changes").problem == ""
    # What the failed attempt left is there, and what it wrote is written again: never less than happened.
    assert len(world.lines("changes")) >= 4


def test_lines_are_written_one_job_at_a_time(world: World) -> None:
    auditor = world.auditor()
    for _ in range(100):
        auditor.record(recorded.RETAIN)
    assert len(world.background.jobs) == 1
    world.background.run()
    assert len(world.lines("changes")) == 100
