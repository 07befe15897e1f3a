"""What an operator is told of a cluster: its members, their replicas, and whether all is well. Immutable values.

`client.admin` gives them; `visor cluster` prints them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Any, Final

from visor._core.dataclass import dataclass
from visor.values import instant

LAGGING: Final = 5000
"""Entries that a voter may lack before that is a problem."""
SILENT: Final = 5.0
"""Seconds without an answer to the leader after which a member counts as away."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member. `peer` and `client` are the addresses (HOST:PORT) for other members and for clients."""

    id: str
    name: str
    peer: str
    client: str
    voter: bool
    leader: bool
    answers: bool
    """It is the one that was asked."""
    durable: int | None = None
    """The last log entry that it has on disk; this and the next two as the leader knows them, None without it."""
    behind: int | None = None
    """How many entries it lacks."""
    silent: float | None = None
    """Seconds since the leader heard of it."""

    @property
    def role(self) -> str:
        """`leader`, `voter` or `learner`."""
        return "leader" if self.leader else "voter" if self.voter else "learner"


@dataclass(frozen=True, slots=True)
class Membership:
    """Who belongs to the cluster."""

    cluster: str
    node: str
    """The id of the member that was asked."""
    leader: str | None
    """The id of the leader; None while that member knows none."""
    term: int
    committed: int
    """The last committed log entry that is known."""
    rev: int
    """The latest rev of the member that was asked."""
    members: tuple[Member, ...]
    """By name."""

    def find(self, member: str) -> Member | None:
        """Return the member with this id, or else with this name."""
        found = [one for one in self.members if one.id == member]
        found += [one for one in self.members if one.name == member]
        return found[0] if found else None

    @property
    def voters(self) -> tuple[Member, ...]:
        """Those who vote."""
        return tuple(one for one in self.members if one.voter)

    @property
    def needed(self) -> int:
        """How many voters it takes to decide anything."""
        return len(self.voters) // 2 + 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a node tells of its checkpoints: what it has on disk beside the log."""

    index: int = 0
    """The log entry up to which the newest one goes; 0 when there is none."""
    made: int = 0
    """How many this process has made."""
    running: bool = False
    failure: str | None = None
    """Why the last one could not be made; None when it could."""


