"""Connections that shake hands for TLS: so many at once, so many of one address; the oldest goes.

None of them has shown anything yet, and each costs memory and the time of a signature, so they have places of their
own: whoever begins a thousand and ends none keeps out neither others that shake hands nor those that have.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

MOST: Final = 512
MOST_EACH: Final = 128
One = TypeVar("One")


class Handshakes(Generic[One]):
    """All that are under way. `most`: in all; `each`: of one owner."""

    def __init__(self, most: int = MOST, each: int = MOST_EACH) -> None:
        self.most, self.each = most, each
        self._owners: OrderedDict[One, str] = OrderedDict()
        self._of: dict[str, OrderedDict[One, None]] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def begin(self, one: One, owner: str) -> One | None:
        """One begins; return the one that has to go for it, which is under way until it ends."""
        own = self._of.setdefault(owner, OrderedDict())
        self._owners[one] = owner
        own[one] = None
        if len(own) > self.each:
            return next(iter(own))
        return next(iter(self._owners)) if len(self._owners) > self.most else None

    def end(self, one: One) -> None:
        """It is over, whatever came of it. Idempotent."""
        owner = self._owners.pop(one, None)
        if owner is not None:
            own = self._of[owner]
            del own[one]
            if not own:
                del self._of[owner]
