"""What it costs the others, under load, when a member comes back after long, and when one joins a large registry."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import visor.aio
from tests.cluster.load import Writers
from tests.cluster.processes import Cluster, Member
from tests.node_process import NotReady
from tests.wire import Closed, Refused
from visor import op
from visor.protocol import verbs

NEAR: Final = 200
"""Entries behind the leader at which a member counts as caught up under load."""
PATIENCE: Final = 600.0
HASH_ATTEMPTS: Final = 5


@dataclass(slots=True)
class Phase:
    """A stretch of time under load."""

    name: str
    first: float
    last: float = 0.0


@dataclass(slots=True)
class Phases:
    """Measures writes by stretches of time."""

    writers: Writers
    found: list[Phase] = field(default_factory=list)

    def begin(self, name: str) -> None:
        """A stretch ends and the next begins."""
        now = time.monotonic()
        self.end()
        self.found.append(Phase(name, now))

    def end(self) -> None:
        """The last stretch ends."""
        if self.found and not self.found[-1].last:
            self.found[-1].last = time.monotonic()

    def rate(self, name: str) -> float:
        """Return writes a second in a stretch."""
        phase = next(one for one in self.found if one.name == name)
        return self.writers.series.rate(phase.first, phase.last)

    def lines(self) -> list[str]:
        """Return a line a stretch."""
        found = []
        for phase in self.found:
            rows = [row for row in self.writers.series.done if phase.first <= row[1] < phase.last]
            waits = sorted(ended - began for began, ended in rows) or [0.0]
            gap = self.writers.series.longest_gap(phase.first, phase.last)
            found.append(
                f"{phase.name:12} {phase.last - phase.first:6.1f} s  {self.rate(phase.name):7.0f} writes/s  "
                f"median {statistics.median(waits) * 1000:6.2f} ms  "
                f"99 % {waits[int(len(waits) * 0.99)] * 1000:6.1f} ms  longest pause {gap * 1000:5.0f} ms"
            )
        return found


async def absence(cluster: Cluster, writers: Writers, seconds: float, calm: float) -> Phases:
    """Take a replica away for `seconds`; `calm`: seconds of load before and after."""
    phases = Phases(writers)
    phases.begin("before")
    await asyncio.sleep(calm)
    leader = await asyncio.to_thread(cluster.leader)
    absent = next(one for one in cluster.members.values() if one is not leader)
    phases.begin("absent")
    await asyncio.to_thread(absent.kill)
    await asyncio.sleep(seconds)
    phases.begin("catching up")
    absent.launch()
    await asyncio.to_thread(_await_near, cluster, absent)
    phases.begin("after")
    await asyncio.sleep(calm)
    phases.end()
    return phases


async def joining(cluster: Cluster, writers: Writers, calm: float) -> Phases:
    """Let one more member join under load."""
    phases = Phases(writers)
    phases.begin("before")
    await asyncio.sleep(calm)
    phases.begin("joining")
    visitor = cluster.add("joined")
    visitor.launch()
    await asyncio.to_thread(visitor.await_ready, PATIENCE)
    await asyncio.to_thread(cluster.await_voters, len(cluster.members), PATIENCE)
    phases.begin("after")
    await asyncio.sleep(calm)
    phases.end()
    return phases


async def fill(cluster: Cluster, keys: int, size: int) -> float:
    """Write so many files; return the seconds that it took."""
    began = time.monotonic()
    value = b"v" * size
    client = await visor.aio.dial(cluster.addresses, timeout=60.0)
    async with client:
        numbers = iter(range(0, keys, 1000))

        async def worker() -> None:
            for first in numbers:
                sets = [
                    op.set(f"/keys/{number // 1000}/{number}", value)
                    for number in range(first, min(first + 1000, keys))
                ]
                await client.txn(then=sets)

        await asyncio.gather(*[worker() for _ in range(4)])
    return time.monotonic() - began


def _await_near(cluster: Cluster, member: Member) -> None:
    member.await_ready(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        status = cluster.leader_status()
        rows: Any = status["members"] if status else []
        if any(row["name"] == member.name and row.get("behind", NEAR) < NEAR for row in rows):
            return
        time.sleep(0.02)
    raise NotReady(f"{member.name} did not catch up within {PATIENCE:g} s")


def same_everywhere(cluster: Cluster, tell: Callable[[str], None]) -> bool:
    """Have all members compared at one rev."""
    for _ in range(HASH_ATTEMPTS):
        try:
            with next(iter(cluster.members.values())).wire(120.0) as wire:
                answer = wire.call(verbs.ADMIN, "hash", [])
        except (Refused, Closed, OSError) as error:
            tell(f"hash: {error}")
            time.sleep(1.0)
            continue
        tell(f"all members are {'equal' if answer['equal'] else 'DIFFERENT'} at rev {answer['rev']}")
        return bool(answer["equal"])
    return False
