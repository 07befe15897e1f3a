"""Who is at the door: so many at once, and those of one host never keep those of other hosts out.

    crowd = Crowd()
    crowd.enter(a1, "10.0.0.1", most=3)     # a1, a2 and a3 come from one host
    crowd.enter(b1, "10.0.0.2", most=3)     # too many: returns a1, the oldest of the host that has most

A few dozen at most: counting them at each entry costs microseconds. (Clients are thousands: `serving/places.py`.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Crowd(Generic[T]):
    """See the module."""

    def __init__(self) -> None:
        self._hosts: dict[T, str] = {}
        """In the order of their arrival."""

    def __len__(self) -> int:
        return len(self._hosts)

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._hosts))

    def enter(self, guest: T, host: str, most: int) -> T | None:
        """Take a guest in; return the one that must go for it, when there are more than `most`.

        That is the oldest of the host with most guests; of several such hosts, of the one whose guest came first.
        """
        self._hosts[guest] = host
        if len(self._hosts) <= most:
            return None
        counts = Counter(self._hosts.values())
        highest = max(counts.values())
        return next(one for one, at in self._hosts.items() if counts[at] == highest)

    def host(self, guest: T) -> str:
        """Return where a guest comes from; "" for one that is not here."""
        return self._hosts.get(guest, "")

    def leave(self, guest: T) -> None:
        """A guest goes. Idempotent."""
        self._hosts.pop(guest, None)
