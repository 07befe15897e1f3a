# Generated from visor/aio/registry/waiting.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Waiting until something in the registry is as the caller wants it: a look, and another one after every change."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from visor.blocking.registry.access import access_of, within
from visor.errors import Compacted, DeadlineExceeded

if TYPE_CHECKING:
    from visor._core.backoff import Deadline
    from visor.blocking.registry.access import Sight
    from visor.blocking.watch import Watch
    from visor.select import Selector

T = TypeVar("T")
V = TypeVar("V", bound="Sight")

FOREVER = 1e9


def wait_until(
    view: V,
    what: Selector,
    look: Callable[[V], T],
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
            with client.watch(what, keys=True, timeout=deadline.left()) as watch:
                return _follow(watch, view, look, done, late, deadline)
        except Compacted:
            continue  # it fell behind what is kept: look at the latest state


def _follow(
    watch: Watch[object],
    view: V,
    look: Callable[[V], T],
    done: Callable[[T], bool],
    late: Callable[[T], str],
    deadline: Deadline,
) -> T:
    # The watch is established: whatever comes after this look is told by it.
    rev = access_of(view).rev()
    now = look(view.at(rev))
    while not done(now):
        try:
            commit = watch.next(timeout=deadline.left())
        except DeadlineExceeded:
            raise DeadlineExceeded(late(now), seconds=deadline.whole) from None
        if commit.rev > rev:
            rev = commit.rev
            now = look(view.at(rev))
    return now
