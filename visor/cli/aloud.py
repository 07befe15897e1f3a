"""Telling a person, every two seconds, how far something is that shows nothing before its end.

visor find /              41 000 of 300 000 files, 13 %
visor cluster hash        comparing for 4 s: each member reads all that it holds

It goes to standard error, and only where a person is there to read it (`Output.notice`).
"""

from __future__ import annotations

import contextlib
import threading
import time as clock
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from visor.cli.output import Output
from visor.errors import VisorError

SECONDS: Final = 2.0

T = TypeVar("T")


def counted_aloud(
    items: Iterable[T], of: Callable[[], int], output: Output, time: Callable[[], float] = clock.monotonic
) -> Iterator[T]:
    """Return the same items; say every two seconds how many came.

    `of()` counts them all: asked once, if it must be. Where that fails, only what came is told.
    """
    due, whole = time() + SECONDS, -1
    for done, item in enumerate(items, 1):
        yield item
        if time() < due:
            continue
        if whole < 0:
            whole = _counted(of)
        output.notice(_so_far(done, whole))
        due = time() + SECONDS


def _counted(of: Callable[[], int]) -> int:
    try:
        return of()
    except VisorError:  # a line about how far it is must not end what it tells of
        return 0


def _so_far(done: int, whole: int) -> str:
    return f"{done} of {whole} files, {100 * done // whole} %" if whole >= done else f"{done} files so far"


@contextlib.contextmanager
def timed_aloud(said: Callable[[int], str], output: Output, wait: float = SECONDS) -> Iterator[None]:
    """Say `said(seconds)` every two seconds while the block runs."""
    over = threading.Event()

    def tell() -> None:
        began = clock.monotonic()
        while not over.wait(wait):
            output.notice(said(round(clock.monotonic() - began)))

    teller = threading.Thread(target=tell, name="visor-aloud", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
