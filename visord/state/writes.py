"""Writes, planned: what a well-formed frame would do to the store as it is now.

`plan` looks and decides, and changes nothing. A plan is carried out by `Store.commit`, which cannot fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from visor.protocol.verbs import DELETE, G_NONE, NOP, REVERT, SET, TXN
from visord.state import cost, fields, guards, refusal
from visord.state.latest import Latest
from visord.state.plan import Plan, cannot_delete, cannot_set, too_much
from visord.state.refusal import Refusal, bad_request
from visord.state.revert import plan_revert
from visord.state.store import Store
from visord.state.txn import plan_txn
from visord.state.version import Write


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
        or store.leases.unknown(lease)
    )
    if refused is None and lease:
        refused = store.leases.overfull(store.files, [(path, value, lease)])
    return refused if refused is not None else Plan([(path, value, lease)], note)


_SET_DEFAULTS: Final[list[Any]] = [G_NONE, 0, 0, None]


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
    if view.file(path) is None and not view.is_directory(path):
        return refusal.not_found(path)
    doomed = _doomed(view, path)
    if isinstance(doomed, Refusal):
        return doomed
    return too_much(store, doomed) or Plan(doomed, note)


_DELETE_DEFAULTS: Final[list[Any]] = [False, G_NONE, 0, None]


def _doomed(view: Latest, path: str) -> list[Write] | Refusal:
    if view.file(path) is not None:
        return [(path, None, 0)]
    directory = view.store.directories[path]
    files = len(directory.live) - directory.folders
    bounds = view.store.bounds
    if files > bounds.changes:
        return refusal.too_large("changes", bounds.changes, files)  # without looking at them
    found = view.files_below(path, bounds.write // cost.VISIT)
    if found is None:
        return refusal.too_large("cost", bounds.write, bounds.write + 1)
    return [(entry, None, 0) for entry in found[0]]


def _nop(store: Store, frame: list[Any]) -> Plan | Refusal:
    return fields.length(frame, 3, 3) or Plan([])


_PLANNERS: Final[dict[int, Callable[[Store, list[Any]], Plan | Refusal]]] = {
    SET: _set,
    DELETE: _delete,
    TXN: plan_txn,
    REVERT: plan_revert,
    NOP: _nop,
}
