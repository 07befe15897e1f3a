"""Who is ahead where, and by how much; nothing here measures or writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmarks.beside.raw import OURS, Run, Sitting
from benchmarks.beside.shapes import Shape


@dataclass(frozen=True, slots=True)
class Pair:
    """Visor beside one peer under one shape."""

    shape: Shape
    ours: Run
    theirs: Run

    @property
    def rate(self) -> float:
        """Ours divided by theirs: below 1 Visor does less."""
        return _divided(self.ours.rate, self.theirs.rate)

    @property
    def p99(self) -> float:
        """Ours divided by theirs: above 1 Visor is later."""
        return _divided(self.ours.p99_us, self.theirs.p99_us)

    @property
    def cpu(self) -> float:
        """Ours divided by theirs, server and client together: above 1 Visor costs more."""
        return _divided(
            self.ours.cpu_server_us + self.ours.cpu_client_us,
            self.theirs.cpu_server_us + self.theirs.cpu_client_us,
        )

    @property
    def lost(self) -> list[str]:
        """Return in what Visor is behind: rate, p99, CPU."""
        behind = {"rate": self.rate < 1, "p99": self.p99 > 1, "CPU": self.cpu > 1}
        return [what for what, is_behind in behind.items() if is_behind]


def _divided(ours: float, theirs: float) -> float:
    return ours / theirs if theirs else float("inf")


def pairs(sitting: Sitting) -> Iterator[Pair]:
    """Yield every comparison that there is, in the order of the sitting."""
    for shape in sitting.shapes:
        ours = sitting.median(shape, OURS)
        for peer in sitting.peers:
            theirs = sitting.median(shape, peer)
            if peer != OURS and ours is not None and theirs is not None:
                yield Pair(shape, ours, theirs)


def losses(all_pairs: Iterable[Pair]) -> list[Pair]:
    """Return the comparisons in which Visor is behind in anything: the lowest rate first."""
    return sorted((pair for pair in all_pairs if pair.lost), key=lambda pair: pair.rate)
