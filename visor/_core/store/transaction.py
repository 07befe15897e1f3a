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

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import TypeVar

from visor import guard, op
from visor._core.dataclass import dataclass
from visor._core.following.cache import View
from visor._core.public import public
from visor._core.store import by
from visor._core.store.by import By
from visor._core.store.damage import NONE, Damages
from visor._core.store.errors import (
    Immutable,
    InUse,
    NameConflict,
    NoKind,
    ObjectDamaged,
    ObjectExists,
    ObjectMissing,
    Regressed,
    SequenceConflict,
)
from visor._core.store.kind import folded
from visor._core.store.overlay import Overlay
from visor._core.store.reading import Reading, check_indexes
from visor._core.store.record import Meta, Record
from visor._core.store.tables import Table, Tables
from visor._core.unfit import Unfit
from visor.guard import Guard
from visor.op import Leased, Op, lease_id

R = TypeVar("R", bound=Record)

PORTION = 250
"""Objects that are worked on in one go."""

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
    """One attempt; made by `Store.update` and `Store.batch`, for one thread. Reads see its own writes.

    When the body that it was given to has ended, it takes nothing any more: RuntimeError.
    """

    def __init__(
        self,
        view: View[Record],
        tables: Tables,
        now: Callable[[], datetime],
        damaged: Damages = NONE,
    ) -> None:
        super().__init__(view, tables)
        self._clock = now
        self._moment: datetime | None = None
        self._damaged = damaged
        self._buffer: dict[str, Pending | None] = {}
        self._overlays: dict[str, Overlay] = {}
        """What the indexes do not know, by the directory of the kind."""
        self._old_seen = 0
        """How many of the states that the view keeps of what others have changed are in there."""
        self._read: set[str] = set()
        self._searched: set[str] = set()
        self._size = 0
        self._journal: list[Callable[[], object]] = []
        """What takes back each thing that was noted here, latest last."""
        self._open = True
        self.committed: int | None = None
        """The version it was committed as; None before, and when it wrote nothing."""

    def begin(self) -> None:
        """Take what another body does in it."""
        self._open = True

    def end(self) -> None:
        """Take nothing any more: its body has ended."""
        self._open = False

    def _check_open(self) -> None:
        if not self._open:
            raise RuntimeError(
                "this transaction has ended with the body that it was given to: nothing more can be done in it; "
                "begin another one"
            )

    # -- reading --------------------------------------------------------------------------------------
    def _get(self, path: str) -> Record | None:
        if path in self._buffer:
            pending = self._buffer[path]
            return None if pending is None else pending.record
        return self._view.get(path)

    def get(self, kind: type[R], id: str) -> R | None:
        """Return the object, None when there is none; the transaction fails if it has changed at commit."""
        self._check_open()
        found = super().get(kind, id)
        self._note(self._read, self._tables.of(kind).path(id))
        return found

    def find(self, kind: type[R], *selectors: By) -> list[R]:
        """Return the objects that match; the transaction is run again if the kind has changed at commit."""
        self._check_open()
        found = super().find(kind, *selectors)
        self._note(self._searched, self._tables.of(kind).directory)
        return found

    def _candidates(self, table: Table, selectors: tuple[By, ...]) -> Iterable[str]:
        """Return the ids of all objects that may match, at a cost that does not grow with what was written before."""
        check_indexes(table, selectors)
        chosen = selectors or (by.all(),)
        answers = [list(selector.ids(table)) for selector in chosen]
        self._take_in_changes()  # after the indexes: what they have forgotten by now is in there
        shortest = min(range(len(answers)), key=lambda number: len(answers[number]))
        ids = dict.fromkeys(answers[shortest])
        overlay = self._overlays.get(table.directory)
        if overlay is not None:
            ids.update(dict.fromkeys(chosen[shortest].ids(overlay)))
        return ids

    def _take_in_changes(self) -> None:
        """Note the states at this view of what others have changed since, each once."""
        old = self._view.old
        if len(old) == self._old_seen:
            return
        fresh = list(islice(old.items(), self._old_seen, None))  # nothing is ever taken out of it
        self._old_seen += len(fresh)
        for path, record in fresh:
            table = self._tables.at(path)
            if table is not None and record is not None:
                self._overlay(table).add(record)

    def _overlay(self, table: Table) -> Overlay:
        overlay = self._overlays.get(table.directory)
        if overlay is None:
            overlay = self._overlays[table.directory] = Overlay(table)
        return overlay

    def _note(self, learned: set[str], path: str) -> None:
        if path not in learned:
            learned.add(path)
            self._journal.append(lambda: learned.discard(path))

    def _now(self) -> datetime:
        """Return the time in ms, which is what is stored of it: one for the whole transaction."""
        if self._moment is None:
            now = self._clock()
            self._moment = now.replace(microsecond=now.microsecond // 1000 * 1000)
        return self._moment

    # -- writing --------------------------------------------------------------------------------------
    def create(self, record: R, *, lease: Leased | int | None = None) -> R:
        """Store a new object, attached to `lease` if given, and return it as it will be stored.

        ObjectExists, NameConflict, NoKind; BadField (a TypeError) for a field whose value does not fit;
        ObjectDamaged when there is a file that cannot be read.
        """
        self._check_open()
        table = self._tables.of(type(record))
        path = table.path(record.id)
        if self._get(path) is not None:
            raise ObjectExists(kind=table.kind.name, id=record.id)
        self._check_readable(table, path, record.id)
        now = self._now()
        data, meta = self._encoded(table, record, Meta(0, now, now, _lease(table, record.id, lease)))
        self._check_rules(table, None, record)
        kept: R = table.kind.stored_with(record, meta)
        self._put(table, path, Pending(kept, data))
        return kept

    def update(self, record: R) -> R:
        """Store a changed object, which must have been read as it is stored now; return it as it will be.

        SequenceConflict when it was changed since it was read; ObjectMissing, ObjectDamaged, NameConflict, NoKind,
        Immutable, Regressed; BadField (a TypeError) for a field whose value does not fit.
        """
        self._check_open()
        table = self._tables.of(type(record))
        path = table.path(record.id)
        if not isinstance(record.meta, Meta):
            raise table.kind.bad_field(
                record.id, Unfit("the Meta that it was read with", record.meta, "meta")
            )
        stored = self._stored(table, path, record.id)
        if record.meta.version != stored.meta.version:
            raise SequenceConflict(
                kind=table.kind.name,
                id=record.id,
                expected=record.meta.version,
                actual=stored.meta.version,
            )
        data, meta = self._encoded(table, record, replace(stored.meta, updated_at=self._now()))
        self._check_rules(table, stored, record)
        kept: R = table.kind.stored_with(record, meta)
        self._put(table, path, Pending(kept, data))
        return kept

    def delete(self, kind: type[Record], id: str) -> None:
        """Delete an object, or the file of one that cannot be read; ObjectMissing, InUse."""
        self._check_open()
        table = self._tables.of(kind)
        path = table.path(id)
        if self._get(path) is None and self._is_damaged(path):
            self._put(table, path, None)
            return
        stored = self._stored(table, path, id)
        self._check_unused(table, stored)
        self._put(table, path, None)

    def _is_damaged(self, path: str) -> bool:
        return path in self._damaged and path not in self._buffer

    def _check_readable(self, table: Table, path: str, id: str) -> None:
        if self._is_damaged(path):
            raise ObjectDamaged(kind=table.kind.name, id=id, path=path, why=str(self._damaged[path]))

    def _stored(self, table: Table, path: str, id: str) -> Record:
        stored = self._get(path)
        if stored is None:
            self._check_readable(table, path, id)
            raise ObjectMissing(kind=table.kind.name, id=id)
        return stored

    def _encoded(self, table: Table, record: Record, meta: Meta) -> tuple[bytes, Meta]:
        """Return what is stored, types checked: before the rules, which compare what fits."""
        data: bytes = table.kind.encode(record, meta.created_at, meta.updated_at)
        table.kind.check_indexes(record)
        return data, meta

    def _put(self, table: Table, path: str, pending: Pending | None) -> None:
        """Write into the buffer, and into the journal how to take it back."""
        there, before, size = path in self._buffer, self._buffer.get(path), self._size

        def undo() -> None:
            self._size = size
            if there:
                self._buffer[path] = before
            else:
                del self._buffer[path]

        self._journal.append(undo)
        self._buffer[path] = pending
        if pending is not None:
            self._overlay(table).add(pending.record)  # and it stays there: what it answers is looked at
        # A guard and an operation, and as much again for what the kind's unique fields need.
        self._size += 4 * len(path) + 64 + (len(pending.data) if pending is not None else 0)

    def put(self, table: Table, record: Record) -> None:
        """Store the object as it is, times included, whatever the rules: what restoring does."""
        path = table.path(record.id)
        stored = self._view.get(path)
        meta = replace(record.meta, version=stored.meta.version if stored is not None else 0)
        data, meta = self._encoded(table, record, meta)
        self._put(table, path, Pending(table.kind.stored_with(record, meta), data))

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
            if held is not None and (wanted is None or wanted < held):
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
        wanted = folded(value)
        for id in self._holding(table, field, wanted):
            if id == record.id:
                continue
            other = self._get(f"{table.directory}/{id}")
            if other is not None and folded(getattr(other, field)) == wanted:
                raise NameConflict(kind=table.kind.name, id=record.id, field=field, value=value, holder=id)

    def _holding(self, table: Table, field: str, value: Hashable) -> Iterable[str]:
        """Return the ids of the objects that may have this value."""
        ids = tuple(table.equal(field, value))
        self._take_in_changes()
        overlay = self._overlays.get(table.directory)
        return ids if overlay is None else (*ids, *overlay.equal(field, value))

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
        made = Command([], [], [], [])
        for _ in self.fill(made, known):
            pass
        return made

    def fill(self, command: Command, known: Claims) -> Iterator[None]:
        """Write into an empty command what the registry is to do, and yield after each portion of the work."""
        guards = {path: guard.since(self.version) for path in self._searched}
        for path in self._read:
            if path.rpartition("/")[0] not in self._searched:
                guards[path] = guard.since(self.version)
        then = command.then
        released: dict[str, str] = {}
        taken: dict[str, str] = {}
        leases: dict[str, int] = {}
        for number, (path, pending) in enumerate(self._buffer.items(), 1):
            if number % PORTION == 0:
                yield
            before = self._view.get(path)
            self._write(path, before, pending, guards, then)
            table = self._tables.at(path)
            assert table is not None
            released |= table.claims(before)
            if pending is not None:
                claims = table.claims(pending.record)
                taken |= claims
                leases |= dict.fromkeys(claims, pending.record.meta.lease)
        if len(self._buffer) >= PORTION:
            yield
        self._claim(released, taken, leases, known, guards, then)
        command.guards.extend(guards.items())
        command.claims.extend(path for path in guards if path in released or path in taken)
        command.orelse.extend(op.get(path) for path in command.claims)

    def _write(
        self,
        path: str,
        before: Record | None,
        pending: Pending | None,
        guards: dict[str, Guard],
        then: list[Op],
    ) -> None:
        damaged = self._damaged.get(path) if before is None else None
        if before is None and pending is None and damaged is None:
            return  # created and deleted in here
        if damaged is not None:
            guards[path] = guard.rev(damaged.rev)
        else:
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


def _lease(table: Table, id: str, lease: Leased | int | None) -> int:
    """Return the number of the lease. BadField for what is none, LeaseLost for one that is over."""
    if isinstance(lease, bool) or not (lease is None or isinstance(lease, int) or hasattr(lease, "check")):
        raise table.kind.bad_field(id, Unfit("a lease or its number", lease, "lease"))
    number = lease_id(lease)
    if not 0 <= number < 1 << 63:
        raise table.kind.bad_field(id, Unfit("a lease or its number", lease, "lease"))
    return number
