"""Who holds leases: how many one may have, and whose lease ends for another's when there are too many.

    owner "10.0.0.7"                 at most 20 000
        session b"..."   a holder    its share
        session b"..."   a holder
        no session       a holder    at most 1 000, all clients of this address together

A lease that is asked for at a limit takes the place of an **empty** one (with no files: it guards nothing yet) of who
has most; that one ends as if it were revoked. It must help: the owner that asks has at least two fewer than the one
that gives. Otherwise the lease is refused, with the numbers.

    limit of an owner        the newest empty lease of its session that has most
    limit of all             the same, of the owner that has most
    limit without a session  the oldest empty one of them: nobody can tell these clients apart, and a lease that
                             is meant gets its files at once

Which lease that is follows from the leases and the order in which they were made, and so do all choices here: a node
that has loaded a checkpoint makes the same ones. Every step takes logarithmic time.
"""

from __future__ import annotations

import heapq
from typing import Any, Final

from visor.protocol.limits import Limits
from visord.state import refusal
from visord.state.lease import Lease
from visord.state.refusal import Refusal

_SLACK: Final = 64
"""Outdated entries of a heap beyond which it is made anew."""


class Holder:
    """One session's leases of one owner, or (session None) all that were asked for without any."""

    __slots__ = ("_empty", "_sign", "count", "session")

    def __init__(self, session: bytes | None) -> None:
        self.session = session
        self.count = 0
        self._sign = 1 if session is None else -1
        self._empty: list[tuple[int, int, Lease]] = []
        """A heap of `(order, lease id, lease)` of those that are empty, and of some that were."""

    def add_empty(self, lease: Lease) -> None:
        """The lease has no files (any more)."""
        if len(self._empty) > 2 * self.count + _SLACK:
            valid = {
                lease.id: (order, number, lease) for order, number, lease in self._empty if _is_empty(lease)
            }
            self._empty = list(valid.values())
            heapq.heapify(self._empty)
        heapq.heappush(self._empty, (self._sign * lease.order, lease.id, lease))

    def spare(self) -> Lease | None:
        """Return the empty lease that goes first; None when all have files."""
        heap = self._empty
        while heap:
            lease = heap[0][2]
            if _is_empty(lease):
                return lease
            heapq.heappop(heap)
        return None


class Ranking:
    """Names and counts: who has most, the first by name of several. Counts change by `set`."""

    __slots__ = ("_counts", "_heap")

    def __init__(self) -> None:
        self._counts: dict[Any, int] = {}
        self._heap: list[tuple[int, Any]] = []

    def set(self, name: Any, count: int) -> None:
        """`name` has `count` now; none has 0."""
        if count:
            self._counts[name] = count
            heapq.heappush(self._heap, (-count, name))
        else:
            self._counts.pop(name, None)
        if len(self._heap) > 2 * len(self._counts) + _SLACK:
            self._heap = [(-count, name) for name, count in self._counts.items()]
            heapq.heapify(self._heap)

    def get(self, name: Any) -> int:
        return self._counts.get(name, 0)

    def first(self) -> Any:
        """Return the owner that has most; there must be one."""
        heap = self._heap
        while self._counts.get(heap[0][1]) != -heap[0][0]:
            heapq.heappop(heap)
        return heap[0][1]


class LeaseOwner:
    """One owner's holders."""

    __slots__ = ("count", "holders", "ranking")

    def __init__(self) -> None:
        self.count = 0
        self.holders: dict[bytes, Holder] = {}
        """By session, b"" for none."""
        self.ranking = Ranking()


class Holders:
    """All who hold leases."""

    __slots__ = ("_limits", "_owners", "_ranking", "count")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._owners: dict[str, LeaseOwner] = {}
        self._ranking = Ranking()
        self.count = 0

    def add(self, lease: Lease) -> None:
        """A lease was made; it has no files yet, or `moved` tells."""
        owner = self._owners.get(lease.owner)
        if owner is None:
            owner = self._owners[lease.owner] = LeaseOwner()
        key = lease.session or b""
        holder = owner.holders.get(key)
        if holder is None:
            holder = owner.holders[key] = Holder(lease.session)
        holder.add_empty(lease)
        self._change(lease, owner, key, holder, 1)

    def remove(self, lease: Lease) -> None:
        """A lease has ended."""
        owner = self._owners[lease.owner]
        key = lease.session or b""
        holder = owner.holders[key]
        lease.order = -1
        self._change(lease, owner, key, holder, -1)
        if not holder.count:
            del owner.holders[key]
        if not owner.count:
            del self._owners[lease.owner]

    def emptied(self, lease: Lease) -> None:
        """The last file of a lease has gone."""
        self._owners[lease.owner].holders[lease.session or b""].add_empty(lease)

    def _change(self, lease: Lease, owner: LeaseOwner, key: bytes, holder: Holder, by: int) -> None:
        self.count += by
        owner.count += by
        holder.count += by
        owner.ranking.set(key, holder.count)
        self._ranking.set(lease.owner, owner.count)

    # -- room -----------------------------------------------------------------------------------------

    def full(self) -> Refusal | None:
        """Return why no owner may have another one, where owners are not counted; None when one may."""
        most = self._limits.leases
        return None if self.count < most else refusal.too_large("leases", most, self.count + 1)

    def room(self, name: str, session: bytes | None) -> Lease | Refusal | None:
        """Return None when `session` of `name` may have another lease, the one that ends for it, or why it may not."""
        limits = self._limits
        owner = self._owners.get(name)
        mine = owner.ranking.get(session or b"") if owner is not None else 0
        if owner is not None and session is None and mine >= limits.anonymous_leases:
            spare = owner.holders[b""].spare()
            what = "leases of one address without a session"
            return spare or refusal.too_large(what, limits.anonymous_leases, mine + 1)
        if owner is not None and owner.count >= limits.owner_leases:
            spare = self._spare(owner, mine)
            return spare or refusal.too_large("leases of one address", limits.owner_leases, owner.count + 1)
        if self.count < limits.leases:
            return None
        first = self._owners[self._ranking.first()]
        spare = None
        if first is owner:
            spare = self._spare(owner, mine)
        elif first.count > (owner.count if owner is not None else 0) + 1:
            spare = self._spare(first, -1)
        return spare or refusal.too_large("leases", limits.leases, self.count + 1)

    def _spare(self, owner: LeaseOwner, mine: int) -> Lease | None:
        """Return what the holder with most gives to one that has `mine`."""
        most = owner.holders[owner.ranking.first()]
        return most.spare() if most.count > mine + 1 else None


def _is_empty(lease: Lease) -> bool:
    return lease.order >= 0 and not lease.files
