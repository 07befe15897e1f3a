"""Linearizable, second half: every read, in whatever mode, gives exactly the state of the rev that it names."""

from __future__ import annotations

from tests.checkers.history import OK, PAST, History, Operation, Violation
from tests.checkers.model import Timeline

NAME = "reads"


def check(history: History) -> None:
    """Raise `Violation` for a read that gave anything else than the files at its rev."""
    timeline = Timeline(history.commits)
    for operation in history.operations:
        if operation.read is not None and operation.outcome == OK:
            _check(operation, timeline, history)


def _check(operation: Operation, timeline: Timeline, history: History) -> None:
    read, rev = operation.read, operation.rev
    assert read is not None and rev is not None
    if rev > history.last_rev():
        raise Violation(
            NAME, f"client {operation.client} read at rev {rev}, the last is {history.last_rev()}"
        )
    if read.mode == PAST and rev != operation.asked:
        raise Violation(
            NAME, f"client {operation.client} asked for rev {operation.asked} and was told of {rev}"
        )
    there = timeline.at(read.path, rev)
    wanted = timeline.tree(read.path, rev) if read.tree else ({} if there is None else {read.path: there})
    found = {path: tuple(version) for path, version in operation.result.items()}
    if found != wanted:
        differing = {path: (found.get(path), wanted.get(path)) for path in {*found, *wanted}}
        shown = {path: pair for path, pair in differing.items() if pair[0] != pair[1]}
        raise Violation(
            NAME,
            f"client {operation.client} read {read.path} ({read.mode}) at rev {rev}: (told, right) is {shown}",
        )
