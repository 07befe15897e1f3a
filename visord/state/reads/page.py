"""Where one answer ends: by rows, by bytes of values, and by what it costs."""

from __future__ import annotations

from typing import Final

from visor.protocol.limits import Limits
from visord.state import cost

BUDGET = cost.PAGE
"""Units of cost of one answer; then it ends with a cursor, maybe with no row."""

BEYOND: Final = "/\U0010ffff"
"""Behind a directory: in path order above all that is in it, and below whatever comes after it. No path holds it."""


def rows(limit: int, limits: Limits) -> int:
    """Return how many rows a page has when the client asked for `limit` (0: as many as may be)."""
    return min(limit, limits.page) if limit else limits.page
