"""Exactly once: no write is in the history twice, however often it was sent."""

from __future__ import annotations

from tests.checkers.history import History, Violation, by_token

NAME = "exactly once"


def check(history: History) -> None:
    """Raise `Violation` for a token with two commits."""
    for token, commits in by_token(history.commits).items():
        if len(commits) > 1:
            raise Violation(NAME, f"{token} was applied as revs {[commit[0] for commit in commits]}")
