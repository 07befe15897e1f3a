"""Telling a person how far something is that shows nothing before its end.

visor find /              reading  ▕██             ▏   13 %  41000 of 300000 files  9000 files/s  29 s left
visor cluster hash        comparing for 4 s: each member reads all that it holds

It goes to standard error, and only where a person is there to read it (`Output.bar`, and every two seconds
`Output.notice`).
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
    """Return the same items; draw how many came.

    `of()` counts them all: asked once, if that takes more than two seconds. Where it fails, only what came is told.
    """
    from visor._core.progress_bar import FILES

    bar = output.bar("reading", FILES)
    if bar is None:
        yield from items
        return
    due, whole = time() + SECONDS, 0
    with bar:
        for done, item in enumerate(items, 1):
            yield item
            if due and time() >= due:
                due, whole = 0.0, _counted(of)
            bar(done, whole if whole > done else 0)


def _counted(of: Callable[[], int]) -> int:
    try:
        return of()
    except VisorError:  # a line about how far it is must not end what it tells of
        return 0


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
