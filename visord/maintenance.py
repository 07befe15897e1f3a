"""What a node does on the side: checkpoints, and trimming what retention let go, in slices of a millisecond.

A slice runs, then the loop serves all others, then the next slice: neither a checkpoint nor a compaction
is ever noticed as a pause. A checkpoint is due after so many bytes of log or so much time; one that fails (a
full disk) leaves the last one valid and is tried again later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, Final, Protocol

from visord.environment import Loop, Timer
from visord.logs import about
from visord.settings import StorageSettings
from visord.state.machine import Machine
from visord.state.trim import trim
from visord.storage import collector
from visord.storage.checkpoint import Checkpointer

logger = logging.getLogger("visord.upkeep")

LOOK_SECONDS: Final = 0.5
"""How often it is seen whether anything is due."""
PAUSE_SECONDS: Final = 0.004
"""Between two slices: a slice of a millisecond then costs at most a fifth of the loop."""
STEP_SECONDS: Final = 0.005
"""One step for so much time that passed: a loop whose turns are long gets to its timers late, and what a checkpoint
has to write grows with what the loop does."""
MOST_STEPS: Final = 4
"""Taken at once."""
BEHIND: Final = 125_000
"""Once more as often for each so many commits whose values no checkpoint has let go of yet, 400 bytes each..."""
MOST_TIMES: Final = 8.0
"""...up to so many times as often. Who writes faster than checkpoints can follow gets less of the loop, the more the
further they are behind: else memory would grow for as long as that lasts. More often, not more at once: all others wait
for what is done at once."""
CALM: Final = 5_000
"""Commits between two looks, at most, in which there is time for what makes a later start quick..."""
CALM_LOOKS: Final = 10
"""...and so many looks in a row."""
SHORT_PAUSE_SECONDS: Final = 0.0005
"""Between two slices when nobody else needs the loop much. Not 0: most steps of a hurried job wait for the disk."""
RETRY_SECONDS: Final = 10.0
"""After a checkpoint that failed."""
TRIM_BUDGET: Final = 300
"""Revs that are trimmed in one slice."""
FREED_BYTES: Final = 4 << 20
"""Of the log that are forgotten in one slice: the system takes memory back at some GB a second."""


class Log(Protocol):
    """What of the log is used."""

    @property
    def written(self) -> int: ...

    @property
    def full(self) -> object | None: ...

    def trim(self, index: int, most: int, /) -> bool: ...


class Consensus(Protocol):
    """What of the engine is used."""

    def trimmed(self) -> None: ...


class Watches(Protocol):
    """What of the hub is used."""

    @property
    def watches(self) -> int: ...

    @property
    def rev(self) -> int: ...


class Node(Protocol):
    """What of the node is used."""

    @property
    def machine(self) -> Machine: ...

    @property
    def checkpointer(self) -> Checkpointer: ...

    @property
    def log(self) -> Log: ...

    @property
    def engine(self) -> Consensus: ...

    @property
    def hub(self) -> Watches: ...

    @property
    def failure(self) -> BaseException | None: ...

    def fail(self, error: BaseException, /) -> None: ...


class Maintenance:
    """Drives the checkpointer and the store's trimming of one node."""

    def __init__(self, node: Node, settings: StorageSettings, loop: Loop) -> None:
        self._node = node
        self._settings = settings
        self._loop = loop
        self._timer: Timer | None = None
        self._steps: Iterator[None] | None = None
        self._step_timer: Timer | None = None
        self._finished = asyncio.Event()
        self._next_time = loop.time() + settings.checkpoint_seconds
        self._logged_before = 0
        self._made = 0
        self._failed = ""
        self._hurry = False
        self._pause = PAUSE_SECONDS
        self._stepped = 0.0
        """When the last step was taken."""
        self._next: Iterator[None] | None = None
        self._rev = 0
        """The newest at the last look."""
        self._calm = 0
        """Looks in a row that found few commits."""
        self.let_go = 0
        """Commits whose values checkpoints had let go of, as it was in the last calm moment."""
        self._tried = False
        """A checkpoint did not make later starts quick: there may be no room for that."""
        self._closed = False

    def start(self) -> None:
        """Begin to look after the node."""
        self._logged_before = self._node.log.written
        self._tick()

    def close(self) -> None:
        """Stop; a checkpoint that is being made is left unfinished, the last one stays valid."""
        self._closed = True
        for timer in (self._timer, self._step_timer):
            if timer is not None:
                timer.cancel()

    def status(self) -> dict[str, Any]:
        """Return what `visor status` tells of checkpoints."""
        return {
            "index": self._node.checkpointer.index,
            "made": self._made,
            "running": self._steps is not None,
            "failure": self._failed or None,
        }

    def _tick(self) -> None:
        if self._closed:
            return
        self._timer = self._loop.call_later(LOOK_SECONDS, self._tick)
        rev, before = self._node.machine.store.rev, self._rev
        self._rev = rev
        self._calm = self._calm + 1 if rev - before <= CALM else 0
        if self._steps is not None:
            return
        if self._calm:
            self.let_go = self._node.machine.store.spilled
        logged = self._node.log.written - self._logged_before
        changed = self._node.machine.index > self._node.checkpointer.index
        late = self._loop.time() >= self._next_time
        # A checkpoint gives log segments back: on a full disk that may be all it takes to go on.
        wanted = logged >= self._settings.checkpoint_log_bytes or self._node.log.full is not None
        due = changed and (late or (wanted and not self._failed))
        again = late or not (self._failed or self._tried)
        slow = self._calm >= CALM_LOOKS and again and self._starts_slowly()
        if due or slow:
            self._tried = slow
            self.checkpoint_now()
        elif self._trim():
            self._begin(self._trim_steps())

    def _starts_slowly(self) -> bool:
        return self._node.checkpointer.starts_slowly(self._node.machine.store)

    def _trim(self) -> bool:
        """Trim one slice; return whether there is more. What live watches have not been sent yet stays."""
        node = self._node
        # Without watches the hub follows nobody: its rev says nothing then.
        sent = not node.hub.watches or node.hub.rev == node.machine.store.rev
        return sent and trim(node.machine.store, TRIM_BUDGET)

    def _trim_steps(self) -> Iterator[None]:
        while self._trim():
            yield

    def asked(self) -> None:
        """An operator asks for a checkpoint (SIGUSR1): make one, or say why not."""
        index = self._node.checkpointer.index
        if self._steps is not None:
            logger.info("no checkpoint by request: one is being made, or history trimmed, already")
        elif self._node.machine.index <= index and not self._starts_slowly():
            logger.info("no checkpoint by request: the last one, at index %d, has everything", index)
        else:
            self.checkpoint_now()

    def checkpoint_now(self) -> None:
        """Begin a checkpoint unless something is being done already."""
        if self._steps is None and not self._closed and self._node.failure is None:
            self._logged_before = self._node.log.written
            self._next_time = self._loop.time() + self._settings.checkpoint_seconds
            self._begin(self._checkpoint_steps())

    def _checkpoint_steps(self) -> Iterator[None]:
        node = self._node
        began, written, before = self._loop.time(), node.checkpointer.written, node.checkpointer.index
        try:
            yield from node.checkpointer.steps(node.machine)
        except OSError as error:
            self._failed = f"{error.strerror or error}"
            self._next_time = self._loop.time() + RETRY_SECONDS
            logger.error("no checkpoint: %s; the last stays valid, next try in %g s", error, RETRY_SECONDS)
            return
        self._failed = ""
        self._made += 1
        if node.checkpointer.index > before:
            self._tell(self._loop.time() - began, node.checkpointer.written - written)
        while node.log.trim(node.checkpointer.index, FREED_BYTES):
            yield
        node.engine.trimmed()
        collector.hide()

    def _tell(self, seconds: float, written: int) -> None:
        manifest = self._node.checkpointer.manifest
        known = about(index=manifest.index, rev=manifest.rev, seconds=round(seconds, 3), bytes=written)
        logger.info(
            "checkpoint made at index %d, rev %d: %.1f MB in %.2f s",
            manifest.index, manifest.rev, written / 1e6, seconds, extra=known,
        )  # fmt: skip

    def do(self, steps: Iterator[None]) -> None:
        """Take these steps, with hardly a pause between them, as soon as nothing else is being done."""
        self._next = steps
        if self._steps is None:
            self._begin_next()

    def _begin_next(self) -> None:
        steps, self._next = self._next, None
        if steps is not None and not self._closed:
            self._pause = SHORT_PAUSE_SECONDS
            self._begin(steps)

    def _begin(self, steps: Iterator[None]) -> None:
        self._steps = steps
        self._stepped = self._loop.time()
        self._finished.clear()
        self._step()

    def _step(self) -> None:
        if self._closed or self._steps is None:
            return
        now, times = self._loop.time(), self._times()
        late, self._stepped = now - self._stepped, now
        try:
            for _ in range(max(1, min(MOST_STEPS, round(late / STEP_SECONDS * times)))):
                next(self._steps)
        except StopIteration:
            self._steps = None
            self._pause = PAUSE_SECONDS
            self._finished.set()
            self._begin_next()
        except Exception as error:
            self._steps = None
            self._finished.set()
            self._node.fail(error)
        else:
            pause = SHORT_PAUSE_SECONDS if self._hurry else self._pause / times
            self._step_timer = self._loop.call_later(pause, self._step)

    def _times(self) -> float:
        """Return how many times as often as usual steps are to be taken."""
        store = self._node.machine.store
        return min(MOST_TIMES, 1 + (store.rev - max(store.spilled, store.history.base)) / BEHIND)

    async def last_checkpoint(self) -> None:
        """Finish what is being done, then make a checkpoint of everything; nobody is served any more."""
        self._hurry = self._node.checkpointer.last = True
        if self._steps is not None:
            await self._finished.wait()
        if self._node.machine.index > self._node.checkpointer.index:
            self.checkpoint_now()
            if self._steps is not None:
                await self._finished.wait()
