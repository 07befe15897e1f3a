"""What a query says: each parameter has a spelling, which reads it, refuses what it is not, and describes itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from visor._core.dataclass import dataclass
from visor.cli import moment
from visor.gateway.problems import NotServed

MOST_REV: Final = (1 << 63) - 1
MOST_PARAMETERS: Final = 64
MOST_QUERY: Final = 8 << 10
MOST_GLOBS: Final = 32
YES: Final = ("", "1", "true", "yes")
NO: Final = ("0", "false", "no")

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a parameter is read. `many`: it may come so many times, and is a list. `write`: how its default is said."""

    read: Callable[[str], Any]
    schema: Schema
    many: int = 0
    write: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a query. `default` is what it is when it is left out."""

    name: str
    kind: Spelling
    about: str
    default: Any = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class At:
    """Which state is read: that of a rev, or as of a time."""

    rev: int | None = None
    time: datetime | None = None


def whole(least: int = 0, most: int = MOST_REV) -> Spelling:
    """Return the kind of whole numbers between these."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or len(text) > 19 or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most} is expected")
        return int(text)

    return Spelling(read, {"type": "integer", "minimum": least, "maximum": most})


def _flag(text: str) -> bool:
    if text.lower() not in (*YES, *NO):
        raise ValueError("1 or 0 is expected")
    return text.lower() in YES


def _text(text: str) -> str:
    return text


def choice(*words: str) -> Spelling:
    """Return the kind of what is one of these words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)} is expected")
        return text

    return Spelling(read, {"type": "string", "enum": list(words)})


def read_at(text: str, now: datetime) -> At:
    """Read a moment: a rev, a time (RFC 3339), or how long ago (`-15m`). ValueError says what is expected."""
    if text.isascii() and text.isdigit():
        return At(rev=whole().read(text))
    try:
        if text.startswith("-"):
            return At(time=moment.instant(f"{text[1:]} ago", now))
        if "T" in text or " " in text or "-" in text:
            return At(time=moment.instant(text, now))
    except ValueError as error:
        raise ValueError(str(error)) from None
    raise ValueError("a rev (12345), a time (2026-03-01T12:00:00Z) or how long ago (-15m) is expected")


def duration(most: float) -> Spelling:
    """Return the kind of durations: `500ms`, `10s`, `1h30m`, in seconds."""

    def read(text: str) -> float:
        seconds = moment.duration(text)
        if seconds > most:
            raise ValueError(f"at most {moment.spell(most)} is expected")
        return seconds

    return Spelling(read, {"type": "string", "examples": ["500ms", "10s", "1h30m"]}, write=moment.spell)


FLAG: Final = Spelling(
    _flag, {"anyOf": [{"type": "boolean"}, {"type": "string", "enum": ["", "1", "yes", "0", "no"]}]}
)
TEXT: Final = Spelling(_text, {"type": "string"})


def several(most: int) -> Spelling:
    """Return the kind of texts that may come so many times."""
    return Spelling(_text, {"type": "array", "items": {"type": "string"}, "maxItems": most}, many=most)


TEXTS: Final = several(MOST_GLOBS)
REV: Final = whole()
AT: Final = Spelling(_text, {"type": "string", "examples": ["1", "2026-03-01T12:00:00Z", "-15m"]})
"""Read by `read_at`, which needs to know what time it is."""


def split(query: bytes) -> list[tuple[str, str]]:
    """Return the names and texts of a query as they stand there. NotServed for what cannot be read, or is too much.

    A plus is a plus: paths and globs have them.
    """
    if len(query) > MOST_QUERY:
        raise NotServed("usage", f"the query has {len(query)} bytes, over the {MOST_QUERY} of one")
    parts = [part for part in query.split(b"&") if part]
    if len(parts) > MOST_PARAMETERS:
        raise NotServed("usage", f"the query has {len(parts)} parameters, over the {MOST_PARAMETERS} of one")
    found = []
    for part in parts:
        name, _, text = part.partition(b"=")
        try:
            found.append((unquote_to_bytes(name).decode(), unquote_to_bytes(text).decode()))
        except UnicodeDecodeError:
            raise NotServed("usage", f"the parameter {name[:40]!r} is not UTF-8") from None
    return found


def read(rows: Sequence[tuple[str, str]], known: Sequence[Param], now: datetime) -> Mapping[str, Any]:
    """Return the parameters of a query by name. NotServed for one that is unknown, wrong, missing, or there twice."""
    by_name = {param.name: param for param in known}
    values: dict[str, Any] = {}
    for name, text in rows:
        param = by_name.get(name)
        if param is None:
            there = ", ".join(by_name) or "none"
            raise NotServed(
                "usage", f"the parameter {name[:40]!r} is not known; there are {there}", field=name
            )
        if name in values and not param.kind.many:
            raise NotServed("usage", f"the parameter {name!r} is there twice", field=name)
        value = _value(param, text, now)
        if param.kind.many:
            values.setdefault(name, []).append(value)
            if len(values[name]) > param.kind.many:
                raise NotServed("usage", f"{name}: at most {param.kind.many} of them", field=name)
        else:
            values[name] = value
    for param in known:
        if param.required and param.name not in values:
            raise NotServed(
                "usage", f"the parameter {param.name!r} is missing: {param.about}", field=param.name
            )
    return {**{param.name: param.default for param in known}, **values}


def _value(param: Param, text: str, now: datetime) -> Any:
    try:
        return read_at(text, now) if param.kind is AT else param.kind.read(text)
    except ValueError as error:
        raise NotServed("usage", f"{param.name}={text[:60]!r}: {error}", field=param.name) from None
