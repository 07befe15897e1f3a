"""Virtual time: one heap of what is due, for all nodes, disks, wires and clients of a world.

    scheduler.at(3.5, callback, argument)
    scheduler.run_until(10.0)           # nothing sleeps: time jumps from one callback to the next

Callbacks that are due at the same time run in the order in which they were asked for, so a seed decides everything.
Each node lives on a `NodeLoop`, the part of asyncio's loop that `visord` uses: its clock may run fast or slow and
starts anywhere, it can be frozen (a stopped process), and when it is killed everything that it still wanted to do is
gone.
"""

from __future__ import annotations

import asyncio
import heapq
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Final

Callback = Callable[..., object]

EPOCH_MS: Final = 1_700_000_000_000
"""Wall-clock milliseconds at virtual time 0."""


class PowerCut(BaseException):
    """The process is gone, in the middle of whatever it was doing."""


class Timer:
    """Something that is due; `cancel` takes it back."""

    __slots__ = ("args", "callback", "loop")

    def __init__(self, loop: NodeLoop | None, callback: Callback, args: tuple[Any, ...]) -> None:
        self.loop = loop
        self.callback: Callback | None = callback
        self.args = args

    def cancel(self) -> None:
        """Do not call. Idempotent."""
        self.callback = None
        self.args = ()


class Scheduler:
    """The heap and the time, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        """Callbacks that ran: a fingerprint of the run, and its cost."""
        self._heap: list[tuple[float, int, Timer]] = []
        self._sequence = 0

    def at(self, time: float, callback: Callback, *args: Any, loop: NodeLoop | None = None) -> Timer:
        """Call at a virtual time, never before now; on `loop`, if given."""
        timer = Timer(loop, callback, args)
        self._sequence += 1
        heapq.heappush(self._heap, (max(time, self.now), self._sequence, timer))
        return timer

    def after(self, delay: float, callback: Callback, *args: Any) -> Timer:
        """Call after `delay` virtual seconds."""
        return self.at(self.now + delay, callback, *args)

    def run_until(self, end: float, stop: Callable[[], bool] | None = None) -> bool:
        """Run what is due until `end`; return whether `stop()` ended it before."""
        heap = self._heap
        while heap and heap[0][0] <= end:
            time, sequence, timer = heapq.heappop(heap)
            callback, loop = timer.callback, timer.loop
            if callback is None:
                continue
            if loop is not None and (loop.dead or loop.frozen_until > time):
                if not loop.dead:
                    heapq.heappush(heap, (loop.frozen_until, sequence, timer))
                continue
            self.now = time
            self.steps += 1
            if loop is None:
                callback(*timer.args)
            else:
                loop.run(callback, timer.args)
            if stop is not None and stop():
                return True
        self.now = max(self.now, end)
        return False


class NodeLoop:
    """One process's event loop.

    `rate` is how many of its seconds pass in a virtual one; its clock starts at `base`. `broke(error)` is called with
    whatever a callback raised: asyncio would only log it, a simulation must not overlook it.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        base: float = 0.0,
        rate: float = 1.0,
        broke: Callable[[BaseException], None],
    ) -> None:
        self._scheduler = scheduler
        self._start = scheduler.now
        self._base = base
        self._rate = rate
        self._broke = broke
        self._with_tasks = False
        self._work: list[Coroutine[Any, Any, object]] = []
        self.dead = False
        self.frozen_until = 0.0

    def time(self) -> float:
        """Return this process's monotonic seconds."""
        return self._base + (self._scheduler.now - self._start) * self._rate

    def call_soon(self, callback: Callback, /, *args: Any, context: object = None) -> Timer:
        """Call in this turn, after what was asked for before."""
        return self._scheduler.at(self._scheduler.now, callback, *args, loop=self)

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, callback: Callback, /, *args: Any) -> Timer:
        """Call after `delay` of this process's seconds."""
        when = self._scheduler.now + max(0.0, delay) / self._rate
        return self._scheduler.at(when, callback, *args, loop=self)

    def call_at(self, when: float, callback: Callback, /, *args: Any) -> Timer:
        """Call when this process's clock says `when`."""
        return self.call_later(when - self.time(), callback, *args)

    def set_rate(self, rate: float) -> None:
        """Let the clock run faster or slower from now on; it never jumps. Timers keep their virtual time."""
        self._base, self._start = self.time(), self._scheduler.now
        self._rate = rate

    def freeze(self, seconds: float) -> None:
        """Run nothing for so many virtual seconds, then everything that came meanwhile."""
        self.frozen_until = max(self.frozen_until, self._scheduler.now + seconds)

    def kill(self) -> None:
        """Run nothing any more."""
        self.dead = True
        for work in self._work:
            if inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
                work.close()

    def run(self, callback: Callback, args: tuple[Any, ...]) -> None:
        """Run one callback as this process."""
        if self._with_tasks:
            asyncio._set_running_loop(self)  # type: ignore[arg-type]
        try:
            callback(*args)
        except (Exception, PowerCut) as error:
            self._broke(error)
        finally:
            if self._with_tasks:
                asyncio._set_running_loop(None)

    # -- as much of asyncio's loop as its tasks need --------------------------------------------------------

    def run_task(self, work: Coroutine[Any, Any, object]) -> None:
        """Run a coroutine of this process."""
        self._with_tasks = True
        self._work.append(work)
        self.create_task(work).add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[object]) -> None:
        if not task.cancelled() and task.exception() is not None:
            error = task.exception()
            assert error is not None
            self._broke(error)

    def create_task(self, work: Coroutine[Any, Any, Any], *, name: str | None = None) -> asyncio.Task[Any]:
        """Return a task of asyncio that runs here."""
        return asyncio.Task(work, loop=self, name=name)  # type: ignore[arg-type]

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of asyncio whose callbacks run here."""
        return asyncio.Future(loop=self)  # type: ignore[arg-type]

    def get_debug(self) -> bool:
        """Tell tasks that nobody debugs."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Nobody looked at what a task raised: a killed process's tasks end like that."""
