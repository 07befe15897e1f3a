"""Linearizable, first half: the order of revs agrees with real time, across all keys and transactions.

Revs order all commits, so no search is needed. Every finished operation has a place in that order: a write its rev, a
linearizable read the rev of the state that it read. If one ended before another began, its place comes first; a commit
comes strictly after. An unknown write that turns up in the history began before it took effect; it never ends. A
refused write has no place of its own: at some rev that it may stand after, its guard must have failed.

    A: set /k -> rev 7      |-----|
    B: get /k -> rev 6                |---|        violation: 7 was known when B began
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Final, NamedTuple

from tests.checkers.history import (
    LINEARIZABLE,
    NEVER,
    OK,
    REJECTED,
    History,
    Operation,
    Violation,
    by_token,
)
from tests.checkers.model import Timeline, execute

NAME = "linearizable (real time)"
GUARD_CODES: Final = frozenset({"rev_mismatch", "exists", "not_found", "guard_failed"})


class _Placed(NamedTuple):
    operation: Operation
    place: int
    commits: bool
    """It took the rev, alone."""
    end: float


def check(history: History) -> None:
    """Raise `Violation` for an operation whose place contradicts the time."""
    placed = _place_all(history)
    bounds = _Bounds(history, placed)
    for one in placed:
        least = bounds.least(one.operation.call)
        if one.place < least + one.commits:
            raise Violation(
                NAME, f"{_show(one.operation)} is at rev {one.place}, rev {least} was seen before it began"
            )
    timeline = Timeline(history.commits)
    for operation in history.operations:
        if operation.write is not None and operation.outcome == REJECTED:
            _check_refused(operation, bounds, timeline)


def _place_all(history: History) -> list[_Placed]:
    commits = by_token(history.commits)
    placed = []
    for operation in history.operations:
        write, read = operation.write, operation.read
        if write is not None and write.token in commits:
            rev = commits[write.token][0][0]
            placed.append(_Placed(operation, rev, True, operation.end if operation.outcome == OK else NEVER))
        elif operation.outcome == OK and (read is None or read.mode == LINEARIZABLE):
            assert operation.rev is not None
            placed.append(_Placed(operation, operation.rev, False, operation.end))
    return placed


class _Bounds:
    """What had been seen by a time, and what cannot have been there by a time."""

    def __init__(self, history: History, placed: list[_Placed]) -> None:
        ended = sorted((one.end, one.place) for one in placed if one.end < NEVER)
        self._ends = [end for end, _ in ended]
        self._highest = _running(max, [place for _, place in ended])
        begun = sorted((one.operation.call, one.place - one.commits) for one in placed)
        self._calls = [call for call, _ in begun]
        self._lowest = _running(min, [place for _, place in reversed(begun)])[::-1]
        seen = sorted((when, rev) for rev, when in history.seen_at.items())
        self._seen = [when for when, _ in seen]
        self._seen_rev = _running(max, [rev for _, rev in seen])
        self._last = history.last_rev()

    def least(self, call: float) -> int:
        """Return the rev that an operation which begins now comes after or sees."""
        position = bisect_left(self._ends, call)
        return self._highest[position - 1] if position else 0

    def most(self, end: float) -> int:
        """Return the highest rev that an operation which ended by now can have seen."""
        most = self._last
        position = bisect_right(self._calls, end)
        if position < len(self._lowest):
            most = min(most, self._lowest[position])
        if self._seen:
            known = bisect_right(self._seen, end)
            most = min(most, self._seen_rev[known - 1] if known else 0)
        return most


def _running(choose: Callable[[int, int], int], values: list[int]) -> list[int]:
    found: list[int] = []
    for value in values:
        found.append(choose(found[-1], value) if found else value)
    return found


def _check_refused(operation: Operation, bounds: _Bounds, timeline: Timeline) -> None:
    """A guard that refused a write failed at some rev that the write may stand after."""
    write = operation.write
    assert write is not None
    code, details = operation.result
    if code not in GUARD_CODES:
        return
    least, most = bounds.least(operation.call), bounds.most(operation.end)
    paths = {guard[1] for guard in write.guards} | {one[1] for one in write.then}
    candidates = {least} | {rev for path in paths for rev in timeline.changed(path, least + 1, most)}
    actual = details.get("actual")
    for rev in sorted(candidates):
        if execute(write, timeline, rev).refused and (
            code != "rev_mismatch" or _fits(actual, paths, timeline, rev)
        ):
            return
    raise Violation(
        NAME,
        f"{_show(operation)} was refused ({code}, {details}); from rev {least} to {most} nothing refuses it",
    )


def _fits(actual: int | None, paths: set[str], timeline: Timeline, rev: int) -> bool:
    for path in paths:
        version = timeline.at(path, rev)
        if actual in (0 if version is None else version[0], timeline.deleted_at(path, rev)):
            return True
    return False


def _show(operation: Operation) -> str:
    what = operation.write.token if operation.write is not None else operation.what
    return f"client {operation.client}: {what} ({operation.call:.6f} to {operation.end:.6f})"
