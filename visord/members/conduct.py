"""What members say that they should not: counted, told seldom, and after enough of it the connection is closed.

A member with a defect, or one that lies, must not be able to harm this node, nor to fill its log. Each message that is
none (`messages.well_formed`), that no honest member says (`Engine.receive`), or that this member may not say
(`standing`) is dropped. The first two are its own fault: after `STRIKES` of them within a minute its connection is
closed, and it is let in again after a while only (`peers/probation.py`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from visord.peers import messages as msg
from visord.peers.telling import Seldom

logger = logging.getLogger("visord.peers")

STRIKES: Final = 16
"""Bad messages of one member within a minute after which its connection is closed."""
SECONDS: Final = 60.0
"""The minute."""
MOST: Final = 512
"""Pairs of member and kind that are counted one by one; what is beyond them counts for "other"."""


class Conduct:
    """The bad messages of all members to one node. `hang_up(member)` closes its connection."""

    def __init__(self, time: Callable[[], float], hang_up: Callable[[str], object]) -> None:
        self._time = time
        self._hang_up = hang_up
        self.dropped: Counter[tuple[str, int]] = Counter()
        """How many messages were dropped, by member's id and kind."""
        self._seldom: Seldom[tuple[object, object]] = Seldom(time, 2 * MOST)
        self._strikes: dict[str, tuple[float, int]] = {}
        """member -> (when its first strike of this minute was, how many)."""

    @property
    def total(self) -> int:
        """All messages that were dropped."""
        return self.dropped.total()

    def bad(self, member: str, kind: Any, why: str) -> None:
        """A message is none, or no honest member's: it is dropped, and is a strike."""
        self._count(member, kind, why)
        now = self._time()
        began, strikes = self._strikes.get(member, (now, 0))
        if now - began > SECONDS:
            began, strikes = now, 0
        if strikes + 1 >= STRIKES:
            self._strikes.pop(member, None)
            if self._seldom.may(("hanging up", member)):
                logger.warning("hanging up on member %s: %d bad messages", member, STRIKES)
            self._hang_up(member)
            return
        if len(self._strikes) >= MOST:
            self._strikes.clear()
        self._strikes[member] = began, strikes + 1

    def unbidden(self, member: str, kind: Any, *, early: bool = False) -> None:
        """A member may not say this: it is dropped. `early`: it may once it is known who leads; nobody is told."""
        self._count(member, kind, "" if early else "it may not say that")

    def _count(self, member: str, kind: Any, why: str) -> None:
        number = kind if type(kind) is int and kind in msg.KINDS else -1
        key = (member, number)
        if key not in self.dropped and len(self.dropped) >= MOST:
            key = ("other", -1)
        self.dropped[key] += 1
        if why and self._seldom.may(key):
            logger.warning("dropped a message of kind %d from member %s: %s", number, member, why)
