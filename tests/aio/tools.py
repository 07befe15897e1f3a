"""What the tests of both colours need and what differs in nature: here tasks, in `tests/blocking/tools.py` threads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import visor.aio
from tests.following.clients import hasty
from tests.patience import PATIENCE
from visor import codecs


def dial(address: str, **changes: Any) -> visor.aio.Client[str]:
    """Return a client whose values are text, and that comes back at once when its connection breaks."""
    return visor.aio.Client(hasty(address, **changes), codecs.TEXT)


class Event:
    """Something that happens once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.set = self._event.set
        self.is_set = self._event.is_set

    async def wait(self) -> None:
        """Return when it has happened; TimeoutError when it does not."""
        await asyncio.wait_for(self._event.wait(), PATIENCE)


class Beside:
    """Work that goes on beside the test."""

    def __init__(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        self._task = asyncio.ensure_future(function(*arguments))

    @property
    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._task.done()

    async def join(self) -> Any:
        """Return what it returns, raise what it raises; TimeoutError when it does not end."""
        return await asyncio.wait_for(self._task, PATIENCE)


async def together(*works: Callable[[], Awaitable[Any]]) -> None:
    """Do all of these at once, and raise what one of them raises."""
    for work in [Beside(work) for work in works]:
        await work.join()


async def eventually(true: Callable[[], object], what: str = "it") -> None:
    """Return as soon as it is true; fail when it is not within `PATIENCE` seconds."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not true():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"{what} did not come true within {PATIENCE:g} s") from None


async def pause(seconds: float) -> None:
    """Do nothing for a moment in which something must not happen."""
    await asyncio.sleep(seconds)
