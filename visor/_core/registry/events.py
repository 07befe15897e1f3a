"""From a commit of files to what happened in the domain: pure.

    changes of rev 42                                          happenings
    create /apps/web/instances/v1/worker/_/000000000041000     instance-register  web v1 worker 41000
    create /apps/web/live/v1/worker/_/000000000041000          (an index: nothing of its own)
    expire /apps/web/live/v1/worker/_/000000000007000          instance-lost      web v1 worker 7000

One marker a kind of object: the file that holds the whole record, so that an event is never about half of an object. An
instance is lost by the end of its lease when its index entry goes and its record stays as it is; that record is not in
the commit, and `fetch` says where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from visor import select
from visor._core.dataclass import dataclass
from visor._core.harmless import json_text
from visor._core.public import public
from visor._core.registry import layout
from visor._core.registry.instance import BaseInstance
from visor._core.registry.instance_files import index_path
from visor._core.registry.model import (
    AppRecord,
    EndpointRecord,
    InstanceRecord,
    ProcRecord,
    RevisionRecord,
    ServiceRecord,
)
from visor._core.registry.objects import Registered
from visor._core.registry.records import decode
from visor._core.registry.states import ENDED, TAKEN, State
from visor._core.registry.transitions import Seen
from visor.errors import DecodeError
from visor.paths import components
from visor.values import Commit, Kind


class EventType(StrEnum):
    """What can happen."""

    APP_REGISTER = "app-register"
    APP_UNREGISTER = "app-unregister"
    REV_REGISTER = "rev-register"
    REV_UNREGISTER = "rev-unregister"
    PROC_REGISTER = "proc-register"
    PROC_UNREGISTER = "proc-unregister"
    INSTANCE_REGISTER = "instance-register"
    INSTANCE_UNREGISTER = "instance-unregister"
    INSTANCE_START = "instance-start"
    INSTANCE_STOP = "instance-stop"
    INSTANCE_EXIT = "instance-exit"
    INSTANCE_FAIL = "instance-fail"
    INSTANCE_LOST = "instance-lost"
    INSTANCE_STATE_CHANGE = "instance-state-change"
    """Any other change of state: claimed, given back."""
    SERVICE_REGISTER = "service-register"
    SERVICE_UNREGISTER = "service-unregister"
    ENDPOINT_REGISTER = "endpoint-register"
    ENDPOINT_UNREGISTER = "endpoint-unregister"
    UNKNOWN = "unknown"
    """A file of the domain that cannot be decoded; `reason` says why."""

    @property
    def state_change(self) -> bool:
        """Whether an instance has another state afterwards (eras 1 and 2 had one type for all of these)."""
        return self in _STATE_CHANGES


_E = EventType
_STATE_CHANGES: Final = frozenset(
    (
        _E.INSTANCE_START,
        _E.INSTANCE_STOP,
        _E.INSTANCE_EXIT,
        _E.INSTANCE_FAIL,
        _E.INSTANCE_LOST,
        _E.INSTANCE_STATE_CHANGE,
    )
)
_BY_STATE: Final = {
    State.RUNNING: _E.INSTANCE_START,
    State.STOPPING: _E.INSTANCE_STOP,
    State.EXITED: _E.INSTANCE_EXIT,
    State.FAILED: _E.INSTANCE_FAIL,
    State.LOST: _E.INSTANCE_LOST,
}


@dataclass(frozen=True, slots=True)
class EventPath:
    """The names in the path of the object."""

    app: str | None = None
    revision: str | None = None
    proc: str | None = None
    env: str | None = None
    instance: int | None = None
    service: str | None = None
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """One file of a commit."""

    path: str
    gone: bool
    """Deleted or expired."""
    data: bytes | None
    previous: bytes | None
    """What was replaced; None when the file is new."""
    lease: int = 0
    """That of the version that was replaced."""
    mod_rev: int = 0
    """The rev that wrote the version that was replaced."""

    @property
    def created(self) -> bool:
        """Whether the file is new."""
        return not self.gone and self.previous is None


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened, without its source where that is not in the commit."""

    type: EventType
    path: EventPath
    file: str
    """The file that told it."""
    record: Any = None
    """The object at the event's rev; for an unregistration the object just before."""
    gone: bool = False
    """The record is that of the rev before."""
    mod_rev: int = 0
    """The rev that wrote the record."""
    lost: bool = False
    """The instance in `record` had been lost by its lease."""
    fetch: str | None = None
    """Where the record is, when it is not in the commit."""
    reason: str | None = None
    body: bytes | None = None


