"""A node's figures in the text format of Prometheus (version 0.0.4). Names are a contract: added, never changed.

Nothing is counted for this on the hot path: all figures are what the node keeps anyway, read when somebody asks.
"""

from __future__ import annotations

import os
import resource
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, Protocol

from visor._core.harmless import harmless
from visor._version import __version__
from visord.members.conduct import Conduct
from visord.serving import health
from visord.serving import status as told
from visord.serving.memory import resident
from visord.serving.status import status

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
Row = tuple[str, str, str, "dict[str, str]", float]
"""Name without the prefix, type, help, labels, value."""
ALARMS: Final = (
    "diverged",
    "nobody to follow",
    "removed",
    "no space",
    "little space",
    "state bytes",
    "connections",
    "held bytes",
    "unsent bytes",
    "waiting requests",
    "no checkpoint",
    "history damaged",
    "redacted",
    "replica differs",
    "peers open",
    "rights open",
    "audit",
    "certificate",
    "certificate not read",
    "globs",
    "newcomers",
)


class Node(told.Node, Protocol):
    """What of a node is counted."""

    @property
    def conduct(self) -> Conduct: ...


def render(node: Node, connections: int) -> str:
    """Return all figures of a node."""
    lines: list[str] = []
    last = ""
    for name, kind, about, labels, value in (
        *_node(node, connections),
        *_peers(node),
        *_conduct(node),
        *_audit(node),
        *_process(),
    ):
        full = name if name.startswith("process_") else f"visord_{name}"
        if full != last:
            lines += [f"# HELP {full} {about}", f"# TYPE {full} {kind}"]
            last = full
        lines.append(f"{full}{_labels(labels)} {value:.17g}")
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    pairs = ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}"


