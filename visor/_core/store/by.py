"""Selectors: which objects of a kind are found, and which changes a watch is about.

    store.find(Task, by.field("service", "web"), by.either(by.field("slot", 1), by.field("slot", 2)))

Several selectors side by side are a conjunction; `either` is the disjunction. To find, a selector needs its
index (InvalidFind otherwise); a watch may check any field.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Protocol

from visor._core.dataclass import dataclass
from visor._core.shown import several, shown
from visor._core.store.kind import CUSTOM, NAME, Kind, folded
from visor._core.store.record import Record


class Lookup(Protocol):
    """What selectors ask of the indexes of one kind: ids, perhaps too many, never too few."""

    def equal(self, index: str, value: Hashable) -> Iterable[str]:
        """Ids of objects that have the value."""
        ...

    def beginning(self, index: str, prefix: str, key: str | None) -> Iterable[str]:
        """Ids of objects that have a text with this prefix; with `key`, a pair of that key and such a text."""
        ...

    def ids_beginning(self, prefix: str) -> Iterable[str]:
        """Ids that have this prefix."""
        ...

    def everything(self) -> Iterable[str]:
        """All ids."""
        ...


class By(Protocol):
    """One selector."""

    def ids(self, lookup: Lookup) -> Iterable[str]:
        """Ids of all objects that may match."""
        ...

    def matches(self, record: Record, /) -> bool:
        """Whether this object matches."""
        ...

    def index(self) -> tuple[str | None, ...]:
        """The indexes that finding by it needs; None needs none."""
        ...

    def about(self) -> Hashable:
        """What it checks: two of the same in one conjunction contradict or repeat each other."""
        ...


@dataclass(frozen=True, slots=True)
class _All:
    def ids(self, lookup: Lookup) -> Iterable[str]:
        return lookup.everything()

    def matches(self, record: Record, /) -> bool:
        return True

    def index(self) -> tuple[str | None, ...]:
        return (None,)

    def about(self) -> Hashable:
        return "all"

    def __repr__(self) -> str:
        return "by.all()"


@dataclass(frozen=True, slots=True)
class _Id:
    id: str

    def ids(self, lookup: Lookup) -> Iterable[str]:
        return (self.id,)

    def matches(self, record: Record, /) -> bool:
        return record.id == self.id

    def index(self) -> tuple[str | None, ...]:
        return (None,)

    def about(self) -> Hashable:
        return "id"

    def __repr__(self) -> str:
        return f"by.id({shown(self.id)})"


@dataclass(frozen=True, slots=True)
class _IdPrefix:
    prefix: str

    def ids(self, lookup: Lookup) -> Iterable[str]:
        return lookup.ids_beginning(self.prefix)

    def matches(self, record: Record, /) -> bool:
        return record.id.startswith(self.prefix)

    def index(self) -> tuple[str | None, ...]:
        return (None,)

    def about(self) -> Hashable:
        return "id prefix"

    def __repr__(self) -> str:
        return f"by.id_prefix({shown(self.prefix)})"


_MISSING = object()
"""A watch may check objects of any kind, of which some do not have the field: they do not match."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    value: Any

    def ids(self, lookup: Lookup) -> Iterable[str]:
        return lookup.equal(self.name, folded(self.value))

    def matches(self, record: Record, /) -> bool:
        held = getattr(record, self.name, _MISSING)
        wanted = folded(self.value)
        if isinstance(held, tuple | frozenset | Mapping):
            return any(folded(item) == wanted for item in held)
        return folded(held) == wanted

    def index(self) -> tuple[str | None, ...]:
        return (self.name,)

    def about(self) -> Hashable:
        return self.name

    def __repr__(self) -> str:
        return f"by.field({self.name!r}, {shown(self.value)})"


@dataclass(frozen=True, slots=True)
class _Prefix:
    name: str
    prefix: str

    def ids(self, lookup: Lookup) -> Iterable[str]:
        return lookup.beginning(self.name, self.prefix.casefold(), None)

    def matches(self, record: Record, /) -> bool:
        held = getattr(record, self.name, None)
        texts = held if isinstance(held, tuple | frozenset | Mapping) else (held,)
        begin = self.prefix.casefold()
        return any(isinstance(text, str) and text.casefold().startswith(begin) for text in texts)

    def index(self) -> tuple[str | None, ...]:
        return (self.name,)

    def about(self) -> Hashable:
        return self.name, "prefix"

    def __repr__(self) -> str:
        return f"by.prefix({self.name!r}, {shown(self.prefix)})"