@dataclass(frozen=True, slots=True)
class Status:
    """What one node tells of itself; made by `Client.status`. What a node does not tell is 0, empty or None."""

    server: str
    """Name and version of the software, as `visord/0.1.0`."""
    cluster: str
    """The id of the cluster."""
    node: str
    """The name of the node."""
    member: str
    """The id of the node as a member of the cluster."""
    leader: str | None
    """The name of the leader; None while the node knows none."""
    members: tuple[Member, ...]
    """Who belongs to the cluster, by name."""
    term: int
    """Raft's term."""
    committed: int
    """The last log entry that is committed, as far as the node knows."""
    applied: int
    """The last log entry that is in the node's state."""
    durable: int
    """The last log entry that the node has on disk."""
    rev: int
    """The latest rev in the node's state."""
    floor: int
    """The lowest rev that the node can still read."""
    time: datetime
    """When that rev was committed, UTC."""
    files: int
    sessions: int
    """Clients that the node remembers, so that a repeated write happens once."""
    watches: int
    """Watches on this node."""
    log_bytes: int
    log_entries: int
    checkpoint: Checkpoint
    compared: int
    """The rev at which the replicas were compared last, and a majority was equal."""
    format: int
    """The format in which commands are written."""
    format_waits_for: tuple[str, ...]
    """Members that keep the newest format from being used."""
    alarms: tuple[str, ...]
    """What is wrong, in words; empty when all is well."""
    redactions_owed: int = 0
    """Redactions before which files of the node are that may hold the values yet."""
    leases: int = 0
    connections: int = 0
    """Of clients, with this node."""
    reads: int = 0
    """Requests that read, which the node has answered since it started."""
    events: int = 0
    """Changes that it has sent to watches since then."""
    log_syncs: int = 0
    """How often it has had the log written to disk since then."""
    log_written: int = 0
    """Bytes of that."""
    memory: int = 0
    """Bytes that the process has in memory."""
    state_bytes: tuple[int, ...] = ()
    """Bytes that the state takes, by its own count, and may take."""
    commit: Mapping[str, Any] = field(default_factory=dict)
    """How long commits of the last minute took at the leader: `p50_ms`, `p99_ms` (None without any), `count`."""
    disk: Mapping[str, int] | None = None
    """Bytes of the disk that its data is on: `free`, `total`, and below how many free ones there is an `alarm`."""
    install: Mapping[str, Any] | None = None
    """Another member's checkpoint that is on its way: `from`, `bytes`, `of`, `installing`. None: there is none."""
    told: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """All that the node told, as it came, also what this client does not know."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One member's state. `digest` is None where it could not be told; `why` says why. `rev`: its own there."""

    id: str
    name: str
    digest: str | None
    why: str = ""
    rev: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All replicas at the log's entry `index`. `equal`: all that could be compared are, and a majority could be."""

    rev: int
    equal: bool
    replicas: tuple[Replica, ...]
    index: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What one member told of itself. `status` is None when it did not answer; `problem` says why."""

    member: Member
    status: Mapping[str, Any] | None
    problem: str = ""

    @property
    def alarms(self) -> tuple[str, ...]:
        """What the member itself complains of."""
        alarms = (self.status or {}).get("alarms")
        return tuple(str(alarm) for alarm in alarms) if isinstance(alarms, list) else ()

    def number(self, name: str) -> int | None:
        """Return a number of its status."""
        value = (self.status or {}).get(name)
        return value if isinstance(value, int) else None


@dataclass(frozen=True, slots=True)
class Given:
    """Who answers at an address that the client was given and that no member advertises. `problem`: nobody does."""

    address: str
    cluster: str | None = None
    node: str = ""
    """The name of the node there."""
    member: str | None = None
    """Its id."""
    members: int = 0
    """How many its cluster has."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """The whole cluster, each member asked by itself, and each address that the client was given."""

    membership: Membership
    reports: tuple[Report, ...]
    given: tuple[Given, ...] = ()
    """Addresses that no member advertises: of another cluster, of nobody, or another way to a member."""
    expected: int | None = None
    """So many members should vote; None: nobody has said."""

    def expecting(self, voters: int | None) -> Survey:
        """Return the same survey, for which it is a problem when fewer members vote."""
        return replace(self, expected=voters)

    @property
    def strangers(self) -> tuple[Given, ...]:
        """Addresses among those given at which another cluster answers."""
        return tuple(one for one in self.given if one.cluster not in (None, self.membership.cluster))

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is not as it should be, a line each."""
        return (*_of_all(self), *(line for report in self.reports for line in _of_one(self, report)))

    @property
    def healthy(self) -> bool:
        """Nothing is wrong."""
        return not self.problems


def _of_all(survey: Survey) -> list[str]:
    membership = survey.membership
    lines = [line for given in survey.given for line in of_given(survey, given)]
    answering = [report.member for report in survey.reports if report.status is not None]
    voters = [one for one in answering if one.voter]
    if len(voters) < membership.needed:
        lines.append(f"no majority: {len(voters)} of {len(membership.voters)} voters answer, "
                     f"{membership.needed} are needed")  # fmt: skip
    if membership.leader is None:
        lines.append("there is no leader: writes and linearizable reads are refused")
    count = len(membership.voters)
    if survey.expected is not None and count < survey.expected:
        learners = len(membership.members) - count
        note = f"; {learners} more have no vote yet" if learners else ""
        lines.append(f"{count} of {survey.expected} expected members vote{note}")
    return lines


def of_given(survey: Survey, given: Given) -> list[str]:
    """Return what is wrong with an address that the client was given."""
    if given.problem:
        return [f"{given.address}: {given.problem}"]
    if given in survey.strangers:
        members = f"{given.members} member{'' if given.members == 1 else 's'}"
        return [
            f"{given.address} is of another cluster ({given.node}, {members}) than the others: each address leads to "
            "one of the two; was --bootstrap given to more than one node?"
        ]
    if survey.membership.find(given.member or "") is None:
        return [f"{given.address}: {given.node} answers there, and is no member of the cluster (any more)"]
    return []


