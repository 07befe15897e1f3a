"""How long one client's writes wait when the leader is killed or stops; and that nobody is elected in vain."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from tests.cluster import membership
from tests.cluster.load import Burners, Writers
from tests.cluster.processes import Cluster, Member

SETTLE_SECONDS: Final = 1.5
"""Between the return of a member and the next blow."""
PATIENCE: Final = 20.0

Blow = Callable[[Member], Awaitable[None]]


@dataclass(slots=True)
class Measured:
    """Seconds until the first write begun afterwards was acknowledged, by whom the client was connected to."""

    at_leader: list[float] = field(default_factory=list)
    elsewhere: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    """The longest pause of that client's acknowledgements around each blow."""

    @property
    def all(self) -> list[float]:
        """All of them."""
        return self.at_leader + self.elsewhere

    def line(self, name: str) -> str:
        """Return one line for people."""
        if not self.all:
            return f"{name}: nothing was measured"
        parts = [f"{name}: {_shown(self.all)}, longest pause {max(self.gaps) * 1000:.0f} ms"]
        for where, found in (("at the leader", self.at_leader), ("elsewhere", self.elsewhere)):
            if found:
                parts.append(f"client {where} {_shown(found)}")
        return "; ".join(parts)


def _shown(seconds: list[float]) -> str:
    return (
        f"{len(seconds)} times, median {statistics.median(seconds) * 1000:.0f} ms, "
        f"worst {max(seconds) * 1000:.0f} ms"
    )


async def killed(cluster: Cluster, writers: Writers, times: int) -> Measured:
    """Kill the leader so often."""

    async def blow(leader: Member) -> None:
        leader.kill()

    return await _strike(cluster, writers, times, blow)


async def stopped(cluster: Cluster, writers: Writers, times: int) -> Measured:
    """Stop the leader as an operator does so often."""

    async def blow(leader: Member) -> None:
        leader.expected_down = True
        leader.process.terminate()

    return await _strike(cluster, writers, times, blow)


async def transferred(cluster: Cluster, writers: Writers, times: int) -> Measured:
    """Have leadership handed on so often; nobody ends."""
    measured = Measured()
    rng = random.Random(times)
    for _ in range(times):
        leader = await asyncio.to_thread(cluster.leader)
        there = leader is not None and writers.probe_address == leader.client
        before = time.monotonic()
        ended = await asyncio.to_thread(membership.transfer, cluster, rng, None)
        if ended != "done":
            raise TimeoutError(f"the transfer ended as {ended}")
        after = time.monotonic()
        await asyncio.sleep(0.3)
        gap = writers.probe.longest_gap(before - 0.1, after + 0.25)
        (measured.at_leader if there else measured.elsewhere).append(gap)
        measured.gaps.append(gap)
        await asyncio.sleep(0.5)
    return measured


async def _strike(cluster: Cluster, writers: Writers, times: int, blow: Blow) -> Measured:
    measured = Measured()
    for _ in range(times):
        leader = await asyncio.to_thread(cluster.leader)
        if leader is None:
            await asyncio.sleep(0.2)
            continue
        there = writers.probe_address == leader.client
        before = time.monotonic()
        await blow(leader)
        struck = time.monotonic()
        took = await _first_write(writers, before)
        (measured.at_leader if there else measured.elsewhere).append(took)
        await asyncio.sleep(0.5)
        measured.gaps.append(writers.probe.longest_gap(before - 0.2, struck + took + 0.4))
        if not await asyncio.to_thread(_ended, leader):
            raise TimeoutError(f"{leader.name} did not end")
        leader.launch()
        await asyncio.to_thread(leader.await_ready)
        await asyncio.sleep(SETTLE_SECONDS)
    return measured


def _ended(member: Member) -> bool:
    member.wait(PATIENCE)
    return not member.running()


async def _first_write(writers: Writers, struck: float) -> float:
    while time.monotonic() - struck < PATIENCE:
        took = writers.probe.first_after(struck)
        if took is not None:
            return took
        await asyncio.sleep(0.005)
    raise TimeoutError(f"no write within {PATIENCE:g} s after the leader went")


async def held_terms(cluster: Cluster, seconds: float, burners: int) -> tuple[int, int]:
    """Use up the processors for so long; return the term before and after."""
    before = await asyncio.to_thread(cluster.leader_status)
    async with Burners(burners):
        await asyncio.sleep(seconds)
    after = await asyncio.to_thread(cluster.leader_status)
    if before is None or after is None:
        raise TimeoutError("nobody leads")
    return before["term"], after["term"]
