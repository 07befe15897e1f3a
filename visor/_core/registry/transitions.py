"""What each move makes of an instance, and the transaction for it. Pure: time, claimer and lease are arguments.

    step = moves.claim(seen, "10.0.0.1", lease=7, time="2026-03-01T12:00:00.000Z")
    step.record      the instance afterwards (None: unregistered)
    step.plan        the transaction; guarded by the rev that wrote the record which was seen

Every move is fenced by that rev: an action on what was seen is refused when the instance has changed since. So
a former claimer cannot finish an instance that was claimed again, nor a manager whose lease has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from visor._core.dataclass import dataclass
from visor._core.registry import instance_files, layout, names
from visor._core.registry.errors import AlreadyClaimed, IllegalMove, Locked, NotClaimer, Unregistered
from visor._core.registry.model import IdRecord, InstanceRecord, Mark
from visor._core.registry.plan import Files, Plan, Refused
from visor._core.registry.records import decode
from visor._core.registry.schema import COUNT, LEASE, bad_value, fitting, text
from visor._core.registry.states import BY_CLAIMER, GOALS, MOVES, Move, State
from visor._core.unfit import Unfit
from visor.errors import NotFound, RevMismatch, VisorError

RESTARTS: Final = ("fail", "oom")


@dataclass(frozen=True, slots=True)
class Seen:
    """An instance as it was read."""

    record: InstanceRecord
    """What is stored."""
    mod_rev: int
    """The rev that wrote it; 0 once it is unregistered."""
    lost: bool = False
    """Its lease had ended by then."""

    @property
    def state(self) -> State:
        """The state that counts."""
        if not self.mod_rev:
            return State.DONE
        return State.LOST if self.lost else self.record.state

    def files(self) -> Files:
        """Return the files that there are."""
        return instance_files.files_once_lost(self.record) if self.lost else instance_files.files(self.record)


@dataclass(frozen=True, slots=True)
class Step:
    """A move that may be made."""

    seen: Seen
    move: Move
    host: str | None
    record: InstanceRecord | None
    plan: Plan

    def refused(self, rev: int, refusal: Refused) -> VisorError:
        """Return why it was not made; `rev` is the one at which the instance was seen."""
        return _why(self, rev, refusal)


Change = Callable[[InstanceRecord], InstanceRecord]


def claim(seen: Seen, host: str, *, lease: int, time: str) -> Step:
    """Take a pending instance on. AlreadyClaimed when it is taken, also by the same host."""
    names.host(host)
    fitting(LEASE, "lease", lease)

    def change(record: InstanceRecord) -> InstanceRecord:
        claims = instance_files.with_claim(record.claims, host, time)
        return replace(
            record, state=State.CLAIMED, host=host, claim=record.claim + 1, claims=claims, lease=lease
        )

    step = _step(seen, Move.CLAIM, host, change)
    if lease:
        step.plan.exists(layout.lease(lease))
        step.plan.look_at([layout.lease(lease)])
    return step


def unclaim(seen: Seen, host: str | None) -> Step:
    """Give a claimed instance back: it is pending again, and announced as such."""
    return _step(seen, Move.UNCLAIM, host, lambda r: replace(r, state=State.PENDING, host=None, lease=0))


def started(
    seen: Seen,
    host: str | None,
    *,
    port: int | None,
    hostname: str | None,
    tele_port: int | None,
    ip: str | None,
) -> Step:
    """Report that the process runs."""

    def change(record: InstanceRecord) -> InstanceRecord:
        return replace(
            record,
            state=State.RUNNING,
            ip=record.host if ip is None or ip == "" else ip,
            port=port,
            hostname=hostname,
            tele_port=tele_port,
        )

    return _step(seen, Move.STARTED, host, change)


def restarted(seen: Seen, host: str | None, reason: str, count: int) -> Step:
    """Add `count` restarts for `reason` ("fail" or "oom")."""
    if reason not in RESTARTS:
        raise bad_value(None, Unfit(f"one of {', '.join(RESTARTS)}", reason, "reason"))
    fitting(COUNT, "count", count)

    def change(record: InstanceRecord) -> InstanceRecord:
        if reason == "oom":
            return replace(record, oom_restarts=record.oom_restarts + count)
        return replace(record, fail_restarts=record.fail_restarts + count)

    return _step(seen, Move.RESTARTED, host, change)


def stop(seen: Seen) -> Step:
    """Ask for the end of the process."""
    return _step(seen, Move.STOP, None, lambda record: replace(record, state=State.STOPPING))


def ended(seen: Seen, move: Move, host: str | None, mark: Mark) -> Step:
    """Report the end: `move` is EXITED, FAILED or LOST."""
    end = MOVES[State.RUNNING, move]
    return _step(seen, move, host, lambda record: replace(record, state=end, end=mark, lease=0))


def lock(seen: Seen, mark: Mark) -> Step:
    """Mark the instance as somebody's; Locked when it is already."""
    held = seen.record.lock
    if held is not None:
        raise Locked(what=f"instance {seen.record.id}", by=held.by, reason=held.reason)
    return _step(seen, Move.LOCK, None, lambda record: replace(record, lock=mark))


