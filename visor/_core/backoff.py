"""How long to wait before trying again, and until when: values with the clock and the dice passed in."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import cast

from visor._core.dataclass import dataclass
from visor._core.shown import shown


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


class Left(float):
    """Seconds that are left of a timeout: what a request may take. `whole` is the timeout, which its error names."""

    __slots__ = ("whole",)
    whole: float


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of `clock` until which something must be done; `whole` is the timeout as the caller gave it."""

    clock: Callable[[], float]
    when: float
    whole: float

    def left(self) -> float:
        """Return the seconds that are left, at least 0; as a timeout they stand for all of this one."""
        left = Left(max(0.0, self.when - self.clock()))
        left.whole = self.whole
        return left

    def __float__(self) -> float:
        return max(0.0, self.when - self.clock())

    @property
    def timeout(self) -> float:
        """What several calls take as their `timeout` to share it: as a number it is what is left just then."""
        return cast(float, self)


def whole_of(timeout: object, seconds: float) -> float:
    """Return the timeout of which this is what is left, `seconds`: as the caller gave it, for an error to name."""
    whole: float = getattr(timeout, "whole", seconds)
    return whole


def in_seconds(timeout: object) -> float:
    """Return the timeout that a caller gave; TypeError or ValueError unless it is 0 or more seconds."""
    if not isinstance(timeout, str | bytes | bytearray):
        try:
            number = float(timeout)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            pass
        else:
            if number >= 0:
                return number
            raise ValueError(f"a timeout must be a number of seconds, 0 or more, not {shown(timeout)}")
    raise TypeError(f"a timeout must be a number of seconds, not {shown(timeout)}")


def seconds_or_ever(timeout: object) -> float | None:
    """Return the timeout of a call that waits for ever when there is none: `in_seconds`, or None."""
    return None if timeout is None else in_seconds(timeout)


def in_milliseconds(seconds: float, what: str) -> int:
    """Return the whole milliseconds of `seconds`; TypeError or ValueError, naming `what`, unless it is finite."""
    if isinstance(seconds, str | bytes | bytearray):
        raise TypeError(f"{what} must be a number of seconds, not {shown(seconds)}")
    try:
        return int(seconds * 1000)
    except (OverflowError, ValueError):  # infinite, or not a number
        raise ValueError(f"{what} must be a finite number of seconds, not {shown(seconds)}") from None
    except TypeError:
        raise TypeError(f"{what} must be a number of seconds, not {shown(seconds)}") from None
