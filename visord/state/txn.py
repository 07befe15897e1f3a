"""Transactions: guards, then operations in order, all at one rev or not at all.

[32, id, acked, guards, then, else = [], note = nil]  ->  [rev, succeeded, results]
"""

from __future__ import annotations

from typing import Any, Final

from visor.paths import ROOT, check, size
from visor.protocol.verbs import G_ABOVE, T_DELETE, T_GET, T_LIST, T_SET
from visord.state import cost, fields, guards, refusal
from visord.state.overlay import Overlay
from visord.state.plan import Plan, cannot_delete
from visord.state.refusal import Refusal, bad_request
from visord.state.sessions import MAX_KEPT
from visord.state.store import Store

SHORTEST: Final = 2
"""Bytes of the shortest path of an entry."""

_DEFAULTS: Final[list[Any]] = [[], None]


def plan_txn(store: Store, frame: list[Any]) -> Plan | Refusal:
    """Return what the transaction does, or why it is refused."""
    wrong = fields.length(frame, 5, 7)
    if wrong is not None:
        return wrong
    _, _, _, conditions, then, otherwise, note = frame + _DEFAULTS[len(frame) - 5 :]
    limits = store.limits
    wrong = (
        fields.sequence("guards", conditions, limits.operations)
        or fields.sequence("then", then, limits.operations)
        or fields.sequence("else", otherwise, limits.operations)
        or fields.note(note, limits)
        or _malformed_guards(store, conditions)
    )
    if wrong is not None:
        return wrong
    held = _all_hold(store, conditions)
    if isinstance(held, Refusal):
        return held
    # The branch that is taken is looked at as it runs.
    wrong = (
        _malformed_operations(store, "else", otherwise)
        if held
        else _malformed_operations(store, "then", then)
    )
    field, taken = ("then", then) if held else ("else", otherwise)
    return wrong or _run(store, held, field, taken, note, len(conditions))


def _all_hold(store: Store, conditions: list[Any]) -> bool | Refusal:
    for position, (kind, path, arg) in enumerate(conditions):
        reason = guards.unmet(store, kind, path, arg)
        if reason is not None:
            return _at(reason, "guard", position) if reason.code == "compacted" else False
    return True


def _run(
    store: Store, succeeded: bool, field: str, operations: list[Any], note: str | None, guarded: int
) -> Plan | Refusal:
    run = _Run(store, guarded + len(operations))
    overwrite, create = run.overwrite, run.create
    results: list[Any] = []
    for position, operation in enumerate(operations):
        if overwrite(operation) or create(operation):
            results.append(None)
            continue
        result = _malformed(store, field, operation) or run.step(operation)
        if type(result) is Refusal:
            return _at(result, "operation", position)
        results.append(result)
    writes = run.overlay.writes()
    changes = len(writes) + run.made
    if changes > run.bounds.changes:
        return refusal.too_large("changes and new directories", run.bounds.changes, changes)
    if run.leased:
        overfull = store.leases.overfull(store.files, writes)
        if overfull is not None:
            return overfull
    return Plan(writes, note, [succeeded, results], run.shown, run.deferred)


