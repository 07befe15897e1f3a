"""What must hold for a write to happen: guards on one path at the latest rev."""

from __future__ import annotations

from typing import Any

from visor.protocol.limits import Limits
from visor.protocol.verbs import (
    G_ABOVE,
    G_BELOW,
    G_EXISTS,
    G_MISSING,
    G_NONE,
    G_REV,
    G_SINCE,
    G_VALUE,
)
from visord.state import fields, refusal
from visord.state.refusal import Refusal
from visord.state.store import Store
from visord.state.version import Version


def malformed(kind: Any, arg: Any, limits: Limits, *, last: int = G_EXISTS) -> Refusal | None:
    """Return what is wrong with a guard's fields. `last` is the highest kind that may stand here."""
    wrong = fields.integer("guard", kind, 0, last)
    if wrong is not None:
        return wrong
    return fields.value("arg", arg, limits) if kind == G_VALUE else fields.integer("arg", arg)


def unmet(store: Store, kind: int, path: str, arg: Any) -> Refusal | None:
    """Return why a well-formed guard does not hold now; None when it does.

    `compacted` means that nobody can tell any more.
    """
    if kind == G_NONE:
        return None
    if kind == G_SINCE:
        return changed_since(store, path, arg)
    version = store.version(path, store.rev)
    if kind == G_REV:
        actual = version[0] if version is not None else 0
        return None if actual == arg else refusal.rev_mismatch(path, arg, actual)
    if kind == G_MISSING:
        return None if version is None else refusal.exists(path, version[0])
    if version is None:
        return refusal.not_found(path)
    return None if kind == G_EXISTS or _compares(kind, version, arg) else _differs(kind, path, arg, version)


def _compares(kind: int, version: Version, arg: Any) -> bool:
    if kind == G_VALUE:
        return bool(version[1] == arg)
    return bool(version[0] < arg) if kind == G_BELOW else bool(kind == G_ABOVE and version[0] > arg)


def _differs(kind: int, path: str, arg: Any, version: Version) -> Refusal:
    if kind == G_VALUE:
        return Refusal("guard_failed", f"{path} has another value", {"path": path, "actual": version[0]})
    return refusal.rev_mismatch(path, arg, version[0])


def changed_since(store: Store, path: str, arg: int) -> Refusal | None:
    """Doozer's rule, with deletions seen: nothing at or below `path` has changed after the rev `arg`.

    Any `arg` at or above the last change passes, also one that the store has not reached.
    """
    actual = store.changed(path, store.rev)
    if actual == 0:
        actual = store.deleted_at(path, store.rev)
        if actual <= arg < store.floor:
            return refusal.compacted(store.floor, arg)
    return refusal.rev_mismatch(path, arg, actual) if actual > arg else None
