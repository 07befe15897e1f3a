"""Every touch of pysyncobj's private names, in one place.

pysyncobj runs the consensus: its elections, votes, log matching, replication and membership are used as
they are. What is replaced, and why:

- **Its tick.** The stock one counts the leader's own entries towards commit before they are on disk, slices
  the log an entry at a time, polls sockets and pipes, and compacts with pickle and fork. Ours elects,
  commits what a majority has *durably*, applies and sends.
- **Its handling of appends** (`_receive_append` and what it uses): stock pysyncobj loses acknowledged
  writes when more than one message is in flight, because the leader sends again what is on its way and the
  replica truncates although nothing conflicts; and a replica commits entries that the message did not vouch
  for.
- **Everything that pickles** or runs what a peer sent.

Each engine gets its own copy of pysyncobj's module, with our clock, randomness and journal under the
module's names: nothing is patched for others in the process, and a simulation can give each node its own
clock. Private methods are called through `self` by pysyncobj itself, so a class before `SyncObj` in the
order of resolution overrides the mangled names. `FINGERPRINTS` in the tests fail when a release changes a
method that is overridden or copied here.
"""

# ruff: noqa: N802, N803 - the names are pysyncobj's

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from pysyncobj.config import SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from visord.raft.log import RaftLog

FOLLOWER: Final = 0
CANDIDATE: Final = 1
LEADER: Final = 2
MEMBERSHIP: Final = 2
"""First byte of a membership command."""

MAX_BATCH: Final = 32 << 20
"""Bytes of one append message. Above the largest command: pysyncobj's sending in pieces has a wrong end."""

MESSAGES: Final = frozenset({"request_vote", "response_vote", "append_entries", "next_node_idx"})
"""What peers may say. pysyncobj knows more (commands to run, pieces of pickles); none of it is let in."""


class Random(Protocol):
    """The randomness that elections use."""

    def random(self) -> float:
        """Return a number from 0 to below 1."""


