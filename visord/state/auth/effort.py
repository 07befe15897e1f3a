"""How much judging may cost, counted and never timed, so that all members stop at the same message.

    effort = Effort(MESSAGE)            for one message
    rights.covers(READ, tree, effort)   spends steps; false when there are not enough
    effort.over                         it was too little: nobody knows, and nothing is granted

A step is about half a microsecond. To look for a path among trees takes a handful, to find out whether globs cover a
tree may take thousands; who may do something by such grants shall not stop a cluster by asking for much of it.
"""

from __future__ import annotations

from typing import Final

MESSAGE: Final = 40_000
"""Steps for one message that is judged by itself: some 20 ms at most."""
BATCH: Final = 100_000
"""Steps for the writes of one author in a command: others have theirs."""
COMMAND: Final = 400_000
"""Steps for all writes of one command: some 200 ms at most, on every member."""
NARROWING: Final = 100_000
"""Steps to find out what of a selector is granted: some 50 ms at most, for what programs ask once."""
WATCHES: Final = 200_000
"""Steps for all watches of one client that are judged again."""


class Effort:
    """See the module. `left`: steps that may still be spent; below 0 once that was too little."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    @property
    def over(self) -> bool:
        """Tell whether it was too little."""
        return self.left < 0
