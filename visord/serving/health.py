"""How a node is: its alarms, for operators, and whether it lives and is ready, for those who start and route to it.

An alarm is a line that begins with a fixed word; it goes by itself when its cause has gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from visord.admission import Admission
from visord.audit.auditor import Silent
from visord.authority.renewal import Renewal
from visord.environment import Environment
from visord.maintenance import Maintenance
from visord.members.dismissal import Dismissal
from visord.members.divergence import Divergence
from visord.members.newcomers import FORGET_SECONDS, NEWCOMERS
from visord.members.proof import Proof
from visord.members.replica_check import ReplicaCheck
from visord.raft.engine import Engine
from visord.raft.log import RaftLog
from visord.readiness import Readiness
from visord.scrubbing import Scrubbing
from visord.serving.cold_reads import ColdReads
from visord.serving.packed_pages import PackedPages
from visord.serving.shares import Shares
from visord.serving.vigil import Space
from visord.state.machine import Machine
from visord.storage.checkpoint import Checkpointer
from visord.storage.directory import DataDirectory
from visord.tls.upkeep import Upkeep
from visord.watch.hub import Hub

LAG: Final = 1000
"""Committed entries that a ready node may still have to apply."""

STATE_ALARM: Final = 0.8
"""Share of `storage.state_bytes` from which on it is an alarm."""

NEWCOMERS_ALARM: Final = NEWCOMERS // 2
"""Members that were added and have never answered."""

PLACES_ALARM: Final = 0.9
"""The same of connections, and of what they make the node hold."""


class Node(Protocol):
    """What of a node is looked at: no more, and nothing is changed."""

    @property
    def engine(self) -> Engine: ...

    @property
    def machine(self) -> Machine: ...

    @property
    def log(self) -> RaftLog: ...

    @property
    def directory(self) -> DataDirectory: ...

    @property
    def hub(self) -> Hub: ...

    @property
    def pages(self) -> PackedPages: ...

    @property
    def cold_reads(self) -> ColdReads: ...

    @property
    def checkpointer(self) -> Checkpointer: ...

    @property
    def shares(self) -> Shares: ...

    @property
    def admission(self) -> Admission: ...

    @property
    def readiness(self) -> Readiness: ...

    @property
    def maintenance(self) -> Maintenance: ...

    @property
    def replica_check(self) -> ReplicaCheck: ...

    @property
    def proof(self) -> Proof: ...

    @property
    def audit(self) -> Silent: ...

    @property
    def dismissal(self) -> Dismissal: ...

    @property
    def scrubbing(self) -> Scrubbing: ...

    @property
    def divergence(self) -> Divergence | None: ...

    @property
    def failure(self) -> BaseException | None: ...

    @property
    def space(self) -> Space | None: ...

    @property
    def alarm_free_bytes(self) -> int: ...

    @property
    def exposure(self) -> str: ...

    @property
    def reachable(self) -> bool: ...

    @property
    def renewal(self) -> Renewal: ...

    @property
    def upkeeps(self) -> tuple[Upkeep, ...]: ...

    @property
    def environment(self) -> Environment: ...


def little_space(node: Node) -> int:
    """Return how many free bytes of the disk are an alarm; 0: none, or the disk was not looked at yet."""
    return 0 if node.space is None else min(node.alarm_free_bytes, node.space.total // 10)


def alarms(node: Node) -> list[str]:
    """Return what is wrong with this node, and what it knows to be wrong with others."""
    return list(_alarms(node))


def _alarms(node: Node) -> Iterator[str]:
    if node.divergence is not None:
        found = node.divergence
        yield (
            f"diverged: at rev {found.rev} this node's state was {found.own}, the majority's {found.majority}; it "
            "serves nobody: remove it, and let it join again with an empty directory"
        )
    stuck = node.proof.stuck
    if stuck is not None:
        yield f"nobody to follow: {stuck}"
    told = node.dismissal.told
    if told is not None:
        yield f"removed: {told} say that this member was removed; it stops when a majority of the voters says so"
    yield from _space_alarms(node)
    yield from _load_alarms(node)
    failure = node.maintenance.status()["failure"]
    if failure:
        yield f"no checkpoint: {failure}; the log grows until one can be made"
    if node.checkpointer.kept.damage:
        yield f"history damaged: {node.checkpointer.kept.damage}"
    owed = node.scrubbing.alarm
    if owed:
        yield f"redacted: {owed}"
    if node.audit.trouble:
        yield f"audit: {node.audit.trouble}; they wait, are tried again, and are lost beyond some thousands"
    if node.exposure:
        yield f"peers open: {node.exposure}"
    if node.reachable and node.machine.auth.open:
        yield (
            "rights open: whoever reaches this registry may do everything; close it (`visor user set anonymous`) once "
            "there is a user with the role root and a token: see visor/docs/rights.md"
        )
    yield from node.renewal.alarms()
    for upkeep in node.upkeeps:
        yield from upkeep.alarms(node.environment.clock_ms() / 1000)
    newcomers = node.engine.configuration.newcomers
    if len(newcomers) >= NEWCOMERS_ALARM:
        yield (
            f"newcomers: {len(newcomers)} of {NEWCOMERS} places of members that were added and have not answered yet "
            f"are taken; each goes after {FORGET_SECONDS:g} s: see `visor cluster members`"
        )
    crowd = node.hub.crowded
    if crowd is not None:
        yield f"globs: {crowd}"
    for member, rev in node.replica_check.differing.items():
        one = node.engine.configuration.find(member)
        if one is not None:
            yield f"replica differs: {one.name} ({one.id}) at rev {rev}"


def _space_alarms(node: Node) -> Iterator[str]:
    full = node.log.full
    if full is not None:
        yield f"no space: {full.path}: {full.why}, {full.free} bytes free"
    elif node.space is not None and node.space.free < little_space(node):
        yield (
            f"little space: {node.directory.path}: {node.space.free} of {node.space.total} bytes are free; below about "
            "storage.reserve_bytes writes are refused: free some space, or RETAIN less history"
        )
    taken, limit = node.admission.state_bytes, node.admission.state_limit
    if taken >= limit * STATE_ALARM:
        yield (
            f"state bytes: the state takes {taken} of {limit} bytes of memory (storage.state_bytes); at the limit "
            "writes that grow are refused: delete, RETAIN less history, or set a higher limit"
        )


def _load_alarms(node: Node) -> Iterator[str]:
    places = node.shares.places
    if places is not None and len(places) >= places.total * PLACES_ALARM:
        yield (
            f"connections: {len(places)} of {places.total} places are taken; who is idle gives way to who comes: see "
            "listen.connections, and from which addresses they come"
        )
    for what, ledger in (("held", node.shares.held), ("unsent", node.shares.unsent)):
        if ledger.total >= ledger.limit * PLACES_ALARM:
            yield (
                f"{what} bytes: connections make this node hold {ledger.total} of {ledger.limit} bytes "
                f"(listen.{what}_bytes); beyond it those that hold most are closed"
            )
    waiting = node.shares.waiting
    if waiting.total >= waiting.limit * PLACES_ALARM:
        yield (
            f"waiting requests: {waiting.total} of {waiting.limit} requests wait (listen.waiting); beyond it those of "
            "an address that has its share are refused"
        )


def checks(node: Node) -> dict[str, str]:
    """Return what a node that serves needs, each with why it is missing ("" when it is not)."""
    committed = node.engine.commit_index
    behind = committed - node.machine.index
    return {
        "running": "" if node.failure is None else f"failed: {node.failure}",
        "leader": "" if node.engine.leader is not None else "no leader is known",
        "applied": "" if behind <= LAG else f"{behind} committed entries are not applied yet",
        "open": "the node is stopping" if node.admission.closing else "",
        "state": "" if node.divergence is None else node.divergence.refusal.text,
        "started": "" if node.readiness.reached else "never was current since it started",
    }
