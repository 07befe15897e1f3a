"""Which changes a watch is about: specifiers combined by OR, each a conjunction of checks.

    store.watch(on(Task, by.field("service", "web"), by.above("state", RUNNING), actions=Action.UPDATE),
                on(Node))

An event is checked as the object is now, a removed one as it was last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from visor._core.dataclass import dataclass
from visor._core.following.delta import Batch, Delta
from visor._core.public import public
from visor._core.store.by import By
from visor._core.store.errors import InvalidFind
from visor._core.store.events import Action, action_of, subject
from visor._core.store.kind import Kind
from visor._core.store.record import Record
from visor._core.store.tables import Tables


@dataclass(frozen=True, slots=True)
class Spec:
    """One specifier; made by `on`."""

    kind: type[Record] | None
    checks: tuple[By, ...]
    actions: Action

    def matches(self, delta: Delta[Record]) -> bool:
        """Whether it is about this change."""
        found = subject(delta)
        return (
            (self.kind is None or type(found) is self.kind)
            and bool(action_of(delta) & self.actions)
            and all(check.matches(found) for check in self.checks)
        )

    def __repr__(self) -> str:
        kind = "None" if self.kind is None else self.kind.__name__
        checks = "".join(f", {check!r}" for check in self.checks)
        actions = "" if self.actions == Action.ANY else f", actions={int(self.actions)}"
        return f"on({kind}{checks}{actions})"


def on(kind: type[Record] | None = None, *checks: By, actions: Action | int = Action.ANY) -> Spec:
    """Return a specifier: objects of this kind (None: of any), that pass all checks, with these actions.

    ValueError for two checks of the same thing, and for actions that are none or unknown.
    """
    about = [check.about() for check in checks]
    if len(set(about)) != len(about):
        raise ValueError(f"conflicting checks: {about} holds something twice; use by.either for alternatives")
    if not actions or int(actions) & ~int(Action.ANY):
        raise ValueError(f"actions must be a mask of CREATE 1, UPDATE 2 and REMOVE 4, not {int(actions)}")
    if kind is not None and not (isinstance(kind, type) and issubclass(kind, Record)):
        raise TypeError(f"a kind of objects expected, not {kind!r}")
    return Spec(kind, checks, Action(actions))


def _known(check: By, kinds: list[Kind[Any]]) -> None:
    for name in check.index():
        if name is not None and not any(name in kind.fields or name in kind.indexes for kind in kinds):
            raise InvalidFind(
                f"objects of kind {' or '.join(kind.name for kind in kinds)} have no field {name!r} to check",
                kind=kinds[0].name,
                selector=name,
            )


Select = Callable[[Batch[Record]], "Batch[Record] | None"]


def selection(specs: tuple[Spec, ...], tables: Tables, marks: bool) -> Select | None:
    """Return what picks the changes that a watch is about; None picks all of them.

    With `marks` every transaction is given, also one without a change that matches. UnknownKind for a
    specifier of a kind that the store does not have, InvalidFind for a check of a field that no object has.
    """
    for spec in specs:
        kinds = tables.by_type if spec.kind is None else {spec.kind: tables.of(spec.kind)}
        for check in spec.checks:
            _known(check, [table.kind for table in kinds.values()])
    if not specs:
        return None if marks else lambda batch: batch if batch.deltas else None

    def select(batch: Batch[Record]) -> Batch[Record] | None:
        deltas = tuple(delta for delta in batch.deltas if any(spec.matches(delta) for spec in specs))
        return replace(batch, deltas=deltas) if deltas or marks else None

    return select


public("visor.store", Spec, on)
