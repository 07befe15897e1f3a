"""When a cluster could take writes: a majority of its voters was undisturbed, so clients must not wait for long.

    3 members, n1 killed, n2>n3 cut           no two are left that see each other: no chance
    3 members, n1 killed, client>n1 cut       n2 and n3 see each other and the clients: a chance
    3 members and a visitor v1, n1 stopped    perhaps four vote, of whom n2 and n3 are no majority: no chance

Everything doubtful counts as disturbed: a link that is slow, a member that was started lately, one that joins and is
perhaps no voter yet. So what is left over is a promise: within it, writes are acknowledged again and again.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Set
from itertools import combinations, pairwise
from typing import Final

from tests.cluster.processes import Cluster, Member
from tests.cluster.proxy import CLIENT

START_SECONDS: Final = 2.0
"""How long a member may take from its first words, when it has read its data, until it was dialled and takes part."""


def undisturbed(cluster: Cluster, voters: Collection[str], held: Set[str]) -> list[str]:
    """Return which of the voters run, have run for a while, and are not held by a fault."""
    started = time.monotonic() - START_SECONDS
    return [
        name
        for name in voters
        if name not in held and name in cluster.members and _works(cluster.members[name], started)
    ]


def _works(member: Member, started: float) -> bool:
    if not member.running() or member.stopped:
        return False
    since = member.up_since()
    return since is not None and since < started


def is_chance(cluster: Cluster, free: Collection[str]) -> bool:
    """Tell whether a majority, even if everybody has a vote, is among the free, whole and within clients' reach."""
    bent = cluster.links.bent
    reached = [one for one in free if not {f"{CLIENT}>{one}", f"{one}>{CLIENT}"} & bent]
    size = len(cluster.members) // 2 + 1
    return any(
        not any(f"{one}>{other}" in bent or f"{other}>{one}" in bent for one, other in combinations(group, 2))
        for group in combinations(reached, size)
    )


def longest_wait(chances: list[tuple[float, bool]], writes: list[float]) -> tuple[float, float]:
    """Return (seconds, when they began) of the longest time of one chance without an acknowledged write.

    `chances`: (when, whether there was one from then on), in order, the end last; `writes`: when each was acknowledged.
    """
    longest, when = 0.0, 0.0
    writes = sorted(writes)
    for (began, yes), (ended, _) in pairwise(chances):
        before = began
        for moment in (
            [*writes[bisect_right(writes, began) : bisect_left(writes, ended)], ended] if yes else ()
        ):
            if moment - before > longest:
                longest, when = moment - before, before
            before = moment
    return longest, when
