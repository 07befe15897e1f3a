"""Syncs by the kernel's own queue: no thread of ours, no fight for the interpreter.

A thread beside a busy loop has to get the interpreter twice for each sync: to start, and to tell that it is done.
Each time the loop stops, two processors wake each other, and the next turn begins late: counted with 64 clients,
15 futex calls a sync. Linux can sync in the background by itself and tells the loop through an eventfd:

    loop:    pwrite into the page cache -- submit -- serves others ............ eventfd: done(...)
    kernel:                                  `-- fdatasync on a kernel thread ----^

`caio` makes the calls, through io_uring where that is allowed, else through Linux AIO. On a quiet machine both take as
long. Where processors are short, io_uring takes half the time: AIO queues its sync for a kernel thread that may run on
this very processor only, behind this loop and whoever else is busy there; one of io_uring's may run on any. Where
neither can be had (another system, a container's rules, a limit), `try_new` returns None and the thread stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib
import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from visord.storage.disk import OsFile
from visord.storage.worker import Done, Job, Submitter, SyncedWrite

LIBRARIES: Final = ("caio.linux_uring", "caio.linux_aio")
"""In the order in which they are tried."""
MOST_AT_ONCE: Final = 8
NOT_HERE: Final = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EAGAIN, errno.ECANCELED})
"""The file system has no sync of this kind, or the kernel's queue is full: nothing was begun, the thread does it."""
UNAVAILABLE: Final = (ImportError, OSError, NotImplementedError, SystemError)
"""What a library raises that cannot be used here: caio tells some refusals of the kernel as SystemError."""
CLOSE_SECONDS: Final = 10
_WRAP: Final = 1 << 64
"""caio tells results of AIO as unsigned numbers: an errno arrives as this minus it, from io_uring as a negative one."""


class KernelSync:
    """A `Submitter` that takes synced writes to real files itself and leaves all else to `thread`.

    Jobs of the two kinds are not ordered among each other: one owner, one job at a time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, thread: Submitter, library: Any) -> None:
        self._loop = loop
        self._thread = thread
        self._operation = library.Operation.fdsync
        self._context = library.Context(MOST_AT_ONCE)
        self._flush: Callable[[], object] | None = getattr(self._context, "flush", None)
        """io_uring: hand over what was submitted."""
        self._under_way = 0
        self._broken = False
        """The kernel took no more. What it was to take then may still lie in its queue: nothing goes there again."""
        loop.add_reader(self._context.fileno, self._look)

    @classmethod
    def try_new(cls, loop: asyncio.AbstractEventLoop, thread: Submitter) -> KernelSync | None:
        """Return one for `loop`, or None where it cannot be had."""
        for library in LIBRARIES:
            with contextlib.suppress(*UNAVAILABLE):
                return cls(loop, thread, importlib.import_module(library))
        return None

    def submit(self, job: Job, done: Done) -> None:
        """Run `job`, then `done(result, error)` on the loop."""
        if type(job) is not SyncedWrite or type(job.file) is not OsFile or self._broken:
            self._thread.submit(job, done)
            return
        try:
            job.file.pwrite(job.data, job.offset)
            operation = self._operation(job.file.fileno())
            operation.set_callback(partial(self._finished, job, done))
            self._context.submit(operation)
            if self._flush is not None:
                self._flush()
        except OSError as error:
            if error.errno in NOT_HERE:
                self._thread.submit(job, done)
            else:
                self._loop.call_soon(done, None, error)
        except (SystemError, OverflowError):
            self._broken = True
            self._thread.submit(job, done)
        else:
            self._under_way += 1

    def _finished(self, job: Job, done: Done, result: int) -> None:
        self._under_way -= 1
        number = -result if result <= 0 else _WRAP - result
        if number in NOT_HERE:
            self._thread.submit(job, done)
            return
        error = None if number == 0 else OSError(number, os.strerror(number))
        # Not from within caio: what `done` raises must reach the loop.
        self._loop.call_soon(done, None, error)

    def _look(self) -> None:
        try:  # noqa: SIM105 - once a sync: `suppress` would make an object and two calls
            self._context.poll()
        except BlockingIOError:
            pass
        self._context.process_events()

    def close(self) -> None:
        """Wait for what is under way, whose answers still come, then stop. Idempotent."""
        if self._context is None:
            return
        self._loop.remove_reader(self._context.fileno)
        waited = 0
        while (
            self._under_way and waited < CLOSE_SECONDS
        ):  # a second at a time; a dead disk must not hold the end up
            try:
                self._context.process_events(MOST_AT_ONCE, 1, 1)
            except SystemError as error:
                if error.args[0] != errno.EINTR:  # else a signal came meanwhile
                    raise
            waited += 1
        self._context = None
