"""Progress: what had to be reached once faults stopped was reached in time."""

from __future__ import annotations

from tests.checkers.history import History, Violation

NAME = "progress"


def check(history: History) -> None:
    """Raise `Violation` for a goal that was missed."""
    missed = [goal for goal in history.goals if goal.reached is None or goal.reached > goal.due]
    if missed:
        told = "; ".join(f"{goal.name} by {goal.due:.3f}: {goal.reached or 'never'}" for goal in missed)
        raise Violation(NAME, told)
