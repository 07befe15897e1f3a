"""What a benchmark returns, and the arithmetic on it.

A row is `(name, ops, seconds, extra)`. `extra` holds what else was measured; the table has a column for
the keys below and prints any other one behind the row as `key=value`:

    p50_us, p99_us   latency in microseconds
    cpu_us           CPU time of the process under test per operation, in microseconds
    rss_mb           its resident memory, in MB
    echo             operations per second divided by those of the bare echo of the same bytes in the same run
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from visor._core.percentile import percentile as _percentile

Row: TypeAlias = tuple[str, int, float, dict[str, Any]]
"""(name, operations, seconds that they took, further figures)."""


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the ascending `ordered` lie; 0.0 when empty."""
    return _percentile(ordered, share) or 0.0


def rate(row: Row) -> float:
    """Return the row's operations per second (0.0 when it took no time)."""
    _, ops, seconds, _ = row
    return ops / seconds if seconds > 0 else 0.0


def latencies(seconds: Sequence[float]) -> dict[str, float]:
    """Return `p50_us`, `p99_us` and `max_us` of latencies given in seconds, in any order."""
    ordered = sorted(seconds)
    named = {"p50_us": 0.5, "p99_us": 0.99, "max_us": 1.0}
    return {name: percentile(ordered, share) * 1e6 for name, share in named.items()}
