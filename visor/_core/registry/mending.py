"""What becomes of a file of the domain that cannot be read: pure.

An instance or a ticket is several files with one number, and some hold the same bytes (`placement.py`). So one that
is damaged is brought back from another, if there is one; if not, all files of that number go, and a tombstone stays.
Any other object is one file, which goes; what the next port is can be counted anew.

    /apps/web/instances/v1/worker/_/000000000812000     damaged
    /hosts/10.0.0.1/000000000812000                     a copy: the record comes back from it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from visor import select
from visor._core.dataclass import dataclass
from visor._core.public import public
from visor._core.registry import instance_files, layout, tickets
from visor._core.registry.errors import BadRecord
from visor._core.registry.model import (
    AppRecord,
    EndpointRecord,
    EnvRecord,
    IdRecord,
    InstanceRecord,
    LeaseRecord,
    LockRecord,
    Mark,
    MemberRecord,
    ProcRecord,
    RevisionRecord,
    RunnerRecord,
    ScaleRecord,
    ServiceRecord,
    TicketRecord,
)
from visor._core.registry.plan import Files, Plan, Version
from visor._core.registry.records import decode
from visor._core.registry.registrations import FIRST_PORT
from visor.paths import components

UNREADABLE: Final = "it could not be read"

_KINDS: Final[dict[tuple[str, int], type[Any]]] = {
    ("apps/app", 3): AppRecord,
    ("apps/envs", 4): EnvRecord,
    ("apps/revs", 4): RevisionRecord,
    ("apps/procs", 4): ProcRecord,
    ("apps/instances", 7): InstanceRecord,
    ("apps/scale", 6): ScaleRecord,
    ("services/service", 3): ServiceRecord,
    ("services/endpoints", 4): EndpointRecord,
    ("ids", 2): IdRecord,
    ("hosts", 3): InstanceRecord,
    ("leases", 2): LeaseRecord,
    ("runners", 3): RunnerRecord,
    ("loggers", 2): MemberRecord,
    ("proxies", 2): MemberRecord,
    ("pms", 2): MemberRecord,
    ("locks", 2): LockRecord,
}
"""Where records lie: the directory, below an app or a service with its own, and the number of components."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What `repair` did with a file that could not be read."""

    path: str
    restored: bool
    """It was brought back from a copy; otherwise it was taken out."""
    rev: int


def trouble(path: str, data: bytes) -> str | None:
    """Return why a file of the domain cannot be read; None when it can, or holds no record."""
    parts = components(path)
    if path in (layout.NEXT_PORT, layout.SCHEMA):
        return None if data.isdigit() else f"not a number: {data!r:.40}"
    try:
        if parts[0] == "tickets":
            tickets.read(data, path)
        elif parts[0] == "apps" and len(parts) == 4 and parts[2] == "env":
            layout.variable_text(path, data)
        else:
            within = parts[0] in ("apps", "services") and len(parts) > 2
            kind = _KINDS.get((f"{parts[0]}/{parts[2]}" if within else parts[0], len(parts)))
            if kind is not None:
                decode(kind, data, path)
    except BadRecord as error:
        return error.why
    return None


def number_of(path: str) -> int | None:
    """Return the number of the instance or ticket that a file is a part of; None for another file."""
    parts = components(path)
    last = parts[-1]
    inside = parts[0] in ("ids", "tickets", "hosts") or (
        parts[0] == "apps" and len(parts) == 7 and parts[2] in ("instances", "live", "stopping")
    )
    if not inside or len(last) > 19 or not (last.isascii() and last.isdigit()):
        return None
    return int(last) if layout.number(int(last)) == last else None


def files_of(number: int) -> list[select.Selector]:
    """Return what selects all files of an instance or a ticket, wherever it is."""
    last = layout.number(number)
    return [
        select.path(layout.identity(number)),
        select.glob(f"/apps/*/instances/*/*/*/{last}"),
        select.glob(f"/apps/*/live/*/*/*/{last}"),
        select.glob(f"/apps/*/stopping/*/*/*/{last}"),
        select.glob(f"{layout.TICKETS}/**/{last}"),
        select.glob(f"{layout.HOSTS}/*/{last}"),
    ]


