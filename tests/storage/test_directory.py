"""The data directory, atomic files, the worker and the offline check, on the real disk where that matters."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.storage.fake_disk import FakeDisk, PowerCut
from visor.protocol.verbs import SET
from visord.check import check, check_directory
from visord.raft.engine import Engine, alone
from visord.raft.inspection import inspect_log
from visord.raft.log import RaftLog
from visord.raft.segments import SMALL
from visord.state.command import encode
from visord.state.machine import Machine
from visord.storage.checkpoint import Checkpointer
from visord.storage.directory import DataDirectory, lock_to_read, read_identity
from visord.storage.disk import OsDisk, read_all, write_atomic
from visord.storage.errors import DamageError, FormatError, IdentityError, LockedError
from visord.storage.worker import Inline, Worker

RNG = random.Random(1)


def open_directory(path: Path, **options: Any) -> DataDirectory:
    return DataDirectory.open(OsDisk(), str(path), **{"node": "a", "rng": RNG, **options})


# -- directory --------------------------------------------------------------------------------------------


def test_a_directory_is_made_private_and_keeps_its_identity(tmp_path: Path) -> None:
    path = tmp_path / "data" / "deep"
    directory = open_directory(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert len(directory.cluster) == 32
    directory.close()
    directory.close()
    again = open_directory(path)
    assert (again.cluster, again.node) == (directory.cluster, "a")
    assert all(stat.S_IMODE(file.stat().st_mode) & 0o077 == 0 for file in path.rglob("*"))
    again.close()


def test_a_start_beside_a_check_is_told_of_no_process_that_has_ended(tmp_path: Path) -> None:
    """A check writes nothing into the lock: what is there is the node's that ran before."""
    open_directory(tmp_path).close()
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / "lock").write_text(f"{ended.pid}\n")
    reading = lock_to_read(OsDisk(), str(tmp_path))
    lock_to_read(OsDisk(), str(tmp_path)).release()  # two checks get along
    with pytest.raises(LockedError, match="in use by another process"):
        open_directory(tmp_path)
    reading.release()
    open_directory(tmp_path).close()


def test_a_second_opener_is_told_who_has_it(tmp_path: Path) -> None:
    code = (
        "import sys, random\n"
        "from visord.storage.disk import OsDisk\n"
        "from visord.storage.directory import DataDirectory\n"
        "DataDirectory.open(OsDisk(), sys.argv[1], node='a', rng=random.Random(1))\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "open\n"
    with pytest.raises(LockedError) as caught:
        open_directory(tmp_path)
    assert caught.value.pid == owner.pid
    assert str(tmp_path) in str(caught.value) and str(owner.pid) in str(caught.value)
    with pytest.raises(LockedError):
        check_directory(tmp_path)
    owner.kill()  # the kernel gives the lock back, however the process ends
    owner.communicate()
    open_directory(tmp_path).close()


def test_two_openers_in_one_process(tmp_path: Path) -> None:
    directory = open_directory(tmp_path)
    with pytest.raises(LockedError, match=str(os.getpid())):
        open_directory(tmp_path)
    directory.close()


def test_another_node_or_cluster_is_refused(tmp_path: Path) -> None:
    directory = open_directory(tmp_path)
    directory.close()
    with pytest.raises(IdentityError, match="'a'"):
        open_directory(tmp_path, node="b")
    with pytest.raises(IdentityError, match=directory.cluster):
        open_directory(tmp_path, cluster="0" * 32)
    open_directory(tmp_path, cluster=directory.cluster).close()


def test_a_directory_with_other_files_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(IdentityError, match=r"thesis\.txt"):
        open_directory(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "thesis.txt"]


def test_an_unknown_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from visord.storage import directory

    monkeypatch.setattr(directory, "FORMAT", 99)
    open_directory(tmp_path).close()
    monkeypatch.undo()
    with pytest.raises(FormatError, match="99"):
        open_directory(tmp_path)


def test_a_lost_identity_is_damage_not_a_new_cluster(tmp_path: Path) -> None:
    open_directory(tmp_path).close()
    (tmp_path / "identity").unlink()
    with pytest.raises(DamageError, match="identity"):
        open_directory(tmp_path)


def test_a_damaged_identity_is_found_at_every_byte() -> None:
    disk = FakeDisk()
    DataDirectory.open(disk, "d", node="a", rng=RNG).close()
    whole = disk.read("d/identity")
    for position in range(len(whole)):
        for broken in (
            whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :],
            whole[:position],
        ):
            disk.put("d/identity", broken)
            with pytest.raises(DamageError):
                DataDirectory.open(disk, "d", node="a", rng=RNG)
            assert not disk.locks, "a failed start gives the lock back"


def test_a_power_cut_while_a_directory_is_made() -> None:
    for calls in range(1, 20):
        for seed in range(6):
            disk = FakeDisk(random.Random(f"{calls}/{seed}"))
            disk.crash_at = calls
            try:
                DataDirectory.open(disk, "d", node="a", rng=RNG)
            except PowerCut:
                again = disk.after_crash()
                again.directories -= {"d/log", "d/history"}
                DataDirectory.open(again, "d", node="a", rng=RNG)
                assert read_identity(again, "d") is not None


# -- disk and worker --------------------------------------------------------------------------------------


