"""Who was revoked writes no more: nothing of its lies above the rev that its revocation was acknowledged with.

Every write is judged where it is applied, so that is so on every member, however long it was under way.
"""

from __future__ import annotations

from tests.checkers.history import History, Violation

NAME = "revoked"


def check(history: History) -> None:
    """Raise `Violation` for a commit of a user that had no right any more."""
    since = dict(history.revocations)
    for rev, _, actor, _, _ in history.commits:
        user = actor.partition("/")[0]
        if rev > since.get(user, rev):
            raise Violation(NAME, f"rev {rev} is by {actor}, who was revoked as of rev {since[user]}")
