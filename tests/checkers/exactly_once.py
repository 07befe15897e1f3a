"""Exactly once: no write is in the history twice, however often it was sent, and no lease expires twice.

What expires is no write of a client: its commit is named after the lease. An id that a client chose may be granted
again once its lease has ended (visor/docs/protocol.md, "lease"), and then it may expire again: once for each time it
was granted. An id that the registry chose is granted once for ever.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from tests.checkers.history import Commit, Grant, History, Violation, by_token, expired_lease

NAME = "exactly once"
LEAST_CHOSEN: Final = 1 << 48
"""The lowest lease id that a client may choose itself."""


def check(history: History) -> None:
    """Raise `Violation` for a token with two commits, and for a lease that was granted, or expired, once too often."""
    granted = _granted(history.grants)
    for lease, revs in granted.items():
        if lease < LEAST_CHOSEN and len(revs) > 1:
            raise Violation(NAME, f"lease {lease} was granted at revs {revs}, an id that nobody chose")
    for token, commits in by_token(history.commits).items():
        revs = [commit[0] for commit in commits]
        if len({_life(token, commit, granted) for commit in commits}) < len(commits):
            raise Violation(NAME, f"{token} was applied as revs {revs}")


def _life(token: str, commit: Commit, granted: dict[int, list[int]]) -> int:
    """Return how often the lease that expires here had been granted by then; 0 for all else, which happens once."""
    lease = expired_lease(commit)
    return bisect_left(granted.get(lease, []), commit[0]) if token == f"lease {lease} expired" else 0


def _granted(grants: Iterable[Grant]) -> dict[int, list[int]]:
    """Return the revs at which each lease was granted, ascending."""
    found: dict[int, list[int]] = {}
    for lease, rev in grants:
        found.setdefault(lease, []).append(rev)
    return {lease: sorted(revs) for lease, revs in found.items()}
