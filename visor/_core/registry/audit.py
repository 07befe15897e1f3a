"""The checker: every object whole, nothing left over. Pure: all files in, what is wrong out.

It knows what must be there from the same function that writes it (`placement.files`), so a registration that is half
there, an index without its object, or a count that no instance stands behind cannot hide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from visor._core.dataclass import dataclass
from visor._core.public import public
from visor._core.registry import instance_files, layout
from visor._core.registry.errors import BadRecord
from visor._core.registry.mending import trouble
from visor._core.registry.model import (
    AppRecord,
    EndpointRecord,
    EnvRecord,
    IdRecord,
    InstanceRecord,
    LeaseRecord,
    LockRecord,
    MemberRecord,
    ProcRecord,
    RevisionRecord,
    RunnerRecord,
    ScaleRecord,
    ServiceRecord,
)
from visor._core.registry.plan import Files
from visor._core.registry.records import decode
from visor.paths import components


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where, and what."""

    path: str
    what: str
    unreadable: bool = False
    """The file cannot be read: `Registry.repair` deals with it."""

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


Stored = Mapping[str, tuple[bytes, int]]
"""Path -> (bytes, lease), every file of the domain at one rev."""


def faults(stored: Stored) -> list[Fault]:
    """Return everything that is wrong, in path order; an empty list when all is well."""
    audit = _Audit(stored)
    audit.run()
    return sorted(audit.faults, key=lambda fault: fault.path)


class _Audit:
    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self.faults: list[Fault] = []
        self.accounted: set[str] = set()
        self.leases: set[int] = set()
        self.instances: dict[int, InstanceRecord] = {}
        self.ports: dict[int, str] = {}

    def run(self) -> None:
        for path in self.stored:
            if path.startswith("/leases/"):
                self._lease(path)
        for path in self.stored:
            check = _check_of(components(path))
            if check is None:
                self._fault(path, "nothing of the domain lies here")
            else:
                check(self, path)
        for path in self.stored:
            if path not in self.accounted:
                self._fault(path, "left over: no object stands behind it")
        self._next_port()

    # -- kinds of files -------------------------------------------------------------------------------
    def record(self, path: str, kind: type[Any]) -> Any:
        self.accounted.add(path)
        try:
            return decode(kind, self.stored[path][0], path)
        except BadRecord as error:
            self._fault(path, error.why)
            return None

    def part_of_app(self, path: str, kind: type[Any]) -> None:
        record = self.record(path, kind)
        app = components(path)[1]
        self._needs(path, layout.app(app))
        if record is not None and getattr(record, "app", app) != app:
            self._fault(path, f"says that it belongs to {record.app}")

    def proc(self, path: str) -> None:
        self.part_of_app(path, ProcRecord)
        record = self.record(path, ProcRecord)
        if record is None or record.port is None:
            return
        other = self.ports.setdefault(record.port, path)
        if other != path:
            self._fault(path, f"has port {record.port}, which {other} has too")
        if layout.free_port(record.port) in self.stored:
            self._fault(path, f"has port {record.port}, which is told to be free")

    def instance(self, path: str) -> None:
        record = self.record(path, InstanceRecord)
        if record is None:
            return
        if instance_files.record_path(record) != path:
            self._fault(
                path, f"holds instance {record.id}, which belongs to {instance_files.record_path(record)}"
            )
            return
        self._needs(path, layout.app(record.app))
        lost = instance_files.is_lost(record, self.leases)
        self._expect(instance_files.files_once_lost(record) if lost else instance_files.files(record))
        if record.live and not lost:
            self._needs(path, layout.revision(record.app, record.revision))
            self._needs(path, layout.proc(record.app, record.proc))
            if record.env:
                self._needs(path, layout.env(record.app, record.env))

    def identity(self, path: str) -> None:
        record = self.record(path, IdRecord)
        if record is None:
            return
        if layout.identity(record.id) != path:
            self._fault(path, f"is of {record.id}")
        elif record.ticket is not None:
            self._expect(instance_files.ticket_files(record.ticket))
        else:
            where = layout.group(record.app, "instances", record.revision, record.proc, record.env)
            there = f"{where}/{layout.number(record.id)}" in self.stored
            if there == (record.end is not None):
                self._fault(path, "is a tombstone of an instance that is there" if there else "leads nowhere")

    def endpoint(self, path: str) -> None:
        record = self.record(path, EndpointRecord)
        self._needs(path, layout.service(components(path)[1]))
        if record is not None and layout.endpoint(record.service, record.addr) != path:
            self._fault(path, f"is of {record.service} {record.addr}")

    def plain(self, path: str) -> None:
        self.accounted.add(path)

    def variable(self, path: str) -> None:
        self.in_app(path)
        why = trouble(path, self.stored[path][0])
        if why is not None:
            self._fault(path, why)

    def in_app(self, path: str) -> None:
        self.accounted.add(path)
        self._needs(path, layout.app(components(path)[1]))

    def derived(self, path: str) -> None:
        """An index or a copy: its object accounts for it."""

    def _lease(self, path: str) -> None:
        record = self.record(path, LeaseRecord)
        if record is None:
            return
        self.leases.add(record.lease)
        if self.stored[path][1] != record.lease:
            self._fault(path, f"is attached to lease {self.stored[path][1]}, not to its own")

    def _next_port(self) -> None:
        data = self.stored.get(layout.NEXT_PORT, (b"8000", 0))[0]
        try:
            following = int(data)
        except ValueError:
            self._fault(layout.NEXT_PORT, f"is no number: {data!r:.40}")
            return
        for port, path in self.ports.items():
            if port >= following:
                self._fault(path, f"has port {port}, but the next one is {following}")

    # -- helpers --------------------------------------------------------------------------------------
    def _expect(self, files: Files) -> None:
        for path, (data, lease) in files.items():
            self.accounted.add(path)
            found = self.stored.get(path)
            if found is None:
                self._fault(path, "is missing")
            elif found[0] != data:
                self._fault(path, "is not what its object says")
            elif found[1] != lease:
                self._fault(path, f"is attached to lease {found[1]}, expected {lease}")

    def _needs(self, path: str, other: str) -> None:
        if other not in self.stored:
            self._fault(path, f"needs {other}, which is missing")

    def _fault(self, path: str, what: str) -> None:
        data = self.stored.get(path)
        unreadable = data is not None and trouble(path, data[0]) is not None
        self.faults.append(Fault(path, what, unreadable))


