"""The typed store: collections of frozen dataclasses over a subtree of the registry.

    @dataclass(frozen=True, kw_only=True)
    class Task(Record):
        service: str
        state: int = 0

    with Store(client, "/swarm", [Kind(Task, index=["service"])]) as store:
        store.update(lambda tx: tx.create(Task(id="t1", service="web")))
        store.find(Task, by.field("service", "web"))
        with store.watch(on(Task, by.above("state", 5))) as events: ...

`visor.aio.store` has the same names for asyncio; `visor/docs/following.md` says what each promises.
"""

from __future__ import annotations

from visor._core.store import by
from visor._core.store.errors import (
    BadArchive,
    BadField,
    Immutable,
    InUse,
    InvalidFind,
    NameConflict,
    NoKind,
    ObjectDamaged,
    ObjectExists,
    ObjectMissing,
    Regressed,
    SequenceConflict,
    StoreError,
    UnknownKind,
)
from visor._core.store.events import Action, Committed, Event
from visor._core.store.kind import Index, Kind, Refers
from visor._core.store.reading import Reading
from visor._core.store.record import FrozenDict, Meta, Record
from visor._core.store.resources import Extension, Resource, extension_kinds
from visor._core.store.specs import Spec, on
from visor._core.store.transaction import Transaction
from visor.blocking.store import Batcher, Collection, Events, Store

__all__ = [
    "Store",
    "Kind",
    "Index",
    "Refers",
    "Record",
    "Meta",
    "FrozenDict",
    "by",
    "Reading",
    "Transaction",
    "Batcher",
    "on",
    "Spec",
    "Events",
    "Committed",
    "Event",
    "Action",
    "Collection",
    "Extension",
    "Resource",
    "extension_kinds",
    "StoreError",
    "ObjectExists",
    "ObjectMissing",
    "ObjectDamaged",
    "BadField",
    "SequenceConflict",
    "NameConflict",
    "InvalidFind",
    "Immutable",
    "Regressed",
    "NoKind",
    "InUse",
    "UnknownKind",
    "BadArchive",
]


def __dir__() -> list[str]:
    return sorted(__all__)