class _Run:
    """The operations of one transaction under way, and what they may still cost.

    What has to be enumerated is counted first. So what a transaction costs to decide is known from the store and its
    operations, and one that is refused for its cost has cost little.
    """

    __slots__ = ("bounds", "deferred", "leased", "limits", "overlay", "shown", "spent", "written")

    def __init__(self, store: Store, steps: int) -> None:
        self.limits = store.limits
        self.bounds = store.bounds
        self.overlay = Overlay(store)
        # units of cost; in format 1 the entries that were looked at
        self.spent = cost.OPERATION * steps if self.bounds.entries is None else 0
        self.deferred = False  # some result is a Listing
        self.written = 0  # bytes of paths and values
        self.shown = 0  # bytes of results
        self.leased = False  # something was attached to a lease

    def overwrite(self, operation: Any) -> bool:
        """Do by far the commonest operation, a value for a file that the store has; say whether it was one."""
        if type(operation) is not list or len(operation) != 3:
            return False
        kind, path, value = operation
        if type(kind) is not int or kind != T_SET or type(path) is not str or type(value) is not bytes:
            return False
        file = self.overlay.store.files.get(path)
        if file is None or file.versions[-1][1] is None or len(value) > self.limits.value:
            return False
        staged = self.overlay.staged
        written = self.written + len(value) + (len(path) if path.isascii() else size(path))
        if written > self.limits.transaction or (path in staged and staged[path] is None):
            return False
        self.written = written
        staged[path] = (value, 0)
        return True

    def create(self, operation: list[Any]) -> bool:
        """Do the next commonest, a new file beside the one that came into being last; say whether it was one."""
        beside = self.overlay.beside
        if beside is None or type(operation) is not list or len(operation) != 3:
            return False
        kind, path, value = operation
        if type(kind) is not int or kind != T_SET or type(path) is not str or type(value) is not bytes:
            return False
        if len(value) > self.limits.value or not path.startswith(beside):
            return False
        if path.find("/", len(beside)) >= 0 or check(path, self.limits) is not None:
            return False  # not right in it, or no path
        written = self.written + len(value) + (len(path) if path.isascii() else size(path))
        if written > self.limits.transaction or not self.overlay.create(path, value):
            return False
        self.written = written
        return True

    def step(self, operation: list[Any]) -> Any:
        """Return the result of one operation, or the Refusal that ends the transaction."""
        kind, path = operation[0], operation[1]
        if kind == T_SET:
            return self._set(path, operation[2], operation[3] if len(operation) > 3 else 0)
        if kind == T_DELETE:
            return self._delete(path, len(operation) > 2 and operation[2])
        return self._get(path) if kind == T_GET else self._list(path)

    def _set(self, path: str, value: bytes, lease: int) -> Refusal | None:
        self.written += size(path) + len(value)
        if self.written > self.limits.transaction:
            return refusal.too_large("transaction", self.limits.transaction, self.written)
        if lease:
            self.leased = True
            unknown = self.overlay.store.leases.unknown(lease)
            if unknown is not None:
                return unknown
        refused = self.overlay.set(path, value, lease)
        if refused is None and self.made > self.bounds.changes:
            return refusal.too_large("new directories", self.bounds.changes, self.made)
        return refused

    @property
    def made(self) -> int:
        """How many directories came into being, as far as that counts."""
        return self.overlay.made if self.bounds.entries is None else 0

    def _delete(self, path: str, recursive: bool) -> Refusal | None:
        overlay = self.overlay
        refused = cannot_delete(overlay, path, recursive)
        if refused is not None:
            return refused
        if overlay.file(path) is not None:
            doomed = [path]
        elif overlay.is_directory(path):
            below = self._below(path)
            if isinstance(below, Refusal):
                return below
            doomed = below
        else:
            return refusal.not_found(path)
        self.written += sum(map(size, doomed))
        if self.written > self.limits.transaction:
            return refusal.too_large("transaction", self.limits.transaction, self.written)
        for entry in doomed:
            overlay.delete(entry)
        return None

    def _below(self, path: str) -> list[str] | Refusal:
        """Return the files below a directory."""
        overlay, bounds = self.overlay, self.bounds
        if bounds.entries is None:
            found = overlay.files_below(path, (bounds.write - self.spent) // cost.VISIT)
            spent = found[1] * cost.VISIT if found is not None else 0
        else:
            before = overlay.found
            found = overlay.files_below(path, bounds.write + len(overlay.staged))
            spent = overlay.found - before
        if found is None:
            return refusal.too_large("cost", bounds.write, bounds.write + 1)
        return self._spend(spent) or found[0]

    def _get(self, path: str) -> Any:
        version = self.overlay.file(path)
        if version is None:
            return refusal.is_directory(path) if self.overlay.is_directory(path) else None
        return self._show(len(version[1] or b"")) or version

    def _list(self, path: str) -> Any:
        overlay = self.overlay
        if overlay.file(path) is not None:
            return refusal.not_directory(path)
        if self.bounds.entries is not None:
            return self._list_whole(path)
        count = overlay.listed(path)
        refused = self._spend(count * cost.VISIT)
        if refused is not None:
            return refused
        listing = overlay.listing(path)
        if count <= MAX_KEPT // SHORTEST:
            rows = listing.rows(overlay.store) or []
            weight = sum(len(path) + 1 + size(row[0]) for row in rows)
            if self.shown + weight <= MAX_KEPT:
                return self._show(weight) or rows
        self.deferred = True
        return self._show(count * (self.limits.component + 1)) or listing

    def _list_whole(self, path: str) -> Any:
        """List a directory as commands of format 1 did: whatever its size, and counted with its whole paths."""
        overlay = self.overlay
        directory = overlay.store.directories.get(path)
        refused = self._spend(len(directory.live)) if directory is not None else None
        if refused is not None:
            return refused
        rows = overlay.listing(path).rows(overlay.store) or []
        above = size(path) + 1 if path != ROOT else 1
        return self._show(sum(above + size(row[0]) for row in rows)) or rows

    def _spend(self, units: int) -> Refusal | None:
        """Return why nothing may be done that costs so many units, after what was done."""
        self.spent += units
        most = self.bounds.write if self.bounds.entries is None else self.bounds.entries
        return refusal.too_large("cost", most, self.spent) if self.spent > most else None

    def _show(self, count: int) -> Refusal | None:
        self.shown += count
        if self.shown <= self.limits.transaction:
            return None
        return refusal.too_large("results", self.limits.transaction, self.shown)


def _malformed_guards(store: Store, conditions: list[Any]) -> Refusal | None:
    for position, guard in enumerate(conditions):
        if type(guard) is not list or len(guard) != 3:
            wrong: Refusal | None = bad_request("guards", "lists [kind, path, arg]", guard)
        else:
            wrong = fields.path("path", guard[1], store.limits)
            wrong = wrong or guards.malformed(guard[0], guard[2], store.limits, last=G_ABOVE)
        if wrong is not None:
            return _at(wrong, "guard", position)
    return None


def _malformed_operations(store: Store, field: str, operations: list[Any]) -> Refusal | None:
    for position, operation in enumerate(operations):
        wrong = _malformed(store, field, operation)
        if wrong is not None:
            return _at(wrong, "operation", position)
    return None


def _malformed(store: Store, field: str, operation: Any) -> Refusal | None:
    if type(operation) is not list or len(operation) < 2 or type(operation[0]) is not int:
        return bad_request(field, "lists [kind, path, ...]", operation)
    kind, path, limits = operation[0], operation[1], store.limits
    least, most = _LENGTHS.get(kind, (0, 0))
    if not least <= len(operation) <= most:
        return bad_request(field, "an operation [kind, path, ...] with its fields", operation)
    # What is a file already is a path: no need to look at it letter by letter.
    if not (type(path) is str and path in store.files):
        wrong = fields.path("path", path, limits, root=kind != T_SET)
        if wrong is not None:
            return wrong
    if kind == T_SET:
        wrong = fields.value("value", operation[2], limits)
        return wrong or (fields.lease(operation[3]) if most == len(operation) else None)
    return fields.boolean("recursive", operation[2]) if len(operation) == 3 else None


# kind -> how many elements an operation may have
_LENGTHS: Final = {T_SET: (3, 4), T_DELETE: (2, 3), T_GET: (2, 2), T_LIST: (2, 2)}


def _at(reason: Refusal, word: str, position: int) -> Refusal:
    """Return the refusal with the position of what was refused; `limits` of all together stay without."""
    return Refusal(reason.code, f"{word} {position}: {reason.text}", {**reason.details, word: position})
