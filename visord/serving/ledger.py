"""What connections make a node hold in memory, and who has to go when it is too much.

    ledger = Ledger(limit)                  # bytes over all connections
    victims = ledger.set(conversation, 900) # it makes the node hold 900 bytes now

Over the limit one must go: the connection that holds most, of the owner (address) that holds most. So a crowd behind
one address costs no other its connection, and one that holds little is never chosen. With a limit of 1000:

    10.0.0.1  a 300, b 300      10.0.0.2  c 250      then d of 10.0.0.3 comes with 200: a (or b) goes
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar


class HasOwner(Protocol):
    """What makes the node hold something."""

    @property
    def owner(self) -> str: ...


T = TypeVar("T", bound=HasOwner)


class Ledger(Generic[T]):
    """Amounts by holder. `limit`: of all together."""

    __slots__ = ("_amounts", "limit", "sent_away", "total")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        self.sent_away = 0
        """How many had to go, since the start."""
        self._amounts: dict[str, dict[T, int]] = {}

    def set(self, holder: T, amount: int) -> list[T]:
        """Note what `holder` makes the node hold now; return those that have to go, which are noted with nothing any
        more."""
        mine = self._amounts.get(holder.owner)
        before = mine.get(holder, 0) if mine is not None else 0
        self.total += amount - before
        if amount:
            if mine is None:
                mine = self._amounts[holder.owner] = {}
            mine[holder] = amount
        elif mine is not None and before:
            del mine[holder]
            if not mine:
                del self._amounts[holder.owner]
        victims: list[T] = []
        while self.total > self.limit:
            victims.append(self._largest())
            self.set(victims[-1], 0)
        self.sent_away += len(victims)
        return victims

    def _largest(self) -> T:
        most = max(self._amounts.values(), key=lambda held: sum(held.values()))
        return max(most, key=most.__getitem__)

    def over_its_share(self, owner: str) -> bool:
        """Tell whether all is taken and `owner` has its share of it: then it gets nothing more."""
        if self.total < self.limit:
            return False
        mine = self._amounts.get(owner)
        return mine is not None and sum(mine.values()) * len(self._amounts) >= self.total

    def holders(self) -> list[T]:
        """Return who makes the node hold anything."""
        return [holder for held in self._amounts.values() for holder in held]