def _of_one(survey: Survey, report: Report) -> list[str]:
    member, status = report.member, report.status
    if status is None:
        heard = member.silent is not None and member.silent < SILENT and not member.leader
        note = f" (the leader heard it {member.silent:.1f} s ago)" if heard else ""
        return [f"{member.name}: {report.problem}{note}"]
    lines = [f"{member.name}: {alarm}" for alarm in report.alarms]
    leader = survey.membership.find(survey.membership.leader or "")
    if leader is not None and status.get("leader") != leader.name:
        lines.append(
            f"{member.name}: takes {status.get('leader') or 'nobody'} for the leader, not {leader.name}"
        )
    if member.silent is not None and member.silent >= SILENT:
        lines.append(f"{member.name}: the leader has not heard it for {member.silent:.0f} s")
    if member.voter and lag(report) > LAGGING:
        lines.append(f"{member.name}: {lag(report)} entries behind")
    return lines


def lag(report: Report) -> int:
    """Return how many entries a member lacks: on its disk, or in its state."""
    committed, applied = report.number("committed") or 0, report.number("applied") or 0
    return max(report.member.behind or 0, committed - applied)


def status_from_wire(answer: Mapping[str, Any]) -> Status:
    """Return what STATUS answered."""
    checkpoint: Mapping[str, Any] = answer.get("checkpoint") or {}
    return Status(
        server=answer.get("server", ""),
        cluster=answer.get("cluster", ""),
        node=answer.get("node", ""),
        member=answer.get("member", ""),
        leader=answer.get("leader"),
        members=_members_from_wire(answer.get("members") or ()),
        time=instant(answer.get("time", 0)),
        checkpoint=Checkpoint(
            checkpoint.get("index", 0),
            checkpoint.get("made", 0),
            checkpoint.get("running", False),
            checkpoint.get("failure"),
        ),
        format_waits_for=tuple(answer.get("format_waits_for") or ()),
        alarms=tuple(answer.get("alarms") or ()),
        state_bytes=tuple(answer.get("state_bytes") or ()),
        commit=dict(answer.get("commit") or {}),
        disk=answer.get("disk"),
        install=answer.get("install"),
        told=dict(answer),
        **{name: answer.get(name) or 0 for name in _NUMBERS},
    )


_NUMBERS: Final = (
    *("term", "committed", "applied", "durable", "rev", "floor", "files", "sessions", "watches"),
    *("log_bytes", "log_entries", "compared", "format", "redactions_owed", "leases", "connections", "reads"),
    *("events", "log_syncs", "log_written", "memory"),
)


def _members_from_wire(rows: Iterable[Mapping[str, Any]]) -> tuple[Member, ...]:
    members = [
        Member(
            row["id"],
            row["name"],
            row["peer"],
            row["client"],
            row["role"] == "voter",
            row["leader"],
            row["self"],
            row.get("durable"),
            row.get("behind"),
            row.get("silent"),
        )
        for row in rows
    ]
    return tuple(sorted(members, key=lambda one: (one.name, one.id)))


def membership_from_wire(answer: Mapping[str, Any]) -> Membership:
    """Return what MEMBERS answered."""
    return Membership(
        answer["cluster"],
        answer["node"],
        answer["leader"],
        answer["term"],
        answer["committed"],
        answer["rev"],
        _members_from_wire(answer["members"]),
    )


def comparison_from_wire(answer: Mapping[str, Any]) -> Comparison:
    """Return what the comparison of replicas gave."""
    replicas = [
        Replica(row["id"], row["name"], row["digest"], row["why"], row["rev"]) for row in answer["digests"]
    ]
    return Comparison(
        answer["rev"],
        answer["equal"],
        tuple(sorted(replicas, key=lambda one: (one.name, one.id))),
        answer["index"],
    )


__all__ = [
    "Member",
    "Membership",
    "Checkpoint",
    "Status",
    "Replica",
    "Comparison",
    "Report",
    "Survey",
]


def __dir__() -> list[str]:
    return sorted(__all__)
