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
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from pysyncobj.config import SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from visord.peers import messages as msg
from visord.peers.network import Peers
from visord.raft.configuration import Configuration
from visord.raft.configuration import decode as decode_configuration
from visord.raft.log import RaftLog
from visord.raft.rounds import Confirmed, Rounds

FOLLOWER: Final = 0
CANDIDATE: Final = 1
LEADER: Final = 2
CONFIGURATION: Final = b"\x02"
"""First byte of a configuration's entry."""
MAX_BATCH: Final = 4 << 20
"""Bytes of entries in one message; a single larger entry goes whole."""
MAX_QUEUED: Final = 16 << 20
"""Bytes that wait for one member; with more, nothing is added until it has taken some."""
MAX_SEQ: Final = (1 << 63) - 1
NO_ENTRIES: Final = b"\x90"
"""An empty list, packed."""


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


class _Answers(Transport):  # type: ignore[misc]
    """pysyncobj's way out: of all that it sends by itself, only the answer to a vote request is left."""

    def __init__(self) -> None:
        super().__init__(None, None, [])
        self.say: Callable[[Any, list[Any]], bool] = lambda node, message: False

    def send(self, node: Any, message: dict[str, Any]) -> bool:
        if message["type"] != "response_vote":
            raise RuntimeError(f"pysyncobj sends {message['type']!r} by itself")
        return self.say(node, [msg.VOTED, message["term"]])

    def addNode(self, node: object) -> None:
        pass

    def dropNode(self, node: object) -> None:
        pass

    def destroy(self) -> None:
        pass


class _Progress:
    """What a leader knows of one member, besides pysyncobj's next and match index."""

    __slots__ = ("barrier", "due", "told")

    def __init__(self) -> None:
        self.barrier = 0
        """A reset in answer to an earlier message than this one was dealt with already."""
        self.told = -1
        """The commit index that was last sent."""
        self.due = True
        """Send a message even when there is nothing new."""


if TYPE_CHECKING:

    class _SyncObj:
        """What `Core` uses of pysyncobj."""

        _SyncObj__selfNode: Any
        _SyncObj__otherNodes: set[Any]
        _SyncObj__readonlyNodes: set[Any]
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
        def _SyncObj__deleteEntriesFrom(self, index: int) -> None: ...
else:
    _SyncObj = object


