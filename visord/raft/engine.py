"""One member of the consensus: propose commands, get the committed ones back in order.

    log = RaftLog.open(...)
    engine = Engine("a", alone("a"), log, on_apply=apply)   # apply(index, term, command)
    log.on_durable = engine.tick
    engine.tick()                                      # a lone node leads when this returns
    position = engine.propose(command)                 # (index, term), or None
    ...                                                # the sync ends: tick commits and calls apply

Everything runs on the thread that calls. A command becomes one log record; while one sync runs, further
proposals gather for the next. The owner calls `tick` when a sync ended and from a timer, `receive` with what members
say; what can be committed and applied is, within that call. What there is to say to others is said once at the end of
the loop's turn (`soon`), for all that happened in it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from random import SystemRandom
from typing import Any

from visord.peers import messages as msg
from visord.peers.network import Alone, Peers
from visord.raft import core as _core
from visord.raft.configuration import Configuration, Member
from visord.raft.core import Random, Timing
from visord.raft.log import RaftLog
from visord.raft.rounds import Confirmed
from visord.storage.errors import missing_entries


def alone(member: str) -> Configuration:
    """Return the configuration of a cluster whose only member is `member`."""
    return Configuration((Member(member, member, "", "", True, False),))


class Engine:
    """A Raft node on pysyncobj.

    `member` is this node's id, `peers` the network to the others (None: alone). `applied` is the (index, term) that
    the loaded checkpoint holds, (0, 0) without one, and `configuration` the members at that index (nobody: the node
    waits to be spoken to). `on_apply(index, term, command)` gets every committed entry after it once, in order, also
    those whose first byte is not 0 (configurations, and pysyncobj's own). It must not raise: then `tick` raises it,
    `failure` holds it, and the engine does nothing any more. `soon(callback)` runs it at the end of this turn of the
    loop; without it, what there is to say is said at once. `read(command)` returns each entry of a leader as it is to
    be kept, before it is stored, and raises what stops this node where it cannot be read.

    Raises `DamageError` when the log does not reach back to the checkpoint.
    """

    def __init__(
        self,
        member: str,
        configuration: Configuration,
        log: RaftLog,
        peers: Peers | None = None,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
        *,
        on_apply: Callable[[int, int, bytes], Any],
        applied: tuple[int, int] = (0, 0),
        timing: Timing | None = None,
        soon: Callable[[Callable[[], None]], object] | None = None,
        read: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.member = member
        self.log = log
        self.failure: BaseException | None = None
        """What `on_apply` raised, or the disk: the engine has stopped."""
        self._leadership: list[Callable[[str | None, int], None]] = []
        self._told: tuple[str | None, int] = (None, 0)
        self._ticking = False
        self._soon = soon
        self._flush_scheduled = False
        applied = max(applied, (1, 0))
        self._join(applied)
        self._core = _core.build(
            member,
            configuration,
            log,
            peers or Alone(),
            clock,
            random or SystemRandom(),
            timing or Timing(),
            applied[0],
        )
        self._core.apply_entry = on_apply
        if read is not None:
            self._core.read_entry = read

    def _join(self, applied: tuple[int, int]) -> None:
        """Make log and checkpoint fit: the log reaches back to the checkpoint, which may lie ahead of it."""
        index, term = applied
        log = self.log
        if index < log.first_index:
            raise missing_entries(log.directory, index, log.first_index)
        if log.term_at(index) != term:
            # Shorter than the checkpoint, or of another branch: what the checkpoint holds was committed.
            log.reset(index, term)
        log.trim(index)

    # -- what it is -----------------------------------------------------------------------------------------

    @property
    def leader(self) -> str | None:
        """The id of the leader as far as this node knows; None while there is none."""
        return self._core.core_leader

    @property
    def is_leader(self) -> bool:
        """This node leads, as far as it knows."""
        return self._core.core_is_leader

    @property
    def reads_are_current(self) -> bool:
        """This node leads and has applied all that leaders before it committed.

        For a node that is alone that makes its state current; one of several must also be confirmed.
        """
        return self._core.core_current

    @property
    def term(self) -> int:
        """The current term."""
        return self._core.core_term

    @property
    def commit_index(self) -> int:
        """The last committed entry, as far as this node knows."""
        return self._core.core_commit

    @property
    def applied_index(self) -> int:
        """The last entry that was handed to `on_apply`."""
        return self._core.core_applied

    @property
    def counters(self) -> Counter[str]:
        """How often each branch was taken that a healthy cluster hardly ever takes."""
        return self._core.counters

    @property
    def configuration(self) -> Configuration:
        """The members that count now."""
        return self._core.core_configuration

    @property
    def committed_configuration(self) -> Configuration:
        """The members as of the last applied entry: what a checkpoint carries."""
        return self._core.core_committed_configuration

    @property
    def configuration_settled(self) -> bool:
        """No change of the members is under way."""
        return self._core.core_configuration_settled

    @property
    def paused(self) -> bool:
        """Committed entries are not applied for now."""
        return self._core.paused

    @paused.setter
    def paused(self, yes: bool) -> None:
        self._core.paused = yes

    @property
    def max_batch(self) -> int:
        """Bytes of entries in one message to a member; a single larger entry goes whole."""
        return self._core.max_batch

    @max_batch.setter
    def max_batch(self, size: int) -> None:
        self._core.max_batch = size

    @property
    def transferring(self) -> bool:
        """Leadership is being handed on: proposals have to wait."""
        return self._core.core_transferring

    def progress(self, member: str) -> tuple[int, float] | None:
        """As leader: (the last index that a member has on disk, seconds since it answered); None if unknown.

        The seconds count from the beginning of the leadership while it has not answered: see `has_answered`.
        """
        return self._core.core_match(member)

    def has_answered(self, member: str) -> bool:
        """As leader: whether this member has answered since this node began to lead."""
        return self._core.core_has_answered(member)

    def on_configuration(self, callback: Callable[[Configuration], None]) -> None:
        """Call `callback` with the members that count, now and whenever that changes."""
        self._core.on_configuration = callback
        callback(self._core.core_configuration)

    def on_install(self, callback: Callable[[str, int], None]) -> None:
        """Call `callback(leader, index)` when only a checkpoint at or after `index` can help this node."""
        self._core.on_install = callback

    def on_leadership(self, callback: Callable[[str | None, int], None]) -> None:
        """Call `callback(leader, term)` whenever either changes, from `tick`."""
        self._leadership.append(callback)

    # -- what it does ---------------------------------------------------------------------------------------

    def propose(self, command: bytes) -> tuple[int, int] | None:
        """Append a command as leader and start its sync: its (index, term).

        None: not the leader, or blocks for it are being prepared (`log.on_room` is called when they are there), or
        the disk is full (`log.full` tells) and what was prepared is used up.
        """
        log = self.log
        if self.failure is not None or log.failure is not None:
            return None
        if not log.has_room(len(command)):
            return None
        if self._core.core_transferring:
            return None
        position = self._core.append(command)
        log.flush()
        self._schedule_flush()
        return position

    def applies_long(self, index: int) -> None:
        """The entry at `index`, just proposed, will take long to apply: the members need not wait for this one."""
        self._core.tell_first = index

    def receive(self, member: str, message: list[Any]) -> str:
        """Take a message of Raft's kinds (`peers.messages`), whose fields were checked.

        Return what was wrong with it, "" when nothing was.
        """
        if self.failure is not None or self.log.failure is not None:
            return ""
        try:
            refused = self._core.receive(member, message)
        except BaseException as error:
            self.failure = error
            raise
        self.tick()
        return refused

    def reachable(self, member: str, yes: bool) -> None:
        """A connection to a member was made, or broke."""
        if yes:
            self._core.reconnected(member)
        else:
            self._core.disconnected(member)
        self._schedule_flush()

    def confirm(self, callback: Confirmed) -> None:
        """Have it confirmed by a majority that this node leads.

        `callback` gets the index that has to be applied before a read that came before this call may be answered, or
        None when this node does not lead (any more), possibly within this call.
        """
        self._core.confirm(callback)
        self._schedule_flush()

    def transfer_leadership(self, target: str | None) -> str | None:
        """Begin to hand leadership to `target`, or to the voter that has most; return its id, None if impossible."""
        chosen = self._core.transfer_leadership(target)
        self.tick()
        return chosen

    def installed(self, index: int, term: int, configuration: Configuration) -> None:
        """Go on from a checkpoint of the leader's, which is durable and in use.

        A log that reaches beyond it stays: its entries may have been acknowledged meanwhile.
        """
        if self.log.term_at(index) != term:
            self.log.reset(index, term)
        self._core.core_install(index, configuration)
        self.log.flush()

    def trimmed(self) -> None:
        """The log was trimmed: forget the members of long ago."""
        self._core.forget_configurations(self._core.core_applied)

    def tick(self) -> None:
        """Do everything that can be done now: elections, commit, apply, send, start a sync.

        Called within `on_apply` it does nothing: the tick under way goes on afterwards.
        """
        if self._ticking or self.failure is not None:
            return
        if self.log.failure is not None:
            self.failure = self.log.failure
            return
        self._ticking = True
        try:
            self._tick()
        except BaseException as error:
            self.failure = error
            raise
        finally:
            self._ticking = False
        self._schedule_flush()

    def _tick(self) -> None:
        core, log = self._core, self.log
        again = True
        # An applied entry may bring the next, and a sync may end at once (`Inline`).
        while again:
            applied, durable = core.core_applied, log.durable_index
            core.tick()
            log.flush()
            now = core.core_applied
            again = durable != log.durable_index or (applied != now and now != log.last_index)
        told = (core.core_leader, core.core_term)
        if told != self._told:
            self._told = told
            for callback in self._leadership:
                callback(*told)

    def _schedule_flush(self) -> None:
        if not self._core.flush_wanted or self._flush_scheduled:
            return
        if self._soon is None:
            self._core.flush()
            return
        self._flush_scheduled = True
        self._soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self.failure is None:
            self._core.flush()


def is_for_engine(kind: int) -> bool:
    """Tell whether a message of this kind goes to `Engine.receive`."""
    return kind <= msg.LAST_OF_RAFT
