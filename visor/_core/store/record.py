"""The base of every object in a typed store, and the frozen mapping that its fields may be."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from visor._core.public import public
from visor._core.unfit import shown

K = TypeVar("K")
V = TypeVar("V")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FrozenDict(Mapping[K, V], Generic[K, V]):
    """A mapping that cannot be changed, so that objects can be shared by everybody who reads them."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[K, V] | None = None) -> None:
        self._items: dict[K, V] = dict(items or {})

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def items(self) -> ItemsView[K, V]:
        """Return the pairs, as a dict does: faster than what Mapping makes of the above."""
        return self._items.items()

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __eq__(self, other: object) -> bool:
        if type(other) is FrozenDict:
            return self._items == other._items
        return isinstance(other, Mapping) and dict(other) == self._items

    def __repr__(self) -> str:
        return repr(self._items)

    def __reduce__(self) -> tuple[type[FrozenDict[Any, Any]], tuple[dict[K, V]]]:
        return FrozenDict, (self._items,)


@dataclass(frozen=True, slots=True)
class Meta:
    """What the store knows of an object; set by the store alone."""

    version: int = 0
    """The rev of the transaction that wrote it last; 0 before it is stored."""
    created_at: datetime = _EPOCH
    updated_at: datetime = _EPOCH
    lease: int = 0
    """The lease with which it goes; 0 for none."""


NEW = Meta()


@dataclass(frozen=True, kw_only=True)
class Record:
    """An object of a typed store. Inherit with `@dataclass(frozen=True, kw_only=True)` and add fields.

        @dataclass(frozen=True, kw_only=True)
        class Task(Record):
            service: str
            state: int = 0

    Fields may be bool, int (64 bits), float, str, bytes, aware datetimes, dates, timedeltas, UUIDs, Decimals, enums,
    Literals, None, other frozen dataclasses, and tuples, frozensets and Mappings of those: nothing that can be
    changed in place, because what the store hands out is shared. Change one with `dataclasses.replace`.
    `visor/docs/following.md` says how fields may change between versions of a program.
    """

    id: str
    """Unique within its kind, and one component of a path."""
    annotations: Mapping[str, str] = field(default_factory=FrozenDict)
    """Indices of the user's own: every pair can be found with `by.custom`."""
    meta: Meta = field(default=NEW, compare=False)

    def __post_init__(self) -> None:
        if type(self.annotations) is not FrozenDict:
            if not isinstance(self.annotations, Mapping):
                raise TypeError(f"annotations must be a Mapping of str, not {shown(self.annotations)}")
            object.__setattr__(self, "annotations", FrozenDict(self.annotations))


public("visor.store", FrozenDict, Meta, Record)
