"""How long to wait before trying again, and until when: values with the clock and the dice passed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: the n-th pause is evenly spread between nothing and `base * factor**n`, at most `most`.

    Seconds. Full jitter, because clients that lost the same node must not come back together.
    """

    base: float = 0.05
    factor: float = 2.0
    most: float = 3.0

    def pause(self, attempt: int, random: Random) -> float:
        """Return the pause before attempt `attempt` (0 is the first repetition)."""
        return random.random() * min(self.most, self.base * self.factor ** min(attempt, 32))


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of `clock` until which something must be done."""

    clock: Callable[[], float]
    when: float

    def left(self) -> float:
        """Return the seconds that are left, at least 0."""
        return max(0.0, self.when - self.clock())
