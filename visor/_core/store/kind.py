"""A kind of objects: its dataclass, what it is indexed by, which rules it keeps, and how it is stored.

<root>/objects/<kind>/<id>                       msgpack {"c": created, "u": updated, "f": fields}
<root>/unique/<kind>/<field>/<escaped value>     the id of the object that has this value
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgpack

from visor import paths
from visor._core.dataclass import dataclass
from visor._core.log import log
from visor._core.public import public
from visor._core.store.errors import BadField
from visor._core.store.record import FrozenDict, Meta, Record
from visor._core.store.schema import fields_of, pack_fields, unpack_fields
from visor._core.unfit import Unfit, shown
from visor.values import instant

R = TypeVar("R", bound=Record)

OBJECTS = "objects"
UNIQUE = "unique"
CUSTOM = "annotations"
NAME = "name"
_OURS = frozenset(("id", "meta"))
_PARTS = frozenset("cuf")
_SAFE = re.compile(r"[A-Za-z0-9\-_=]{1,200}").fullmatch

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
        self._slotted = any(vars(base).get("__slots__") for base in type.__mro__)
        hints = get_type_hints(type)
        several = [field for field in unique if _is_several(hints.get(field))]
        if several:
            raise ValueError(f"{several[0]!r} of {type.__name__} cannot be unique: it holds several values")
        self._floats = {field for field in self.fields if float in (hints[field], *get_args(hints[field]))}
        self.immutable = immutable
        self._known(*unique, *grows, *(refer.field for refer in refers))
        self.unique = tuple(unique)
        self.grows = tuple(grows)
        self.refers = tuple(refers)
        self.indexes: dict[str, Values] = {CUSTOM: lambda record: record.annotations.items()}
        named = [NAME] if NAME in self.fields else []
        self._own = [item.name for item in index if isinstance(item, Index)]
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
        """Return what the registry stores; BadField for a field whose value does not fit its type."""
        if type(record) is not self.type:
            raise TypeError(f"a {self.type.__name__} expected, not {shown(record)}")
        try:
            fields = pack_fields(self.fields, record)
        except Unfit as unfit:
            raise self.bad_field(record.id, unfit) from None
        try:
            return pack(_ms(created), _ms(updated), fields)
        except (TypeError, ValueError, OverflowError):
            raise self.bad_field(record.id, _unspeakable(fields)) from None

    def bad_field(self, id: object, unfit: Unfit) -> BadField:
        """Return the error for a value that does not fit."""
        return BadField(
            kind=self.name, id=str(id), field=unfit.field, expected=unfit.expected, actual=unfit.actual
        )

    def stored_with(self, record: R, meta: Meta) -> R:
        """Return the object with another meta; what `dataclasses.replace` does, at a fifth of its cost."""
        if self._slotted:
            return replace(record, meta=meta)
        copy = object.__new__(type(record))
        copy.__dict__.update(record.__dict__)
        object.__setattr__(copy, "meta", meta)
        return copy

    def check_indexes(self, record: R) -> None:
        """Raise BadField when a function of the user's own that makes an index fails on the object."""
        for name in self._own:
            try:
                dict.fromkeys(self.indexes[name](record))
            except Exception as error:
                raise self.bad_field(
                    record.id, Unfit("indexable", f"{type(error).__name__}: {error}", f"index {name}")
                ) from error

    def indexed(self, name: str, record: R) -> dict[Hashable, None]:
        """Return the values under which an index has the object, none where its own function fails on it."""
        try:
            return dict.fromkeys(self.indexes[name](record))
        except Exception as error:  # of an object that another version of the program has written, say
            log.warning("%s %s is not in the index %s: %r", self.name, record.id, name, error)
            return {}

    def canonical(self, field: str, value: Any) -> Hashable:
        """Return the value so that equal ones look the same, for the path that claims it."""
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        if isinstance(value, Decimal) and value.is_finite():
            sign, digits, exponent = value.as_tuple()
            text = "".join(map(str, digits)).lstrip("0")
            kept = text.rstrip("0")
            return (sign, kept, int(exponent) + len(text) - len(kept)) if kept else (0, "", 0)
        if field in self._floats and isinstance(value, int):
            return float(value)
        return folded(value)

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


def _is_several(hint: Any) -> bool:
    """Whether a field is indexed by its members, each of them."""
    return any(
        get_origin(each) in (tuple, frozenset, Mapping, FrozenDict) for each in (hint, *get_args(hint))
    )


def pack(created: int, updated: int, fields: Mapping[str, Any]) -> bytes:
    """Return an object as it is stored."""
    data: bytes = msgpack.packb({"c": created, "u": updated, "f": fields}, use_bin_type=True)
    return data


def unpack(data: bytes) -> tuple[int, int, dict[str, Any]]:
    """Return `(created, updated, fields)`; Unfit, or what msgpack raises, for anything else."""
    packed = msgpack.unpackb(data, raw=False, strict_map_key=True)
    if type(packed) is not dict or not packed.keys() >= _PARTS:
        raise Unfit("an object of a typed store", packed)
    created, updated = packed["c"], packed["u"]
    if type(created) is not int or type(updated) is not int:
        raise Unfit("two times in ms", [created, updated])
    return created, updated, packed["f"]


def _unspeakable(fields: Mapping[str, Any]) -> Unfit:
    """Return which of the packed fields msgpack cannot say (only those of the type Any get here)."""
    for name, value in fields.items():
        try:
            msgpack.packb(value, use_bin_type=True)
        except (TypeError, ValueError, OverflowError):
            return Unfit("what msgpack can say", value, name)
    return Unfit("what msgpack can say", fields, "it")


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def members(field: str) -> Values:
    """Return the values under which a plain field is indexed: itself, or each of its members."""

    def values(record: Any) -> Iterable[Hashable]:
        value = getattr(record, field)
        if type(value) is str:  # by far most are, and to ask for a Mapping is slow
            return (value.casefold(),)
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
    if _SAFE(text) is not None:
        return text
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
