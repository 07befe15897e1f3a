"""Ending tasks with what they belong to: called off, waited for, and named when they do not end.

A task that is only called off ends a turn of the loop later; who closes the loop before that leaves it pending.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from typing import Any, Final

logger = logging.getLogger("visord")

END_SECONDS: Final = 1.0
"""How long a task may take to end when it is called off."""


async def end(tasks: Iterable[asyncio.Future[Any]], seconds: float = END_SECONDS) -> None:
    """Call off all that still go on, and return when they have ended, after `seconds` at most.

    Those that have not ended by then are logged, and left.
    """
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    await ended(left, seconds)


async def ended(tasks: Collection[asyncio.Future[Any]], seconds: float = END_SECONDS) -> None:
    """Return when all have ended, after `seconds` at most; what has not by then is logged, and left."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        logger.warning("%s did not end within %g s", _work_of(task), seconds)


def _work_of(task: asyncio.Future[Any]) -> str:
    """Return what a task does, in a word: the name of its coroutine."""
    work = task.get_coro() if isinstance(task, asyncio.Task) else None
    return str(getattr(work, "__qualname__", "a task"))
