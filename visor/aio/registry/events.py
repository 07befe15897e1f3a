"""Events: what happens in the domain, in order, whole commits, from any rev on."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from visor import select
from visor._core.public import public
from visor._core.registry import layout
from visor._core.registry.events import BaseEvent, EventType, Happening, changed, filled, happenings, smallest
from visor._core.registry.model import (
    AppRecord,
    EndpointRecord,
    InstanceRecord,
    ProcRecord,
    RevisionRecord,
    ServiceRecord,
)
from visor._core.registry.transitions import Seen
from visor.aio.registry.access import access_of, within
from visor.aio.registry.app import App
from visor.aio.registry.instance import Instance
from visor.aio.registry.proc import ProcType
from visor.aio.registry.revision import Revision
from visor.aio.registry.service import Endpoint, Service
from visor.codecs import BYTES
from visor.values import Commit

if TYPE_CHECKING:
    from visor.aio.registry.snapshot import Snapshot
    from visor.aio.watch import Watch

Source = App | Revision | ProcType | Instance | Service | Endpoint


class Event(BaseEvent):
    """One thing that happened. `source` is the whole object at the event's own rev.

    Of an unregistration it is the object as it was just before. `unknown` events have none, and a `reason`.
    """

    __slots__ = ("source",)

    def __init__(self, view: Snapshot, commit: Commit[bytes], happening: Happening) -> None:
        super().__init__(commit, happening)
        self.source: Source | None = _source(view, happening)


class EventWatch:
    """An endless iterable of events; made by `watch_event`.

        async with await registry.watch_event(rev=812) as events:
            async for event in events: ...

    Ordered, without gap or repeat, also when the connection breaks. `commits` gives them by whole commits. To go on
    later, ask again from `rev + 1`: the rev up to which every event has been handed out.
    """

    def __init__(self, view: Snapshot, watch: Watch[bytes], types: frozenset[EventType] | None) -> None:
        self._view = view
        self._watch = watch
        self._types = types
        self._ready: list[Event] = []
        self._taken: Commit[bytes] | None = None
        """A commit whose events could not be made yet: it must not be lost."""
        self._from = watch.rev

    @property
    def rev(self) -> int:
        """The rev up to which every event has been handed out; go on from the next one."""
        if self._taken is not None:
            return self._taken.rev - 1
        return self._ready[-1].rev - 1 if self._ready else max(self._watch.rev, self._from)

    async def next(self, *, timeout: float | None = None) -> Event:
        """Return the next event; DeadlineExceeded when none comes in `timeout` seconds (None: wait for ever)."""
        deadline = access_of(self._view).client.channel.driver.deadline(1e9 if timeout is None else timeout)
        while not self._ready:
            if self._taken is None:
                self._taken = await self._watch.next(timeout=None if timeout is None else deadline.left())
            await self._make_ready(self._taken, None if timeout is None else deadline.left())
        return self._ready.pop()

    async def _make_ready(self, commit: Commit[bytes], timeout: float | None) -> None:
        self._ready = (await self._events(commit, timeout))[::-1]
        self._taken = None

    async def next_commit(self, *, timeout: float | None = None) -> list[Event]:
        """Return the rest of the events of one commit, at least one."""
        first = await self.next(timeout=timeout)
        rest, self._ready = self._ready[::-1], []
        return [first, *rest]

    async def commits(self) -> AsyncIterator[list[Event]]:
        """Iterate over the events of one commit after the other."""
        async for first in self:
            rest, self._ready = self._ready[::-1], []
            yield [first, *rest]

    async def _events(self, commit: Commit[bytes], timeout: float | None) -> list[Event]:
        return await events_of(self._view, commit, self._types, timeout)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._ready:
            if self._taken is None:
                self._taken = await self._watch.__anext__()
            await self._make_ready(self._taken, None)
        return self._ready.pop()

    async def progress(self, *, timeout: float | None = None) -> int:
        """Ask how far the registry is, and return the rev up to which everything has arrived here."""
        return await self._watch.progress(timeout=timeout)

    async def close(self) -> None:
        """End it: idempotent, never waits."""
        await self._watch.close()

    async def __aenter__(self) -> EventWatch:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<visor event watch, handed out up to {self.rev}>"


async def events_of(
    view: Snapshot, commit: Commit[bytes], types: frozenset[EventType] | None, timeout: float | None
) -> list[Event]:
    """Return what a commit, read with what it replaced, means in the domain; all of it, or only of these types."""
    found = happenings(commit.rev, [changed(change) for change in commit.changes])
    if types is not None:
        found = [each for each in found if each.type in types]
    then = view.at(commit.rev)
    return [Event(then, commit, each) for each in await fetch(within(then, timeout), found)]


async def watch_event(
    view: Snapshot,
    rev: int | None,
    types: Iterable[EventType | str] | None,
    app: str | None,
    timeout: float | None,
) -> EventWatch:
    """Follow the events from `rev` on, of everything or of one app."""
    chosen = None if types is None else frozenset(EventType(each) for each in types)
    what = select.tree(layout.app_directory(app)) if app is not None else smallest(chosen)
    watch = await access_of(view).client.watch(what, rev, previous=True, codec=BYTES, timeout=timeout)
    return EventWatch(view, watch, chosen)


async def fetch(view: Snapshot, found: list[Happening]) -> list[Happening]:
    """Fill in the instances that are not in their commit, a request for each group of them."""
    groups: dict[str, list[str]] = {}
    for each in found:
        if each.fetch is not None:
            groups.setdefault(each.fetch.rsplit("/", 1)[0], []).append(each.fetch)
    rows: dict[str, Any] = {}
    for directory, paths in groups.items():
        last = int(max(paths).rsplit("/", 1)[1]) + 1
        span = select.range(min(paths), f"{directory}/{layout.number(last)}")
        rows.update((await access_of(view).scan(span, view.rev))[1])
    return [each if each.fetch is None else filled(each, rows.get(each.fetch)) for each in found]


def _source(view: Snapshot, happening: Happening) -> Source | None:
    record = happening.record
    at = view.at(view.rev - 1) if happening.gone else view
    mod_rev = happening.mod_rev
    if isinstance(record, InstanceRecord):
        return Instance(at, Seen(record, mod_rev, happening.lost))
    if isinstance(record, AppRecord):
        return App(at, record, mod_rev)
    if isinstance(record, RevisionRecord):
        return Revision(at, record, mod_rev)
    if isinstance(record, ProcRecord):
        return ProcType(at, record, mod_rev)
    if isinstance(record, ServiceRecord):
        return Service(at, record, mod_rev)
    if isinstance(record, EndpointRecord):
        return Endpoint(at, record, mod_rev)
    return None


public("visor.aio.registry", Event, EventWatch)
