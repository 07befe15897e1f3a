"""A member that was hung up on for what it said is let in again after a while, which doubles each time.

    probation = Probation(loop.time)
    probation.hung_up("5f...", "10.0.0.7")      # the first time: half a second, then one, two ... half a minute
    probation.wait("5f...", "10.0.0.7")         # seconds until it may come again; 0: now

Dialling again at once after each hang-up would cost this node a handshake, and lines in two logs, hundreds of times a
second. It counts for the id and the host together: a holder of the secret can say any id, and must not keep the member
out whose id that is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 30.0
FORGOTTEN_SECONDS: Final = 60.0
"""So long after it was let in again, all is forgotten."""
MOST: Final = 256
"""Members that are remembered at once; beyond that the one hung up on longest ago is forgotten."""


class Probation:
    """See the module. `time()` gives monotonic seconds."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._rows: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()
        """(member, host) -> (when it may come again, how long it had to wait), the last that was hung up on last."""

    def hung_up(self, member: str, host: str) -> float:
        """A connection of a member was closed for what it said; return the seconds that it stays out."""
        now = self._time()
        until, pause = self._rows.pop((member, host), (0.0, 0.0))
        again = pause > 0 and now - until < FORGOTTEN_SECONDS
        pause = min(pause * 2, LONGEST_SECONDS) if again else FIRST_SECONDS
        self._rows[member, host] = now + pause, pause
        while len(self._rows) > MOST:
            self._rows.popitem(last=False)
        return pause

    def wait(self, member: str, host: str) -> float:
        """Return the seconds until a member may come again from there."""
        until, _ = self._rows.get((member, host), (0.0, 0.0))
        return max(0.0, until - self._time())
