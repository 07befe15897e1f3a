"""Tickets that stand for themselves (eras 1 to 3): create, claim, unclaim, done, dead.

A ticket of an instance is the instance itself (`moves.py`). Both lie side by side under `/tickets`, so one watch and
one listing show all work that is to be done.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from visor._core.dataclass import dataclass
from visor._core.registry import instance_files, layout, names
from visor._core.registry.errors import AlreadyClaimed, BadRecord, IllegalMove
from visor._core.registry.model import IdRecord, InstanceRecord, Mark, TicketRecord
from visor._core.registry.objects import Registered, moment
from visor._core.registry.plan import Plan, Refused
from visor._core.registry.records import decode, parsed
from visor._core.registry.scaling import Group, parts
from visor._core.registry.schema import bad_value, text
from visor._core.registry.states import TICKET_OF, Operation, State, Status
from visor._core.registry.transitions import not_claimer
from visor._core.unfit import Unfit
from visor.errors import RevMismatch, VisorError

PROCESSED: Final = frozenset((Status.DONE, Status.DEAD))


@dataclass(frozen=True, slots=True)
class TicketStep:
    """A move of a ticket that may be made."""

    before: TicketRecord
    record: TicketRecord
    plan: Plan
    host: str | None

    def refused(self, rev: int, refusal: Refused) -> VisorError:
        """Return why it was not made; `rev` is the one at which the ticket was seen."""
        path = layout.identity(self.before.id)
        version = refusal.found.get(path)
        now = None if version is None else decode(IdRecord, version[1], path).ticket
        if version is None or now is None:
            return RevMismatch(
                f"ticket {self.before.id} is gone", path=path, expected=rev, actual=refusal.rev
            )
        try:
            _check(now, self.record.status, self.host)
        except VisorError as error:
            return error
        return RevMismatch(
            f"ticket {now.id} has changed since rev {rev} (it is {now.status} now): fast_forward first",
            path=path,
            expected=rev,
            actual=version[0],
        )


def operation(op: Operation | str) -> Operation:
    """Return what a ticket asks for, of a value that came from outside. BadValue."""
    try:
        return Operation(op)
    except ValueError:
        raise bad_value(None, Unfit(f"one of {', '.join(Operation)}", op, "op")) from None


def read(data: bytes | None, path: str) -> TicketRecord | InstanceRecord:
    """Return what a file under `/tickets` holds: a ticket, or the instance that is one. BadRecord."""
    try:
        document = parsed(data)
    except (ValueError, RecursionError) as error:
        raise BadRecord(path=path, why=f"not a ticket: {error}", codec="record") from error
    if isinstance(document, dict) and "op" in document:
        return decode(TicketRecord, data, path)
    return decode(InstanceRecord, data, path)


def create(identity: int, op: Operation, group: Group, time: str) -> tuple[TicketRecord, Plan]:
    """Return a new ticket and its transaction: app, revision and process type must be there."""
    record = TicketRecord(identity, op, group.app, group.revision, group.proc, group.env, registered=time)
    plan = Plan(note=f"ticket: {op} {group}")
    for path in parts(group):
        plan.exists(path)
    plan.look_at(parts(group))
    plan.missing(layout.identity(identity))
    plan.turn({}, instance_files.ticket_files(record))
    return record, plan


def claim(record: TicketRecord, mod_rev: int, host: str, time: str) -> TicketStep:
    """Take it on; AlreadyClaimed when somebody has."""
    names.host(host)
    claims = instance_files.with_claim(record.claims, host, time)
    after = replace(record, status=Status.CLAIMED, host=host, claim=record.claim + 1, claims=claims)
    return _step(record, mod_rev, after, None)


def unclaim(record: TicketRecord, mod_rev: int, host: str | None) -> TicketStep:
    """Give it back."""
    return _step(record, mod_rev, replace(record, status=Status.UNCLAIMED, host=None), host)


def processed(record: TicketRecord, mod_rev: int, host: str | None, status: Status, mark: Mark) -> TicketStep:
    """Report that the work is done, or that it cannot be (DEAD)."""
    return _step(record, mod_rev, replace(record, status=status, end=mark), host)


def _step(before: TicketRecord, mod_rev: int, after: TicketRecord, host: str | None) -> TicketStep:
    if host is not None:
        text("host", host)
    _check(before, after.status, host)
    plan = Plan(note=after.end.reason if after.end is not None else None)
    plan.unchanged(layout.identity(before.id), mod_rev)
    plan.look_at([layout.identity(before.id)])
    plan.turn(instance_files.ticket_files(before), instance_files.ticket_files(after))
    return TicketStep(before, after, plan, host)


def _check(record: TicketRecord, wanted: Status, host: str | None) -> None:
    if wanted is Status.CLAIMED:
        if record.status is Status.CLAIMED:
            raise AlreadyClaimed(ticket=record.id, claimer=record.host)
        legal = record.status is Status.UNCLAIMED
    else:
        legal = record.status is Status.CLAIMED
    if not legal:
        raise IllegalMove(
            f"ticket {record.id} is {record.status}: it cannot become {wanted}",
            instance=record.id,
            state=record.status.value,
            wanted=wanted.value,
            move=wanted.value,
        )
    if wanted is not Status.CLAIMED and host is not None and host != record.host:
        raise not_claimer(record.id, host, record.host)


class BaseTicket(Registered):
    """The fields of a ticket."""

    __slots__ = ("_instance",)
    _record: TicketRecord

    @property
    def id(self) -> int:
        """Its number; lower ones are older."""
        return self._record.id

    @property
    def op(self) -> Operation:
        """What is to be done: start or stop."""
        return self._record.op

    @property
    def app(self) -> str:
        """The name of the app."""
        return self._record.app

    @property
    def revision(self) -> str:
        """The ref of the revision."""
        return self._record.revision

    @property
    def proc(self) -> str:
        """The name of the process type."""
        return self._record.proc

    @property
    def env(self) -> str:
        """The ref of the environment; "" without one."""
        return self._record.env

    @property
    def status(self) -> Status:
        """How far it is."""
        return self._record.status

    @property
    def host(self) -> str | None:
        """Who has claimed it."""
        return self._record.host

    @property
    def claims(self) -> list[tuple[str, datetime | None]]:
        """Who claimed it when, the latest claims only."""
        return [(host, moment(time)) for host, time in self._record.claims]

    @property
    def claim_count(self) -> int:
        """How often it was claimed."""
        return self._record.claim

    @property
    def end(self) -> Mark | None:
        """Who processed it, why and when."""
        return self._record.end

    def __repr__(self) -> str:
        where = f" by {self.host}" if self.host else ""
        return f"Ticket({self.id}: {self.op} {self.app} {self.revision} {self.proc}, {self.status}{where})"


class Wanted:
    """Which tickets a claimer is ready for; None means any."""

    def __init__(
        self,
        app: str | None = None,
        revision: str | None = None,
        proc: str | None = None,
        op: Operation | None = None,
    ) -> None:
        self.app, self.revision, self.proc, self.op = app, revision, proc, op

    def __call__(self, ticket: BaseTicket) -> bool:
        """Whether the ticket is one of those."""
        return (
            (self.app is None or ticket.app == self.app)
            and (self.revision is None or ticket.revision == self.revision)
            and (self.proc is None or ticket.proc == self.proc)
            and (self.op is None or ticket.op is self.op)
        )


def of_instance(record: InstanceRecord, state: State, end: Mark | None) -> TicketRecord:
    """Return the ticket that an instance in that state is."""
    op, status = TICKET_OF.get(state, (Operation.START, Status.DEAD))
    return TicketRecord(
        record.id,
        op,
        record.app,
        record.revision,
        record.proc,
        record.env,
        status,
        record.host,
        record.registered,
        record.claim,
        record.claims,
        end,
    )
