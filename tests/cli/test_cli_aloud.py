"""What long work says while nothing is shown yet: to a person, every two seconds, and never to a program."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import cast

from tests.patience import PATIENCE
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


def test_files_are_counted_aloud_every_two_seconds_and_asked_for_once() -> None:
    told, now, asked = Told(), 0.0, 0

    def files() -> Iterator[int]:
        nonlocal now
        for number in range(10):
            now += 0.9
            yield number

    def count() -> int:
        nonlocal asked
        asked += 1
        return 10

    assert list(counted_aloud(files(), count, cast("Output", told), lambda: now)) == list(range(10))
    assert told.lines == ["3 of 10 files, 30 %", "6 of 10 files, 60 %", "9 of 10 files, 90 %"]
    assert asked == 1


def test_what_is_quick_says_nothing_and_asks_nothing() -> None:
    told = Told()

    def never() -> int:
        raise AssertionError

    assert list(counted_aloud(range(10), never, cast("Output", told), lambda: 0.0)) == list(range(10))
    assert told.lines == []


def test_a_count_that_fails_or_is_overtaken_leaves_what_came_and_ends_nothing() -> None:
    def fails() -> int:
        raise DeadlineExceeded(seconds=1.0)

    for count in (fails, lambda: 1):
        told, now = Told(), iter(range(100))
        items = counted_aloud(range(6), count, cast("Output", told), lambda now=now: float(next(now)))
        assert list(items) == list(range(6))
        assert told.lines
        assert all(line.endswith("files so far") for line in told.lines)


def test_a_call_without_steps_says_how_long_it_takes_until_it_ends() -> None:
    told = Told()
    with timed_aloud(lambda seconds: f"comparing for {seconds} s", cast("Output", told), wait=0.001):
        assert told.came.wait(PATIENCE)
    said = len(told.lines)
    assert told.lines[0] == "comparing for 0 s"
    told.came.clear()
    assert not told.came.wait(0.02), "it goes on after the end"
    assert len(told.lines) == said
