"""The pace of the consensus, and where its randomness comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Random(Protocol):
    """The randomness that elections use."""

    def random(self) -> float:
        """Return a number from 0 to below 1."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. An election starts when a replica heard nothing for a random time between the timeouts."""

    heartbeat: float = 0.1
    min_timeout: float = 0.5
    max_timeout: float = 1.0
    quorum_timeout: float = 1.2
    """A leader that hears from no majority for so long stops being one."""
    transfer_timeout: float = 1.0
    """A transfer of leadership that has not happened by then is given up."""
    late_round: float = 0.02
    """A round for reads that takes longer is asked of all voters."""
    gone_timeout: float = 0.05
    """After the leader's connection broke, an election is prepared within one to two of these."""
