"""A kind of objects: its dataclass, what it is indexed by, which rules it keeps, and how it is stored.

<root>/objects/<kind>/<id>                       msgpack {"c": created, "u": updated, "f": fields}
<root>/unique/<kind>/<field>/<escaped value>     the id of the object that has this value
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgpack

from visor import paths
from visor._public import public
from visor._store.record import Meta, Record
from visor._store.shape import fields_of, pack_fields, unpack_fields
from visor.values import instant

R = TypeVar("R", bound=Record)

OBJECTS = "objects"
UNIQUE = "unique"
CUSTOM = "annotations"
NAME = "name"
_OURS = frozenset(("id", "meta"))

Values = Callable[[Any], Iterable[Hashable]]
"""The values under which an index has an object."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index of the user's own making: `values(object)` says under which values the object is found."""

    name: str
    values: Values


@dataclass(frozen=True, slots=True)
class Refers:
    """Objects of a kind name, in `field`, an object of `target` by its field `by`, which must be unique there.

    Such an object cannot be stored without its target, nor the target be deleted while it is named.
    """

    field: str
    target: type[Record]
    by: str = NAME


class Kind(Generic[R]):
    """A kind of objects.

    `type` is a frozen dataclass that inherits from `Record`; `name` its place (default: the name of the
    class in small letters). `index` names fields, or brings an `Index`, by which objects can be found; a
    field that is a tuple, frozenset or Mapping indexes each of its members (keys). A field `name` is always
    indexed, without regard to case, and so are `annotations`. In a `unique` field no two objects have
    the same value, texts compared without regard to case. `immutable` objects are never changed, fields
    that `grow` never become smaller.
    """

    def __init__(
        self,
        type: type[R],
        name: str | None = None,
        *,
        index: Sequence[str | Index] = (),
        unique: Sequence[str] = (),
        immutable: bool = False,
        grows: Sequence[str] = (),
        refers: Sequence[Refers] = (),
    ) -> None:
        self.type = type
        self.name = name or type.__name__.lower()
        if paths.check(f"/{self.name}") is not None or "/" in self.name:
            raise ValueError(f"{self.name!r} cannot name a kind: {paths.check('/' + self.name)}")
        if not issubclass(type, Record):
            raise TypeError(f"{type.__name__} must inherit from Record")
        self.fields = fields_of(type, _OURS)
        self.immutable = immutable
        self._known(*unique, *grows, *(refer.field for refer in refers))
        self.unique = tuple(unique)
        self.grows = tuple(grows)
        self.refers = tuple(refers)
        self.indexes: dict[str, Values] = {CUSTOM: lambda record: record.annotations.items()}
        named = [NAME] if NAME in self.fields else []
        for item in (*named, *unique, *(refer.field for refer in refers), *index):
            if isinstance(item, Index):
                self.indexes[item.name] = item.values
            else:
                self._known(item)
                self.indexes[item] = members(item)

    def _known(self, *names: str) -> None:
        for name in names:
            if name not in self.fields:
                raise ValueError(f"{self.type.__name__} has no field {name!r}")

    def encode(self, record: R, created: datetime, updated: datetime) -> bytes:
        """Return what the registry stores; TypeError for a field whose value does not fit its type."""
        if type(record) is not self.type:
            raise TypeError(f"a {self.type.__name__} expected, not {record!r:.80}")
        return pack(_ms(created), _ms(updated), pack_fields(self.fields, record))

    def decode(self, id: str, version: Sequence[Any]) -> R:
        """Return the object; whatever msgpack and the dataclass raise when it is none."""
        created, updated, fields = unpack(version[1])
        return self.build(id, created, updated, fields, version[0], version[4])

    def build(self, id: str, created: int, updated: int, fields: Any, rev: int, lease: int) -> R:
        """Return the object that has these packed fields."""
        meta = Meta(rev, instant(created), instant(updated), lease)
        return self.type(id=id, meta=meta, **unpack_fields(self.fields, fields))

    def __repr__(self) -> str:
        return f"Kind({self.type.__name__}, {self.name!r})"


def pack(created: int, updated: int, fields: Mapping[str, Any]) -> bytes:
    """Return an object as it is stored."""
    data: bytes = msgpack.packb({"c": created, "u": updated, "f": fields}, use_bin_type=True)
    return data


def unpack(data: bytes) -> tuple[int, int, dict[str, Any]]:
    """Return `(created, updated, fields)`; ValueError or KeyError for anything else."""
    packed = msgpack.unpackb(data, raw=False, strict_map_key=True)
    return packed["c"], packed["u"], packed["f"]


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def members(field: str) -> Values:
    """Return the values under which a plain field is indexed: itself, or each of its members."""

    def values(record: Any) -> Iterable[Hashable]:
        value = getattr(record, field)
        if isinstance(value, tuple | frozenset | Mapping):
            return [folded(item) for item in value]
        return (folded(value),)

    return values


def folded(value: Any) -> Hashable:
    """Return the value as indexes compare it: texts without regard to case."""
    held: Hashable = value.casefold() if isinstance(value, str) else value
    return held


def escape(value: Hashable) -> str:
    """Return a component of a path that stands for the value: readable, and different for different values."""
    text = value if isinstance(value, str) else f"={value!r}"
    kept = [
        char
        if char.isascii() and (char.isalnum() or char in "-_=")
        else "".join(f"%{b:02x}" for b in char.encode())
        for char in text
    ]
    found = "".join(kept) or "%"
    if len(found) <= 200:
        return found
    return f"{found[:120]}~{hashlib.sha256(text.encode()).hexdigest()}"


public("visor.store", Index, Refers, Kind)
