"""When memory that is free is given back to the system: after crowds and checkpoints, and whatever else took much.

The allocator keeps what was freed between what is in use, and hardly finds a use for it. Giving it back takes some
10 ms of a thread, during which others that need memory may wait, so it is not done for nothing:

    resident  60 MiB  ->  180 (a crowd of requests)  ->  180 (they are answered, and nothing shows it)
    looks     .            give back: 170, they use it    give back 2 looks later: 70, that was worth it
                                                          again 1, 2, 4, 8 ... looks later, while it is not

So memory that has grown is looked after again and again, ever more seldom. Everything is counted in looks: no clock.
"""

from __future__ import annotations

import os
from typing import Final

CROWD: Final = 256
"""Connections whose end is always a reason..."""
LET_GO: Final = 100_000
"""...and so many commits whose values a checkpoint has let go of, once there is time for it: some 20 MB."""
GROWN: Final = 8 << 20
"""Bytes, and a tenth, by which memory has grown noticeably."""
SELDOM: Final = 256
"""Looks between two attempts at most, after which nothing is attempted until memory has grown."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Return the bytes of this process that are in memory; 0 where that cannot be told."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


class Memory:
    """See the module."""

    def __init__(self, resident: int) -> None:
        self._after = resident
        """What was in memory after the last attempt."""
        self._before = 0
        """What was before it, until it is known what came of it."""
        self._left = self._let_go = 0
        self._looks = 0
        self._wait = 0
        """Looks from one attempt to the next; 0: none is due."""

    def due(self, resident: int, left: int, let_go: int) -> bool:
        """Look: so many bytes are in memory, so many connections have ended since the start, and values of so many
        commits have been let go of. Give back now?"""
        if self._before:
            worth = self._before - resident > self._before // 20
            self._wait = 1 if worth else self._wait * 2
            if self._wait > SELDOM:
                self._wait = 0
            self._before, self._after, self._looks = 0, resident, 0
        self._looks += 1
        grown = resident > self._after + max(GROWN, self._after // 10)
        if grown or left - self._left >= CROWD or let_go - self._let_go >= LET_GO:
            self._wait = 1
            self._left, self._let_go = left, let_go
        if not self._wait or self._looks < self._wait:
            return False
        self._before = resident
        return True