class Core(_SyncObj):
    """pysyncobj's node as `engine.Engine` uses it. Made by `build`."""

    apply_entry: Callable[[int, int, bytes], None]
    """Called with (index, term, command) of each committed entry, once, in order. It must not raise."""
    on_install: Callable[[str, int], None]
    """The leader has no more what this node needs next: (leader, its oldest index)."""
    on_configuration: Callable[[Configuration], None]
    """The configuration that counts from now on."""
    counters: Counter[str]
    """How often each branch was taken that a healthy cluster hardly ever takes."""
    peers: Peers
    is_voter: bool
    _timing: Timing
    _clock: Callable[[], float]
    _random: Random
    _had_entries: bool
    _keep_suffix = False
    _answers_seq = 0
    _reset_to: int | None = None
    _held: dict[Any, tuple[int, int, int]]
    """Acknowledgements that wait for the disk: leader -> (its term, the index after the last entry, seq)."""
    _configurations: list[tuple[int, Configuration]]
    """What the log holds of them, by index, the newest last; the first is the one that everything began with."""
    _voters: list[Any]
    """The other voters, in order of their ids; `_learners` the other learners."""
    _learners: list[Any]
    _progress: dict[Any, _Progress]
    _rounds: Rounds
    _granted: set[str]
    _prevotes: set[str]
    _heard: float
    """When a leader was last heard."""
    _transfer: tuple[Any, float] | None
    _seq = 0
    _packed: tuple[int, int, bytes] = (0, 0, b"")
    """Entries packed last: (first index, last index, bytes)."""
    flush_wanted = False
    paused = False
    """A checkpoint is being installed: nothing may be applied."""
    _seen_round: tuple[int | None, float] = (None, 0.0)
    """The oldest round that was under way, and since when that is known."""

    def begin(self) -> None:
        """Set up what pysyncobj does not know of."""
        self.counters = Counter()
        self.on_install = lambda member, index: None
        self.on_configuration = lambda configuration: None
        self._held, self._progress = {}, {}
        self._rounds = Rounds()
        self._granted, self._prevotes = set(), set()
        self._heard = -math.inf
        self._transfer = None
        self._had_entries = False
        self.is_voter = False
        self._voters, self._learners = [], []

    # -- the tick -----------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what is due: stand for election, commit, apply, say."""
        now = self._clock()
        if self._held:
            self._acknowledge_durable()
        if self._SyncObj__raftState != LEADER and self._SyncObj__raftElectionDeadline < now:
            self._prepare_to_stand(now)
        if self._SyncObj__raftState == LEADER:
            self._commit()
            self._step_down_when_alone(now)
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
        self._hurry_round()

    def _hurry_round(self) -> None:
        """A round that was under way at the last tick of the timer, too, is asked of everybody."""
        number, now = self._rounds.open, self._clock()
        if number is None or self._rounds.oldest != self._seen_round[0]:
            self._seen_round = (self._rounds.oldest, now)
        elif now - self._seen_round[1] > self._timing.late_round:
            self.counters["round_late"] += 1
            self._seen_round = (self._rounds.oldest, now)
            self._tell_voters([msg.ROUND, self._SyncObj__raftCurrentTerm, number])

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

    def _follow_nobody(self, now: float) -> None:
        self._SyncObj__setState(FOLLOWER)
        self._SyncObj__raftLeader = None
        self._transfer = None
        self._SyncObj__raftElectionDeadline = now + self._SyncObj__generateRaftTimeout()
        self._rounds.fail()

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
        if command[:1] == CONFIGURATION:
            self._adopt(index, decode_configuration(command))
        self.flush_wanted = True
        return index, term

    # -- elections ----------------------------------------------------------------------------------------

    def _prepare_to_stand(self, now: float) -> None:
        """Ask whether an election would be won before disturbing anybody with one (Raft, 9.6)."""
        self._SyncObj__raftElectionDeadline = now + self._SyncObj__generateRaftTimeout()
        self._SyncObj__raftLeader = None
        self._SyncObj__setState(FOLLOWER)
        if not self.is_voter:
            return
        self._prevotes = set()
        if not self._voters:
            self._stand(now)
            return
        self.counters["prevote"] += 1
        _, index, term = self._SyncObj__raftLog[-1]
        self._tell_voters([msg.PREVOTE, self._SyncObj__raftCurrentTerm + 1, index, term])

    def _receive_prevote(self, node: Any, message: list[Any]) -> None:
        _, term, index, last_term = message[:4]
        own = self._SyncObj__raftCurrentTerm
        _, mine, my_term = self._SyncObj__raftLog[-1]
        granted = term > own and (last_term, index) >= (my_term, mine) and not self._hears_leader()
        if not granted:
            self.counters["prevote_refused"] += 1
        self.say(node, [msg.PREVOTED, term, granted, own])

    def _receive_prevoted(self, node: Any, message: list[Any]) -> None:
        _, term, granted, own = message[:4]
        if self._SyncObj__raftState == LEADER:
            return
        if own > self._SyncObj__raftCurrentTerm:
            # Without this a node whose log is the longest, but whose term is old, could never win.
            self.counters["prevote_behind"] += 1
            self._SyncObj__setCurrentTerm(own, None)
            self._SyncObj__setState(FOLLOWER)
            return
        if not granted or term != self._SyncObj__raftCurrentTerm + 1 or node not in self._SyncObj__otherNodes:
            return
        self._prevotes.add(node.id)
        if 1 + len(self._prevotes) > (len(self._voters) + 1) / 2:
            self._prevotes = set()
            self._stand(self._clock())

    def _hears_leader(self) -> bool:
        if self._SyncObj__raftState == LEADER:
            return True
        return self._clock() - self._heard < self._timing.min_timeout

    def _stand(self, now: float, *, transfer: bool = False) -> None:
        self.counters["election"] += 1
        self._SyncObj__raftElectionDeadline = now + self._SyncObj__generateRaftTimeout()
        self._SyncObj__transferInProgress = False
        self._SyncObj__raftLeader = None
        self._SyncObj__setState(CANDIDATE)
        self._SyncObj__setCurrentTerm(self._SyncObj__raftCurrentTerm + 1, self._SyncObj__selfNode.id)
        self._SyncObj__votesCount = 1
        self._granted = set()
        if not self._voters:
            self._SyncObj__onBecomeLeader()
            return
        _, index, term = self._SyncObj__raftLog[-1]
        self._tell_voters([msg.VOTE, self._SyncObj__raftCurrentTerm, index, term, transfer])

    def _receive_vote(self, node: Any, message: list[Any]) -> None:
        _, term, index, last_term, transfer = message[:5]
        if not transfer and self._hears_leader():
            self.counters["vote_ignored"] += 1
            return
        if term > self._SyncObj__raftCurrentTerm and self._SyncObj__raftState == LEADER:
            self._follow_nobody(self._clock())
        super()._SyncObj__onMessageReceived(
            node,
            {"type": "request_vote", "term": term, "last_log_index": index, "last_log_term": last_term},
        )

    def _receive_voted(self, node: Any, message: list[Any]) -> None:
        if node not in self._SyncObj__otherNodes or node.id in self._granted:
            self.counters["vote_not_counted"] += 1
            return
        if self._SyncObj__raftState == CANDIDATE and message[1] == self._SyncObj__raftCurrentTerm:
            self._granted.add(node.id)
            super()._SyncObj__onMessageReceived(node, {"type": "response_vote", "term": message[1]})

    def _SyncObj__onBecomeLeader(self) -> None:
        self._progress = {node: _Progress() for node in (*self._voters, *self._learners)}
        self._transfer = None
        self._seq = 0
        self._packed = (0, 0, b"")
        super()._SyncObj__onBecomeLeader()

    def _yield(self, term: int) -> None:
        """Somebody answers from a later term: there is, or will be, another leader."""
        self.counters["yielded"] += 1
        was_leader = self._SyncObj__raftState == LEADER
        self._SyncObj__setCurrentTerm(term, None)
        if was_leader:
            self._follow_nobody(self._clock())
        self._SyncObj__setState(FOLLOWER)

    # -- transfer -----------------------------------------------------------------------------------------

    def transfer(self, target: str | None) -> str | None:
        """Begin to hand leadership to a voter (None: the one that has most); return its id, None if impossible."""
        match = self._SyncObj__raftMatchIndex
        ready = [node for node in self._voters if self.peers.reachable(node.id) and target in (None, node.id)]
        if self._SyncObj__raftState != LEADER or not ready:
            return None
        node = max(ready, key=lambda one: match[one])
        self._transfer = (node, self._clock() + self._timing.transfer_timeout)
        self.flush_wanted = True
        return cast(str, node.id)

    def _go_on_with_transfer(self, now: float) -> None:
        assert self._transfer is not None
        node, deadline = self._transfer
        if now > deadline or node not in self._SyncObj__otherNodes:
            self.counters["transfer_failed"] += 1
            self._transfer = None
        elif self._SyncObj__raftMatchIndex[node] == self._SyncObj__raftLog.last_index:
            self.say(node, [msg.TIMEOUT_NOW, self._SyncObj__raftCurrentTerm])

    def _receive_timeout_now(self, node: Any, message: list[Any]) -> None:
        leader = self._SyncObj__raftLeader
        if self.is_voter and leader == node and message[1] == self._SyncObj__raftCurrentTerm:
            self.counters["transferred"] += 1
            self._stand(self._clock(), transfer=True)

    # -- rounds -------------------------------------------------------------------------------------------

    def confirm(self, callback: Confirmed) -> None:
        """Have the leadership confirmed: `callback` gets the index to apply before reading, or None."""
        if not self.core_current:
            callback(None)
        elif not self._voters and self.is_voter:
            callback(self._SyncObj__raftCommitIndex)
        else:
            self._rounds.ask(callback)
            self.flush_wanted = True

    def _receive_round(self, node: Any, message: list[Any]) -> None:
        term = self._SyncObj__raftCurrentTerm
        if message[1] > term:
            return  # its entries come first
        if message[1] == term and self._SyncObj__raftLeader == node:
            self.say(node, [msg.ROUNDED, term, message[2]])
        elif message[1] < term:
            self.counters["round_refused"] += 1
            self.say(node, [msg.ROUNDED, term, 0])

    def _receive_rounded(self, node: Any, message: list[Any]) -> None:
        _, term, number = message[:3]
        if term > self._SyncObj__raftCurrentTerm:
            self._yield(term)
        elif (
            term == self._SyncObj__raftCurrentTerm
            and self._SyncObj__raftState == LEADER
            and node in self._SyncObj__otherNodes
        ):
            self._SyncObj__lastResponseTime[node] = self._clock()
            if self._rounds.answered(node.id, number, self._need()) and self._rounds.busy:
                self.flush_wanted = True

    # -- the configuration --------------------------------------------------------------------------------

    def _adopt(self, index: int, configuration: Configuration) -> None:
        """A configuration is in the log now: it counts."""
        self._configurations.append((index, configuration))
        self._use(configuration)

    def _take_back(self, index: int) -> None:
        """The log lost its entries from `index` on."""
        configurations = self._configurations
        while len(configurations) > 1 and configurations[-1][0] >= index:
            self.counters["configuration_taken_back"] += 1
            configurations.pop()
            self._use(configurations[-1][1])

    def _use(self, configuration: Configuration) -> None:
        me = self._SyncObj__selfNode.id
        self.is_voter = me in configuration.voters
        self._voters = [Node(one) for one in configuration.voters if one != me]
        self._learners = [Node(one) for one in configuration.learners if one != me]
        self._SyncObj__otherNodes = set(self._voters)
        self._SyncObj__readonlyNodes = set(self._learners)
        following, now = self._SyncObj__raftLog.last_index + 1, self._clock()
        everybody = [*self._voters, *self._learners]
        next_index, match, heard = (
            self._SyncObj__raftNextIndex,
            self._SyncObj__raftMatchIndex,
            self._SyncObj__lastResponseTime,
        )
        for node in everybody:
            next_index.setdefault(node, following)
            match.setdefault(node, 0)
            heard.setdefault(node, now)
            self._progress.setdefault(node, _Progress())
        known = set(everybody)
        for table in (next_index, match, heard, self._progress):
            for node in [one for one in table if one not in known]:
                del table[node]
        self.on_configuration(configuration)

    def forget_configurations(self, index: int) -> None:
        """Entries up to `index` are committed: of their configurations only the last can be needed again."""
        configurations = self._configurations
        while len(configurations) > 1 and configurations[1][0] <= index:
            configurations.pop(0)

    # -- messages -----------------------------------------------------------------------------------------

    def hear(self, member: str, message: list[Any]) -> None:
        """Take a well-formed message of Raft's kinds from a member."""
        receive = _RECEIVERS.get(message[0])
        if receive is not None:
            receive(self, Node(member), message)

    def say(self, node: Any, message: list[Any]) -> bool:
        """Send a message to one member."""
        return self.peers.send(node.id, msg.pack(message))

    def _tell_voters(self, message: list[Any]) -> None:
        data = msg.pack(message)
        for node in self._voters:
            self.peers.send(node.id, data)

    def _ask_enough(self, message: list[Any]) -> None:
        """Ask as many voters as make a majority, those that answered last first; the others when these are late.

        Every answer that is not needed would cost two processes a turn of their loops.
        """
        data, heard = msg.pack(message), self._SyncObj__lastResponseTime
        asked = 0
        for node in sorted(self._voters, key=lambda node: -heard[node]):
            asked += self.peers.send(node.id, data)
            if asked >= self._need():
                return

    def _need(self) -> int:
        """How many other voters make a majority together with this node."""
        return (len(self._voters) + self.is_voter) // 2 + 1 - self.is_voter

    def reconnected(self, member: str) -> None:
        """What was under way to this member may be lost: begin again behind what it acknowledged."""
        node = Node(member)
        if self._SyncObj__raftState == LEADER and node in self._progress:
            # Nothing acknowledged yet (a new leader): it will tell where it stands when this does not fit.
            acknowledged = self._SyncObj__raftMatchIndex[node]
            if acknowledged:
                self._SyncObj__raftNextIndex[node] = acknowledged + 1
            self._progress[node].due = True
            self.flush_wanted = True

    def disconnected(self, member: str) -> None:
        """The connection to this member broke. If it leads, do not wait as long as for one that is only silent."""
        leader = self._SyncObj__raftLeader
        if leader is not None and leader.id == member and self._SyncObj__raftState != LEADER:
            self.counters["leader_gone"] += 1
            soon = self._clock() + self._timing.gone_timeout * (1.0 + self._random.random())
            self._SyncObj__raftElectionDeadline = min(self._SyncObj__raftElectionDeadline, soon)
            self._heard = min(self._heard, soon - self._timing.min_timeout)

    def flush(self) -> None:
        """Say what there is to say, once for all that happened since the last time."""
        self.flush_wanted = False
        if self._SyncObj__raftState != LEADER:
            return
        number = self._rounds.start(self._SyncObj__raftCommitIndex)
        if number is not None:
            self._ask_enough([msg.ROUND, self._SyncObj__raftCurrentTerm, number])
        for node in self._voters:
            self._send_to(node)
        for node in self._learners:
            self._send_to(node)

    def _SyncObj__sendAppendEntries(self) -> None:
        self.flush_wanted = True

    def _send_to(self, node: Any) -> None:
        """Send a member what it has not been sent yet; what does not get through is sent again later."""
        progress, log = self._progress[node], self._SyncObj__raftLog
        while self.peers.reachable(node.id) and self.peers.queued(node.id) < MAX_QUEUED:
            following = self._SyncObj__raftNextIndex[node]
            last = log.last_index
            commit = self._SyncObj__raftCommitIndex
            if following > last and progress.told >= commit and not progress.due:
                return
            if following <= log.first_index:
                self._offer_install(node, progress)
                return
            end = self._send_entries(node, following, last)
            if end is None:
                return
            progress.told, progress.due = commit, False
            self._SyncObj__raftNextIndex[node] = end + 1
            if end >= last:
                return

    def _send_entries(self, node: Any, following: int, last: int) -> int | None:
        """Send entries from `following` on; return the last one's index, None when they could not be sent."""
        log = self._SyncObj__raftLog
        end, packed = self._pack(following, last)
        self._seq += 1
        previous = following - 1
        previous_term = log.term_at(previous)
        assert previous_term is not None
        data = msg.pack_append(
            self._SyncObj__raftCurrentTerm,
            previous,
            previous_term,
            self._SyncObj__raftCommitIndex,
            self._seq,
            packed,
        )
        return end if self.peers.send(node.id, data) else None

    def _pack(self, first: int, last: int) -> tuple[int, bytes]:
        """Return (index of the last one, bytes) of the entries from `first` on, as many as make a message."""
        if first > last:
            return last, NO_ENTRIES
        if self._packed[0] == first and self._packed[1] <= last and self._packed[2]:
            whole = self._packed[1] == last or len(self._packed[2]) >= MAX_BATCH
            if whole:
                return self._packed[1], self._packed[2]
        log = self._SyncObj__raftLog
        position = end = first - log.first_index
        size = 0
        while end < len(log) and (end == position or size < MAX_BATCH):
            size += len(log[end][0])
            end += 1
        entries = log[position:end]
        self._packed = (first, entries[-1][1], msg.pack_entries(entries))
        return self._packed[1], self._packed[2]

    def _offer_install(self, node: Any, progress: _Progress) -> None:
        if not progress.due:
            return
        progress.due = False
        log = self._SyncObj__raftLog
        self.counters["install_told"] += 1
        self._seq += 1
        _, first, first_term = log[0]
        self.say(node, [msg.INSTALL, self._SyncObj__raftCurrentTerm, first, first_term, self._seq])

    def _receive_position(self, node: Any, message: list[Any]) -> None:
        """A member tells how far it is. What is already on its way is not sent again."""
        _, term, following, reset, success, seq = message[:6]
        if term > self._SyncObj__raftCurrentTerm:
            self._yield(term)
            return
        known = self._SyncObj__raftNextIndex
        if (
            term != self._SyncObj__raftCurrentTerm
            or self._SyncObj__raftState != LEADER
            or node not in self._progress
            or following > self._SyncObj__raftLog.last_index + 1
        ):
            self.counters["stale_position"] += 1
            return  # an answer to the leader of an earlier term, or nonsense
        progress = self._progress[node]
        if reset:
            if seq < progress.barrier:
                self.counters["late_reset"] += 1
                reset = False
            else:
                progress.barrier = self._seq + 1
                progress.due = True
                following = max(following, self._SyncObj__raftMatchIndex[node] + 1)
        before = known[node]
        super()._SyncObj__onMessageReceived(
            node,
            {
                "type": "next_node_idx",
                "term": term,
                "next_node_idx": following,
                "reset": reset,
                "success": success,
            },
        )
        if success and not reset and known[node] < before:
            known[node] = before
        if reset or known[node] <= self._SyncObj__raftLog.last_index:
            self.flush_wanted = True

    def _receive_append(self, node: Any, message: list[Any]) -> None:
        """Entries from the leader: pysyncobj sees only those that are new or that conflict.

        Raft figure 2, AppendEntries 3 to 5: what is there already stays, a suffix is removed only by a
        conflict, and commit moves no further than what this message vouches for.
        """
        _, term, previous, previous_term, commit, seq, packed = message[:7]
        if not self._accepts(node, term, seq):
            return
        entries = [(entry[1], previous + 1 + place, entry[0]) for place, entry in enumerate(packed)]
        self._answers_seq = seq
        self._had_entries = bool(entries)
        content = self._only_new(previous, previous_term, commit, entries)
        try:
            super()._SyncObj__onMessageReceived(node, {"type": "append_entries", "term": term, **content})
        finally:
            self._keep_suffix = False
        if content["entries"] and self._SyncObj__raftLog.last_index >= content["entries"][-1][1]:
            for command, index, _ in content["entries"]:
                if command[:1] == CONFIGURATION and self._configurations[-1][0] < index:
                    self._adopt(index, decode_configuration(command))

    def _accepts(self, node: Any, term: int, seq: int) -> bool:
        """Tell whether a message comes from the leader of this or a later term; note that one was heard."""
        if term < self._SyncObj__raftCurrentTerm:
            # It must hear of the later term, or this node would never follow it again.
            self.counters["old_leader"] += 1
            self._send_position(node, 0, False, False, seq)
            return False
        if self._SyncObj__raftState == LEADER:
            if term == self._SyncObj__raftCurrentTerm:
                raise AssertionError(f"{node.id} also leads term {term}: two leaders in one term")
            self._follow_nobody(self._clock())
        self._heard = self._clock()
        return True

    def _only_new(
        self, previous: int, previous_term: int, commit: int, entries: list[tuple[bytes, int, int]]
    ) -> dict[str, Any]:
        log = self._SyncObj__raftLog
        vouched = entries[-1][1] if entries else previous
        if log.term_at(previous) == previous_term:
            known = 0
            while known < len(entries) and log.term_at(entries[known][1]) == entries[known][2]:
                known += 1
            if known:
                self.counters["entries_known"] += 1
                _, previous, previous_term = entries[known - 1]
                entries = entries[known:]
            self._keep_suffix = not entries
            if not entries and log.last_index > previous:
                self.counters["suffix_kept"] += 1
        if commit > vouched:
            self.counters["commit_clamped"] += 1
        return {
            "prevLogIdx": previous,
            "prevLogTerm": previous_term,
            "entries": entries,
            "commit_index": min(commit, vouched),
        }

    def _receive_install(self, node: Any, message: list[Any]) -> None:
        """The leader's log begins behind what this node needs, as far as the leader knows."""
        _, term, first, first_term, seq = message[:5]
        if not self._accepts(node, term, seq):
            return
        fits = self._SyncObj__raftLog.term_at(first) == first_term
        self._answers_seq = seq
        self._reset_to = first + 1 if fits else 0
        try:
            super()._SyncObj__onMessageReceived(
                node,
                {
                    "type": "append_entries",
                    "term": term,
                    "prevLogIdx": None,
                    "prevLogTerm": None,
                    "entries": [],
                    "commit_index": 0,
                },
            )
        finally:
            self._reset_to = None
        if not fits:
            self.counters["install_needed"] += 1
            self.on_install(node.id, first)

    def _SyncObj__deleteEntriesFrom(self, index: int) -> None:
        if not self._keep_suffix:
            log = self._SyncObj__raftLog
            if index <= log.last_index:
                self.counters["conflict"] += 1
            if index <= self._SyncObj__raftLastApplied:
                raise AssertionError(f"the entry {index} is applied and was to be removed")
            super()._SyncObj__deleteEntriesFrom(index)
            self._take_back(index)

    def _SyncObj__sendNextNodeIdx(
        self,
        node: Any,
        reset: bool = False,
        nextNodeIdx: int | None = None,
        success: bool = False,
    ) -> None:
        """Answer the leader; what the disk does not have yet is acknowledged when it has."""
        log, seq = self._SyncObj__raftLog, self._answers_seq
        following = log.last_index + 1 if nextNodeIdx is None else nextNodeIdx
        if self._reset_to is not None:
            following, reset = self._reset_to, self._reset_to > 0
        elif reset and nextNodeIdx is not None:
            # A conflict: back to what is known to match, not by one entry a round trip.
            following = self._SyncObj__raftCommitIndex + 1
        elif success and following - 1 > log.durable_index:
            self.counters["acknowledgement_held"] += 1
            self._held[node] = (self._SyncObj__raftCurrentTerm, following, seq)
            if self._had_entries:
                return
            following = log.durable_index + 1
        self._send_position(node, following, reset, success, seq)

    def _send_position(self, node: Any, following: int, reset: bool, success: bool, seq: int) -> None:
        self.say(node, [msg.POSITION, self._SyncObj__raftCurrentTerm, following, reset, success, seq])

    def _acknowledge_durable(self) -> None:
        """Send the acknowledgements that the disk now allows."""
        durable = self._SyncObj__raftLog.durable_index
        for node, (term, following, seq) in list(self._held.items()):
            if term != self._SyncObj__raftCurrentTerm:
                self.counters["held_of_old_term"] += 1
                del self._held[node]
            elif following - 1 <= durable:
                del self._held[node]
                self._send_position(node, following, False, True, seq)

    # -- what must never run ------------------------------------------------------------------------------

    def _onTick(self, timeToWait: float = 0.0) -> None:
        raise NotImplementedError("tick() takes its place")

    def _SyncObj__applyLogEntries(self) -> bool:
        raise NotImplementedError("apply_committed() takes its place")

    def _SyncObj__doApplyCommand(self, command: bytes) -> None:
        raise NotImplementedError("commands are applied by the state machine")

    def _SyncObj__parseChangeClusterRequest(self, command: bytes) -> None:
        raise NotImplementedError("configurations are adopted by Core")

    def _SyncObj__doChangeCluster(self, request: Any, reverse: bool = False) -> bool:
        raise NotImplementedError("configurations are adopted by Core")

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
        """As leader: (the last index that a member has on disk, seconds since it answered)."""
        node = Node(member)
        if self._SyncObj__raftState != LEADER or node not in self._SyncObj__raftMatchIndex:
            return None
        silent = self._clock() - self._SyncObj__lastResponseTime[node]
        return self._SyncObj__raftMatchIndex[node], silent

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


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. An election starts when a replica heard nothing for a random time between the timeouts."""

    heartbeat: float = 0.1
    min_timeout: float = 0.5
    max_timeout: float = 1.0
    quorum_timeout: float = 1.2
    """A leader that hears from no majority for so long stops being one."""
    transfer_timeout: float = 1.0
    """A transfer of leadership that has not happened by then is given up."""
    late_round: float = 0.02
    """A round for reads that takes longer is asked of all voters."""
    gone_timeout: float = 0.05
    """After the leader's connection broke, an election is prepared within one to two of these."""


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
    module = _private_copy(log, clock, random)
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
    transport = _Answers()
    core = cast(
        Core,
        type("VisorNode", (Core, module.SyncObj), ours)(
            Node(member), [], conf, nodeClass=Node, transport=transport
        ),
    )
    transport.say = core.say
    core.begin()
    core.core_start(applied, configuration)
    return core


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
