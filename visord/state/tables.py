"""The tables of a machine (sessions, leases, retention) for a checkpoint, in slices.

Out of a running machine:

    export = Export(machine)                what the tables are now, whatever is applied from here on
    export.head                             the small things: `export_tables` without its rows
    for row in export.rows(): ...           [SESSION, ...], [LEASE, id, ttl, owner, session] or
                                            [REDACTED, path, sizes]; a little work for each
    export.close()

And into one:

    tables = Import(machine, head)
    tables.add(rows)                        in any number of pieces
    for _ in tables.finish(): ...           a millisecond at a time; the machine has the tables at the end, at once
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from visord.state import redact
from visord.state.auth.auth_store import AuthStore
from visord.state.command import UnknownFormat
from visord.state.formats import FORMAT as COMMANDS
from visord.state.formats import OLDEST, RIGHTS
from visord.state.importing import CorruptHistory
from visord.state.lease import Lease
from visord.state.machine import Machine
from visord.state.redacted import Redacted
from visord.state.retention import Retention
from visord.state.sessions import Sessions
from visord.state.version import ENTRY

FORMAT: Final = COMMANDS
"""Of the tables: that of the newest command so far, which a member tells when it reads them (`members/formats.py`). So
a member of a version before can take over the checkpoint as long as it can read the commands."""
READABLE: Final = frozenset(range(OLDEST, FORMAT + 1))
"""Rows of format 1 know no owners. Tables of format 3 have roles, users and tokens."""
SESSION: Final = 0
LEASE: Final = 1
REDACTED: Final = 2
SLICE: Final = 500
"""Files, or directories, that are looked at in one step."""


def head_of(machine: Machine) -> dict[str, Any]:
    """Return the tables without rows; see `export_tables`."""
    store, retention = machine.store, machine.retention
    return {
        "format": machine.format,
        "index": machine.index,
        "term": machine.term,
        "time": machine.time,
        "rev": store.rev,
        "floor": store.floor,
        "retention": [retention.keep_revs, retention.keep_ms],
        "sessions": [],
        "forgotten": machine.sessions.forgotten,
        "leases": [store.leases.next, []],
        **({"auth": machine.auth.rows()} if machine.format >= RIGHTS else {}),
        **({"redacted": [store.redacted.count, store.redacted.index]} if store.redacted.count else {}),
    }


def session_row(row: list[Any], form: int) -> list[Any]:
    """Return the row of a session for a machine whose commands had at most this format."""
    if form > OLDEST:
        return row
    return [*row[:4], [[write, _whole(kept)] for write, kept in row[4]], row[5]]


def _whole(kept: Any) -> Any:
    """Return an outcome whose results, all nil, are kept as their number, as it was told."""
    if type(kept) is list and type(kept[1]) is bool and type(kept[2]) is int:
        return [kept[0], kept[1], [None] * kept[2]]
    return kept


def lease_row(lease: Lease, form: int) -> list[Any]:
    """Return the row of a lease, likewise."""
    return lease.row() if form > OLDEST else [lease.id, lease.ttl]


def export_tables(machine: Machine) -> dict[str, Any]:
    """Return everything but the store as what msgpack carries, at once; `Export` gives the same in slices.

    `{"format", "index", "term", "time", "rev", "floor", "retention": [keep_revs, keep_ms], "sessions":
    rows, "forgotten", "leases": [next id, rows]}`, and where values were redacted `"redacted": [how often, the last
    one's entry, rows]`.
    """
    head = head_of(machine)
    if "redacted" in head:
        head["redacted"].append(list(redact.rows(machine.store, machine.store.floor)))
    return {
        **head,
        "sessions": [session_row(row, machine.format) for row in machine.sessions.export()],
        "leases": [
            machine.store.leases.next,
            [lease_row(lease, machine.format) for lease in machine.store.leases.by_id.values()],
        ],
    }


def import_tables(machine: Machine, tables: dict[str, Any]) -> None:
    """Take over what `export_tables` gave, after the store was imported up to its rev.

    Raises UnknownFormat for tables of a later format, CorruptHistory when they do not fit the store.
    """
    for _ in Import(machine, tables).finish():
        pass


class Export:
    """See the module. One at a time; `close` it also when not all rows were taken."""

    __slots__ = ("_form", "_leases", "_redacted", "_sessions", "_taken", "head")

    def __init__(self, machine: Machine) -> None:
        self.head = head_of(machine)
        self._form = machine.format
        self._sessions = machine.sessions
        self._taken = machine.sessions.begin_export()
        self._redacted = redact.rows(machine.store, machine.store.floor)
        # A lease never changes: which ones there are is all that has to be remembered.
        self._leases: list[Lease] = list(machine.store.leases.by_id.values())

    def rows(self) -> Iterator[list[Any]]:
        """Yield all rows, once."""
        for session in self._taken.rows():
            yield [SESSION, *session_row(session, self._form)]
        for lease in self._leases:
            yield [LEASE, *lease_row(lease, self._form)]
        for row in self._redacted:
            yield [REDACTED, *row]

    def close(self) -> None:
        """Remember no more. Idempotent."""
        self._sessions.end_export(self._taken)


class Import:
    """See the module. Raises UnknownFormat when the tables are of a later format."""

    __slots__ = ("_head", "_leases", "_machine", "_redacted", "_sessions")

    def __init__(self, machine: Machine, head: dict[str, Any]) -> None:
        known = head.get("format")
        if type(known) is not int or known not in READABLE:
            raise UnknownFormat(
                f"the tables have format {known!r}, this version of visord knows 1 to {FORMAT}"
            )
        following, leases = head.get("leases", [1, []])
        self._machine = machine
        self._head = head
        self._sessions = Sessions.load(head["sessions"], head.get("forgotten", head["rev"]))
        self._leases: list[Any] = [following, list(leases)]
        redacted = head.get("redacted", [0, 0])
        self._redacted: list[Any] = list(redacted[2]) if len(redacted) > 2 else []

    def add(self, rows: Iterable[list[Any]]) -> None:
        """Add rows that `Export` gave. Raises CorruptHistory for any other."""
        for kind, *row in rows:
            if kind == SESSION:
                self._sessions.add(row)
            elif kind == LEASE:
                self._leases[1].append(row)
            elif kind == REDACTED:
                self._redacted.append(row)
            else:
                raise CorruptHistory(self._head["rev"], f"a row of kind {kind!r:.40} among the tables")

    def finish(self) -> Iterator[None]:
        """Give the machine the tables in the last step. Raises CorruptHistory when they do not fit its store."""
        head, machine, store = self._head, self._machine, self._machine.store
        rev, floor = head["rev"], head["floor"]
        if store.rev != rev or not store.floor <= floor <= rev:
            raise CorruptHistory(
                rev, f"the store is at rev {store.rev}, its floor {store.floor}, not {floor}"
            )
        for count, directory in enumerate(store.directories.values()):
            directory.live.sort()
            store.held += ENTRY * len(directory.changes)
            if directory.gone is not None:
                directory.gone.sort()
            if count % SLICE == 0:
                yield
        unfit = yield from store.leases.load_steps(store.files, self._leases)
        if unfit is not None:
            raise CorruptHistory(rev, unfit)
        machine.index, machine.term, machine.time = head["index"], head["term"], head["time"]
        machine.format = head["format"]
        if "auth" in head:
            try:
                machine.take_rights(AuthStore.of(head["auth"], store.limits))
            except (ValueError, KeyError, TypeError) as error:
                raise CorruptHistory(rev, f"roles, users and tokens cannot be read: {error}") from error
        self._take_redacted()
        machine.retention = Retention(*head["retention"])
        machine.sessions = self._sessions
        store.raise_floor(floor)

    def _take_redacted(self) -> None:
        store, told = self._machine.store, self._head.get("redacted", [0, 0])
        before, store.redacted = store.redacted, Redacted()
        # Of a store that goes on: until a checkpoint was made, the disk may have what was taken out.
        store.redacted.fresh, store.redacted.marks = before.fresh, before.marks
        try:
            store.redacted.count, store.redacted.index = told[:2]
            for row in self._redacted:
                redact.load(store, row)
        except (ValueError, TypeError) as error:
            raise CorruptHistory(self._head["rev"], f"what was redacted cannot be read: {error}") from error
