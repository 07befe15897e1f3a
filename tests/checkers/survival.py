"""Acknowledged writes survive: what was answered with OK is in the history, at the rev that was told."""

from __future__ import annotations

from tests.checkers.history import OK, REJECTED, History, Operation, Violation, by_token
from tests.checkers.model import Timeline, execute

NAME = "survival"


def check(history: History) -> None:
    """Raise `Violation` for an acknowledged write that is missing, or a refused one that is there."""
    commits = by_token(history.commits)
    timeline = Timeline(history.commits)
    for operation in history.operations:
        write = operation.write
        if write is None:
            continue
        revs = [commit[0] for commit in commits.get(write.token, ())]
        if operation.outcome == REJECTED and revs:
            raise Violation(NAME, f"{write.token} was refused ({operation.result}), and is at {revs}")
        if operation.outcome == OK and revs != [operation.rev]:
            _without_trace(history, operation, timeline, revs)
        if operation.outcome == OK and isinstance(operation.result, tuple):
            _results(operation, timeline, bool(revs))


def _without_trace(history: History, operation: Operation, timeline: Timeline, revs: list[int]) -> None:
    """Only a write that changes nothing may be acknowledged and have no commit."""
    write, rev = operation.write, operation.rev
    assert write is not None and rev is not None
    if revs or rev > history.last_rev() or execute(write, timeline, rev).changes:
        raise Violation(
            NAME,
            f"{write.token} was acknowledged as rev {rev}; it is at {revs or 'none'} of {history.last_rev()}",
        )


def _results(operation: Operation, timeline: Timeline, committed: bool) -> None:
    """What a transaction answered is what its branch gives on the state before."""
    assert operation.write is not None and operation.rev is not None
    effect = execute(operation.write, timeline, operation.rev - committed)
    succeeded, results = operation.result
    told = [tuple(one) if isinstance(one, list) else one for one in results]
    if (succeeded, told) != (effect.succeeded, effect.results):
        raise Violation(
            NAME,
            f"{operation.write.token} at rev {operation.rev} answered {(succeeded, told)}, "
            f"not {(effect.succeeded, effect.results)}",
        )
