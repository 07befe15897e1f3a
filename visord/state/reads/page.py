"""Where one answer ends: rows, bytes, and entries looked at."""

from __future__ import annotations

from typing import Final

from visor.protocol.limits import Limits

VISITS: Final = 50_000
"""Entries (or changes, for a log) that one answer looks at; then it ends with a cursor, maybe with no row."""


def rows(limit: int, limits: Limits) -> int:
    """Return how many rows a page has when the client asked for `limit` (0: as many as may be)."""
    return min(limit, limits.page) if limit else limits.page
