"""Blocking work off the event loop: one thread, jobs in order, answers back on the loop.

    worker = Worker("visord-sync", loop.call_soon_threadsafe)
    worker.submit(job, done)      # job() runs on the thread, then done(result, error) on the loop

`Inline` has the same `submit` and runs everything at once: for tests, tools and the start of a node. The
simulation brings its own.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from visord.storage.disk import File

Job: TypeAlias = Callable[[], Any]
Done: TypeAlias = Callable[[Any, BaseException | None], None]
"""Called with the job's result and None, or with None and what it raised."""


class SyncedWrite:
    """The job of making bytes durable: `data` at `offset` of `file`, into allocated blocks.

    A class, so that a submitter which has a better way than running it can see what is asked for.
    """

    __slots__ = ("data", "file", "offset")

    def __init__(self, file: File, data: bytes, offset: int) -> None:
        self.file = file
        self.data = data
        self.offset = offset

    def __call__(self) -> None:
        self.file.pwrite_sync(self.data, self.offset)


class Submitter(Protocol):
    """What runs jobs in the order of their submission, one at a time."""

    def submit(self, job: Job, done: Done) -> None:
        """Run `job()`, then `done(result, error)`."""


class Inline:
    """Runs each job within `submit`."""

    def submit(self, job: Job, done: Done) -> None:
        done(*_run(job))


class Worker:
    """A thread that runs jobs in order. `deliver(done, result, error)` hands an answer to the loop."""

    def __init__(self, name: str, deliver: Callable[..., object]) -> None:
        self._deliver = deliver
        self._jobs: queue.SimpleQueue[tuple[Job, Done] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job, done: Done) -> None:
        self._jobs.put((job, done))

    def close(self) -> None:
        """Finish what was submitted, then end the thread. Answers may still be delivered meanwhile."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        jobs, deliver = self._jobs, self._deliver
        while (task := jobs.get()) is not None:
            job, done = task
            result, error = _run(job)
            try:
                deliver(done, result, error)
            except RuntimeError:
                return  # the loop is closed: nobody is left to answer
            del task, job, done, result, error  # hold nothing while waiting for the next one


def _run(job: Job) -> tuple[Any, BaseException | None]:
    try:
        return job(), None
    except Exception as error:
        return None, error
