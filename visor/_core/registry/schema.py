"""What a field may hold: one form a type, asked when a record is written and when it is read.

    form          expected                                 refused
    TEXT          text                                     5, b"x", None, half of a surrogate pair
    PORT          a whole number from 0 to 65535           "8001", True, 70000
    WHOLE         a whole number of 64 bits                1.5, True, 2**70
    NUMBER        a number                                 "1", True, nan
    TEXTS         a map of texts                           {"a": 1}

A form is asked on both sides, so what can be read can be written again. `Unfit` carries the name of the field up
through the records inside records; `stored` makes BadValue of it when it was to be written, BadRecord when it was read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from visor._core.dataclass import dataclass
from visor._core.registry.errors import BadValue
from visor._core.unfit import Unfit, shown

Reader = Callable[[Any], Any]
Writer = Callable[[Any], Any]

LOW: Final = -(1 << 63)
HIGH: Final = (1 << 63) - 1
LAST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Form:
    """How one type is read from JSON and said in it; both raise Unfit."""

    expected: str
    read: Reader
    write: Writer


# -- forms --------------------------------------------------------------------------------------------
def _text() -> Form:
    expected = "text"

    def read(value: Any) -> Any:
        if type(value) is not str:
            raise Unfit(expected, value)
        return value

    def write(value: Any) -> Any:
        if not isinstance(value, str):
            raise Unfit(expected, value)
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Unfit("text that UTF-8 can say", value) from None
        return value

    return Form(expected, read, write)


def _whole(low: int, high: int, expected: str) -> Form:
    def read(value: Any) -> Any:
        if type(value) is not int or not low <= value <= high:
            raise Unfit(expected, value)
        return value

    def write(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Unfit(expected, value)
        return int(value)

    return Form(expected, read, write)


def _number() -> Form:
    expected = "a number"

    def check(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unfit(expected, value)
        if not (LOW <= value <= HIGH if isinstance(value, int) else math.isfinite(value)):
            raise Unfit(expected, value)
        return value

    return Form(expected, check, check)


TEXT: Final = _text()
WHOLE: Final = _whole(LOW, HIGH, "a whole number of 64 bits")
PORT: Final = _whole(0, LAST_PORT, f"a whole number from 0 to {LAST_PORT}")
LEASE: Final = _whole(0, HIGH, "the number of a lease")
COUNT: Final = _whole(1, HIGH, "a whole number from 1 on")
NUMBER: Final = _number()


def _texts() -> Form:
    expected = "a map of texts"

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise Unfit(expected, value)
        for key, each in value.items():
            if type(each) is not str:
                raise Unfit(TEXT.expected, each, f"[{shown(key)}]")
        return MappingProxyType(value)

    def write(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise Unfit(expected, value)
        found = dict(value)
        for key, each in found.items():
            try:
                TEXT.write(key)
                TEXT.write(each)
            except Unfit as unfit:
                raise unfit.inside(f"[{shown(key)}]") from None
        return found

    return Form(expected, read, write)


TEXTS: Final = _texts()


def one_of(kind: type[StrEnum]) -> Form:
    """Return the form of an enum's members."""
    known = {each.value: each for each in kind}
    expected = f"one of {', '.join(known)}"

    def read(value: Any) -> Any:
        found = known.get(value) if type(value) is str else None
        if found is None:
            raise Unfit(expected, value)
        return found

    def write(value: Any) -> Any:
        if type(value) is not kind:
            raise Unfit(expected, value)
        return value.value

    return Form(expected, read, write)


# -- single values, as arguments ----------------------------------------------------------------------
def fitting(form: Form, field: str, value: Any) -> Any:
    """Return what the form makes of an argument named `field`. BadValue."""
    try:
        return form.write(value)
    except Unfit as unfit:
        raise bad_value(None, unfit.inside(field)) from None


def text(field: str, value: Any) -> str:
    """Return the argument if it is text. BadValue."""
    found: str = fitting(TEXT, field, value)
    return found


def texts(field: str, value: Any) -> Mapping[str, str]:
    """Return a copy of the argument that nobody can change, if it is a map of texts. BadValue."""
    return MappingProxyType(fitting(TEXTS, field, value))


def bad_value(what: str | None, unfit: Unfit) -> BadValue:
    """Return the error for a value that was to be written; `what` says into which record."""
    where = f"{what}: " if what else ""
    return BadValue(
        f"{where}{unfit.field} must be {unfit.expected}, not {unfit.actual}",
        field=unfit.field,
        expected=unfit.expected,
        actual=unfit.actual,
    )