def unlock(seen: Seen) -> Step:
    """Take the mark away, also another's."""
    return _step(seen, Move.UNLOCK, None, lambda record: replace(record, lock=None))


def unregister(seen: Seen, mark: Mark) -> Step:
    """Take the instance out; its tombstone keeps who, why and when."""
    _check(seen, Move.UNREGISTER, None)
    plan = Plan(note=mark.reason)
    _guard(plan, seen)
    instance_files.change(plan, seen.files(), instance_files.tombstone(seen.record, mark), seen.record)
    return Step(seen, Move.UNREGISTER, None, None, plan)


def legal(state: State, move: Move) -> bool:
    """Whether the table knows the move."""
    return (state, move) in MOVES


def _step(seen: Seen, move: Move, host: str | None, change: Change) -> Step:
    _check(seen, move, host)
    # What a lease has ended stays so: a later write must say it itself.
    record = instance_files.as_lost(seen.record) if seen.lost else seen.record
    after = change(record)
    plan = Plan()
    _guard(plan, seen)
    instance_files.change(plan, seen.files(), instance_files.files(after), after)
    return Step(seen, move, host, after, plan)


def _guard(plan: Plan, seen: Seen) -> None:
    record = seen.record
    plan.unchanged(instance_files.record_path(record), seen.mod_rev)
    index = None if seen.lost else instance_files.index_path(record)
    if index is not None and record.lease:
        plan.exists(index)
    plan.look_at((instance_files.record_path(record), layout.identity(record.id)))
    if record.lease:
        plan.look_at([layout.lease(record.lease)])


def _check(seen: Seen, move: Move, host: str | None) -> None:
    """Raise what forbids the move to who has seen this."""
    if host is not None:
        text("host", host)
    record, state = seen.record, seen.state
    if move is Move.CLAIM and state is not State.PENDING and state in (State.CLAIMED, State.RUNNING):
        raise AlreadyClaimed(
            f"instance {record.id} is claimed by {record.host}", ticket=record.id, claimer=record.host
        )
    if not legal(state, move):
        raise IllegalMove(instance=record.id, state=state.value, wanted=GOALS[move], move=move.value)
    if move in BY_CLAIMER and host is not None and host != record.host:
        raise not_claimer(record.id, host, record.host)


def not_claimer(ticket: int, host: str, claimer: str | None) -> NotClaimer:
    """Return the error for a host that has not claimed an instance or a ticket."""
    if claimer is None:
        return NotClaimer(
            f"{ticket} is not claimed, by {host} or anybody", ticket=ticket, host=host, claimer=None
        )
    return NotClaimer(ticket=ticket, host=host, claimer=claimer)


def unregistered(record: IdRecord | None, identity: int, path: str) -> Unregistered:
    """Return the error for an instance or a ticket that is gone."""
    end = record.end if record is not None else None
    if end is None:
        return Unregistered(f"instance {identity} is unregistered", path=path)
    why = "" if end.reason in ("", "unregistered") else f": {end.reason}"
    return Unregistered(
        f"instance {identity} was unregistered by {end.by}{why}",
        path=path,
        by=end.by,
        reason=end.reason,
        time=end.time,
    )


def _why(step: Step, rev: int, refusal: Refused) -> VisorError:
    seen = step.seen
    path = instance_files.record_path(seen.record)
    version = refusal.found.get(path)
    if version is None:
        pointer = refusal.found.get(layout.identity(seen.record.id))
        identity = None if pointer is None else decode(IdRecord, pointer[1], path)
        return unregistered(identity, seen.record.id, path)
    record = decode(InstanceRecord, version[1], path)
    gone = record.lease == seen.record.lease and refusal.found.get(layout.lease(record.lease)) is None
    now = Seen(
        record, version[0], bool(record.lease) and gone and instance_files.is_lost(record, frozenset())
    )
    try:
        _check(now, step.move, step.host)
    except VisorError as error:
        return error
    if version[0] == seen.mod_rev and not now.lost:
        # The record is the one that was seen, so it is the lease to claim with that is not there.
        lease = step.record.lease if step.record is not None else 0
        return NotFound(
            f"lease {lease} is not registered for a host, or has ended", path=layout.lease(lease), rev=None
        )
    return RevMismatch(
        f"instance {record.id} has changed since rev {rev} (it is {now.state} now): fast_forward, decide again",
        path=path,
        expected=rev,
        actual=refusal.rev if now.lost else version[0],
    )
