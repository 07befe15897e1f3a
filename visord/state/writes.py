"""Single writes, planned: what a well-formed frame would do to the store as it is now.

`plan` looks and decides, and changes nothing. A plan is carried out by `Store.commit`, which cannot fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from visor.paths import size
from visor.protocol.limits import Limits
from visor.protocol.verbs import DELETE, G_NONE, NOP, SET
from visord.state import fields, guards, refusal
from visord.state.latest import Latest, View, obstacle
from visord.state.refusal import Refusal, bad_request
from visord.state.store import MAX_CHANGES, Store, Write


class Plan(NamedTuple):
    """`writes` for Store.commit (none: no rev is taken); `answer`: what follows the rev in the result."""

    writes: list[Write]
    note: str | None = None
    answer: list[Any] | None = None


def plan(store: Store, frame: list[Any]) -> Plan | Refusal:
    """Return what the write does, or why it is refused. Verb, id and acked have been checked already."""
    planner = _PLANNERS.get(frame[0])
    if planner is None:
        return bad_request("verb", "a write", frame[0])
    return planner(store, frame)


def _set(store: Store, frame: list[Any]) -> Plan | Refusal:
    wrong = fields.length(frame, 5, 9)
    if wrong is not None:
        return wrong
    _, _, _, path, value, guard, arg, lease, note = frame + _SET_DEFAULTS[len(frame) - 5 :]
    limits = store.limits
    refused = (
        fields.path("path", path, limits, root=False)
        or fields.value("value", value, limits)
        or guards.malformed(guard, arg, limits)
        or fields.lease(lease)
        or fields.note(note, limits)
        or cannot_set(Latest(store), path)
        or guards.unmet(store, guard, path, arg)
    )
    return refused if refused is not None else Plan([(path, value, lease)], note)


_SET_DEFAULTS: Final[list[Any]] = [G_NONE, 0, 0, None]


def cannot_set(view: View, path: str) -> Refusal | None:
    """Return why no file can be at `path` now: a path is a file or a directory, never both."""
    if view.file(path) is not None:
        return None
    if view.is_directory(path):
        return refusal.is_directory(path)
    above = obstacle(view, path)
    return refusal.not_directory(above) if above is not None else None


def _delete(store: Store, frame: list[Any]) -> Plan | Refusal:
    wrong = fields.length(frame, 4, 8)
    if wrong is not None:
        return wrong
    _, _, _, path, recursive, guard, arg, note = frame + _DELETE_DEFAULTS[len(frame) - 4 :]
    limits, view = store.limits, Latest(store)
    refused = (
        fields.path("path", path, limits)
        or fields.boolean("recursive", recursive)
        or guards.malformed(guard, arg, limits)
        or fields.note(note, limits)
        or cannot_delete(view, path, recursive)
        or guards.unmet(store, guard, path, arg)
    )
    if refused is not None:
        return refused
    doomed = deleted(view, path)
    if isinstance(doomed, Refusal):
        return doomed
    return too_much(limits, doomed) or Plan(doomed, note)


_DELETE_DEFAULTS: Final[list[Any]] = [False, G_NONE, 0, None]


def cannot_delete(view: View, path: str, recursive: bool) -> Refusal | None:
    """Return what is in the way of a deletion. That the path is there at all is for `deleted` to see."""
    if view.is_directory(path):
        return None if recursive else refusal.is_directory(path)
    if view.file(path) is not None:
        return None
    above = obstacle(view, path)
    return refusal.not_directory(above) if above is not None else None


def deleted(view: View, path: str) -> list[Write] | Refusal:
    """Return the deletions of the file, or of all files below the directory, in path order."""
    if view.file(path) is not None:
        return [(path, None, 0)]
    if view.is_directory(path):
        return [(entry, None, 0) for entry in view.files_below(path)]
    return refusal.not_found(path)


def too_much(limits: Limits, writes: list[Write]) -> Refusal | None:
    """Return why `writes` are too many or too big for one commit."""
    if len(writes) > MAX_CHANGES:
        return refusal.too_large("changes", MAX_CHANGES, len(writes))
    total = sum(size(path) + (len(value) if value is not None else 0) for path, value, _ in writes)
    return refusal.too_large("transaction", limits.transaction, total) if total > limits.transaction else None


def _nop(store: Store, frame: list[Any]) -> Plan | Refusal:
    return fields.length(frame, 3, 3) or Plan([])


_PLANNERS: Final[dict[int, Callable[[Store, list[Any]], Plan | Refusal]]] = {
    SET: _set,
    DELETE: _delete,
    NOP: _nop,
}