class _NoPickle:
    """Stands where pysyncobj's module expects `pickle`."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"pickle.{name} is not used by visord")


class _NoSerializer:
    """Stands where pysyncobj expects its dump writer: checkpoints are not its business."""

    def __init__(self, *_: object) -> None:
        pass

    def cancelTransmisstion(self, _: object) -> None:
        pass

    def getTransmissionData(self, _: object) -> None:
        return None


class _NoResolver:
    """Stands where pysyncobj expects its name resolver."""

    def setTimeouts(self, *_: object) -> None:
        pass

    def setPreferredAddrFamily(self, *_: object) -> None:
        pass


class NoPeers(Transport):  # type: ignore[misc]
    """The transport of a node that is alone."""

    def __init__(self) -> None:
        super().__init__(None, None, [])

    def send(self, node: object, message: object) -> bool:
        return False

    def addNode(self, node: object) -> None:
        pass

    def dropNode(self, node: object) -> None:
        pass

    def destroy(self) -> None:
        pass


if TYPE_CHECKING:

    class _SyncObj:
        """What `Core` uses of pysyncobj."""

        _SyncObj__selfNode: Any
        _SyncObj__otherNodes: set[Any]
        _SyncObj__connectedNodes: set[Any]
        _SyncObj__raftState: int
        _SyncObj__raftCurrentTerm: int
        _SyncObj__raftLeader: Any
        _SyncObj__raftElectionDeadline: float
        _SyncObj__raftLog: RaftLog
        _SyncObj__raftCommitIndex: int
        _SyncObj__raftLastApplied: int
        _SyncObj__raftNextIndex: dict[Any, int]
        _SyncObj__raftMatchIndex: dict[Any, int]
        _SyncObj__lastResponseTime: dict[Any, float]
        _SyncObj__leaderCommitIndex: int | None
        _SyncObj__votesCount: int
        _SyncObj__noopIDx: int | None
        _SyncObj__transferInProgress: bool
        _SyncObj__newAppendEntriesTime: float
        _SyncObj__transport: Any
        _SyncObj__conf: Any

        def _SyncObj__generateRaftTimeout(self) -> float: ...
        def _SyncObj__setState(self, state: int) -> None: ...
        def _SyncObj__setCurrentTerm(self, term: int, voted: str | None) -> None: ...
        def _SyncObj__onBecomeLeader(self) -> None: ...
        def _SyncObj__onMessageReceived(self, node: Any, message: dict[str, Any]) -> None: ...
        def _SyncObj__sendAppendEntries(self) -> None: ...
        def _SyncObj__deleteEntriesFrom(self, index: int) -> None: ...
        def _SyncObj__doChangeCluster(self, request: Any, reverse: bool = False) -> bool: ...
else:
    _SyncObj = object


class Core(_SyncObj):
    """pysyncobj's node as `engine.Engine` uses it. Made by `build`."""

    apply_entry: Callable[[int, int, bytes], None]
    """Called with (index, term, command) of each committed entry, once, in order. It must not raise."""
    _clock: Callable[[], float]
    _keep_suffix = False
    _held: dict[Any, tuple[int, int]]
    """Acknowledgements that wait for the disk: leader -> (its term, the index after the last entry)."""

    # -- the tick -----------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what is due: stand for election, commit, apply, send."""
        now = self._clock()
        if self._held:
            self._acknowledge_durable()
        if self._SyncObj__raftState != LEADER and self._SyncObj__raftElectionDeadline < now:
            self._stand(now)
        if self._SyncObj__raftState == LEADER:
            self._commit()
            self._step_down_when_alone(now)
        moved = self._SyncObj__raftLastApplied
        self.apply_committed()
        due = self._SyncObj__raftLastApplied != moved or now > self._SyncObj__newAppendEntriesTime
        if due and self._SyncObj__raftState == LEADER and self._SyncObj__otherNodes:
            self._SyncObj__sendAppendEntries()

    def _stand(self, now: float) -> None:
        others = self._SyncObj__otherNodes
        if others and not self._SyncObj__connectedNodes:
            return
        self._SyncObj__raftElectionDeadline = now + self._SyncObj__generateRaftTimeout()
        self._SyncObj__transferInProgress = False
        self._SyncObj__raftLeader = None
        self._SyncObj__setState(CANDIDATE)
        self._SyncObj__setCurrentTerm(self._SyncObj__raftCurrentTerm + 1, self._SyncObj__selfNode.id)
        self._SyncObj__votesCount = 1
        _, index, term = self._SyncObj__raftLog[-1]
        for node in others:
            self._SyncObj__transport.send(
                node,
                {
                    "type": "request_vote",
                    "term": self._SyncObj__raftCurrentTerm,
                    "last_log_index": index,
                    "last_log_term": term,
                },
            )
        if not others:
            self._SyncObj__onBecomeLeader()

    def _commit(self) -> None:
        """Commit what a majority has on disk, if its last entry is of this term (Raft, 5.4.2)."""
        log = self._SyncObj__raftLog
        match = self._SyncObj__raftMatchIndex
        stored = sorted(
            [log.durable_index, *(match[node] for node in self._SyncObj__otherNodes)], reverse=True
        )
        index = stored[len(stored) // 2]
        if index > self._SyncObj__raftCommitIndex and log.term_at(index) == self._SyncObj__raftCurrentTerm:
            self._SyncObj__raftCommitIndex = index
        self._SyncObj__leaderCommitIndex = self._SyncObj__raftCommitIndex

    def _step_down_when_alone(self, now: float) -> None:
        others = self._SyncObj__otherNodes
        deadline = now - self._SyncObj__conf.leaderFallbackTimeout
        heard = self._SyncObj__lastResponseTime
        if 1 + sum(heard[node] > deadline for node in others) <= (len(others) + 1) / 2:
            self._SyncObj__setState(FOLLOWER)
            self._SyncObj__raftLeader = None

    def apply_committed(self) -> None:
        """Hand on what is committed. The index moves first: nothing is applied twice, whatever happens."""
        log = self._SyncObj__raftLog
        apply_entry = self.apply_entry
        while self._SyncObj__raftLastApplied < self._SyncObj__raftCommitIndex:
            position = self._SyncObj__raftLastApplied + 1 - log[0][1]
            command, index, term = log[position]
            self._SyncObj__raftLastApplied = index
            apply_entry(index, term, command)

    def append(self, command: bytes) -> tuple[int, int] | None:
        """Append as leader; None when this node is not the leader."""
        if self._SyncObj__raftState != LEADER:
            return None
        log = self._SyncObj__raftLog
        index, term = log[-1][1] + 1, self._SyncObj__raftCurrentTerm
        log.add(command, index, term)
        if self._SyncObj__otherNodes:
            self._SyncObj__sendAppendEntries()
        return index, term

    # -- messages -----------------------------------------------------------------------------------------

    def _SyncObj__onMessageReceived(self, node: Any, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind not in MESSAGES:
            return
        if kind == "next_node_idx":
            self._receive_position(node, message)
        elif kind == "append_entries":
            self._receive_append(node, message)
        else:
            super()._SyncObj__onMessageReceived(node, message)

    def _receive_position(self, node: Any, message: dict[str, Any]) -> None:
        """A replica tells how far it is. What is already on its way is not sent again."""
        if message["term"] != self._SyncObj__raftCurrentTerm or node not in self._SyncObj__raftNextIndex:
            return  # an answer to the leader of an earlier term
        following = self._SyncObj__raftNextIndex
        before = following[node]
        super()._SyncObj__onMessageReceived(node, message)
        if message["success"] and not message["reset"] and following[node] < before:
            following[node] = before

    def _receive_append(self, node: Any, message: dict[str, Any]) -> None:
        """Entries from the leader: pysyncobj sees only those that are new or that conflict.

        Raft figure 2, AppendEntries 3 to 5: what is there already stays, a suffix is removed only by a
        conflict, and commit moves no further than what this message vouches for.
        """
        if "prevLogIdx" not in message or "transmission" in message:
            return  # checkpoint pieces and pickled entries
        if message["term"] >= self._SyncObj__raftCurrentTerm and message["prevLogIdx"] is not None:
            message = self._only_new(message)
        try:
            super()._SyncObj__onMessageReceived(node, message)
        finally:
            self._keep_suffix = False

    def _only_new(self, message: dict[str, Any]) -> dict[str, Any]:
        log = self._SyncObj__raftLog
        previous, previous_term = message["prevLogIdx"], message["prevLogTerm"]
        entries: Sequence[Any] = message.get("entries") or ()
        vouched = entries[-1][1] if entries else previous
        if log.term_at(previous) == previous_term:
            known = 0
            while known < len(entries) and log.term_at(entries[known][1]) == entries[known][2]:
                known += 1
            if known:
                _, previous, previous_term = entries[known - 1]
                entries = entries[known:]
            self._keep_suffix = not entries
        return {
            **message,
            "prevLogIdx": previous,
            "prevLogTerm": previous_term,
            "entries": entries,
            "commit_index": min(message["commit_index"], vouched),
        }

    def _SyncObj__deleteEntriesFrom(self, index: int) -> None:
        if not self._keep_suffix:
            super()._SyncObj__deleteEntriesFrom(index)

    def _SyncObj__doChangeCluster(self, request: Any, reverse: bool = False) -> bool:
        if reverse and self._keep_suffix:
            return False
        return super()._SyncObj__doChangeCluster(request, reverse)

    def _SyncObj__sendNextNodeIdx(
        self,
        node: Any,
        reset: bool = False,
        nextNodeIdx: int | None = None,
        success: bool = False,
    ) -> None:
        """Answer the leader; what the disk does not have yet is acknowledged when it has."""
        log = self._SyncObj__raftLog
        following = log.last_index + 1 if nextNodeIdx is None else nextNodeIdx
        if reset:  # back to what is known to match, not by one entry a round trip
            following = self._SyncObj__raftCommitIndex + 1
        elif success and following - 1 > log.durable_index:
            self._held[node] = (self._SyncObj__raftCurrentTerm, following)
            following = log.durable_index + 1
        self._send_position(node, following, reset, success)

    def _send_position(self, node: Any, following: int, reset: bool, success: bool) -> None:
        self._SyncObj__transport.send(
            node,
            {
                "type": "next_node_idx",
                "term": self._SyncObj__raftCurrentTerm,
                "next_node_idx": following,
                "reset": reset,
                "success": success,
            },
        )

    def _acknowledge_durable(self) -> None:
        """Send the acknowledgements that the disk now allows."""
        durable = self._SyncObj__raftLog.durable_index
        for node, (term, following) in list(self._held.items()):
            if term != self._SyncObj__raftCurrentTerm:
                del self._held[node]
            elif following - 1 <= durable:
                del self._held[node]
                self._send_position(node, following, False, True)

    # -- what must never run ------------------------------------------------------------------------------

    def _onTick(self, timeToWait: float = 0.0) -> None:
        raise NotImplementedError("tick() takes its place")

    def _SyncObj__applyLogEntries(self) -> bool:
        raise NotImplementedError("apply_committed() takes its place")

    def _SyncObj__doApplyCommand(self, command: bytes) -> None:
        raise NotImplementedError("commands are applied by the state machine")

    def _SyncObj__parseChangeClusterRequest(self, command: bytes) -> None:
        return None

    def _SyncObj__tryLogCompaction(self) -> None:
        raise NotImplementedError("checkpoints trim the log")

    def _SyncObj__loadDumpFile(self, clearJournal: bool) -> None:
        raise NotImplementedError("checkpoints are loaded by storage")

    def _applyCommand(self, command: bytes, callback: object, commandType: int | None = None) -> None:
        raise NotImplementedError("propose() takes its place")

    # -- what the engine reads ----------------------------------------------------------------------------

    @property
    def core_leader(self) -> str | None:
        """The id of the last known leader."""
        leader = self._SyncObj__raftLeader
        return None if leader is None else cast(str, leader.id)

    @property
    def core_is_leader(self) -> bool:
        """This node believes that it leads."""
        return self._SyncObj__raftState == LEADER

    @property
    def core_term(self) -> int:
        """The current term."""
        return self._SyncObj__raftCurrentTerm

    @property
    def core_commit(self) -> int:
        """The commit index."""
        return self._SyncObj__raftCommitIndex

    @property
    def core_applied(self) -> int:
        """The last index that was handed on."""
        return self._SyncObj__raftLastApplied

    @property
    def core_current(self) -> bool:
        """As leader, it has applied an entry of its own term: it knows all that was committed before."""
        first = self._SyncObj__noopIDx
        return (
            self._SyncObj__raftState == LEADER
            and first is not None
            and (self._SyncObj__raftLastApplied >= first)
        )

    def core_start(self, applied: int) -> None:
        """Continue after `applied`; a node that is alone stands at once."""
        self._SyncObj__raftLastApplied = applied
        self._SyncObj__raftCommitIndex = applied
        self._held = {}
        if not self._SyncObj__otherNodes:
            self._SyncObj__raftElectionDeadline = -1.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. An election starts when a replica heard nothing for a random time between the timeouts."""

    heartbeat: float = 0.1
    min_timeout: float = 0.5
    max_timeout: float = 1.0
    quorum_timeout: float = 2.0
    """A leader that hears from no majority for so long stops being one."""


def build(
    node: str,
    peers: Sequence[str],
    log: RaftLog,
    transport: Any,
    clock: Callable[[], float],
    random: Random,
    timing: Timing,
) -> Core:
    """Make a node on its own copy of pysyncobj. `peers` are the ids of the other members."""
    module = _private_copy(log, clock, random)
    conf = SyncObjConf(
        autoTick=False,
        appendEntriesUseBatch=True,
        appendEntriesPeriod=timing.heartbeat,
        raftMinTimeout=timing.min_timeout,
        raftMaxTimeout=timing.max_timeout,
        leaderFallbackTimeout=timing.quorum_timeout,
        connectionTimeout=timing.max_timeout + 1.0,
        appendEntriesBatchSizeBytes=MAX_BATCH,
        dynamicMembershipChange=False,
        useFork=False,
    )
    kind = type("VisorNode", (Core, module.SyncObj), {"_clock": staticmethod(clock)})
    others = [Node(peer) for peer in peers if peer != node]
    core = kind(Node(node), others, conf, nodeClass=Node, transport=transport or NoPeers())
    return cast(Core, core)


def _private_copy(log: RaftLog, clock: Callable[[], float], random: Random) -> ModuleType:
    spec = importlib.util.find_spec("pysyncobj.syncobj")
    if spec is None or spec.loader is None:
        raise ImportError("pysyncobj is not installed; pip install 'visor-registry[server]'")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names: dict[str, Any] = {
        "monotonicTime": clock,
        "random": random,
        "createJournal": lambda _: log,
        "pickle": _NoPickle(),
        "Serializer": _NoSerializer,
        "createPoller": lambda _: None,
        "globalDnsResolver": _NoResolver,
        "PIPE_NOTIFIER_ENABLED": False,
    }
    for name, value in names.items():
        if not hasattr(module, name):
            raise ImportError(f"pysyncobj.syncobj has no {name} any more: this release is not supported")
        setattr(module, name, value)
    return module
