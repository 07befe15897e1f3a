"""How often each fault, refusal and branch occurred over many seeds, and which of them never did."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import visord
from tests.sim.concealer import REDACTED
from tests.sim.core_client import ASKED_AGAIN
from tests.sim.faults import KINDS
from tests.sim.hostile import KINDS as HOSTILE
from tests.sim.rights import REVOKED

EXPECTED: Final = (
    *(f"fault: {kind}" for kind in sorted(KINDS)),
    *HOSTILE,
    "late delivery",
    "repeated delivery",
    ASKED_AGAIN,
    REVOKED,
    REDACTED,
)
"""What must occur for a campaign to mean anything."""


def branches() -> list[str]:
    """Return the names of all branches that the engine counts, as its source has them."""
    found: set[str] = set()
    for source in sorted(Path(visord.__file__).parent.rglob("*.py")):
        found.update(re.findall(r"counters\[\"(\w+)\"\]", source.read_text()))
    return sorted(found)


@dataclass
class Coverage:
    """The sums of many runs. `seeds_with` counts the seeds in which a thing occurred at all."""

    counts: Counter[str] = field(default_factory=Counter)
    branches: Counter[str] = field(default_factory=Counter)
    seeds_with: Counter[str] = field(default_factory=Counter)
    seeds: int = 0

    def add(self, counts: Counter[str], branches: Counter[str]) -> None:
        """Take in one run."""
        self.seeds += 1
        self.counts.update(counts)
        self.branches.update(branches)
        self.seeds_with.update(name for table in (counts, branches) for name in table)

    def missing(self) -> list[str]:
        """Return the kinds of faults that never occurred: such a campaign does not mean much."""
        return [name for name in EXPECTED if not self.counts[name]]

    def not_reached(self) -> list[str]:
        """Return the branches that never were taken: only long campaigns take all of them."""
        return [name for name in branches() if not self.branches[name]]

    def table(self) -> str:
        """Return everything as text: how often in all, and in how many seeds."""
        lines = ["what occurred                                             times     seeds"]
        for title, table in (("in the world", self.counts), ("in the engines", self.branches)):
            lines.append(f"-- {title} --")
            lines += self._rows(table.items())
        for title, names in (("never", self.missing()), ("branches never taken", self.not_reached())):
            if names:
                lines.append(f"{title}: {', '.join(names)}")
        return "\n".join(lines)

    def _rows(self, items: Iterable[tuple[str, int]]) -> list[str]:
        return [f"{name:<52} {count:>10} {self.seeds_with[name]:>9}" for name, count in sorted(items)]