def mend(found: Mapping[str, Version], leases: frozenset[int], mark: Mark) -> tuple[Plan, bool]:
    """Return the transaction that makes the files of one number whole again, and whether the object came back."""
    truth = _truth(found)
    plan = Plan(note=mark.reason)
    for path, version in found.items():
        plan.unchanged(path, version[0])
    after = _wanted(truth, found, leases, mark)
    for path in after:
        if path not in found:
            plan.missing(path)
    before: Files = {path: (version[1], version[4]) for path, version in found.items()}
    plan.turn(before, after)
    for epoch in sorted({_epoch(path) for path in set(before) ^ set(after) if "/live/" in path}):
        plan.put(epoch, b"")
    return plan, isinstance(truth, InstanceRecord | TicketRecord)


def take_out(path: str, mod_rev: int, mark: Mark) -> Plan:
    """Return the transaction that takes out a file that is an object of its own."""
    plan = Plan(note=mark.reason)
    plan.unchanged(path, mod_rev)
    plan.drop(path)
    return plan


def count_ports(mod_rev: int, ports: Iterable[int | None], mark: Mark) -> Plan:
    """Return the transaction that says anew which port is the next, where process types have these."""
    plan = Plan(note=mark.reason)
    plan.unchanged(layout.NEXT_PORT, mod_rev)
    plan.put(layout.NEXT_PORT, b"%d" % max((port + 1 for port in ports if port), default=FIRST_PORT))
    return plan


Truth = InstanceRecord | TicketRecord | IdRecord | None


def _truth(found: Mapping[str, Version]) -> Truth:
    """Return what the files of one number are about, as the best of them says."""
    identity: IdRecord | None = None
    records: list[InstanceRecord | TicketRecord] = []
    for path in sorted(found, key=_rank):
        record = _readable(path, found[path][1])
        if isinstance(record, IdRecord):
            identity = record
            if record.end is not None:
                return record
            if record.ticket is not None:
                return record.ticket
        elif record is not None and number_of(path) == record.id:
            records.append(record)
    return records[0] if records else identity


def _rank(path: str) -> tuple[int, str]:
    """The record itself knows best, then its copies; who is gone says so under `/ids`, first of all."""
    order = ("ids", "apps", "hosts", "tickets")
    return order.index(components(path)[0]), path


def _readable(path: str, data: bytes) -> InstanceRecord | TicketRecord | IdRecord | None:
    parts = components(path)
    try:
        if parts[0] == "ids":
            return decode(IdRecord, data, path)
        if parts[0] == "tickets":
            return tickets.read(data, path)
        if parts[0] == "hosts" or parts[2] == "instances":
            return decode(InstanceRecord, data, path)
    except BadRecord:
        pass
    return None


def _wanted(truth: Truth, found: Mapping[str, Version], leases: frozenset[int], mark: Mark) -> Files:
    if isinstance(truth, InstanceRecord):
        lost = instance_files.is_lost(truth, leases)
        return instance_files.files_once_lost(truth) if lost else instance_files.files(truth)
    if isinstance(truth, TicketRecord):
        return instance_files.ticket_files(truth)
    if truth is None:
        truth = _named_by_path(found)
    if truth is None:
        return {}
    return instance_files.tombstone_of(truth if truth.end is not None else replace(truth, end=mark))


def _named_by_path(found: Mapping[str, Version]) -> IdRecord | None:
    """Return what the path of an instance's record, or of its entry, says of it."""
    for path in found:
        parts, number = components(path), number_of(path)
        if parts[0] == "apps" and number is not None:
            env = "" if parts[5] == layout.NO_ENV else parts[5]
            return IdRecord(number, parts[1], parts[3], parts[4], env)
    return None


def _epoch(live: str) -> str:
    parts = components(live)
    return layout.group(parts[1], "epoch", parts[3], parts[4], parts[5])


public("visor.registry", Repaired)
