"""Waiting until something in the registry is as the caller wants it: a look, and another one after every change."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from visor.aio.registry.access import access_of, within
from visor.errors import Compacted, DeadlineExceeded

if TYPE_CHECKING:
    from visor._core.backoff import Deadline
    from visor.aio.registry.access import Sight
    from visor.aio.watch import Watch
    from visor.select import Selector

T = TypeVar("T")
V = TypeVar("V", bound="Sight")

FOREVER = 1e9


async def wait_until(
    view: V,
    what: Selector,
    look: Callable[[V], Awaitable[T]],
    done: Callable[[T], bool],
    late: Callable[[T], str],
    timeout: float | None,
) -> T:
    """Look at the latest rev, and after every commit that changes `what`; return the first that is `done`.

    DeadlineExceeded after `timeout` seconds (None: it waits for ever), in the words of `late` for what was seen last.
    """
    view = within(view, timeout)
    client = access_of(view).client
    deadline = client.channel.driver.deadline(FOREVER if timeout is None else timeout)
    while True:
        try:
            async with await client.watch(what, keys=True, timeout=deadline.left()) as watch:
                return await _follow(watch, view, look, done, late, deadline)
        except Compacted:
            continue  # it fell behind what is kept: look at the latest state


async def _follow(
    watch: Watch[object],
    view: V,
    look: Callable[[V], Awaitable[T]],
    done: Callable[[T], bool],
    late: Callable[[T], str],
    deadline: Deadline,
) -> T:
    # The watch is established: whatever comes after this look is told by it.
    rev = await access_of(view).rev()
    now = await look(view.at(rev))
    while not done(now):
        try:
            commit = await watch.next(timeout=deadline.left())
        except DeadlineExceeded:
            raise DeadlineExceeded(late(now), seconds=deadline.whole) from None
        if commit.rev > rev:
            rev = commit.rev
            now = await look(view.at(rev))
    return now