@dataclass(slots=True)
class _Commit:
    rev: int
    by_path: dict[str, Changed]
    result: list[Happening] = field(default_factory=list)


def happenings(rev: int, changes: Iterable[Changed]) -> list[Happening]:
    """Return what the changes of one commit mean, in their order."""
    commit = _Commit(rev, {change.path: change for change in changes})
    for change in commit.by_path.values():
        try:
            commit.result += _look(commit, change)
        except DecodeError as error:
            commit.result.append(_unknown(change, str(error)))
    return commit.result


def _look(commit: _Commit, change: Changed) -> list[Happening]:
    parts = components(change.path)
    if parts[0] == "apps" and len(parts) >= 3:
        look = _IN_APP.get((parts[2], len(parts)))
    elif parts[0] == "services":
        look = _IN_SERVICE.get((parts[2] if len(parts) > 2 else "", len(parts)))
    else:
        look = None
    return look(commit, change, parts) if look is not None else []


Look = Callable[[_Commit, Changed, list[str]], list[Happening]]


def _entry(kind: type, come: EventType, go: EventType, path: Callable[[list[str]], EventPath]) -> Look:
    """Return the look at a kind of object that is registered and unregistered, and nothing else."""

    def look(commit: _Commit, change: Changed, parts: list[str]) -> list[Happening]:
        record: Any
        if change.gone:
            record = decode(kind, change.previous, change.path)
            return [
                Happening(go, path(parts), change.path, record, True, change.mod_rev, body=change.previous)
            ]
        record = decode(kind, change.data, change.path)
        if not change.created:
            return []
        return [Happening(come, path(parts), change.path, record, False, commit.rev, body=change.data)]

    return look


def _instance(commit: _Commit, change: Changed, parts: list[str]) -> list[Happening]:
    path = _instance_path(parts)
    if change.gone:
        record = decode(InstanceRecord, change.previous, change.path)
        lost = _was_lost(commit, record)
        type_ = EventType.INSTANCE_UNREGISTER
        return [Happening(type_, path, change.path, record, True, change.mod_rev, lost, body=change.previous)]
    record = decode(InstanceRecord, change.data, change.path)

    def happened(type_: EventType) -> Happening:
        return Happening(type_, path, change.path, record, False, commit.rev, body=change.data)

    if change.created:
        both = [happened(EventType.INSTANCE_REGISTER), happened(EventType.INSTANCE_START)]
        return both if record.state is State.RUNNING else both[:1]
    before = decode(InstanceRecord, change.previous, change.path)
    ended = record.state in ENDED
    state = State.LOST if ended and _was_lost(commit, before) else before.state
    if record.state is state:
        return []
    return [happened(_BY_STATE.get(record.state, EventType.INSTANCE_STATE_CHANGE))]


def _was_lost(commit: _Commit, before: InstanceRecord) -> bool:
    """Whether an instance that ended in this commit had been lost by its lease before: nothing was left to uncount."""
    if not before.lease or before.state not in TAKEN:
        return False
    return index_path(before) not in commit.by_path


def _index(commit: _Commit, change: Changed, parts: list[str]) -> list[Happening]:
    if not change.gone or not change.lease:
        return []
    record = "/".join(("", *parts[:2], "instances", *parts[3:]))
    if record in commit.by_path:
        return []  # the record says what happened
    path = _instance_path(parts)
    return [Happening(EventType.INSTANCE_LOST, path, change.path, lost=True, fetch=record)]


