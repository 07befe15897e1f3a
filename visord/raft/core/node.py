"""One node: its tick, what it commits and applies, and all parts put together."""

# ruff: noqa: N802, N803 - the names are pysyncobj's

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from pysyncobj.config import SyncObjConf

from visord.peers import messages as msg
from visord.peers.network import Peers
from visord.raft.configuration import Configuration
from visord.raft.configuration import decode as decode_configuration
from visord.raft.core.following import Following
from visord.raft.core.leading import Leading
from visord.raft.core.member_node import node_of
from visord.raft.core.state import (
    CONFIGURATION,
    LEADER,
    MAX_SEQ,
)
from visord.raft.core.stubs import Answers, private_copy
from visord.raft.core.timing import Random, Timing
from visord.raft.log import RaftLog

ADOPTED: Final = "configurations are adopted by Core"


class Core(Leading, Following):
    """pysyncobj's node as `engine.Engine` uses it. Made by `build`."""

    def tick(self) -> None:
        """Do what is due: stand for election, commit, apply, say."""
        now = self._clock()
        if self._held:
            self._acknowledge_durable()
        if self._SyncObj__raftState != LEADER and self._SyncObj__raftElectionDeadline < now:
            self._prepare_to_stand(now)
        if self._SyncObj__raftState == LEADER:
            if self._SyncObj__raftCommitIndex < self._SyncObj__raftLog.last_index:
                self._commit()
            if self._voters or not self.is_voter:
                self._step_down_when_alone(now)
            if self._SyncObj__raftLastApplied < self.tell_first <= self._SyncObj__raftCommitIndex:
                self.flush()  # all members apply it at the same time, not one after the other
        if not self.paused:
            self.apply_committed()
        if self._SyncObj__raftState == LEADER:
            self._lead(now)
        elif self._rounds.busy:
            self._rounds.fail()

    def _lead(self, now: float) -> None:
        if self._transfer is not None:
            self._go_on_with_transfer(now)
        if now > self._SyncObj__newAppendEntriesTime:
            self._SyncObj__newAppendEntriesTime = now + self._timing.heartbeat
            for progress in self._progress.values():
                progress.due = True
            self.flush_wanted = True
        if self._rounds.busy:
            self._hurry_round(now)

    def _commit(self) -> None:
        """Commit what a majority has on disk, if its last entry is of this term (Raft, 5.4.2)."""
        log = self._SyncObj__raftLog
        match = self._SyncObj__raftMatchIndex
        stored = [match[node] for node in self._voters]
        if self.is_voter:
            stored.append(log.durable_index)
        stored.sort(reverse=True)
        index = stored[len(stored) // 2]
        if index > self._SyncObj__raftCommitIndex and log.term_at(index) == self._SyncObj__raftCurrentTerm:
            self._SyncObj__raftCommitIndex = index
            self.flush_wanted = True
        self._SyncObj__leaderCommitIndex = self._SyncObj__raftCommitIndex

    def _step_down_when_alone(self, now: float) -> None:
        deadline = now - self._timing.quorum_timeout
        heard = self._SyncObj__lastResponseTime
        present = self.is_voter + sum(heard[node] > deadline for node in self._voters)
        if present <= (len(self._voters) + self.is_voter) / 2:
            self.counters["stepped_down_alone"] += 1
            self._follow_nobody(now)

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
        if command[:1] == CONFIGURATION:
            self.flush()  # a member that is not in it hears nothing more: not even that what it has is committed
        log = self._SyncObj__raftLog
        index, term = log[-1][1] + 1, self._SyncObj__raftCurrentTerm
        log.add(command, index, term)
        if command[:1] == CONFIGURATION:
            self._adopt(index, decode_configuration(command))
        self.flush_wanted = True
        return index, term

    def receive(self, member: str, message: list[Any]) -> str:
        """Take a well-formed message of Raft's kinds from a member; return why it was refused, "" when it was not."""
        receive = _RECEIVERS.get(message[0])
        if receive is None:
            return "no such kind"
        self.refused = ""
        node = node_of(member)
        if self._reaches(node, message):
            receive(self, node, message)
        return self.refused

    # -- what must never run ------------------------------------------------------------------------------

    def _onTick(self, timeToWait: float = 0.0) -> None:
        raise NotImplementedError("tick() takes its place")

    def _SyncObj__applyLogEntries(self) -> bool:
        raise NotImplementedError("apply_committed() takes its place")

    def _SyncObj__doApplyCommand(self, command: bytes) -> None:
        raise NotImplementedError("commands are applied by the state machine")

    def _SyncObj__parseChangeClusterRequest(self, command: bytes) -> None:
        raise NotImplementedError(ADOPTED)

    def _SyncObj__doChangeCluster(self, request: Any, reverse: bool = False) -> bool:
        raise NotImplementedError(ADOPTED)

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
    def core_transferring(self) -> bool:
        """Leadership is being handed on: nothing new should be appended."""
        return self._transfer is not None

    @property
    def core_configuration(self) -> Configuration:
        """The configuration that counts: the newest in the log."""
        return self._configurations[-1][1]

    @property
    def core_committed_configuration(self) -> Configuration:
        """The newest configuration that is applied."""
        applied = self._SyncObj__raftLastApplied
        return [one for index, one in self._configurations if index <= applied or index == 0][-1]

    @property
    def core_configuration_settled(self) -> bool:
        """The configuration that counts is committed: the next change may be made."""
        return self._configurations[-1][0] <= self._SyncObj__raftCommitIndex

    def core_match(self, member: str) -> tuple[int, float] | None:
        """As leader: (the last index that a member has on disk, seconds since it answered, or this node leads)."""
        node = node_of(member)
        if self._SyncObj__raftState != LEADER or node not in self._SyncObj__raftMatchIndex:
            return None
        silent = self._clock() - self._SyncObj__lastResponseTime[node]
        return self._SyncObj__raftMatchIndex[node], silent

    def core_has_answered(self, member: str) -> bool:
        """As leader: this member has answered since this node began to lead."""
        progress = self._progress.get(node_of(member))
        return self._SyncObj__raftState == LEADER and progress is not None and progress.heard

    def core_start(self, applied: int, configuration: Configuration) -> None:
        """Continue after `applied`; a node that is alone stands at once."""
        self._SyncObj__raftLastApplied = applied
        self._SyncObj__raftCommitIndex = applied
        self._configurations = [(0, configuration)]
        for command, index, _ in self._SyncObj__raftLog[:]:
            if index > applied and command[:1] == CONFIGURATION:
                self._configurations.append((index, decode_configuration(command)))
        self._use(self._configurations[-1][1])
        if not self._voters and self.is_voter:
            self._SyncObj__raftElectionDeadline = -1.0

    def core_install(self, index: int, configuration: Configuration) -> None:
        """A checkpoint at `index` is in use, and the log fits it: go on from there, and tell the leader."""
        log = self._SyncObj__raftLog
        self._SyncObj__raftLastApplied = index
        self._SyncObj__raftCommitIndex = max(index, min(self._SyncObj__raftCommitIndex, log.last_index))
        self._held.clear()
        later = [(at, one) for at, one in self._configurations if index < at <= log.last_index]
        self._configurations = [(0, configuration), *later]
        self._use(self._configurations[-1][1])
        leader = self._SyncObj__raftLeader
        if leader is not None and self._SyncObj__raftState != LEADER:
            self._send_position(leader, index + 1, True, False, MAX_SEQ)


_RECEIVERS: Final[dict[int, Callable[[Core, Any, list[Any]], None]]] = {
    msg.APPEND: Core._receive_append,
    msg.POSITION: Core._receive_position,
    msg.VOTE: Core._receive_vote,
    msg.VOTED: Core._receive_voted,
    msg.PREVOTE: Core._receive_prevote,
    msg.PREVOTED: Core._receive_prevoted,
    msg.ROUND: Core._receive_round,
    msg.ROUNDED: Core._receive_rounded,
    msg.TIMEOUT_NOW: Core._receive_timeout_now,
    msg.INSTALL: Core._receive_install,
}


def build(
    member: str,
    configuration: Configuration,
    log: RaftLog,
    peers: Peers,
    clock: Callable[[], float],
    random: Random,
    timing: Timing,
    applied: int,
) -> Core:
    """Make a node on its own copy of pysyncobj. `configuration` is the one at `applied`."""
    module = private_copy(log, clock, random)
    conf = SyncObjConf(
        autoTick=False,
        appendEntriesUseBatch=True,
        appendEntriesPeriod=timing.heartbeat,
        raftMinTimeout=timing.min_timeout,
        raftMaxTimeout=timing.max_timeout,
        leaderFallbackTimeout=timing.quorum_timeout,
        connectionTimeout=timing.max_timeout + 1.0,
        dynamicMembershipChange=False,
        useFork=False,
    )
    ours = {
        "_clock": staticmethod(clock),
        "_random": random,
        "_timing": timing,
        "peers": peers,
        "_configurations": [(0, configuration)],
        "_transfer": None,
    }
    transport = Answers()
    core = cast(
        Core,
        type("VisorNode", (Core, module.SyncObj), ours)(
            node_of(member), [], conf, nodeClass=node_of, transport=transport
        ),
    )
    transport.answer = core.send
    core.begin()
    core.core_start(applied, configuration)
    return core
