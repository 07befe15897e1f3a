"""What was measured, as it was measured: one line of JSON for each run, a line about all of them first."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.beside.shapes import Shape

OURS = "visor"
QUIET = 0.25
"""Cores that other processes may have used while a run counts as undisturbed."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one shape on one peer."""

    peer: str
    op: str
    client: str
    in_flight: int
    round: int
    rate: float
    p50_us: float
    p99_us: float
    cpu_server_us: float
    """Processor time for an operation, microseconds."""
    cpu_client_us: float
    cpu_other: float
    """Cores that other processes used meanwhile."""
    ops: int = 0
    seconds: float = 0.0
    max_us: float = 0.0
    rss_mb: float = 0.0
    """Resident memory of the server afterwards."""

    @property
    def shape(self) -> Shape:
        return Shape(self.op, self.client, self.in_flight)


@dataclass(frozen=True, slots=True)
class Sitting:
    """All that was measured by turns on one machine, and what has to be known of it."""

    about: Mapping[str, Any]
    runs: tuple[Run, ...]

    @property
    def shapes(self) -> list[Shape]:
        return list(dict.fromkeys(run.shape for run in self.runs))

    @property
    def peers(self) -> list[str]:
        """All that took part, Visor first."""
        return sorted(dict.fromkeys(run.peer for run in self.runs), key=lambda peer: peer != OURS)

    def rounds(self, shape: Shape) -> tuple[list[int], bool]:
        """Return the rounds that count for the shape, the same for all peers; and whether others disturbed them.

        Those in which nobody was disturbed, if there are any; else the quieter half, by the peer that fared worst.
        """
        worst: dict[int, float] = {}
        for run in self.runs:
            if run.shape == shape:
                worst[run.round] = max(run.cpu_other, worst.get(run.round, 0.0))
        quiet = [number for number, busy in worst.items() if busy <= QUIET]
        if quiet:
            return quiet, False
        return sorted(worst, key=lambda number: worst[number])[: math.ceil(len(worst) / 2)], True

    def median(self, shape: Shape, peer: str) -> Run | None:
        """Return the medians of the peer's runs in the rounds that count; None without a run."""
        counted, _ = self.rounds(shape)
        runs = [run for run in self.runs if run.shape == shape and run.peer == peer and run.round in counted]
        if not runs:
            return None
        figures = ("rate", "p50_us", "p99_us", "cpu_server_us", "cpu_client_us", "cpu_other", "rss_mb")
        middle = {name: statistics.median(getattr(run, name) for run in runs) for name in figures}
        return Run(peer, *shape, round=0, **middle)


def head(about: Mapping[str, Any]) -> str:
    return json.dumps({"about": about})


def line(run: Run) -> str:
    whole = asdict(run)
    return json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in whole.items()})


def read(lines: Iterable[str]) -> Sitting:
    """Return what the lines tell. ValueError for what is none of ours."""
    about: dict[str, Any] = {}
    runs = []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            told = json.loads(text)
            if "about" in told:
                about = told["about"]
            else:
                runs.append(Run(**told))
        except (ValueError, TypeError) as error:
            raise ValueError(f"line {number} is no run of this benchmark: {error}") from None
    if not about:
        raise ValueError(
            "no line tells about the sitting (machine, versions, durability): it is the first one"
        )
    return Sitting(about, tuple(runs))


def load(path: Path) -> Sitting:
    return read(path.read_text().splitlines())
