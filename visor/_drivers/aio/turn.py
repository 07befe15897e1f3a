"""Taking turns among tasks."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

import asyncio


class Turn:
    """One at a time. Those who come meanwhile wait, until their own deadline.

    if await turn.take(1.0):
        try: ...
        finally: turn.give()
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def take(self, timeout: float) -> bool:
        """Wait for the turn, `timeout` seconds at most, and say whether it came."""
        try:
            async with asyncio.timeout(timeout):
                return await self._lock.acquire()
        except TimeoutError:
            return False

    def give(self) -> None:
        """Let the next one have it."""
        self._lock.release()
