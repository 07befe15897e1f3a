"""REVERT: bring a file or a subtree back to what it was at a past rev, as one commit.

[33, id, acked, path, to_rev, since = nil, note = nil]  ->  rev
"""

from __future__ import annotations

from typing import Any, Final

from visor.protocol.verbs import SEL_TREE
from visord.state import cost, fields, guards, refusal
from visord.state.latest import Latest, obstacle
from visord.state.plan import Plan, too_much
from visord.state.reads.diff import rows_between
from visord.state.redact import cannot_restore
from visord.state.refusal import Refusal
from visord.state.selector import parse
from visord.state.store import Store
from visord.state.version import Write

COMPARED: Final = 2 * cost.VISIT
"""Units of a file that is compared."""

_DEFAULTS: Final[list[Any]] = [None, None]


def plan_revert(store: Store, frame: list[Any]) -> Plan | Refusal:
    """Return what the revert writes: nothing where the values are the same. Restored files carry no lease."""
    wrong = fields.length(frame, 5, 7)
    if wrong is not None:
        return wrong
    _, _, _, path, to_rev, since, note = frame + _DEFAULTS[len(frame) - 5 :]
    refused = (
        fields.path("path", path, store.limits)
        or fields.integer("to_rev", to_rev)
        or fields.optional_integer("since", since)
        or fields.note(note, store.limits)
        or store.outside(to_rev)
        or (guards.changed_since(store, path, since) if since is not None else None)
    )
    if refused is not None:
        return refused
    writes = _differences(store, path, to_rev)
    if isinstance(writes, Refusal):
        return writes
    return _obstructed(store, path, writes) or too_much(store, writes) or Plan(writes, note)


def _differences(store: Store, path: str, to_rev: int) -> list[Write] | Refusal:
    tree = parse([SEL_TREE, path], store.limits)
    if isinstance(tree, Refusal):
        return tree
    writes: list[Write] = []
    spent = 0
    for (entry, now, then), _ in rows_between(store, tree, store.rev, to_rev):
        # Only files of either rev count: names that are in neither are there until this node has forgotten
        # them, and all members must come to the same answer.
        spent += COMPARED if now is not None or then is not None else 0
        if spent > store.bounds.compared:
            return refusal.too_large("cost of comparing", store.bounds.compared, spent)
        if then is None:
            if now is not None:
                writes.append((entry, None, 0))
        elif (now is None or now[0] != then[0]) and store.redacted.size(entry, then[0]) is not None:
            return cannot_restore(entry, then[0])
        elif now is None or now[0] != then[0]:
            value = store.filled(entry, then)[1]
            if now is None or now[1] != value:
                writes.append((entry, value, 0))
        if len(writes) > store.bounds.changes:
            return refusal.too_large("changes", store.bounds.changes, len(writes))
    return writes


def _obstructed(store: Store, path: str, writes: list[Write]) -> Refusal | None:
    if all(value is None for _, value, _ in writes):
        return None
    above = obstacle(Latest(store), path)
    return refusal.not_directory(above) if above is not None else None
