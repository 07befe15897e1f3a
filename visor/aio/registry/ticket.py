"""Tickets: work to be done, and who does it."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING

from visor import select
from visor._core.log import log
from visor._core.public import public
from visor._core.registry import layout, tickets
from visor._core.registry.errors import Unregistered
from visor._core.registry.model import TicketRecord
from visor._core.registry.plan import Refused, Version
from visor._core.registry.scaling import Group
from visor._core.registry.states import Operation, State, Status
from visor._core.registry.tickets import BaseTicket
from visor._core.registry.transitions import Seen
from visor.aio.registry.access import access_of, within
from visor.aio.registry.base import Registered
from visor.aio.registry.instance import Instance, claimer, look
from visor.aio.registry.waiting import wait_until
from visor.codecs import BYTES
from visor.errors import Conflict, DeadlineExceeded, DecodeError, NotFound
from visor.values import Commit, Kind

if TYPE_CHECKING:
    from visor.aio.registry.presence import Presence
    from visor.aio.registry.snapshot import Snapshot
    from visor.aio.watch import Watch

PAGE, MOST = 64, 4096
"""Open tickets that a claimer looks at, to draw one: the more, the fewer draw the same."""


class Ticket(Registered, BaseTicket):
    """A ticket at a rev: an order to start or stop a process.

    An instance that is pending or claimed is a start ticket, one that is stopping a stop ticket: `instance` is that one
    then, and what is done to the ticket is done to it. Other tickets (`Snapshot.create_ticket`) stand for themselves.
    """

    __slots__ = ()
    _instance: Instance | None

    def __init__(
        self, view: Snapshot, record: TicketRecord, mod_rev: int, instance: Instance | None = None
    ) -> None:
        super().__init__(view, record, mod_rev)
        self._instance = instance

    @classmethod
    def of_instance(cls, instance: Instance) -> Ticket:
        """Return an instance as a ticket."""
        ticket = tickets.of_instance(instance._record, instance.state, instance.status_info)
        return cls(instance.snapshot, ticket, instance.mod_rev, instance)

    @property
    def instance(self) -> Instance | None:
        """The instance that it is about; None for a ticket that stands for itself."""
        return self._instance

    # -- moves ----------------------------------------------------------------------------------------
    async def claim(self, host: str | Presence, *, lease: int = 0, timeout: float | None = None) -> Ticket:
        """Take it on: one of many claimers wins, the others get AlreadyClaimed.

        A lease counts for tickets of instances; others stay claimed until somebody gives them back.
        """
        if self._instance is not None:
            return Ticket.of_instance(await self._instance.claim(host, lease=lease, timeout=timeout))
        host, _ = claimer(host, lease)
        return await self._make(
            tickets.claim(self._record, self._mod_rev, host, self._access.time()), timeout
        )

    async def unclaim(self, host: str | None = None, *, timeout: float | None = None) -> Ticket:
        """Give it back: it is announced again. NotClaimer for another host than the present claimer."""
        if self._instance is not None:
            return Ticket.of_instance(await self._instance.unclaim(host, timeout=timeout))
        return await self._make(tickets.unclaim(self._record, self._mod_rev, host), timeout)

    async def done(
        self, host: str | None = None, reason: str = "done", *, timeout: float | None = None
    ) -> Ticket:
        """Report that it was done. Of an instance: that it runs (start) or has exited (stop)."""
        if self._instance is None:
            return await self._process(Status.DONE, host, reason, timeout)
        if self.op is Operation.STOP:
            return Ticket.of_instance(await self._instance.exited(host, reason, timeout=timeout))
        return Ticket.of_instance(await self._instance.started(host, timeout=timeout))

    async def dead(
        self, host: str | None = None, reason: str = "dead", *, timeout: float | None = None
    ) -> Ticket:
        """Report that it cannot be done. Of an instance: that it failed."""
        if self._instance is None:
            return await self._process(Status.DEAD, host, reason, timeout)
        return Ticket.of_instance(await self._instance.failed(host, reason, timeout=timeout))

    async def _process(self, status: Status, host: str | None, reason: str, timeout: float | None) -> Ticket:
        mark = self._access.mark(self.host if host is None or host == "" else host, reason)
        step = tickets.processed(self._record, self._mod_rev, host, status, mark)
        return await self._make(step, timeout)

    async def _make(self, step: tickets.TicketStep, timeout: float | None) -> Ticket:
        done = await self._access.commit(step.plan, timeout)
        if isinstance(done, Refused):
            raise step.refused(self.rev, done)
        return Ticket(self._view.at(done), step.record, done)

    # -- later ----------------------------------------------------------------------------------------
    async def fast_forward(self, rev: int = -1, *, timeout: float | None = None) -> Ticket:
        """Return it at `rev`, or at the latest rev; itself when that is not newer."""
        view = await within(self._view, timeout).fast_forward(rev)
        if view.rev == self.rev:
            return self
        if self._instance is not None:
            return Ticket.of_instance(await look(view, self._instance._record))
        return await view.ticket(self.id)

    async def wait_processed(self, *, timeout: float | None = None) -> Ticket:
        """Wait until it is done or dead, and return it. DeadlineExceeded after `timeout` seconds."""
        if self._instance is not None:
            states = (State.EXITED,) if self.op is Operation.STOP else (State.RUNNING, State.STOPPING)
            return Ticket.of_instance(await self._instance.wait(*states, timeout=timeout))
        processed: Ticket = await wait_until(
            self._view,
            select.path(layout.identity(self.id)),
            lambda view: view.ticket(self.id),
            lambda now: now.status in tickets.PROCESSED,
            lambda now: f"ticket {self.id} is {now.status} after {timeout or 0:g} s",
            timeout,
        )
        return processed


def from_file(view: Snapshot, path: str, version: Version) -> Ticket:
    """Return the ticket that a file under `/tickets` holds. BadRecord."""
    record = tickets.read(version[1], path)
    if isinstance(record, TicketRecord):
        return Ticket(view, record, version[0])
    return Ticket.of_instance(Instance(view, Seen(record, version[0])))


async def create_ticket(view: Snapshot, op: Operation, group: Group, timeout: float | None) -> Ticket:
    """Make a ticket that stands for itself. NotFound when a part of the group is not registered."""
    access = access_of(view).within(timeout)
    (identity,) = await access.ids(1)
    record, plan = tickets.create(identity, op, group, access.time())
    done = await access.commit(plan)
    if isinstance(done, Refused):
        missing = next((path for path, version in done.found.items() if version is None), None)
        raise NotFound(f"{group}: {missing} is not registered", path=missing, rev=done.rev)
    return Ticket(view.at(done), record, done)


async def claim_ticket(
    view: Snapshot, host: str, lease: int, wanted: tickets.Wanted, timeout: float | None
) -> Ticket | None:
    """Claim one of the open tickets; None when there is none.

    The older ones go first, but each claimer draws at random among some of them: if all took the oldest, one would win
    and all others would have to ask again. A loser draws among more the next time.
    """
    view = within(view, timeout)
    access = access_of(view)
    pauses = access.pauses()
    page = PAGE
    while True:
        candidates = await _drawn(view, wanted, page)
        for ticket in candidates:
            try:
                return await ticket.claim(host, lease=lease, timeout=access.left())
            except (Conflict, Unregistered):
                continue  # somebody was faster
        if not candidates:
            return None
        page = min(page * 4, MOST)
        if not await pauses.next():
            seconds = access.client.channel.settings.timeout if timeout is None else timeout
            raise DeadlineExceeded(f"{host}: others were faster with every ticket", seconds=seconds)


async def _drawn(view: Snapshot, wanted: tickets.Wanted, page: int) -> list[Ticket]:
    """Return a few open tickets that are wanted, drawn from the oldest page that has any."""
    access = access_of(view)
    start, end = layout.open_ticket(0), f"{layout.OPEN}/~"
    while True:
        rev, rows = await access.scan(select.range(start, end), limit=page)
        full = len(rows) == page
        # The fewer there are, the surer somebody else tries each: then look again rather than try them all.
        most = 1 + len(rows) // 8
        if full:
            start = f"{rows[-1][0]}~"  # behind the last one: "~" ranks after every digit
        access.random.shuffle(rows)
        found: list[Ticket] = []
        for path, version in rows:
            ticket = _readable(view.at(rev), path, version)
            if ticket is not None and wanted(ticket):
                found.append(ticket)
                if len(found) == most:
                    break
        if found or not full:
            return found


def _readable(view: Snapshot, path: str, version: Version) -> Ticket | None:
    try:
        return from_file(view, path, version)
    except DecodeError as error:
        log.warning("a ticket cannot be read: %s", error)
        return None


class TicketWatch:
    """An endless iterable of tickets to work on; made by `watch_ticket`.

    A ticket comes when it is made, when it is given back, and (stop tickets) when an instance should stop.
    """

    def __init__(self, view: Snapshot, watch: Watch[bytes], host: str | None) -> None:
        self._view = view
        self._watch = watch
        self._host = host
        self._ready: list[Ticket] = []

    async def next(self, *, timeout: float | None = None) -> Ticket:
        """Return the next ticket; DeadlineExceeded when none comes in `timeout` seconds (None: wait for ever)."""
        deadline = access_of(self._view).client.channel.driver.deadline(1e9 if timeout is None else timeout)
        while not self._ready:
            commit = await self._watch.next(timeout=None if timeout is None else deadline.left())
            self._ready = self._tickets(commit)[::-1]
        return self._ready.pop()

    def _tickets(self, commit: Commit[bytes]) -> list[Ticket]:
        found = []
        view = self._view.at(commit.rev)
        for change in commit.changes:
            if change.kind is not Kind.CREATE:
                continue
            ticket = _readable(view, change.path, change._version)
            if ticket is not None and self._concerns(ticket):
                found.append(ticket)
        return found

    def _concerns(self, ticket: Ticket) -> bool:
        if ticket.status is Status.UNCLAIMED:
            return True
        return (
            ticket.op is Operation.STOP and self._host in (None, ticket.host) and ticket.instance is not None
        )

    def __aiter__(self) -> AsyncIterator[Ticket]:
        return self

    async def __anext__(self) -> Ticket:
        while not self._ready:
            commit = await self._watch.__anext__()
            self._ready = self._tickets(commit)[::-1]
        return self._ready.pop()

    @property
    def rev(self) -> int:
        """The rev up to which every ticket has been handed out."""
        return self._ready[-1].rev - 1 if self._ready else self._watch.rev

    async def close(self) -> None:
        """End it: idempotent, never waits."""
        await self._watch.close()

    async def __aenter__(self) -> TicketWatch:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<visor ticket watch, handed out up to {self._watch.rev}>"


async def watch_ticket(
    view: Snapshot, rev: int | None, host: str | None, timeout: float | None
) -> TicketWatch:
    """Follow the tickets from `rev` on: open ones, and stop tickets (of one host)."""
    watch = await access_of(view).client.watch(select.tree(layout.TICKETS), rev, codec=BYTES, timeout=timeout)
    return TicketWatch(view, watch, host)


public("visor.aio.registry", Ticket, TicketWatch)
