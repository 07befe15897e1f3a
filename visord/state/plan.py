"""What a write would do, decided before anything is touched."""

from __future__ import annotations

from typing import Any, NamedTuple

from visor.paths import size
from visord.state import refusal
from visord.state.latest import TreeView, obstacle
from visord.state.refusal import Refusal
from visord.state.store import Store
from visord.state.version import Write


class Plan(NamedTuple):
    """`writes` for Store.commit (none: no rev is taken); `answer`: what follows the rev in the result.

    `weight`: bytes that the answer repeats from the store. `deferred`: some results are a `Listing` yet.
    """

    writes: list[Write]
    note: str | None = None
    answer: list[Any] | None = None
    weight: int = 0
    deferred: bool = False


def cannot_set(view: TreeView, path: str) -> Refusal | None:
    """Return why no file can be at `path` now: a path is a file or a directory, never both."""
    if view.file(path) is not None:
        return None
    if view.is_directory(path):
        return refusal.is_directory(path)
    above = obstacle(view, path)
    return refusal.not_directory(above) if above is not None else None


def cannot_delete(view: TreeView, path: str, recursive: bool) -> Refusal | None:
    """Return what is in the way of a deletion; whether the path is there at all is another question."""
    if view.file(path) is not None:
        return None
    if view.is_directory(path):
        return None if recursive else refusal.is_directory(path)
    above = obstacle(view, path)
    return refusal.not_directory(above) if above is not None else None


def too_much(store: Store, writes: list[Write]) -> Refusal | None:
    """Return why `writes` are too many or too big for one commit."""
    limits, bounds = store.limits, store.bounds
    if len(writes) > bounds.changes:
        return refusal.too_large("changes", bounds.changes, len(writes))
    levels = sum(path.count("/") for path, _, _ in writes)
    if levels > bounds.levels:
        return refusal.too_large("directories above the changes", bounds.levels, levels)
    total = sum(size(path) + (len(value) if value is not None else 0) for path, value, _ in writes)
    return refusal.too_large("transaction", limits.transaction, total) if total > limits.transaction else None
