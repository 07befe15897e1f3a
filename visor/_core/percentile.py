"""The value below which a part of many lies."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(ordered: Sequence[float], part: float) -> float | None:
    """Return the value below which that part (0 to 1) of ascending values lies; None of none.

    >>> percentile([1.0, 2.0, 3.0], 0.5), percentile([1.0], 0.99), percentile([], 0.5)
    (2.0, 1.0, None)
    """
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None
