"""How old a local copy may be, said honestly."""

from __future__ import annotations

from visor._core.dataclass import dataclass
from visor._core.public import public


@dataclass(frozen=True, slots=True)
class Staleness:
    """What is known about how far a local copy lags."""

    rev: int
    """The copy equals the registry as it was at this rev."""
    known: int
    """The latest rev that this client has heard of, from whatever source."""
    age: float
    """Seconds since a moment at which the copy is known to have held all that was committed: a majority of the
    cluster said so. It grows while the cluster is out of reach or has no quorum, whatever `connected` says."""
    connected: bool
    """Whether the client has a connection now."""

    @property
    def behind(self) -> int:
        """How many revs the copy lags at least."""
        return max(0, self.known - self.rev)

    def __str__(self) -> str:
        where = "connected" if self.connected else "not connected"
        return f"at rev {self.rev}, {self.behind} behind, at most {self.age:.1f} s old, {where}"


public("visor.following", Staleness)
