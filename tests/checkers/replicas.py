"""Replicas are byte-equal: whatever two nodes had at the same point of the common order was the same."""

from __future__ import annotations

from tests.checkers.history import History, Violation

NAME = "replicas are equal"


def check(history: History) -> None:
    """Raise `Violation` for two digests of the same thing that differ."""
    first: dict[tuple[str, int], tuple[str, object]] = {}
    for node, what, at, value in history.digests:
        who, known = first.setdefault((what, at), (node, value))
        if known != value:
            raise Violation(NAME, f"{what} at {at} is {known} at {who} and {value} at {node}")
