# Generated from visor/aio/registry/events.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Events: what happens in the domain, in order, whole commits, from any rev on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from visor import select
from visor._core.harmless import json_text
from visor._core.public import public
from visor._core.registry import layout
from visor._core.registry.events import Changed, EventPath, EventType, Happening, happenings
from visor._core.registry.model import (
    AppRecord,
    EndpointRecord,
    InstanceRecord,
    ProcRecord,
    RevisionRecord,
    ServiceRecord,
)
from visor._core.registry.records import decode
from visor._core.registry.transitions import Seen
from visor._core.registry.words import sentence
from visor.blocking.registry.app import App
from visor.blocking.registry.instance import Instance
from visor.blocking.registry.proc import ProcType
from visor.blocking.registry.revision import Revision
from visor.blocking.registry.service import Endpoint, Service
from visor.codecs import BYTES
from visor.errors import DecodeError
from visor.values import Commit, Kind

if TYPE_CHECKING:
    from visor.blocking.registry.snapshot import Snapshot
    from visor.blocking.watch import Watch

Source = App | Revision | ProcType | Instance | Service | Endpoint


class Event:
    """One thing that happened. `source` is the whole object at the event's own rev.

    Of an unregistration it is the object as it was just before. `unknown` events have none, and a `reason`.
    """

    __slots__ = ("_happening", "_view", "actor", "note", "rev", "source", "time")

    def __init__(self, view: Snapshot, commit: Commit[bytes], happening: Happening) -> None:
        self._view = view
        self._happening = happening
        self.rev = commit.rev
        self.time: datetime = commit.time
        self.actor = commit.actor
        self.note = commit.note
        self.source: Source | None = _source(view, happening)

    @property
    def type(self) -> EventType:
        """What happened."""
        return self._happening.type

    @property
    def path(self) -> EventPath:
        """The names in the object's path."""
        return self._happening.path

    @property
    def file(self) -> str:
        """The file whose change told it."""
        return self._happening.file

    @property
    def body(self) -> str:
        """The text of that file; "" when it says nothing."""
        return (self._happening.body or b"").decode("utf-8", "replace")

    @property
    def reason(self) -> str | None:
        """Why an unknown event is unknown; why an instance ended; why something was done."""
        if self._happening.reason is not None:
            return self._happening.reason
        if isinstance(self.source, Instance) and self.source.status_info is not None:
            return self.source.status_info.reason
        return self.note

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        path = self.path
        names = {name: getattr(path, name) for name in path.__slots__}
        return {
            "type": self.type.value,
            "rev": self.rev,
            "time": f"{self.time:%Y-%m-%dT%H:%M:%S}.{self.time.microsecond // 1000:03d}Z",
            "actor": self.actor,
            "note": self.note,
            "path": {name: value for name, value in names.items() if value is not None},
            "source": None if self.source is None else self.source.to_dict(),
            "reason": self.reason,
        }

    def to_json(self) -> str:
        """Return it as one JSON object on one line."""
        return json_text(self.to_dict())

    def __str__(self) -> str:
        record = None if self.source is None else self.source._record
        return sentence(self.type, self.path, record, self.rev, self.actor, self.reason)

    def __repr__(self) -> str:
        return f"<Event {self}>"


