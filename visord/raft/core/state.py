"""What one node of the consensus knows: pysyncobj's attributes, and ours beside them."""

# ruff: noqa: N802 - the names are pysyncobj's

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from visord.peers import messages as msg
from visord.peers.network import Peers
from visord.raft.configuration import Configuration
from visord.raft.core.timing import Random, Timing
from visord.raft.log import RaftLog
from visord.raft.rounds import Rounds

FOLLOWER: Final = 0
CANDIDATE: Final = 1
LEADER: Final = 2
CONFIGURATION: Final = b"\x02"
"""First byte of a configuration's entry."""
MAX_BATCH: Final = 4 << 20
"""Bytes of entries in one message; a single larger entry goes whole."""
MAX_ENTRIES: Final = 16_384
"""Entries in one message, however short they are: each costs its receiver some microseconds."""
MAX_QUEUED: Final = 16 << 20
"""Bytes that wait for one member; with more, nothing is added until it has taken some."""
MAX_SEQ: Final = (1 << 63) - 1
PATIENT_SECONDS: Final = 60.0
"""A learner that tells of a later term deposes a leader so seldom: it may be right, but it cannot vote."""
FRESH_ENTRIES: Final = 64
"""Entries before they are applied whose decoded form is kept; of more it would take too much memory."""
NO_ENTRIES: Final = b"\x90"
"""An empty list, packed."""


class Progress:
    """What a leader knows of one member, besides pysyncobj's next and match index."""

    __slots__ = ("barrier", "due", "heard", "told")

    def __init__(self) -> None:
        self.barrier = 0
        """A reset in answer to an earlier message than this one was dealt with already."""
        self.told = -1
        """The commit index that was last sent."""
        self.heard = False
        """It has answered in this leadership. pysyncobj takes all for just heard when a leader begins."""
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


class State(_SyncObj):
    """The attributes, and the few things that every part needs. `build` makes the node."""

    apply_entry: Callable[[int, int, bytes], None]
    """Called with (index, term, command) of each committed entry, once, in order. It must not raise."""
    read_entry: Callable[[bytes], bytes]
    """Called with each entry of a leader before it is stored: returns it, perhaps with its decoded form. Raises what
    stops this node where it cannot be read."""
    refused: str
    """What was wrong with the message that is being taken, "" when nothing was."""
    on_install: Callable[[str, int], None]
    """The leader has no more what this node needs next: (leader, its oldest index)."""
    on_configuration: Callable[[Configuration], None]
    """The configuration that counts from now on."""
    counters: Counter[str]
    """How often each branch was taken that a healthy cluster hardly ever takes."""
    peers: Peers
    is_voter: bool
    tell_first = 0
    """As leader: the entry whose commit the members hear of before it is applied here, because that takes long."""
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
    _progress: dict[Any, Progress]
    _rounds: Rounds
    _granted: set[str]
    _prevotes: set[str]
    _heard: float
    """When a leader was last heard."""
    _transfer: tuple[Any, float] | None
    _deposed: float
    """When a learner was believed last that there is a later term."""
    _window: tuple[float, int] = (-math.inf, 0)
    """Since when, and from which term on, it is counted how far others have led this node ahead (`terms`)."""
    _trickled = -math.inf
    """When a few terms beyond that were taken last."""
    _seq = 0
    _packed: tuple[int, int, bytes] = (0, 0, b"")
    """Entries packed last: (first index, last index, bytes)."""
    max_batch: int = MAX_BATCH
    flush_wanted = False
    paused = False
    """A checkpoint is being installed: nothing may be applied."""
    _seen_round: tuple[int | None, float] = (None, 0.0)
    """The oldest round that was under way, and since when that is known."""

    def begin(self) -> None:
        """Set up what pysyncobj does not know of."""
        self.counters = Counter()
        self.read_entry = lambda command: command
        self.refused = ""
        self._deposed = -math.inf
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

    def send(self, node: Any, message: list[Any]) -> bool:
        """Send a message to one member."""
        return self.peers.send(node.id, msg.pack(message))

    def _tell_voters(self, message: list[Any]) -> None:
        data = msg.pack(message)
        for node in self._voters:
            self.peers.send(node.id, data)

    def _refuse(self, branch: str, why: str) -> None:
        """The message that is being taken cannot be what an honest member says."""
        self.counters[branch] += 1
        self.refused = why

    def _need(self) -> int:
        """How many other voters make a majority together with this node."""
        return (len(self._voters) + self.is_voter) // 2 + 1 - self.is_voter

    def _follow_nobody(self, now: float) -> None:
        self._SyncObj__setState(FOLLOWER)
        self._SyncObj__raftLeader = None
        self._transfer = None
        self._SyncObj__raftElectionDeadline = now + self._SyncObj__generateRaftTimeout()
        self._rounds.fail()

    def _yield(self, term: int) -> None:
        """A member answers from a later term: there is, or will be, another leader."""
        self.counters["yielded"] += 1
        was_leader = self._SyncObj__raftState == LEADER
        self._SyncObj__setCurrentTerm(term, None)
        if was_leader:
            self._follow_nobody(self._clock())
        self._SyncObj__setState(FOLLOWER)

    @property
    def core_current(self) -> bool:
        """As leader, it has applied an entry of its own term: it knows all that was committed before."""
        first = self._SyncObj__noopIDx
        return (
            self._SyncObj__raftState == LEADER
            and first is not None
            and (self._SyncObj__raftLastApplied >= first)
        )
