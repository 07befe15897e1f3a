"""One member of the consensus: propose commands, get the committed ones back in order.

    log = RaftLog.open(...)
    engine = Engine("a", [], log, on_apply=apply)      # apply(index, term, command)
    log.on_durable = engine.tick
    engine.tick()                                      # a lone node leads when this returns
    position = engine.propose(command)                 # (index, term), or None
    ...                                                # the sync ends: tick commits and calls apply

Everything runs on the thread that calls. A command becomes one log record; while one sync runs, further
proposals gather for the next. The owner calls `tick` when a sync ended (after proposing what has gathered:
then the disk works while Python applies) and from a timer; what can be committed and applied is, within
that call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import SystemRandom
from typing import Any

from visord.raft import core as _core
from visord.raft.core import Random, Timing
from visord.raft.log import RaftLog
from visord.storage.errors import DamageError


class Engine:
    """A Raft node on pysyncobj.

    `peers` are the ids of the other members, `transport` is pysyncobj's kind (None: alone). `applied` is
    the (index, term) that the loaded checkpoint holds, (0, 0) without one. `on_apply(index, term, command)`
    gets every committed entry after it once, in order, also those whose first byte is not 0 (pysyncobj's
    own). It must not raise: then `tick` raises it, `failure` holds it, and the engine does nothing any
    more.

    Raises `DamageError` when the log does not reach back to the checkpoint.
    """

    def __init__(
        self,
        node_id: str,
        peers: Sequence[str],
        log: RaftLog,
        transport: Any = None,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
        *,
        on_apply: Callable[[int, int, bytes], Any],
        applied: tuple[int, int] = (0, 0),
        timing: Timing | None = None,
    ) -> None:
        self.node_id = node_id
        self.log = log
        self.failure: BaseException | None = None
        """What `on_apply` raised, or the disk: the engine has stopped."""
        self._leadership: list[Callable[[str | None, int], None]] = []
        self._told: tuple[str | None, int] = (None, 0)
        self._ticking = False
        applied = max(applied, (1, 0))
        self._join(applied)
        self._core = _core.build(
            node_id, peers, log, transport, clock, random or SystemRandom(), timing or Timing()
        )
        self._core.apply_entry = on_apply
        self._core.core_start(applied[0])

    def _join(self, applied: tuple[int, int]) -> None:
        """Make log and checkpoint fit: the log reaches back to the checkpoint, which may lie ahead of it."""
        index, term = applied
        log = self.log
        if index < log.first_index:
            raise DamageError(
                log.directory,
                None,
                f"the entries after the checkpoint at index {index}",
                f"a log that begins at {log.first_index}",
                "The checkpoint is older than the log: restore the newest one, or a backup.",
            )
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

    def on_leadership(self, callback: Callable[[str | None, int], None]) -> None:
        """Call `callback(leader, term)` whenever either changes, from `tick`."""
        self._leadership.append(callback)

    # -- what it does ---------------------------------------------------------------------------------------

    def propose(self, command: bytes) -> tuple[int, int] | None:
        """Append a command as leader and start its sync: its (index, term).

        None: not the leader, or the disk is full (`log.full` tells), or blocks for it are being prepared
        (`log.on_room` is called when they are there).
        """
        log = self.log
        if self.failure is not None or log.failure is not None:
            return None
        if log.full is not None or not log.has_room(len(command)):
            return None
        position = self._core.append(command)
        log.flush()
        return position

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

    def _tick(self) -> None:
        core, log = self._core, self.log
        before = (-1, -1)
        # An applied entry may bring the next, and a sync may end at once (`Inline`).
        while before != (core.core_applied, log.durable_index):
            before = (core.core_applied, log.durable_index)
            core.tick()
            log.flush()
        told = (core.core_leader, core.core_term)
        if told != self._told:
            self._told = told
            for callback in self._leadership:
                callback(*told)
