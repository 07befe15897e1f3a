"""`/v1/cluster/live`: how every member is right now, for somebody who looks at it every two seconds.

All are asked at once, each by a connection that stays, and none is waited for longer than `LOOK_SECONDS`: with members
down, or without a leader, the answer comes as well. A gateway beside a node may have no way to the others: what it
cannot ask, and the leader hears, is no trouble. It is told as not asked, with what the leader knows of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from visor._core.dataclass import dataclass
from visor.aio import Client
from visor.cli.cluster import report_shape, survey_shape
from visor.errors import VisorError
from visor.gateway import runbook
from visor.gateway.documents import Document, time_of
from visor.gateway.problems import NotServed
from visor.gateway.visit import Answer, Visit
from visor.members import Member, Membership, Report, Status, Survey
from visor.protocol import verbs

LOOK_SECONDS: Final = 1.5
"""How long one member may take: less than a page waits until it asks again."""
HEARD_SECONDS: Final = 2.0
"""The leader hears who lives many times in this."""
MOST_MEMBERS: Final = 32
MORE: Final = (
    *(
        "time",
        "floor",
        "log_entries",
        "checkpoint",
        "install",
        "compared",
        "sessions",
        "leases",
        "connections",
    ),
    *("reads", "events", "commit", "log_syncs", "log_written", "disk", "state_bytes", "memory", "tables"),
)
"""What of a member's status is told besides what `visor cluster status` tells."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a member told, or why it did not, and after how many seconds."""

    member: Member
    told: Status | None = None
    why: str = ""
    seconds: float | None = None


async def live(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: each member's own figures, the problems with their rows of the runbook, and how long a read took."""
    rows = visit["largest"]
    own = await client.status(rows=rows, timeout=LOOK_SECONDS)
    members = asyncio.gather(*(look(visit, member, own, rows) for member in own.members[:MOST_MEMBERS]))
    leading, seconds, asked = await asyncio.gather(
        _as_the_leader_says(client), _read_seconds(client), members
    )
    told = {
        "time": time_of(visit.now),
        **document(leading, asked),
        "asked": own.node,
        "read_seconds": seconds,
    }
    return Answer(told, rev=own.rev)


async def _as_the_leader_says(client: Client[bytes]) -> Membership | None:
    try:
        return await client.admin.members(timeout=LOOK_SECONDS)
    except VisorError:
        return None


async def _read_seconds(client: Client[bytes]) -> float | None:
    """Return how long it takes to be told the latest rev, confirmed by a majority; None: it was not told in time."""
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        await client.rev(timeout=LOOK_SECONDS)
    except VisorError:
        return None
    return round(clock() - began, 6)


async def look(visit: Visit, member: Member, own: Status, rows: int) -> Looked:
    """Ask a member, of which `own` is what the one told that the caller is connected to."""
    if member.id == own.member:
        return Looked(member, own)
    if not member.client:
        return Looked(member, why="it advertises no address for clients")
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        async with asyncio.timeout(LOOK_SECONDS), visit.member(member.client) as lent:
            told = await lent.client.status(rows=rows, timeout=LOOK_SECONDS)
    except TimeoutError:
        return Looked(member, why=f"no answer at {member.client} within {LOOK_SECONDS:g} s")
    except (VisorError, NotServed) as error:
        return Looked(member, why=f"no answer at {member.client}: {error}")
    if (told.cluster, told.member) != (own.cluster, member.id):
        return Looked(member, why=f"somebody else answers at {member.client}: {told.node}")
    return Looked(member, told, seconds=round(clock() - began, 6))


# -- pure ---------------------------------------------------------------------------------------------
def membership_of(told: Iterable[Status]) -> Membership:
    """Return who belongs to the cluster where no leader tells: as who says that it leads, or else who is furthest.

    A leader of which only others say that it leads is none: it is what they have not noticed yet.
    """
    best = max(told, key=lambda one: (one.leader == one.node, one.term, one.rev))
    leader = best.member if best.leader == best.node else None
    members = tuple(replace(one, leader=one.id == leader) for one in best.members)
    return Membership(best.cluster, best.member, leader, best.term, best.committed, best.rev, members)


def document(leading: Membership | None, asked: Sequence[Looked]) -> Document:
    """Return all that is told of the cluster. `leading`: who belongs to it as the leader says; None where none does."""
    membership = leading or membership_of([one.told for one in asked if one.told is not None])
    leader = None if leading is None else membership.find(membership.leader or "")
    reports, members = [], []
    for one in asked:
        member = membership.find(one.member.id) or one.member
        heard = one.told is None and leader is not None and _heard(member)
        status = (
            one.told.told if one.told is not None else {"leader": leader.name} if leader and heard else None
        )
        reports.append(Report(member, status, one.why))
        shown = Report(member, None if one.told is None else status, one.why)
        members.append({**member_shape(shown), "heard": heard, "answered_in": one.seconds})
    survey = Survey(replace(membership, members=tuple(report.member for report in reports)), tuple(reports))
    told = survey_shape(survey)
    del told["given"]
    problems = [advised(line, survey.membership.members) for line in survey.problems]
    return {**told, "problems": problems, "members": members}


def _heard(member: Member) -> bool:
    """Say whether the leader hears it: it lives, whoever else cannot reach it."""
    return member.leader or (member.silent is not None and member.silent < HEARD_SECONDS)


def member_shape(report: Report) -> Document:
    """Return what is told of a member."""
    status: Mapping[str, Any] = report.status or {}
    told = {**report_shape(report), **{name: status.get(name) for name in MORE}}
    if told["tables"]:
        watches = [{**row, "what": spelled(row["what"])} for row in told["tables"]["watches"]]
        told["tables"] = {**told["tables"], "watches": watches}
    return told


def spelled(what: list[Any]) -> str:
    """Return a selector as a glob, or as near to one as it can be said.

    >>> spelled([1, "/apps"]), spelled([4, "/a", "/b"]), spelled([4, "/a", None]), spelled([5, [[0, "/a"], [2, "/b"]]])
    ('/apps/**', '/a to /b', '/a and all after it', '/a, /b/*')
    """
    kind, text, *rest = what
    if kind == verbs.SEL_ANY:
        return ", ".join(map(spelled, text))
    if kind == verbs.SEL_RANGE:
        return f"{text} and all after it" if rest[0] is None else f"{text} to {rest[0]}"
    below = {verbs.SEL_TREE: "/**", verbs.SEL_CHILDREN: "/*"}.get(kind, "")
    return f"{text.rstrip('/')}{below}" if below else str(text)


def advised(line: str, members: Iterable[Member]) -> Document:
    """Return a problem with the member that it is about, and with what the runbook says of it."""
    name = next((member.name for member in members if line.startswith(f"{member.name}: ")), None)
    row = runbook.find(line)
    advice = {} if row is None else {"means": row.means, "do": row.do, "page": f"{runbook.PAGE}#{row.anchor}"}
    return {"text": line, "member": name, **advice}
