"""A transaction of the typed store: reads at one version, writes into a buffer, and the guards that make it safe.

What it learned is guarded: an object that was read must not have changed since, nor must anything of a kind
that was searched. What it writes is guarded more narrowly still, so two transactions that only write
different objects never meet. Unique values are guarded by a file each:

    tasks: t1 renamed from Web to DB          guards                              operations
    /objects/task/t1                          rev = 7                             set
    /unique/task/name/web                     holds "t1"                          delete
    /unique/task/name/db                      missing                             set "t1"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from visor import guard, op
from visor._follow.picture import View
from visor._public import public
from visor._store import by
from visor._store.by import By
from visor._store.errors import (
    Immutable,
    InUse,
    NameConflict,
    NoKind,
    ObjectExists,
    ObjectMissing,
    Regressed,
    SequenceConflict,
)
from visor._store.kind import folded
from visor._store.reading import Reading
from visor._store.record import Meta, Record
from visor._store.tables import Table, Tables
from visor.guard import Guard
from visor.op import Leased, Op, lease_id

R = TypeVar("R", bound=Record)

Claims = Mapping[str, "tuple[int, str] | None"]
"""What claims are known to be, from an attempt that failed: `(rev, id)` or None for none."""


@dataclass(frozen=True, slots=True)
class Pending:
    """An object to be written."""

    record: Record
    data: bytes


@dataclass(frozen=True, slots=True)
class Command:
    """A transaction as the registry is asked for it."""

    guards: list[tuple[str, Guard]]
    then: list[Op]
    orelse: list[Op]
    """Reads the claims, to learn what is wrong with them when a guard did not hold."""
    claims: list[str]


class Transaction(Reading):
    """One attempt; made by `Store.update` and `Store.batch`, for one thread. Reads see its own writes."""

    def __init__(self, view: View[Record], tables: Tables, now: Callable[[], datetime]) -> None:
        super().__init__(view, tables)
        self._clock = now
        self._buffer: dict[str, Pending | None] = {}
        self._touched: dict[str, set[str]] = {}
        """The ids in the buffer, by directory."""
        self._read: set[str] = set()
        self._searched: set[str] = set()
        self._size = 0
        self._journal: list[Callable[[], object]] = []
        """What takes back each thing that was noted here, latest last."""
        self.committed: int | None = None
        """The version it was committed as; None before, and when it wrote nothing."""

    # -- reading --------------------------------------------------------------------------------------
    def _get(self, path: str) -> Record | None:
        if path in self._buffer:
            pending = self._buffer[path]
            return None if pending is None else pending.record
        return self._view.get(path)

    def get(self, kind: type[R], id: str) -> R | None:
        """Return the object, None when there is none; the transaction fails if it has changed at commit."""
        found = super().get(kind, id)
        self._note(self._read, self._tables.of(kind).path(id))
        return found

    def find(self, kind: type[R], *selectors: By) -> list[R]:
        """Return the objects that match; the transaction is run again if the kind has changed at commit."""
        found = super().find(kind, *selectors)
        self._note(self._searched, self._tables.of(kind).directory)
        return found

    def _changed(self, table: Table) -> list[str]:
        return [*super()._changed(table), *self._touched.get(table.directory, ())]

    def _note(self, learned: set[str], path: str) -> None:
        if path not in learned:
            learned.add(path)
            self._journal.append(lambda: learned.discard(path))

    def _now(self) -> datetime:
        """Return the time in ms, which is what is stored of it."""
        now = self._clock()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    # -- writing --------------------------------------------------------------------------------------
    def create(self, record: R, *, lease: Leased | int | None = None) -> R:
        """Store a new object, attached to `lease` if given, and return it as it will be stored.

        ObjectExists, NameConflict, NoKind; TypeError for a field whose value does not fit.
        """
        table = self._tables.of(type(record))
        path = table.path(record.id)
        if self._get(path) is not None:
            raise ObjectExists(kind=table.kind.name, id=record.id)
        self._check_rules(table, None, record)
        now = self._now()
        return self._keep(table, path, replace(record, meta=Meta(0, now, now, lease_id(lease))))

    def update(self, record: R) -> R:
        """Store a changed object, which must have been read as it is stored now; return it as it will be.

        SequenceConflict when it was changed since it was read; ObjectMissing, NameConflict, NoKind,
        Immutable, Regressed; TypeError for a field whose value does not fit.
        """
        table = self._tables.of(type(record))
        path = table.path(record.id)
        stored = self._stored(table, path, record.id)
        if record.meta.version != stored.meta.version:
            raise SequenceConflict(
                kind=table.kind.name,
                id=record.id,
                expected=record.meta.version,
                actual=stored.meta.version,
            )
        self._check_rules(table, stored, record)
        return self._keep(table, path, replace(record, meta=replace(stored.meta, updated_at=self._now())))

    def delete(self, kind: type[Record], id: str) -> None:
        """Delete an object; ObjectMissing, InUse."""
        table = self._tables.of(kind)
        path = table.path(id)
        stored = self._stored(table, path, id)
        self._check_unused(table, stored)
        self._put(table, path, None)

    def _stored(self, table: Table, path: str, id: str) -> Record:
        stored = self._get(path)
        if stored is None:
            raise ObjectMissing(kind=table.kind.name, id=id)
        return stored

    def _keep(self, table: Table, path: str, record: R) -> R:
        data = table.kind.encode(record, record.meta.created_at, record.meta.updated_at)
        self._put(table, path, Pending(record, data))
        return record

    def _put(self, table: Table, path: str, pending: Pending | None) -> None:
        """Write into the buffer, and into the journal how to take it back."""
        touched = self._touched.setdefault(table.directory, set())
        there, before, size = path in self._buffer, self._buffer.get(path), self._size

        def undo() -> None:
            self._size = size
            if there:
                self._buffer[path] = before
            else:
                del self._buffer[path]
                touched.discard(table.id(path))

        self._journal.append(undo)
        self._buffer[path] = pending
        touched.add(table.id(path))
        # A guard and an operation, and as much again for what the kind's unique fields need.
        self._size += 4 * len(path) + 64 + (len(pending.data) if pending is not None else 0)

    def put(self, table: Table, record: Record) -> None:
        """Store the object as it is, times included, whatever the rules: what restoring does."""
        stored = self._view.get(table.path(record.id))
        meta = replace(record.meta, version=stored.meta.version if stored is not None else 0)
        self._keep(table, table.path(record.id), replace(record, meta=meta))

    def drop(self, table: Table, id: str) -> None:
        """Delete the object, whatever the rules."""
        self._put(table, table.path(id), None)

    # -- rules ----------------------------------------------------------------------------------------
    def _check_rules(self, table: Table, stored: Record | None, record: Record) -> None:
        kind = table.kind
        if stored is not None and kind.immutable:
            raise Immutable(kind=kind.name, id=record.id)
        for field in kind.grows if stored is not None else ():
            held, wanted = getattr(stored, field), getattr(record, field)
            if wanted < held:
                raise Regressed(kind=kind.name, id=record.id, field=field, expected=held, actual=wanted)
        for field in kind.unique:
            self._check_unique(table, field, record)
        for refer in kind.refers:
            self._check_target(table, record, refer.field, self._tables.of(refer.target), refer.by)
        if stored is not None and any(
            folded(getattr(stored, refer.by)) != folded(getattr(record, refer.by))
            for _, refer in self._tables.referring(kind.type)
        ):
            self._check_unused(table, stored)

    def _check_unique(self, table: Table, field: str, record: Record) -> None:
        value = getattr(record, field)
        if value is None:
            return
        others: list[Record] = self._find(table, (by.field(field, value),))
        for other in others:
            if other.id != record.id:
                raise NameConflict(
                    kind=table.kind.name, id=record.id, field=field, value=value, holder=other.id
                )

    def _check_target(self, table: Table, record: Record, field: str, target: Table, named_by: str) -> None:
        value = getattr(record, field)
        selector = by.id(value) if named_by == "id" else by.field(named_by, value)
        targets: list[Record] = self._find(target, (selector,))
        if not targets:
            raise NoKind(
                kind=table.kind.name, id=record.id, field=field, value=value, target=target.kind.name
            )
        self._note(self._read, target.path(targets[0].id))

    def _check_unused(self, table: Table, record: Record) -> None:
        for other, refer in self._tables.referring(table.kind.type):
            users: list[Record] = self._find(other, (by.field(refer.field, getattr(record, refer.by)),))
            if users:
                holder = f"{other.kind.name} {users[0].id}"
                raise InUse(kind=table.kind.name, id=record.id, holder=holder)
            self._note(self._searched, other.directory)

    # -- the end --------------------------------------------------------------------------------------
    @property
    def changes(self) -> int:
        """How many objects it writes."""
        return len(self._buffer)

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return self._size

    def save_point(self) -> int:
        """Return what `roll_back` needs to forget everything from now on."""
        return len(self._journal)

    def roll_back(self, point: int) -> None:
        """Forget everything since the save point."""
        while len(self._journal) > point:
            self._journal.pop()()

    def command(self, known: Claims) -> Command:
        """Return what the registry is to do."""
        guards = {path: guard.since(self.version) for path in self._searched}
        for path in self._read:
            if path.rpartition("/")[0] not in self._searched:
                guards[path] = guard.since(self.version)
        then: list[Op] = []
        released: dict[str, str] = {}
        taken: dict[str, str] = {}
        leases: dict[str, int] = {}
        for path, pending in self._buffer.items():
            before = self._view.get(path)
            self._write(path, before, pending, guards, then)
            table = self._tables.at(path)
            assert table is not None
            released |= table.claims(before)
            if pending is not None:
                claims = table.claims(pending.record)
                taken |= claims
                leases |= dict.fromkeys(claims, pending.record.meta.lease)
        self._claim(released, taken, leases, known, guards, then)
        doubtful = [path for path in guards if path in released or path in taken]
        return Command(list(guards.items()), then, [op.get(path) for path in doubtful], doubtful)

    def _write(
        self,
        path: str,
        before: Record | None,
        pending: Pending | None,
        guards: dict[str, Guard],
        then: list[Op],
    ) -> None:
        if before is None and pending is None:
            return  # created and deleted in here
        guards[path] = guard.missing() if before is None else guard.rev(before.meta.version)
        if pending is None:
            then.append(op.delete(path))
        else:
            then.append(op.set(path, pending.data, lease=pending.record.meta.lease))

    def _claim(
        self,
        released: Mapping[str, str],
        taken: Mapping[str, str],
        leases: Mapping[str, int],
        known: Claims,
        guards: dict[str, Guard],
        then: list[Op],
    ) -> None:
        """Move the claims on unique values; `known` says what they really are where that was found wrong."""
        for path in {**released, **taken}:
            holder, wanted = released.get(path), taken.get(path)
            if holder == wanted:
                continue
            found = known.get(path) if path in known else (0, holder) if holder is not None else None
            if found is None:
                guards[path] = guard.missing()
            else:
                rev, id = found
                guards[path] = guard.rev(rev) if rev else guard.value((id or "").encode())
            if wanted is not None:
                then.append(op.set(path, wanted.encode(), lease=leases[path]))
            elif found is not None:
                then.append(op.delete(path))

    def __repr__(self) -> str:
        end = "" if self.committed is None else f", committed as version {self.committed}"
        return f"<store transaction at version {self.version}, {self.changes} changes{end}>"


public("visor.store", Transaction)
