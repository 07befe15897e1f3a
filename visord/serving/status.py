"""What a node tells of itself: to a client that connects, to an operator, and to the log while it starts."""

from __future__ import annotations

from typing import Any, Final, Protocol

from visor._version import __version__
from visor.protocol import verbs
from visor.protocol.limits import Limits
from visord.members.formats import Formats
from visord.members.install import Install
from visord.members.membership import Membership
from visord.members.names import Names
from visord.peers.network import Peers
from visord.proposer import Proposer
from visord.raft.configuration import Member
from visord.serving import health
from visord.serving.memory import resident
from visord.serving.vigil import Space
from visord.state.store import Store

TOLD_LIMITS: Final = (
    "component",
    "path",
    "value",
    "note",
    "operations",
    "transaction",
    "frame",
    "in_flight",
    "watches",
    "page",
    "watch_window",
)
FEATURES: Final = ("txn", "watch", "revert", "retain", "lease")


class Node(health.Node, Protocol):
    """What of a node is told."""

    @property
    def name(self) -> str: ...

    @property
    def cluster(self) -> str: ...

    @property
    def me(self) -> Member: ...

    @property
    def names(self) -> Names: ...

    @property
    def store(self) -> Store: ...

    @property
    def peers(self) -> Peers: ...

    @property
    def membership(self) -> Membership: ...

    @property
    def formats(self) -> Formats: ...

    @property
    def proposer(self) -> Proposer: ...

    @property
    def install(self) -> Install: ...


UNTOLD: Final[dict[str, Any]] = {
    "node": "",
    "leader": None,
    "leader_address": None,
    "addresses": [],
    "rev": 0,
    "floor": 0,
    "time": 0,
}
"""What a welcome says in the place of what is nobody's business who proves nothing and may do nothing."""


def welcome(node: Node, limits: Limits) -> dict[str, Any]:
    """Return the answer to HELLO."""
    leader = node.names.leader
    return {
        "version": verbs.VERSION,
        "features": list(FEATURES),
        "server": f"visord/{__version__}",
        "cluster": node.cluster,
        "node": node.name,
        "leader": None if leader is None else leader.name,
        "leader_address": None if leader is None else leader.client,
        "addresses": node.engine.configuration.clients,
        "rev": node.store.rev,
        "floor": node.store.floor,
        "time": node.store.time,
        "limits": {name: getattr(limits, name) for name in TOLD_LIMITS},
    }


def status(node: Node) -> dict[str, Any]:
    """Return what an operator looks at first."""
    leader, hub = node.names.leader, node.hub.stats()
    return {
        "server": f"visord/{__version__}",
        "cluster": node.cluster,
        "node": node.name,
        "member": node.me.id,
        "leader": None if leader is None else leader.name,
        "members": node.membership.members(),
        "term": node.engine.term,
        "committed": node.engine.commit_index,
        "applied": node.machine.index,
        "durable": node.log.durable_index,
        "rev": node.store.rev,
        "floor": node.store.floor,
        "time": node.store.time,
        "files": len(node.store.files),
        "sessions": len(node.machine.sessions),
        "leases": len(node.store.leases),
        "watches": hub["watches"],
        "reads": node.shares.reads,
        "events": hub["delivered"],
        "commit": node.proposer.commits.told(),
        "log_bytes": node.log.size,
        "log_entries": len(node.log),
        "log_syncs": node.log.syncs,
        "log_written": node.log.written,
        "disk": _disk(node.space, health.little_space(node)),
        "state_bytes": [node.admission.state_bytes, node.admission.state_limit],
        "memory": resident(),
        "checkpoint": node.maintenance.status(),
        "install": node.install.status(),
        "compared": node.replica_check.compared,
        "format": node.formats.in_force,
        "format_waits_for": node.formats.waits_for(),
        "redactions_owed": node.scrubbing.owed,
        "alarms": health.alarms(node),
    }


def _disk(space: Space | None, alarm: int) -> dict[str, int] | None:
    """Return how full the data's disk is, and how few free bytes are an alarm; None: it was not looked at yet."""
    return None if space is None else {"free": space.free, "total": space.total, "alarm": alarm}


def summary(node: Node) -> str:
    """Return one line for people."""
    leader = node.names.leader
    role = "leads" if node.engine.is_leader else f"follows {leader.name}" if leader else "has no leader"
    wrong = health.alarms(node)
    return f"{role} in term {node.engine.term}, rev {node.store.rev}" + (f"; {wrong[0]}" if wrong else "")


def why_not_ready(node: Node) -> str:
    """Return, for the log, what this node waits for before it serves."""
    configuration = node.engine.configuration
    if not configuration.members:
        return "no member of the cluster has taken this node in yet"
    leader = node.names.leader
    if leader is None:
        problem = getattr(node.peers, "problem", lambda member: "")
        away = [
            f"{one.name} at {one.peer} ({problem(one.id)})"
            for one in configuration.members
            if one.id != node.me.id and not node.peers.reachable(one.id)
        ]
        return f"there is no leader; not reachable: {', '.join(away) or 'nobody'}"
    full = node.log.full
    if full is not None:
        return full.wanted
    return f"catching up with {leader.name}: at {node.machine.index}, {node.log.last_index} in the log"
