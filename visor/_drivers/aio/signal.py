"""Waiting among tasks for something to become true."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

import asyncio
from collections.abc import Callable


async def turn() -> None:
    """Let others of this thread have their turn, in the middle of long work."""
    await asyncio.sleep(0)


class Signal:
    """Waiters look again at every call of `fire`."""

    __slots__ = ("_sleepers",)

    def __init__(self) -> None:
        self._sleepers: set[asyncio.Future[None]] = set()

    def fire(self) -> None:
        """Something has changed."""
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    async def until(self, true: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until it is true, for `timeout` seconds at most (None: for ever); return whether it is."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while not true():
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                return False
            sleeper: asyncio.Future[None] = loop.create_future()
            self._sleepers.add(sleeper)
            try:
                await asyncio.wait((sleeper,), timeout=left)
            finally:
                self._sleepers.discard(sleeper)
        return True
