"""What long work says while nothing is shown yet: to a person, and never to a program."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

from tests.patience import PATIENCE
from visor._core.progress_bar import CLEAR, FILES, ProgressBar
from visor.cli.aloud import counted_aloud, timed_aloud
from visor.cli.output import Output
from visor.errors import DeadlineExceeded


class Told:
    """Stands for an `Output` with a person at standard error."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.came = threading.Event()

    def notice(self, text: str) -> None:
        self.lines.append(text)
        self.came.set()


def drawn(count: int, seconds: float, of: Callable[[], int]) -> list[str]:
    """Return what is drawn while `count` things come, one in so many seconds."""
    written, now = list[str](), 0.0
    bar = ProgressBar(
        written.append, "reading", time=lambda: now, columns=lambda: 90, blocks=False, unit=FILES
    )
    told = cast("Output", SimpleNamespace(bar=lambda what, unit: bar))

    def things() -> Iterator[int]:
        nonlocal now
        for number in range(count):
            now += seconds
            yield number

    assert list(counted_aloud(things(), of, told, lambda: now)) == list(range(count))
    return [each.removeprefix(CLEAR) for each in written]


def test_files_are_counted_and_asked_for_once() -> None:
    asked = []
    lines = drawn(10, 0.9, lambda: asked.append(1) or 10)
    assert lines[0] == "reading  1 files  1 files/s"
    assert lines[2] == "reading  [#########.....................]   30 %   3 of 10 files  1 files/s  6 s left"
    assert lines[-1] == ""
    assert asked == [1]


def test_what_is_quick_draws_nothing_and_asks_nothing() -> None:
    def never() -> int:
        raise AssertionError

    assert drawn(10, 0.01, never) == []
    untold = cast("Output", SimpleNamespace(bar=lambda what, unit: None))
    assert list(counted_aloud(range(10), never, untold)) == list(range(10))


def test_a_count_that_fails_or_is_overtaken_leaves_what_came_and_ends_nothing() -> None:
    def fails() -> int:
        raise DeadlineExceeded(seconds=1.0)

    for count in (fails, lambda: 1):
        *lines, last = drawn(6, 1.0, count)
        assert lines and last == ""
        assert all(re.fullmatch(r"reading  \d files  1 files/s", line) for line in lines)


def test_a_call_without_steps_says_how_long_it_takes_until_it_ends() -> None:
    told = Told()
    with timed_aloud(lambda seconds: f"comparing for {seconds} s", cast("Output", told), wait=0.001):
        assert told.came.wait(PATIENCE)
    said = len(told.lines)
    assert told.lines[0] == "comparing for 0 s"
    told.came.clear()
    assert not told.came.wait(0.02), "it goes on after the end"
    assert len(told.lines) == said
