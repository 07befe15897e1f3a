"""A full disk, for real: a small file system of its own. Writes are refused, reads go on, room lets writes resume."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node_process import NodeProcess, run
from tests.patience import PATIENCE
from tests.small_disk import NoMountError, SmallDisk
from tests.wire import Refused, Wire
from visor.protocol import verbs as v

MIB = 1 << 20
SIZE = 96 * MIB
SETTINGS = (
    "storage.log_segment_bytes=1048576",
    "storage.log_chunk_bytes=262144",
    "storage.history_segment_bytes=1048576",
    "storage.log_keep_bytes=100000",
    "log.level=error",
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    try:
        disk = SmallDisk(tmp_path / "disk", SIZE)
    except NoMountError as error:
        pytest.skip(f"a file system cannot be mounted here: {error}")
    yield disk
    disk.close()


def write_until_full(wire: Wire, limit: int = 64 * MIB) -> tuple[int, Refused]:
    """Set until it is refused; return the last rev and the refusal."""
    rev, written = wire.rev(), 0
    value = os.urandom(100_000)
    while written < limit:
        try:
            rev = wire.set(f"/f/{written}", value)
        except Refused as refused:
            return rev, refused
        written += len(value)
    pytest.fail("it was never full")


def await_writes(wire: Wire, seconds: float = PATIENCE) -> int:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return wire.set("/resumed", b"1")
        except Refused as refused:
            assert refused.code == "no_space"
            assert time.monotonic() < deadline, refused
            time.sleep(0.05)


def await_no_alarms(wire: Wire) -> None:
    """A checkpoint that found the disk full is made again later, by the node's own clock."""
    deadline = time.monotonic() + PATIENCE
    while alarms := wire.status()["alarms"]:
        assert time.monotonic() < deadline, alarms
        time.sleep(0.05)


def test_writes_are_refused_reads_go_on_and_writes_resume(small_disk: SmallDisk) -> None:
    data = small_disk.place / "data"
    with NodeProcess(data, settings=SETTINGS) as node, Wire(node.address) as wire:
        first = wire.set("/a", b"1")
        small_disk.fill(20 * MIB)
        last, refused = write_until_full(wire)
        assert refused.code == "no_space"
        assert refused.details["path"].startswith(str(data))
        assert 0 <= refused.details["free"] < 40 * MIB
        assert str(data) in refused.text
        # Everything but writes goes on, for everybody.
        assert wire.rev() == last
        assert wire.get("/a") == b"1"
        assert wire.get("/a", first) == b"1"
        assert wire.call(v.SCAN, [v.SEL_TREE, "/"], None, 0, None, 0, {"count": True})[3] == last
        assert last > 60, "there are files to delete"
        status = wire.status()
        assert any("no space" in alarm for alarm in status["alarms"])
        # So does what makes room, from a reserve, a hundred times; what grows does not, even beside it.
        for number in range(50):
            wire.call(v.NOP)
            wire.call(v.DELETE, f"/f/{number * 100_000}")
            with pytest.raises(Refused) as growing:
                wire.set("/a", b"2")
            assert growing.value.code == "no_space"
        wire.call(v.RETAIN, 1_000_000)
        assert wire.rev() == last + 50
        last += 50
        with Wire(node.address) as other:
            assert other.get("/a") == b"1"
            assert other.call(v.WATCH, [v.SEL_TREE, "/"]) == last + 1
            with pytest.raises(Refused) as again:
                other.set("/a", b"2")
            assert again.value.code == "no_space"
        small_disk.empty()
        resumed = await_writes(wire)
        assert resumed == last + 1  # nothing that was refused took a rev
        await_no_alarms(wire)
        for number in range(50):
            wire.set("/more", b"x" * 50_000 + b"%d" % number)
        rev = wire.rev()
        commits = wire.commits()
        node.kill()
        node.start()
        with Wire(node.address) as after:
            assert after.rev() == rev
            assert after.commits() == commits


def test_it_starts_and_reads_on_a_full_disk(small_disk: SmallDisk) -> None:
    """Space was prepared before: a start needs none, and tells by refusing writes."""
    data = small_disk.place / "data"
    with NodeProcess(data, settings=SETTINGS) as node:
        with Wire(node.address) as wire:
            rev = wire.set("/a", b"1")
        node.kill()
        small_disk.fill(0)
        node.start()
        with Wire(node.address) as wire:
            assert wire.rev() == rev
            assert wire.get("/a") == b"1"
            last, refused = write_until_full(wire, 8 * MIB)
            assert refused.code == "no_space"
            assert last >= rev
            small_disk.empty()
            assert await_writes(wire) == last + 1


@pytest.mark.soak
@pytest.mark.skipif(
    float(os.environ.get("VISOR_SOAK", "1")) < 2, reason="a minute on a busy machine: VISOR_SOAK=2"
)
def test_a_checkpoint_gives_the_log_back_on_a_full_disk(small_disk: SmallDisk) -> None:
    """What fills the disk is log that a checkpoint makes needless: nobody has to free anything by hand."""
    data = small_disk.place / "data"
    with NodeProcess(data, settings=SETTINGS) as node, Wire(node.address) as wire:
        value = os.urandom(100_000)
        wire.call(v.RETAIN, 5)
        small_disk.fill(20 * MIB)
        number = 0
        while try_set(wire, b"%d" % number + value):
            number += 1
            assert number < 400, "40 MB of log found room on a disk with 20"
        deadline = time.monotonic() + PATIENCE
        while not try_set(wire, b"%d" % number + value):
            assert time.monotonic() < deadline, wire.status()
            time.sleep(0.05)
        assert wire.status()["checkpoint"]["made"] >= 1


def try_set(wire: Wire, value: bytes) -> bool:
    try:
        wire.set("/same", value)
    except Refused as refused:
        assert refused.code == "no_space"
        return False
    return True


@pytest.mark.soak
def test_stopping_on_a_full_disk_loses_nothing(small_disk: SmallDisk) -> None:
    data = small_disk.place / "data"
    with NodeProcess(data, settings=SETTINGS) as node:
        with Wire(node.address) as wire:
            for number in range(20):
                wire.set(f"/a/{number}", os.urandom(20_000))
            small_disk.fill(0)
            commits = wire.commits()
        assert node.stop() == 0  # without its last checkpoint
        small_disk.empty()
        assert run("check", str(data)).returncode == 0
        node.start()
        with Wire(node.address) as wire:
            assert wire.commits() == commits


def test_a_first_start_without_space_is_refused_in_words(small_disk: SmallDisk) -> None:
    small_disk.fill(0)
    result = run(
        *("serve", "--bootstrap", "--peer-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"),
        *("--data-dir", str(small_disk.place / "data"), "--set", "log.level=error"),
    )
    assert result.returncode == 75  # it may pass
    assert result.stdout == ""
    assert "space" in result.stderr
    assert str(small_disk.place) in result.stderr
    assert "Traceback" not in result.stderr
