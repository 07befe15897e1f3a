"""How long this leader's commands of the last minute took, from proposing to applying: what a write waits for here.

times = CommitTimes(time.perf_counter)
times.begin(40); times.end(40)       # two looks at a clock a command, however many writes are in it
times.told()                         # {"p50_ms": 0.41, "p99_ms": 2.2, "count": 1}
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from visor._core.percentile import percentile

SECONDS: Final = 60.0
KEPT: Final = 1024
"""Commands that are remembered: of a busy node the last ones of that minute."""


class CommitTimes:
    """See the module. `time()` is monotonic seconds. One command is under way at a time."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._index = 0
        """The entry that is under way; 0: none."""
        self._began = 0.0
        self._took: deque[tuple[float, float]] = deque(maxlen=KEPT)
        """(when it ended, how long it took)."""

    def begin(self, index: int) -> None:
        """The entry at `index` was proposed."""
        self._index, self._began = index, self._time()

    def end(self, index: int) -> None:
        """The entry at `index` was applied; of another than the one that was begun nothing is kept."""
        if index == self._index:
            now = self._time()
            self._took.append((now, now - self._began))
        if index >= self._index:
            self._index = 0

    def told(self) -> dict[str, Any]:
        """Return the middle one and the longest of a hundred in milliseconds, None without any; and how many."""
        since = self._time() - SECONDS
        took = sorted(seconds for when, seconds in self._took if when >= since)
        return {"p50_ms": _milliseconds(took, 0.5), "p99_ms": _milliseconds(took, 0.99), "count": len(took)}


def _milliseconds(took: list[float], part: float) -> float | None:
    seconds = percentile(took, part)
    return None if seconds is None else round(1000 * seconds, 3)
