"""Who may be connected: so many in all, so many of one owner (address), and which has to go for a new one.

    places = Places(total=4, each=3)
    places.enter(a1, "10.0.0.1")    # a1 to a3 of one address, b1 of another
    places.enter(c1, "10.0.0.3")    # all are taken: a1 goes, the first that is idle of the address that has most

A place is taken from `enter` on, before anything was said or any TLS was spoken, to `leave`, when the socket is closed:
what counts is file descriptors. Of an owner, strangers (who have not said who they are) go first, the oldest of them;
then one that is idle. A busy one (it has a watch, or waits for an answer) is never sent away for another: when all are,
the newcomer is refused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, Generic, Protocol, TypeVar

LOOKED_AT: Final = 64
"""Guests of one owner among which the idlest is looked for: the cost of one eviction."""


class Guest(Protocol):
    """Who has a place."""

    @property
    def idle_since(self) -> float | None:
        """Since when it has wanted nothing; None while it is busy."""


T = TypeVar("T", bound=Guest)


class _Party(Generic[T]):
    """The guests of one owner."""

    __slots__ = ("known", "strangers")

    def __init__(self) -> None:
        self.strangers: OrderedDict[T, None] = OrderedDict()
        self.known: OrderedDict[T, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self.strangers) + len(self.known)

    def dispensable(self, besides: T) -> T | None:
        """Return the guest that can go best; None when all are busy."""
        for stranger in self.strangers:
            if stranger is not besides:
                return stranger
        best: T | None = None
        since = float("inf")
        for guest in _first(self.known, LOOKED_AT):
            # Looked at: the next time it is the others' turn.
            self.known.move_to_end(guest)
            idle = guest.idle_since
            if guest is not besides and idle is not None and idle < since:
                best, since = guest, idle
        return best


def _first(guests: OrderedDict[T, None], count: int) -> list[T]:
    return [guest for guest, _ in zip(guests, range(count), strict=False)]


class Places(Generic[T]):
    """See the module. `total`: places; `each`: of one owner."""

    def __init__(self, total: int, each: int) -> None:
        self.total = total
        self.each = each
        self._parties: dict[str, _Party[T]] = {}
        self._by_size: dict[int, OrderedDict[str, None]] = {}
        """The owners by how many guests they have."""
        self._most = 0
        self._count = 0
        self._owners: dict[T, str] = {}
        self.sent_away = 0
        """Guests that had to go for others, since the start."""
        self.left = 0
        """Guests that have gone, since the start."""
        self.refused = 0
        """Newcomers that found no place, since the start."""

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._owners))

    def enter(self, guest: T, owner: str) -> T | None:
        """Give a stranger a place; return the guest that has to go for it, which may be the stranger itself."""
        party = self._parties.get(owner)
        if party is None:
            party = self._parties[owner] = _Party()
        party.strangers[guest] = None
        self._owners[guest] = owner
        self._count += 1
        self._resize(owner, len(party) - 1, len(party))
        if len(party) > self.each:
            return self._choose(guest, owner)
        if self._count > self.total:
            first = owner if len(party) == self._most else next(iter(self._by_size[self._most]))
            return self._choose(guest, first)
        return None

    def _choose(self, guest: T, owner: str) -> T:
        victim = self._parties[owner].dispensable(guest)
        if victim is None:
            self.refused += 1
            return guest
        self.sent_away += 1
        return victim

    def known(self, guest: T) -> None:
        """The guest has said who it is: it is no stranger any more."""
        owner = self._owners.get(guest)
        if owner is not None:
            party = self._parties[owner]
            party.strangers.pop(guest, None)
            party.known[guest] = None

    def leave(self, guest: T) -> None:
        """Give the place back. Idempotent."""
        owner = self._owners.pop(guest, None)
        if owner is None:
            return
        party = self._parties[owner]
        party.strangers.pop(guest, None)
        party.known.pop(guest, None)
        self._count -= 1
        self.left += 1
        self._resize(owner, len(party) + 1, len(party))
        if not party:
            del self._parties[owner]

    def _resize(self, owner: str, before: int, after: int) -> None:
        if before:
            owners = self._by_size[before]
            del owners[owner]
            if not owners:
                del self._by_size[before]
        if after:
            self._by_size.setdefault(after, OrderedDict())[owner] = None
        if after > self._most:
            self._most = after
        elif self._most not in self._by_size:
            self._most -= 1  # one guest at a time: who had most has one less
