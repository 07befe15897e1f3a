"""So many lines about one thing in a minute, then silence: nobody fills a log by doing the same again and again.

telling = Telling(loop.time)
if telling.may():
    logger.info("lost member %s: %s%s", member, why, telling.note)      # the last one says that it is the last

seldom = Seldom(loop.time, most=256)                                    # of many things one line each
if seldom.may((member, kind)):
    logger.warning("dropped a message of kind %d from member %s", kind, member)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

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


K = TypeVar("K")


class Seldom(Generic[K]):
    """One line a minute about each of at most `most` things; about what is beyond them none."""

    def __init__(self, time: Callable[[], float], most: int) -> None:
        self._time = time
        self._most = most
        self._told: dict[K, float] = {}
        """When each thing was told of last."""

    def may(self, thing: K) -> bool:
        """Tell whether this has not been told of for a minute, and note that it is told now."""
        now, last = self._time(), self._told.get(thing)
        if last is not None and now - last < SECONDS:
            return False
        if len(self._told) >= self._most:
            self._told = {one: at for one, at in self._told.items() if now - at < SECONDS}
            if len(self._told) >= self._most:
                return False
        self._told[thing] = now
        return True
