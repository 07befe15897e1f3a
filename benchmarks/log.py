"""The log alone: durable appends, one at a time and in groups, on the disk of the temporary directory.

`appends` is what one connection with one write in flight sees; `groups` keeps a group filling while the last one is
synced, as the server does; `engine` adds pysyncobj: propose, sync, commit, apply; `no disk` is the CPU that takes.
The bare figures say what the disk itself does: overwriting prepared blocks, and appending to a file.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.figures import Row, latencies
from visord.raft.engine import Engine, alone
from visord.raft.log import RaftLog
from visord.raft.segments import Options
from visord.storage.disk import OsDisk
from visord.storage.worker import Inline, Submitter, Worker

SMALL = 200
GROUP = 13_000
"""Bytes of a command of 64 sets of 24-byte keys and 128-byte values."""


def rows(seconds: float = 5.0, quick: bool = False) -> Iterator[Row]:
    """Yield all rows; each measurement takes `seconds`."""
    del quick  # short seconds are enough
    for size in (SMALL, GROUP):
        yield bare(seconds, size, overwrite=True)
        yield bare(seconds, size, overwrite=False)
        yield appends(seconds, size)
        yield groups(seconds, size)
        yield engine(seconds, size)
        yield no_disk(seconds, size)


def bare(seconds: float, size: int, *, overwrite: bool) -> Row:
    """Write and sync in a loop, without a log."""
    data, times = os.urandom(size), []
    with tempfile.NamedTemporaryFile() as file:
        if overwrite:
            file.write(bytes(64 << 20))
            file.flush()
            os.fsync(file.fileno())
        offset, end = 0, time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            os.pwrite(file.fileno(), data, offset % (60 << 20) if overwrite else offset)
            os.fdatasync(file.fileno())
            offset += size
            times.append(time.perf_counter() - start)
    name = f"bare {'overwrite' if overwrite else 'append'} + fdatasync, {size} B"
    return name, len(times), sum(times), latencies(times)


def _open(directory: str, sync: Submitter, background: Submitter) -> RaftLog:
    return RaftLog.open(
        OsDisk(),
        directory,
        options=Options(),
        sync=sync,
        background=background,
        random32=lambda: random.getrandbits(32),
    )


def _threaded(work: Callable[[RaftLog, asyncio.AbstractEventLoop], Any]) -> Any:
    """Run `await work(log, loop)` with a log whose syncs run on a thread."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        sync = Worker("bench-sync", loop.call_soon_threadsafe)
        background = Worker("bench-disk", loop.call_soon_threadsafe)
        path = tempfile.mkdtemp()
        log = _open(path, sync, background)
        try:
            return await work(log, loop)
        finally:
            sync.close()
            background.close()
            log.close()
            shutil.rmtree(path)

    return asyncio.run(main())


def appends(seconds: float, size: int) -> Row:
    """Append one entry, wait until it is durable, append the next."""

    async def work(log: RaftLog, loop: asyncio.AbstractEventLoop) -> Row:
        command, times, done = bytes(size), [], loop.create_future()
        end = time.perf_counter() + seconds
        start = 0.0

        def following() -> None:
            nonlocal start
            now = time.perf_counter()
            if start:
                times.append(now - start)
            if now >= end:
                done.set_result(None)
                return
            start = time.perf_counter()
            log.add(command, log.last_index + 1, 1)
            log.flush()

        log.on_durable = following
        following()
        await done
        return f"log: one append after the other, {size} B", len(times), sum(times), latencies(times)

    return _threaded(work)  # type: ignore[no-any-return]


def groups(seconds: float, size: int, entries: int = 16) -> Row:
    """Keep a group of entries filling while the last one is synced; rate in entries."""

    async def work(log: RaftLog, loop: asyncio.AbstractEventLoop) -> Row:
        command, done = bytes(size), loop.create_future()
        begin = time.perf_counter()

        def following() -> None:
            if time.perf_counter() - begin >= seconds:
                if not done.done():
                    done.set_result(None)
                return
            for _ in range(entries):
                log.add(command, log.last_index + 1, 1)
            log.flush()

        log.on_durable = following
        following()
        await done
        took = time.perf_counter() - begin
        count = log.durable_index - 1
        extra = {"syncs": log.syncs, "mb_s": round(log.written / took / 1e6, 1)}
        return f"log: groups of {entries}, {size} B", count, took, extra

    return _threaded(work)  # type: ignore[no-any-return]


def engine(seconds: float, size: int) -> Row:
    """Propose a command, wait until it is applied, propose the next."""

    async def work(log: RaftLog, loop: asyncio.AbstractEventLoop) -> Row:
        command, times, done = b"\0" + bytes(size), [], loop.create_future()
        end = time.perf_counter() + seconds
        start = 0.0

        def on_apply(index: int, term: int, applied: bytes) -> None:
            nonlocal start
            now = time.perf_counter()
            if start:
                times.append(now - start)
            if now >= end:
                done.set_result(None)
                return
            propose()

        def propose() -> None:
            nonlocal start
            start = time.perf_counter()
            # Without room (blocks are being prepared) the log calls again.
            log.on_room = _nothing if node.propose(command) is not None else propose

        node = Engine("a", alone("a"), log, on_apply=on_apply)
        log.on_durable = node.tick
        node.tick()
        await done
        return f"engine: propose to applied, {size} B", len(times), sum(times), latencies(times)

    return _threaded(work)  # type: ignore[no-any-return]


def no_disk(seconds: float, size: int) -> Row:
    """Propose, commit and apply on a memory file system: what consensus and log cost the CPU."""
    path = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)  # noqa: PTH112
    log = _open(path, Inline(), Inline())
    node = Engine("a", alone("a"), log, on_apply=_nothing)
    log.on_durable = node.tick
    node.tick()
    command, count = b"\0" + bytes(size), 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < min(seconds, 2.0):
        for _ in range(100):
            node.propose(command)
        count += 100
        log.trim(node.applied_index)
    took = time.perf_counter() - begin
    log.close()
    shutil.rmtree(path)
    return f"engine: no disk, {size} B", count, took, {"cpu_us": took / count * 1e6}


def _nothing(*_: object) -> None:
    pass