class EventWatch:
    """An endless iterable of events; made by `watch_event`.

        with registry.watch_event(rev=812) as events:
            for event in events: ...

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

    def next(self, *, timeout: float | None = None) -> Event:
        """Return the next event; DeadlineExceeded when none comes in `timeout` seconds (None: wait for ever)."""
        deadline = self._view.access.client.channel.driver.deadline(1e9 if timeout is None else timeout)
        while not self._ready:
            if self._taken is None:
                self._taken = self._watch.next(timeout=None if timeout is None else deadline.left())
            self._make_ready(self._taken, None if timeout is None else deadline.left())
        return self._ready.pop()

    def _make_ready(self, commit: Commit[bytes], timeout: float | None) -> None:
        self._ready = (self._events(commit, timeout))[::-1]
        self._taken = None

    def next_commit(self, *, timeout: float | None = None) -> list[Event]:
        """Return the rest of the events of one commit, at least one."""
        first = self.next(timeout=timeout)
        rest, self._ready = self._ready[::-1], []
        return [first, *rest]

    def commits(self) -> Iterator[list[Event]]:
        """Iterate over the events of one commit after the other."""
        for first in self:
            rest, self._ready = self._ready[::-1], []
            yield [first, *rest]

    def _events(self, commit: Commit[bytes], timeout: float | None) -> list[Event]:
        changes = [changed(change) for change in commit.changes]
        found = happenings(commit.rev, changes)
        if self._types is not None:
            found = [each for each in found if each.type in self._types]
        then = self._view.at(commit.rev)
        fetched = fetch(then.within(timeout), found)
        return [Event(then, commit, each) for each in fetched]

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        while not self._ready:
            if self._taken is None:
                self._taken = self._watch.__next__()
            self._make_ready(self._taken, None)
        return self._ready.pop()

    def progress(self, *, timeout: float | None = None) -> int:
        """Ask how far the registry is, and return the rev up to which everything has arrived here."""
        return self._watch.progress(timeout=timeout)

    def close(self) -> None:
        """End it: idempotent, never waits."""
        self._watch.close()

    def __enter__(self) -> EventWatch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<visor event watch, handed out up to {self.rev}>"


def watch_event(
    view: Snapshot,
    rev: int | None,
    types: Iterable[EventType | str] | None,
    app: str | None,
    timeout: float | None,
) -> EventWatch:
    """Follow the events from `rev` on, of everything or of one app."""
    chosen = None if types is None else frozenset(EventType(each) for each in types)
    what = select.tree(layout.app_directory(app)) if app is not None else _selector(chosen)
    watch = view.access.client.watch(what, rev, previous=True, codec=BYTES, timeout=timeout)
    return EventWatch(view, watch, chosen)


def _selector(types: frozenset[EventType] | None) -> select.Selector:
    """Return the smallest subtree that tells all the types."""
    outside = {each for each in types or () if each.value.startswith(("service", "endpoint", "unknown"))}
    if types is not None and not outside:
        return select.tree(layout.APPS)
    return select.tree("/")


def changed(change: Any) -> Changed:
    """Return a change of a commit as the pure part wants it."""
    gone = change.kind in (Kind.DELETE, Kind.EXPIRE)
    previous = change._previous
    return Changed(
        change.path,
        gone,
        change.data,
        None if previous is None else previous[1],
        0 if previous is None else previous[4],
        0 if previous is None else previous[0],
    )


def fetch(view: Snapshot, found: list[Happening]) -> list[Happening]:
    """Fill in the instances that are not in their commit, a request for each group of them."""
    groups: dict[str, list[str]] = {}
    for each in found:
        if each.fetch is not None:
            groups.setdefault(each.fetch.rsplit("/", 1)[0], []).append(each.fetch)
    rows: dict[str, Any] = {}
    for directory, paths in groups.items():
        last = int(max(paths).rsplit("/", 1)[1]) + 1
        span = select.range(min(paths), f"{directory}/{layout.number(last)}")
        rows.update((view.access.scan(span, view.rev))[1])
    return [each if each.fetch is None else _filled(each, rows.get(each.fetch)) for each in found]


def _filled(each: Happening, version: Any) -> Happening:
    if version is None:
        reason = f"{each.fetch}: not found"
        return Happening(EventType.UNKNOWN, each.path, each.file, reason=reason)
    try:
        record = Seen(_decoded(each.fetch or "", version), version[0])
    except DecodeError as error:
        return Happening(EventType.UNKNOWN, each.path, each.file, reason=str(error), body=version[1])
    return Happening(each.type, each.path, each.file, record.record, False, version[0], True, body=version[1])


def _decoded(path: str, version: Any) -> InstanceRecord:
    return decode(InstanceRecord, version[1], path)


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


public("visor.registry", Event, EventWatch)