@dataclass(frozen=True, slots=True)
class _Indexed:
    """By an index of the user's own making, whose values only the kind can compute."""

    kind: Kind[Any]
    name: str
    value: Hashable

    def ids(self, lookup: Lookup) -> Iterable[str]:
        return lookup.equal(self.name, self.value)

    def matches(self, record: Record, /) -> bool:
        return type(record) is self.kind.type and self.value in self.kind.indexed(self.name, record)

    def index(self) -> tuple[str | None, ...]:
        return (self.name,)

    def about(self) -> Hashable:
        return self.name

    def __repr__(self) -> str:
        return f"by.indexed({self.kind!r}, {self.name!r}, {shown(self.value)})"


@dataclass(frozen=True, slots=True)
class _Compare:
    name: str
    above: bool
    bound: Any

    def ids(self, lookup: Lookup) -> Iterable[str]:
        return lookup.everything()

    def matches(self, record: Record, /) -> bool:
        held = getattr(record, self.name, None)
        if held is None:
            return False
        try:
            return bool(held > self.bound if self.above else held < self.bound)
        except TypeError:  # of another type than the bound, or no type that has an order
            return False

    def index(self) -> tuple[str | None, ...]:
        return (self.name,)

    def about(self) -> Hashable:
        return self.name, "above" if self.above else "below"

    def __repr__(self) -> str:
        return f"by.{'above' if self.above else 'below'}({self.name!r}, {shown(self.bound)})"


@dataclass(frozen=True, slots=True)
class _Custom:
    key: str
    value: str
    prefix: bool

    def ids(self, lookup: Lookup) -> Iterable[str]:
        if self.prefix:
            return lookup.beginning(CUSTOM, self.value, self.key)
        return lookup.equal(CUSTOM, (self.key, self.value))

    def matches(self, record: Record, /) -> bool:
        held = record.annotations.get(self.key)
        return held is not None and (held.startswith(self.value) if self.prefix else held == self.value)

    def index(self) -> tuple[str | None, ...]:
        return (None,)

    def about(self) -> Hashable:
        return CUSTOM, self.key, self.prefix

    def __repr__(self) -> str:
        return f"by.custom{'_prefix' if self.prefix else ''}({shown(self.key)}, {shown(self.value)})"


@dataclass(frozen=True, slots=True)
class _Either:
    choices: tuple[By, ...]

    def ids(self, lookup: Lookup) -> Iterable[str]:
        return dict.fromkeys(id for choice in self.choices for id in choice.ids(lookup))

    def matches(self, record: Record, /) -> bool:
        return any(choice.matches(record) for choice in self.choices)

    def index(self) -> tuple[str | None, ...]:
        return tuple(name for choice in self.choices for name in choice.index())

    def about(self) -> Hashable:
        return self

    def __repr__(self) -> str:
        return f"by.either({several(map(repr, self.choices), len(self.choices))})"


def all() -> By:
    """Every object."""
    return _All()


def id(id: str) -> By:
    """The object with this id."""
    return _Id(id)


def id_prefix(prefix: str) -> By:
    """Objects whose id begins so."""
    return _IdPrefix(prefix)


def name(name: str) -> By:
    """Objects whose field `name` is this text, without regard to case."""
    return _Field(NAME, name)


def name_prefix(prefix: str) -> By:
    """Objects whose field `name` begins so, without regard to case."""
    return _Prefix(NAME, prefix)


def field(name: str, value: Any) -> By:
    """Objects whose field equals the value (texts without regard to case), or has it among its members."""
    return _Field(name, value)


def prefix(name: str, prefix: str) -> By:
    """Objects whose text field (or one of its members) begins so, without regard to case; None never does."""
    return _Prefix(name, prefix)


def above(name: str, bound: Any) -> By:
    """Objects whose field is greater; finding looks at every object of the kind.

    None is neither above nor below anything, and what cannot be compared with the bound does not match.
    """
    return _Compare(name, True, bound)


def below(name: str, bound: Any) -> By:
    """Objects whose field is smaller; see `above`."""
    return _Compare(name, False, bound)


def custom(key: str, value: str) -> By:
    """Objects that have this annotation."""
    return _Custom(key, value, False)


def custom_prefix(key: str, prefix: str) -> By:
    """Objects that have an annotation with this key whose value begins so."""
    return _Custom(key, prefix, True)


def indexed(kind: Kind[Any], name: str, value: Hashable) -> By:
    """Objects that the kind's own `Index` of this name has under this value."""
    if name not in kind.indexes:
        raise ValueError(f"{kind} has no index {name!r}")
    return _Indexed(kind, name, value)


def either(*choices: By) -> By:
    """Objects that one of these selects, each once; none of no choices."""
    return _Either(choices)


__all__ = [
    "By",
    "all",
    "id",
    "id_prefix",
    "name",
    "name_prefix",
    "field",
    "prefix",
    "above",
    "below",
    "custom",
    "custom_prefix",
    "indexed",
    "either",
]


def __dir__() -> list[str]:
    return sorted(__all__)
