"""Revs never go back for one client, whichever nodes it talks to and in whatever mode it reads."""

from __future__ import annotations

from tests.checkers.history import NEVER, OK, PAST, History, Violation

NAME = "revs never go back"


def check(history: History) -> None:
    """Raise `Violation` for an answer below what the client had seen when it asked."""
    events: dict[int, list[tuple[float, int, int, bool]]] = {}
    for operation in history.operations:
        read = operation.read
        if operation.outcome != OK or operation.rev is None or (read is not None and read.mode == PAST):
            continue
        rows = events.setdefault(operation.client, [])
        rows.append((operation.end, 0, operation.rev, False))
        rows.append((operation.call, 1, operation.rev, True))
    for watch in history.watches:
        rows = events.setdefault(watch.client, [])
        rows += [
            (event.time, 0, event.rev, False) for event in watch.events if event.kind in ("commit", "mark")
        ]
    for client, rows in events.items():
        seen = 0
        # At equal times calls come first: nothing is said of what ended in the same moment.
        for time, _, rev, asked in sorted(rows, key=lambda row: (row[0], -row[1])):
            if asked and rev < seen:
                raise Violation(
                    NAME, f"client {client} had seen rev {seen}, asked at {time:.6f} and was told {rev}"
                )
            if not asked and time < NEVER:
                seen = max(seen, rev)