Check = Callable[[_Audit, str], None]


def _kind(kind: type[Any]) -> Check:
    def check(audit: _Audit, path: str) -> None:
        audit.record(path, kind)

    return check


def _part(kind: type[Any]) -> Check:
    def check(audit: _Audit, path: str) -> None:
        audit.part_of_app(path, kind)

    return check


_IN_APP: Final[dict[tuple[str, int], Check]] = {
    ("app", 3): _kind(AppRecord),
    ("env", 4): _Audit.variable,
    ("envs", 4): _part(EnvRecord),
    ("revs", 4): _part(RevisionRecord),
    ("procs", 4): _Audit.proc,
    ("instances", 7): _Audit.instance,
    ("live", 7): _Audit.derived,
    ("stopping", 7): _Audit.derived,
    ("epoch", 6): _Audit.in_app,
    ("scale", 6): _part(ScaleRecord),
}

_TOP: Final[dict[tuple[str, int], Check]] = {
    ("internal", 2): _Audit.plain,
    ("next-port", 1): _Audit.plain,
    ("free-ports", 2): _Audit.plain,
    ("uid", 1): _Audit.plain,
    ("ids", 2): _Audit.identity,
    ("tickets", 3): _Audit.derived,
    ("tickets", 4): _Audit.derived,
    ("hosts", 3): _Audit.derived,
    ("leases", 2): _Audit.plain,
    ("runners", 3): _kind(RunnerRecord),
    ("loggers", 2): _kind(MemberRecord),
    ("proxies", 2): _kind(MemberRecord),
    ("pms", 2): _kind(MemberRecord),
    ("locks", 2): _kind(LockRecord),
}


def _check_of(parts: list[str]) -> Check | None:
    if parts[0] == "apps" and len(parts) > 2:
        return _IN_APP.get((parts[2], len(parts)))
    if parts[0] == "services":
        if len(parts) == 3 and parts[2] == "service":
            return _kind(ServiceRecord)
        return _Audit.endpoint if len(parts) == 4 and parts[2] == "endpoints" else None
    return _TOP.get((parts[0], len(parts)))


def inside(paths: Iterable[str]) -> list[str]:
    """Return those paths that the domain keeps."""
    return [
        path for path in paths if any(path == root or path.startswith(f"{root}/") for root in layout.ROOTS)
    ]


public("visor.registry", Fault)