def test_an_atomic_write_is_whole_or_not_at_all() -> None:
    for calls in range(1, 12):
        for seed in range(10):
            disk = FakeDisk(random.Random(f"{calls}/{seed}"))
            disk.put("d/file", b"old" * 400)
            disk.crash_at = calls
            done = False
            try:
                write_atomic(disk, "d", "file", (b"new", b"er" * 900))
                done = True
            except PowerCut:
                pass
            found = disk.after_crash().read("d/file")
            assert found == b"new" + b"er" * 900 or (not done and found == b"old" * 400)


def test_a_failed_atomic_write_leaves_the_old_file_and_no_litter() -> None:
    disk = FakeDisk()
    disk.put("d/file", b"old")
    disk.capacity = disk.used() + 10
    with pytest.raises(OSError) as caught:
        write_atomic(disk, "d", "file", (bytes(100),))
    assert caught.value.errno == errno.ENOSPC
    assert sorted(disk.names) == ["d/file"]
    assert disk.read("d/file") == b"old"


def test_the_real_disk(tmp_path: Path) -> None:
    disk, path = OsDisk(), str(tmp_path / "file")
    file = disk.open(path, create=True)
    file.pwrite(b"x" * 8192, 0)
    file.sync()
    file.pwrite_sync(b"abc", 100)
    assert file.pread(5, 99) == b"xabcx"
    assert file.pread(10, 8190) == b"xx"
    memory = file.map(8192)
    memory[0:2] = b"mm"
    assert file.pread(3, 0) == b"mmx"
    memory.close()
    file.truncate(4)
    assert file.size() == 4
    file.close()
    file.close()
    disk.sync_dir(str(tmp_path))
    assert read_all(disk, path, 4) == b"mmxx"
    assert disk.free(str(tmp_path)) > 0
    disk.rename(path, path + "2")
    assert disk.listdir(str(tmp_path)) == ["file2"]
    disk.unlink(path + "2")
    assert not disk.exists(path + "2")


def test_a_worker_runs_jobs_in_order_off_the_loop_and_ends() -> None:
    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        worker = Worker("test", loop.call_soon_threadsafe)
        answers: list[Any] = []
        last = loop.create_future()
        for number in range(5):
            worker.submit(
                lambda number=number: (number, threading.current_thread().name), lambda *a: answers.append(a)
            )  # type: ignore[misc]
        worker.submit(lambda: 1 / 0, lambda result, error: last.set_result(error))
        answers.append(await last)
        worker.close()
        return answers

    before = threading.active_count()
    *answers, error = asyncio.run(main())
    assert answers == [((number, "test"), None) for number in range(5)]
    assert isinstance(error, ZeroDivisionError)
    assert threading.active_count() == before


def test_a_worker_outlives_its_loop_without_noise() -> None:
    async def main() -> Worker:
        return Worker("test", asyncio.get_running_loop().call_soon_threadsafe)

    worker = asyncio.run(main())
    worker.submit(lambda: 1, lambda *_: None)
    worker.close()


# -- check --------------------------------------------------------------------------------------------------


def filled(disk: Any, path: str) -> None:
    """A directory with a checkpoint, a log tail after it and a bit of everything."""
    directory = DataDirectory.open(disk, path, node="a", rng=random.Random(2))
    machine = Machine()
    checkpointer = Checkpointer(disk, directory, Inline(), segment_bytes=2000)
    checkpointer.load(machine)
    log = RaftLog.open(
        disk, directory.log, options=SMALL, sync=Inline(), background=Inline(), random32=lambda: 5
    )
    engine = Engine("a", alone("a"), log, on_apply=machine.apply)
    log.on_durable = engine.tick
    engine.tick()
    for number in range(90):
        frame = [SET, number + 1, 0, f"/a/{number % 7}", b"v" * 40]
        engine.propose(encode(number, [[b"s", "me", [frame], ""]]))
        if number in (30, 60):
            for _ in checkpointer.steps(machine):
                pass
    log.close()
    directory.close()


def test_check_tells_what_is_there(tmp_path: Path) -> None:
    filled(OsDisk(), str(tmp_path))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    report = check_directory(tmp_path)
    assert report.problems == []
    text = "\n".join(report.lines())
    assert "everything is sound" in text
    assert "revs 1 to" in text and "entries 1 to 92" in text
    found = report.as_dict()
    assert found["sound"] is True and found["rev"] == 61 and found["log"] == [1, 92]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_check_finds_damage_in_every_kind_of_file_and_goes_on() -> None:
    disk = FakeDisk()
    filled(disk, "d")
    names = [name for name in disk.names if "lock" not in name]
    for name in names:
        broken = disk.copy()
        broken.flip(name, 70 * 8 + 1 if len(disk.read(name)) > 200 else 77)
        if name.endswith("vote"):
            broken.flip(name, 1)
            broken.flip(name, 4096 * 8)
        report = check(broken, "d", inspect_log)
        if name.endswith(("mark", "002.log")):
            continue  # harmless: read_mark has another copy, the second segment is empty
        assert len(report.problems) == 1, name
        assert report.as_dict()["problems"][0]["path"] == name
        assert "problems found" in report.lines()[-1]
    everything = disk.copy()
    for name in names:
        everything.flip(name, 77)
    assert len(check(everything, "d", inspect_log).problems) >= 3


def test_check_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(IdentityError):
        check_directory(tmp_path)
    assert list(tmp_path.iterdir()) == []