def _instance_path(parts: list[str]) -> EventPath:
    try:
        identity = int(parts[6])
    except ValueError:
        identity = None
    env = None if parts[5] == "_" else parts[5]
    return EventPath(parts[1], parts[3], parts[4], env, identity)


def _unknown(change: Changed, reason: str) -> Happening:
    parts = [*components(change.path), "", ""]
    app = parts[1] if parts[0] == "apps" else None
    service = parts[1] if parts[0] == "services" else None
    path = EventPath(app=app, service=service)
    body = change.previous if change.gone else change.data
    return Happening(EventType.UNKNOWN, path, change.path, None, change.gone, reason=reason, body=body)


_IN_APP: Final[dict[tuple[str, int], Look]] = {
    ("app", 3): _entry(AppRecord, _E.APP_REGISTER, _E.APP_UNREGISTER, lambda p: EventPath(p[1])),
    ("revs", 4): _entry(RevisionRecord, _E.REV_REGISTER, _E.REV_UNREGISTER, lambda p: EventPath(p[1], p[3])),
    ("procs", 4): _entry(
        ProcRecord, _E.PROC_REGISTER, _E.PROC_UNREGISTER, lambda p: EventPath(p[1], proc=p[3])
    ),
    ("instances", 7): _instance,
    ("live", 7): _index,
    ("stopping", 7): _index,
}
_IN_SERVICE: Final[dict[tuple[str, int], Look]] = {
    ("service", 3): _entry(
        ServiceRecord, _E.SERVICE_REGISTER, _E.SERVICE_UNREGISTER, lambda p: EventPath(service=p[1])
    ),
    ("endpoints", 4): _entry(
        EndpointRecord,
        _E.ENDPOINT_REGISTER,
        _E.ENDPOINT_UNREGISTER,
        lambda p: EventPath(service=p[1], endpoint=p[3]),
    ),
}


def sentence(
    type: EventType, path: EventPath, record: object, rev: int, actor: str, reason: str | None
) -> str:
    """Return what happened as one line."""
    names = (path.service, path.endpoint, path.app, path.revision, path.proc, path.env, path.instance)
    words = [f"rev {rev}: {type.value}", *(str(name) for name in names if name is not None)]
    if isinstance(record, InstanceRecord) and record.host is not None:
        words.append(f"on {record.host}")
    if isinstance(record, EndpointRecord):
        words.append(f"at {record.ip or record.host}:{record.port}")
    words.append(f"by {actor}")
    return " ".join(words) + (f": {reason}" if reason else "")


def smallest(types: frozenset[EventType] | None) -> select.Selector:
    """Return the smallest subtree that tells all the types."""
    outside = {each for each in types or () if each.value.startswith(("service", "endpoint", "unknown"))}
    if types is not None and not outside:
        return select.tree(layout.APPS)
    return select.any_of(select.tree(layout.APPS), select.tree(layout.SERVICES))


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


def filled(each: Happening, version: Any) -> Happening:
    if version is None:
        reason = f"{each.fetch}: not found"
        return Happening(EventType.UNKNOWN, each.path, each.file, reason=reason)
    try:
        record = Seen(decode(InstanceRecord, version[1], each.fetch or ""), version[0])
    except DecodeError as error:
        return Happening(EventType.UNKNOWN, each.path, each.file, reason=str(error), body=version[1])
    return Happening(each.type, each.path, each.file, record.record, False, version[0], True, body=version[1])


class BaseEvent:
    """What an event says of itself; `source`, the object that it is about, is given by the half that can ask."""

    __slots__ = ("_happening", "actor", "note", "rev", "time")
    source: Registered | None

    def __init__(self, commit: Commit[bytes], happening: Happening) -> None:
        self._happening = happening
        self.rev = commit.rev
        self.time: datetime = commit.time
        self.actor = commit.actor
        self.note = commit.note

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
        if isinstance(self.source, BaseInstance) and self.source.status_info is not None:
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


public("visor.registry", EventType, EventPath)