def _escape(text: str) -> str:
    return harmless(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _gauge(name: str, about: str, value: float, **labels: str) -> Row:
    return name, "gauge", about, labels, value


def _count(name: str, about: str, value: float, **labels: str) -> Row:
    return f"{name}_total", "counter", about, labels, value


def _node(node: Node, connections: int) -> Iterator[Row]:
    figures: dict[str, Any] = status(node)
    yield from _consensus(node, figures)
    yield from _state(node, figures)
    yield _gauge("connections", "Open connections of clients.", connections)
    yield from _shares(node)
    yield from _watches(node.hub.stats())
    yield _gauge(
        "checkpoint_index", "The log entry of the newest checkpoint.", figures["checkpoint"]["index"]
    )
    yield _count("checkpoints", "Checkpoints made since the start.", figures["checkpoint"]["made"])
    yield _gauge(
        "compared_rev", "The rev at which replicas were last found equal.", node.replica_check.compared
    )
    yield _gauge("command_format", "The format of new commands: see Upgrade.", figures["format"])
    waits = len(figures["format_waits_for"])
    yield _gauge("command_format_waits", "Members that keep a newer format from being used.", waits)
    yield from _certificates(node)
    yield _gauge(
        "redactions_owed",
        "Redactions of whose values files of this member may hold some yet.",
        figures["redactions_owed"],
    )
    alarms = figures["alarms"]
    for alarm in ALARMS:
        raised = sum(one.startswith(f"{alarm}:") for one in alarms)
        yield _gauge("alarms", "Alarms that are raised.", raised, alarm=alarm)
    for branch, times in sorted(node.engine.counters.items()):
        yield _count(
            "raft_branches", "How often a rare branch of the consensus was taken.", times, branch=branch
        )


def _consensus(node: Node, figures: dict[str, Any]) -> Iterator[Row]:
    engine = node.engine
    yield _gauge("build_info", "Always 1.", 1, version=__version__, node=node.name, cluster=node.cluster)
    yield _gauge("ready", "1 while the node serves all requests.", not any(health.checks(node).values()))
    yield _gauge("has_leader", "1 while a leader is known.", engine.leader is not None)
    yield _gauge("is_leader", "1 while this node leads.", engine.is_leader)
    yield _gauge("term", "The current term.", engine.term)
    yield _gauge("members", "Members of the cluster.", len(engine.configuration.members))
    yield _gauge("voters", "Members that vote.", len(engine.configuration.voters))
    yield _gauge("commit_index", "The last committed log entry.", engine.commit_index)
    yield _gauge("applied_index", "The last log entry that is in the state.", figures["applied"])
    yield _gauge("durable_index", "The last log entry on this disk.", figures["durable"])
    yield _gauge("log_bytes", "Bytes of the log's files.", figures["log_bytes"])
    yield _gauge("log_entries", "Log entries that are kept.", figures["log_entries"])
    yield _count("log_syncs", "Syncs of the log since the start.", node.log.syncs)
    yield _count("log_written_bytes", "Bytes written to the log since the start.", node.log.written)
    if node.space is not None:
        yield _gauge("disk_free_bytes", "Free bytes of the data directory's disk.", node.space.free)
        yield _gauge("disk_bytes", "Bytes of the data directory's disk.", node.space.total)
        yield _gauge(
            "disk_alarm_bytes",
            "The alarm `little space` is raised with fewer free bytes.",
            health.little_space(node),
        )


def _state(node: Node, figures: dict[str, Any]) -> Iterator[Row]:
    yield _gauge("rev", "The latest rev.", figures["rev"])
    yield _gauge("floor", "The lowest rev that can be read.", figures["floor"])
    yield _gauge("files", "Files that exist.", figures["files"])
    yield _gauge("sessions", "Client sessions that are remembered.", figures["sessions"])
    yield _gauge("session_bytes", "Memory that sessions take, by estimate.", node.machine.sessions.held)
    yield _gauge("state_bytes", "Memory that the state takes, by estimate.", node.admission.state_bytes)
    yield _gauge(
        "state_bytes_limit",
        "storage.state_bytes: writes that grow are refused there.",
        node.admission.state_limit,
    )
    yield _gauge("leases", "Leases that are alive.", len(node.store.leases))
    yield _count("reads", "Reads that were asked for.", node.shares.reads)
    yield from _commits(figures["commit"])


def _commits(told: dict[str, Any]) -> Iterator[Row]:
    about = "How long commands of this leader took in the last minute, from proposing to applying."
    for quantile, name in (("0.5", "p50_ms"), ("0.99", "p99_ms")):
        if told[name] is not None:
            yield _gauge("commit_seconds", about, told[name] / 1000, quantile=quantile)


def _watches(hub: dict[str, int]) -> Iterator[Row]:
    yield _gauge("watches", "Open watches.", hub["watches"])
    yield _gauge("watches_lagging", "Watches whose readers are behind.", hub["lagging"])
    yield _gauge("watch_globs", "Different globs of open watches.", hub["globs"])
    yield _gauge(
        "watch_glob_cost_seconds",
        "What matching one changed path with them may cost at most.",
        hub["glob_cost"] / 1e6,
    )
    yield _count("watch_changes", "Changes delivered to live watches.", hub["delivered"])


def _shares(node: Node) -> Iterator[Row]:
    """What connections share, and who had to go for others. All of it grows only under pressure."""
    shares = node.shares
    places = shares.places
    if places is not None:
        yield _gauge("connections_limit", "Connections that there is room for.", places.total)
        yield _count("connections_refused", "Newcomers that found no place.", places.refused)
        yield _count(
            "connections_sent_away", "Idle connections that gave way to newcomers.", places.sent_away
        )
    yield _gauge("held_bytes", "Bytes of unfinished and waiting requests.", shares.held.total)
    yield _gauge("unsent_bytes", "Bytes that wait for clients that do not read.", shares.unsent.total)
    yield _gauge("waiting_requests", "Requests that wait, of connections with many.", shares.waiting.total)
    expelled = shares.held.sent_away + shares.unsent.sent_away + shares.waiting.sent_away
    yield _count("connections_expelled", "Connections closed for what they made the node hold.", expelled)
    yield _count("connections_overdue", "Connections closed for what they took too long for.", shares.overdue)
    pages = node.pages
    yield _count("pages_found", "Pages of lists that were sent as they were packed before.", pages.found)
    yield _count("pages_made", "Pages of lists that were read and packed.", pages.made)
    yield _gauge("pages_bytes", "Bytes of packed pages that are kept.", pages.bytes)
    kept, cold = node.checkpointer.kept, node.cold_reads
    yield _count("history_found", "Blocks of history that were at hand.", kept.found)
    yield _count("history_read", "Blocks of history that were read from disk.", kept.read)
    yield _gauge("history_cache_bytes", "Bytes of history that are kept at hand, about.", kept.held)
    yield _count("history_waits", "How often a read of the past waited for the disk.", cold.waited)
    yield _count("history_unreadable", "How often a part of history could not be read.", kept.unreadable)
    packed = node.hub.packed
    yield _count("chunks_found", "Chunks of files that were sent as they were packed.", packed.found)
    yield _count("chunks_made", "Chunks of files that were read and packed.", packed.made)
    yield _gauge("chunks_bytes", "Bytes of packed chunks of files that are kept.", packed.bytes)
    yield _count("turns_waited", "How often a conversation had to wait for its turn.", shares.turns.queued)
    yield _gauge("turns_waiting", "Conversations that wait for a turn now.", shares.turns.waiting)


def _peers(node: Node) -> Iterator[Row]:
    rows = [row for row in node.membership.members() if not row["self"]]
    for row in rows:
        reachable = node.peers.reachable(row["id"])
        yield _gauge("peer_reachable", "1 while a member can be sent to.", reachable, peer=row["name"])
    for row in rows:
        queued = node.peers.queued(row["id"])
        yield _gauge("peer_queued_bytes", "Bytes that wait for a member.", queued, peer=row["name"])
    for row in rows:
        if "behind" in row:
            yield _gauge("peer_lag_entries", "Entries that a member lacks.", row["behind"], peer=row["name"])
    for row in rows:
        if "silent" in row:
            yield _gauge(
                "peer_silent_seconds", "Since the leader heard a member.", row["silent"], peer=row["name"]
            )


def _certificates(node: Node) -> Iterator[Row]:
    """Those in use. `use` is the setting that names one."""
    now, upkeeps = node.environment.clock_ms() / 1000, node.upkeeps
    for one in upkeeps:
        about = "Until a certificate in use expires; negative: it has."
        yield _gauge("certificate_left_seconds", about, one.left(now), use=one.setting)
    for one in upkeeps:
        about = "1 while files of TLS that have changed cannot be used."
        yield _gauge("certificate_not_read", about, bool(one.failure), use=one.setting)
    for one in upkeeps:
        yield _count(
            "certificate_loads", "Changed files of TLS that were put to use.", one.loads, use=one.setting
        )
    for one in upkeeps:
        about = "Changed files of TLS that could not be used."
        yield _count("certificate_failures", about, one.failures, use=one.setting)


def _conduct(node: Node) -> Iterator[Row]:
    about = "Messages of members that were dropped: malformed, impossible, or not theirs to say."
    sums: Counter[tuple[str, str]] = Counter()
    for (member, kind), times in node.conduct.dropped.items():
        known = node.engine.configuration.find(member)
        sums["other" if known is None else known.name, str(kind)] += times
    for (peer, number), times in sorted(sums.items()):
        yield _count("peer_dropped_messages", about, times, peer=peer, kind=number)
    about = "Members that were added and have not answered yet."
    yield _gauge("members_newcomers", about, len(node.engine.configuration.newcomers))
    about = "Actions of operators and members that found no place, or had to give theirs to others."
    yield _count("actions_refused", about, node.membership.refused)


def _audit(node: Node) -> Iterator[Row]:
    audit = node.audit
    for verb, times in sorted(audit.denied.items()):
        yield _count("auth_denied", "Requests that were refused for want of a right.", times, verb=verb)
    for kind, times in sorted(audit.failures.items()):
        yield _count("auth_failures", "Logins that failed, by why.", times, kind=kind)
    for event, times in sorted(audit.events.items()):
        yield _count("audit_events", "What the audit is for, by kind.", times, event=event)
    yield _count("audit_lines", "Lines of the audit that were written.", audit.lines)
    yield _count("audit_lost", "Lines of the audit that could not be written, and are lost.", audit.lost)


def _process() -> Iterator[Row]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = usage.ru_utime + usage.ru_stime
    yield _count("process_cpu_seconds", "User and system time.", cpu)
    yield _gauge("process_start_time_seconds", "Start, seconds since 1970.", STARTED)
    yield _gauge("process_max_fds", "Files that may be open.", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    if size := resident():
        yield _gauge("process_resident_memory_bytes", "Resident memory.", size)
    try:
        yield _gauge("process_open_fds", "Open files.", len(os.listdir("/proc/self/fd")))  # noqa: PTH208
    except OSError:
        return  # no /proc here


STARTED: Final = time.time()
