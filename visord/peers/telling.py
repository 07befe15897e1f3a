"""So many lines about one thing in a minute, then silence: nobody fills a log by doing the same again and again.

telling = Telling(loop.time)
if telling.may():
    logger.info("lost member %s: %s%s", member, why, telling.note)      # the last one says that it is the last
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

SECONDS: Final = 60.0
LINES: Final = 16
"""In one minute."""


class Telling:
    """See the module. `time()` gives monotonic seconds."""

    def __init__(self, time: Callable[[], float], lines: int = LINES) -> None:
        self._time = time
        self._lines = lines
        self._began = time()
        self._told = 0

    def may(self) -> bool:
        """Tell whether one more line may be logged, and count it."""
        now = self._time()
        if now - self._began >= SECONDS:
            self._began, self._told = now, 0
        self._told += 1
        return self._told <= self._lines

    @property
    def note(self) -> str:
        """What to add to a line that may be logged: "", or that it is the last."""
        return f" (nothing more of this for {SECONDS:g} s)" if self._told == self._lines else ""
