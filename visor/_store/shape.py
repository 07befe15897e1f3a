"""Between the fields of a dataclass and values that msgpack can say, read once from the type hints.

    str, int, float, bool, bytes, None    themselves
    datetime (aware)                      microseconds since 1970
    Enum                                  its value
    tuple, frozenset                      an array
    Mapping                               an array of pairs (msgpack in this project has text keys only)
    frozen dataclass                      a map by field name; what has its default may be left out
    X | None                              None, or as X

A value that does not fit its hint is refused when it is written: TypeError naming the field.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from visor._store.record import FrozenDict

Pack = Callable[[Any], Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PLAIN = (bool, int, float, str, bytes, type(None))


def shape(hint: Any) -> tuple[Pack, Pack]:
    """Return `(pack, unpack)` for values of a type; TypeError for a type that a field must not have."""
    if hint is Any:
        return _same, _same
    if hint in _PLAIN or hint is None:
        return _plain(type(None) if hint is None else hint), _same
    if hint is datetime:
        return _pack_time, _unpack_time
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(hint, arguments)
    if origin is tuple:
        return _tuple(arguments)
    if origin is frozenset:
        pack, unpack = shape(arguments[0])
        return _sequence(frozenset, pack), lambda packed: frozenset(map(unpack, packed))
    if origin in (Mapping, typing.Mapping, FrozenDict) or (isinstance(origin, type) and origin is Mapping):
        return _mapping(arguments)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _dataclass(hint)
    raise TypeError(f"{hint!r} cannot be a field of a stored object: use what cannot be changed in place")


def fields_of(kind: type, without: frozenset[str] = frozenset()) -> dict[str, tuple[Pack, Pack, Any]]:
    """Return `name: (pack, unpack, default)` for the fields of a frozen dataclass."""
    if not dataclasses.is_dataclass(kind) or not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise TypeError(f"{kind.__name__} must be a frozen dataclass: stored objects are shared")
    hints = typing.get_type_hints(kind)
    found = {}
    for item in dataclasses.fields(kind):
        if item.name in without:
            continue
        try:
            pack, unpack = shape(hints[item.name])
        except TypeError as error:
            raise TypeError(f"{kind.__name__}.{item.name}: {error}") from None
        default = item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        found[item.name] = pack, unpack, default
    return found


def pack_fields(fields: Mapping[str, tuple[Pack, Pack, Any]], value: object) -> dict[str, Any]:
    """Return the packed fields of an object, without those that have their default."""
    packed = {}
    for name, (pack, _, default) in fields.items():
        held = getattr(value, name)
        if default is dataclasses.MISSING or held != default or type(held) is not type(default):
            try:
                packed[name] = pack(held)
            except TypeError as error:
                raise TypeError(f"{type(value).__name__}.{name}: {error}") from None
    return packed


def unpack_fields(fields: Mapping[str, tuple[Pack, Pack, Any]], packed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments for the dataclass; fields that it does not have (any more) are left out."""
    return {name: fields[name][1](value) for name, value in packed.items() if name in fields}


def _same(value: Any) -> Any:
    return value


def _plain(kind: type) -> Pack:
    accepted: Any = (int, float) if kind is float else kind
    plain: Any = kind if kind in (int, str) else _same  # (an IntEnum, a StrEnum)

    def pack(value: Any) -> Any:
        if not isinstance(value, accepted) or (kind in (int, float) and isinstance(value, bool)):
            raise TypeError(f"{kind.__name__} expected, not {value!r:.80}")
        return plain(value)

    return pack


def _pack_time(value: Any) -> int:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError(f"an aware datetime expected, not {value!r:.80}")
    return (value - _EPOCH) // _MICROSECOND


def _unpack_time(packed: int) -> datetime:
    return _EPOCH + packed * _MICROSECOND


def _union(hint: Any, arguments: tuple[Any, ...]) -> tuple[Pack, Pack]:
    others = [argument for argument in arguments if argument is not type(None)]
    if all(argument in _PLAIN for argument in arguments):
        accepted = tuple(arguments)

        def pack_plain(value: Any) -> Any:
            if not isinstance(value, accepted):
                raise TypeError(f"{hint} expected, not {value!r:.80}")
            return value

        return pack_plain, _same
    if len(others) != 1 or len(others) == len(arguments):
        raise TypeError(f"{hint} says not which of them a stored value is: use one type, or one type or None")
    pack, unpack = shape(others[0])
    return (
        lambda value: None if value is None else pack(value),
        lambda packed: None if packed is None else unpack(packed),
    )


def _tuple(arguments: tuple[Any, ...]) -> tuple[Pack, Pack]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        pack, unpack = shape(arguments[0])
        return _sequence(tuple, pack), lambda packed: tuple(map(unpack, packed))
    shapes = [shape(argument) for argument in arguments]

    def pack_all(value: Any) -> list[Any]:
        if not isinstance(value, tuple) or len(value) != len(shapes):
            raise TypeError(f"a tuple of {len(shapes)} expected, not {value!r:.80}")
        return [pack(item) for (pack, _), item in zip(shapes, value, strict=True)]

    return pack_all, lambda packed: tuple(
        unpack(item) for (_, unpack), item in zip(shapes, packed, strict=True)
    )


def _sequence(kind: type[Any], pack: Pack) -> Pack:
    def pack_all(value: Any) -> list[Any]:
        if not isinstance(value, kind):
            raise TypeError(f"a {kind.__name__} expected, not {value!r:.80}")
        packed = [pack(item) for item in value]
        return sorted(packed) if kind is frozenset else packed

    return pack_all


def _mapping(arguments: tuple[Any, ...]) -> tuple[Pack, Pack]:
    (pack_key, unpack_key), (pack_value, unpack_value) = map(shape, arguments)

    def pack(value: Any) -> list[list[Any]]:
        if not isinstance(value, Mapping):
            raise TypeError(f"a mapping expected, not {value!r:.80}")
        return [[pack_key(key), pack_value(item)] for key, item in value.items()]

    def unpack(packed: list[list[Any]]) -> FrozenDict[Any, Any]:
        return FrozenDict({unpack_key(key): unpack_value(item) for key, item in packed})

    return pack, unpack


def _enum(kind: type[Enum]) -> tuple[Pack, Pack]:
    if not all(isinstance(member.value, _PLAIN) for member in kind):
        raise TypeError(f"the values of {kind.__name__} must be plain")

    def pack(value: Any) -> Any:
        if not isinstance(value, kind):
            raise TypeError(f"a {kind.__name__} expected, not {value!r:.80}")
        return value.value

    return pack, kind


def _dataclass(kind: type) -> tuple[Pack, Pack]:
    fields = fields_of(kind)

    def pack(value: Any) -> dict[str, Any]:
        if not isinstance(value, kind):
            raise TypeError(f"a {kind.__name__} expected, not {value!r:.80}")
        return pack_fields(fields, value)

    return pack, lambda packed: kind(**unpack_fields(fields, packed))
