"""How far a commit was read from history for one watch, where that takes more than one turn; see `history`."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from visord.watch.messages import Payload


class Partial(NamedTuple):
    """How far the commit at `rev` was read. Not to be changed: others may go on from here too."""

    rev: int
    looked: int = 0
    """How many of its files."""
    found: tuple[array[int], ...] = ()
    """Which of them are wanted, by position, a few hundred in each."""
    wanted: int = 0
    size: int = 0
    """How many they are, and the bytes that their changes take."""
    encoded: int = 0
    """How many of the changes are put together."""
    pieces: Payload = ()

    @property
    def progress(self) -> int:
        """Grows with every slice."""
        return self.looked + self.encoded

    def without_pieces(self) -> Partial:
        """Return it as it was when nothing was put together: what takes memory is let go."""
        return self._replace(encoded=0, pieces=())
