"""How many lines of one who asks are written, and what is said of the rest: "and N more". Pure; time comes in.

Each principal (a proven user, or the address of somebody unproven) has a bucket of lines that fills slowly; so have all
the unproven together, and all the proven together. What finds a bucket empty is counted, by principal, event and verb,
and told in one line a while later. So whoever asks for what he may not, as fast as he likes and from as many
addresses as he has, gets so many lines an hour: he fills no disk, and pushes out no lines of others who were denied
once. A proven user's lines never depend on what the unproven do.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any, Final, NamedTuple

BURST: Final = 30.0
"""Lines of one principal at once."""
RATE: Final = 0.5
"""Lines a second that he gets back."""
ALL_BURST: Final = 300.0
ALL_RATE: Final = 5.0
"""The same of all proven, and of all unproven together: 5 lines a second are about 100 MB a day."""
TELL_SECONDS: Final = 10.0
"""What was not written is told so long after the first of it, all of it at once."""
MOST: Final = 1024
"""Principals that are known at a time, and sums that are kept. What is more goes to `OTHERS`."""
TOLD: Final = 16
"""Sums that have a line of their own then, of each of the two: the largest. The rest is that of `OTHERS`."""
OTHERS: Final = "others"


class Sum(NamedTuple):
    """What a sum is of."""

    event: str
    user: str
    address: str
    verb: str


class _Bucket:
    __slots__ = ("left", "rate", "seen", "size")

    def __init__(self, size: float, rate: float, now: float) -> None:
        self.left = self.size = size
        self.rate = rate
        self.seen = now

    def fill(self, now: float) -> float:
        self.left = min(self.size, self.left + max(0.0, now - self.seen) * self.rate)
        self.seen = now
        return self.left


class _More:
    __slots__ = ("count", "since", "since_ms")

    def __init__(self, now: float, milliseconds: int) -> None:
        self.count = 0
        self.since = now
        self.since_ms = milliseconds


class Told(NamedTuple):
    """One line for many."""

    what: Sum
    times: int
    since_ms: int

    @property
    def fields(self) -> dict[str, Any]:
        """Return the fields of its line but `since`."""
        return {
            "user": self.what.user,
            "address": self.what.address,
            "verb": self.what.verb,
            "more": self.times,
        }


class Flood:
    """See the module."""

    def __init__(self, now: float) -> None:
        self._proven, self._unproven = _Crowd(now), _Crowd(now)

    def admits(self, what: Sum, now: float, milliseconds: int) -> bool:
        """Tell whether an event gets a line of its own; if not, it is counted."""
        if what.user:
            return self._proven.admits(what.user, what, now, milliseconds)
        return self._unproven.admits(what.address, what, now, milliseconds)

    def due(self, now: float) -> list[Told]:
        """Return the sums that are to be told now; they begin anew."""
        return [*self._proven.due(now), *self._unproven.due(now)]

    def rest(self) -> list[Told]:
        """Return all sums: nothing more will come."""
        return self.due(math.inf)


class _Crowd:
    """All proven users, or all unproven: they share nothing with the other crowd."""

    def __init__(self, now: float) -> None:
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._all = _Bucket(ALL_BURST, ALL_RATE, now)
        self._more: dict[Sum, _More] = {}

    def admits(self, name: str, what: Sum, now: float, milliseconds: int) -> bool:
        bucket = self._buckets.get(name)
        if bucket is None:
            # The one forgotten was not seen for longest. It may come back with a full bucket: `_all` bounds that.
            if len(self._buckets) >= MOST:
                self._buckets.popitem(last=False)
            bucket = self._buckets[name] = _Bucket(BURST, RATE, now)
        else:
            self._buckets.move_to_end(name)
        if bucket.fill(now) >= 1 and self._all.fill(now) >= 1:
            bucket.left -= 1
            self._all.left -= 1
            return True
        if what not in self._more and len(self._more) >= MOST:
            what = _of_others(what)
        self._more.setdefault(what, _More(now, milliseconds)).count += 1
        return False

    def due(self, now: float) -> list[Told]:
        if not self._more or now - min(more.since for more in self._more.values()) < TELL_SECONDS:
            return []
        sums, self._more = self._more, {}
        largest = sorted(sums.items(), key=lambda each: each[1].count, reverse=True)
        merged: dict[Sum, list[_More]] = {}
        for position, (what, more) in enumerate(largest):
            merged.setdefault(what if position < TOLD else _of_others(what), []).append(more)
        return [
            Told(what, sum(one.count for one in mores), min(one.since_ms for one in mores))
            for what, mores in merged.items()
        ]


def _of_others(what: Sum) -> Sum:
    return Sum(what.event, what.user and OTHERS, OTHERS, "")
