"""Between the fields of a dataclass and values that msgpack can say, read once from the type hints.

    str, int, float, bool, bytes, None    themselves; int of 64 bits, str without halves of surrogate pairs
    datetime (aware), timedelta           microseconds, since 1970 and in all
    date                                  days since 1970
    UUID                                  its 16 bytes
    Decimal                               its text
    Enum                                  its value
    Literal                               itself
    NewType                               as what it is made of
    tuple, frozenset                      an array
    Mapping                               an array of pairs (msgpack in this project has text keys only)
    frozen dataclass                      a map by field name; what has its default may be left out
    X | None                              None, or as X

Both ways are checked: a value that does not fit its hint is refused when it is written, and a file that holds one is
damaged. `Unfit` names the field, also within fields, and says what was expected.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from visor._core.store.record import FrozenDict
from visor._core.unfit import Unfit

Pack = Callable[[Any], Any]
Shape = tuple[Pack, Pack]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = date(1970, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)
_PLAIN = (bool, int, float, str, bytes, type(None))
_LOW, _HIGH = -(1 << 63), (1 << 64) - 1

ALLOWED = (
    "bool, int, float, str, bytes, None, datetime (aware), date, timedelta, UUID, Decimal, Enum, Literal, tuple, "
    "frozenset, Mapping, frozen dataclasses, and one of these or None"
)
"""What fields may be, for errors and the documentation."""

_INSTEAD: dict[Any, str] = {
    list: "tuple[..., ...]",
    dict: "Mapping[..., ...]",
    set: "frozenset[...]",
    bytearray: "bytes",
}
"""What can be changed in place, and what says the same but cannot."""


def shape(hint: Any) -> Shape:
    """Return `(pack, unpack)` for values of a type; TypeError for a type that a field must not have."""
    while hasattr(hint, "__supertype__"):  # (a NewType)
        hint = hint.__supertype__
    if hint is Any:
        return _same, _same
    if hint in _PLAIN or hint is None:
        return _plain(type(None) if hint is None else hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(hint, arguments)
    if origin is typing.Literal:
        return _literal(arguments)
    if origin is tuple:
        return _tuple(arguments)
    if origin is frozenset:
        pack, unpack = shape(arguments[0])
        return _sequence(frozenset, pack, unpack)
    if origin in (Mapping, typing.Mapping, FrozenDict):
        return _mapping(arguments)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _dataclass(hint)
    instead = _INSTEAD.get(origin or hint)
    advice = f"use {instead}" if instead else f"allowed are {ALLOWED}"
    raise TypeError(f"{_named(hint)} cannot be a field of a stored object, which everybody shares: {advice}")


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
    """Return the packed fields of an object, without those that have their default. Unfit."""
    packed = {}
    for name, (pack, _, default) in fields.items():
        held = getattr(value, name)
        if held is default:
            continue
        try:
            plain = pack(held)
        except Unfit as unfit:
            raise unfit.inside(name) from None
        if default is dataclasses.MISSING or type(held) is not type(default) or held != default:
            packed[name] = plain
    return packed


def unpack_fields(fields: Mapping[str, tuple[Pack, Pack, Any]], packed: Any) -> dict[str, Any]:
    """Return the arguments for the dataclass; fields that it does not have (any more) are left out. Unfit."""
    if type(packed) is not dict:
        raise Unfit("a map of fields", packed)
    found = {}
    for name, value in packed.items():
        field = fields.get(name)
        if field is not None:
            try:
                found[name] = field[1](value)
            except Unfit as unfit:
                raise unfit.inside(name) from None
    return found


def _same(value: Any) -> Any:
    return value


def _named(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


# -- plain values -------------------------------------------------------------------------------------
def _plain(kind: Any) -> Shape:
    if kind is int:
        return _pack_whole, _unpack_whole
    if kind is str:
        return _pack_text, _unpack_text
    if kind is float:
        return _number, _number
    expected = "None" if kind is type(None) else kind.__name__

    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise Unfit(expected, value)
        return value

    return check, check


def _pack_whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit("int", value)
    if not _LOW <= value <= _HIGH:
        raise Unfit("int of 64 bits", value)
    return int(value)  # (an IntEnum)


def _unpack_whole(value: Any) -> Any:
    if type(value) is not int:
        raise Unfit("int", value)
    return value


def _pack_text(value: Any) -> Any:
    if not isinstance(value, str):
        raise Unfit("str", value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unfit("str that UTF-8 can say", value) from None
    return str.__str__(value)  # (a StrEnum)


def _unpack_text(value: Any) -> Any:
    if type(value) is not str:
        raise Unfit("str", value)
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, float | int):
        raise Unfit("float", value)
    if isinstance(value, int) and not _LOW <= value <= _HIGH:
        raise Unfit("float", value)
    return value


# -- what is said by a plain value --------------------------------------------------------------------
def _scalar(expected: str, kind: type[Any], say: Pack, stored: type, read: Pack) -> Shape:
    """Return the shape of a type that one plain value stands for."""

    def pack(value: Any) -> Any:
        if not isinstance(value, kind):
            raise Unfit(expected, value)
        try:
            return say(value)
        except (ValueError, TypeError, ArithmeticError):
            raise Unfit(expected, value) from None

    def unpack(packed: Any) -> Any:
        if type(packed) is not stored:
            raise Unfit(f"{stored.__name__} for {expected}", packed)
        try:
            return read(packed)
        except (ValueError, ArithmeticError):
            raise Unfit(f"{stored.__name__} for {expected}", packed) from None

    return pack, unpack


def _said_time(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND  # TypeError for one without a time zone


def _said_day(day: date) -> int:
    if isinstance(day, datetime):
        raise ValueError
    return day.toordinal() - _DAY


def _said_span(span: timedelta) -> int:
    microseconds = span // _MICROSECOND
    if not -(1 << 63) <= microseconds < 1 << 63:
        raise ValueError
    return microseconds


_SCALARS: dict[Any, Shape] = {
    datetime: _scalar(
        "an aware datetime", datetime, _said_time, int, lambda packed: _EPOCH + packed * _MICROSECOND
    ),
    date: _scalar("a date", date, _said_day, int, lambda packed: date.fromordinal(packed + _DAY)),
    timedelta: _scalar(
        "a timedelta of less than 292 000 years",
        timedelta,
        _said_span,
        int,
        lambda packed: packed * _MICROSECOND,
    ),
    UUID: _scalar("a UUID", UUID, lambda value: value.bytes, bytes, lambda packed: UUID(bytes=packed)),
    Decimal: _scalar("a Decimal", Decimal, str, str, Decimal),
}


def _enum(kind: type[Enum]) -> Shape:
    if not all(isinstance(member.value, _PLAIN) for member in kind):
        raise TypeError(f"the values of {kind.__name__} must be plain")
    known = {(type(member.value), member.value): member for member in kind}
    expected = f"a {kind.__name__}"

    def pack(value: Any) -> Any:
        if not isinstance(value, kind):
            raise Unfit(expected, value)
        return value.value

    def unpack(packed: Any) -> Any:
        try:
            return known[type(packed), packed]
        except (KeyError, TypeError):
            return _combined(kind, expected, packed)

    return pack, unpack


def _combined(kind: type[Enum], expected: str, packed: Any) -> Any:
    """Return several flags in one, or what the enum itself makes of a value that no member has."""
    try:
        return kind(packed)
    except (ValueError, TypeError):
        raise Unfit(expected, packed) from None


def _literal(values: tuple[Any, ...]) -> Shape:
    if not all(type(value) in _PLAIN for value in values):
        raise TypeError("the values of a Literal must be plain")
    known = {(type(value), value) for value in values}
    expected = f"one of {', '.join(map(repr, values))}"

    def check(value: Any) -> Any:
        try:
            if (type(value), value) in known:
                return value
        except TypeError:
            pass
        raise Unfit(expected, value)

    return check, check


# -- what consists of others --------------------------------------------------------------------------
def _union(hint: Any, arguments: tuple[Any, ...]) -> Shape:
    others = [argument for argument in arguments if argument is not type(None)]
    if len(others) == 1 and len(others) != len(arguments):
        return _or_none(*shape(others[0]))
    if all(argument in _PLAIN for argument in arguments):
        return _one_of([_plain(argument) for argument in arguments], str(hint))
    raise TypeError(f"{hint} says not which of them a stored value is: use one type, or one type or None")


def _or_none(pack: Pack, unpack: Pack) -> Shape:
    def both(inner: Pack) -> Pack:
        def convert(value: Any) -> Any:
            if value is None:
                return None
            try:
                return inner(value)
            except Unfit as unfit:
                raise unfit.or_none() from None

        return convert

    return both(pack), both(unpack)


def _one_of(shapes: list[Shape], expected: str) -> Shape:
    """Return the shape of values that say themselves of which type they are."""

    def first(which: int) -> Pack:
        def convert(value: Any) -> Any:
            for each in shapes:
                try:
                    return each[which](value)
                except Unfit:
                    continue
            raise Unfit(expected, value)

        return convert

    return first(0), first(1)


def _tuple(arguments: tuple[Any, ...]) -> Shape:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return _sequence(tuple, *shape(arguments[0]))
    shapes = [shape(argument) for argument in arguments]
    expected = f"a tuple of {len(shapes)}"

    def pack(value: Any) -> list[Any]:
        if not isinstance(value, tuple) or len(value) != len(shapes):
            raise Unfit(expected, value)
        return [_at(n, each[0], item) for n, (each, item) in enumerate(zip(shapes, value, strict=True))]

    def unpack(packed: Any) -> tuple[Any, ...]:
        if type(packed) is not list or len(packed) != len(shapes):
            raise Unfit(expected, packed)
        return tuple(_at(n, each[1], item) for n, (each, item) in enumerate(zip(shapes, packed, strict=True)))

    return pack, unpack


def _at(number: object, convert: Pack, item: Any) -> Any:
    try:
        return convert(item)
    except Unfit as unfit:
        raise unfit.inside(f"[{number!r:.40}]") from None


def _sequence(kind: type[Any], pack: Pack, unpack: Pack) -> Shape:
    expected = f"a {kind.__name__}"

    def pack_all(value: Any) -> list[Any]:
        if not isinstance(value, kind):
            raise Unfit(expected, value)
        packed = [_at(n, pack, item) for n, item in enumerate(value)]
        return sorted(packed, key=_in_order) if kind is frozenset else packed

    def unpack_all(packed: Any) -> Any:
        if type(packed) is not list:
            raise Unfit(expected, packed)
        return kind([_at(n, unpack, item) for n, item in enumerate(packed)])

    return pack_all, unpack_all


def _in_order(packed: Any) -> tuple[str, Any]:
    """Values of one type among themselves, of several by the names of their types."""
    return type(packed).__name__, repr(packed) if isinstance(packed, dict | list) else packed


def _mapping(arguments: tuple[Any, ...]) -> Shape:
    (pack_key, unpack_key), (pack_value, unpack_value) = map(shape, arguments)
    expected = "a Mapping"

    def pack(value: Any) -> list[list[Any]]:
        if type(value) is not FrozenDict and not isinstance(value, Mapping):
            raise Unfit(expected, value)
        if not value:
            return []
        return [[_at(key, pack_key, key), _at(key, pack_value, item)] for key, item in value.items()]

    def unpack(packed: Any) -> FrozenDict[Any, Any]:
        if type(packed) is not list or not all(type(pair) is list and len(pair) == 2 for pair in packed):
            raise Unfit(expected, packed)
        return FrozenDict({_at(key, unpack_key, key): _at(key, unpack_value, item) for key, item in packed})

    return pack, unpack


def _dataclass(kind: type) -> Shape:
    fields = fields_of(kind)
    expected = f"a {kind.__name__}"

    def pack(value: Any) -> dict[str, Any]:
        if not isinstance(value, kind):
            raise Unfit(expected, value)
        return pack_fields(fields, value)

    def unpack(packed: Any) -> Any:
        return kind(**unpack_fields(fields, packed))

    return pack, unpack
