"""Records as bytes: JSON objects that a person can read with `visor get`, each with the version of its layout.

    encode(RevisionRecord("web", "v1", registered="2026-03-01T12:00:00.000Z"))
    b'{"v":1,"app":"web","ref":"v1","registered":"2026-03-01T12:00:00.000Z"}'

What equals its default is left out; keys that are not known are ignored, so that a later version may add some. Anything
else that is wrong (not JSON, another version, a field of another type) is a BadRecord with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeVar

from visor.registry.errors import BadRecord
from visor.registry.model import (
    AppRecord,
    EndpointRecord,
    EnvRecord,
    Heartbeat,
    IdRecord,
    InstanceRecord,
    LeaseRecord,
    Limits,
    LockRecord,
    Mark,
    MemberRecord,
    ProcRecord,
    RevisionRecord,
    RunnerRecord,
    ScaleRecord,
    ServiceRecord,
    TicketRecord,
)
from visor.registry.states import Operation, State, Status

T = TypeVar("T")
Reader = Callable[[Any], Any]
Writer = Callable[[Any], Any]

VERSION: Final = 1
"""Of the records' layout."""

_REQUIRED: Final = object()


def _is(kind: type, what: str) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"expected {what}, found {value!r:.40}")
        return value

    return read


_text = _is(str, "text")
_whole = _is(int, "a whole number")


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"expected a number, found {value!r:.40}")
    result: float = value
    return result


def _texts(value: Any) -> Mapping[str, str]:
    if type(value) is not dict or not all(type(each) is str for each in value.values()):
        raise ValueError(f"expected a map of texts, found {value!r:.40}")
    return MappingProxyType(value)


def _one_of(kind: type[StrEnum]) -> Reader:
    known = {each.value: each for each in kind}

    def read(value: Any) -> Any:
        found = known.get(value) if type(value) is str else None
        if found is None:
            raise ValueError(f"expected one of {', '.join(known)}, found {value!r:.40}")
        return found

    return read


def _mark(value: Any) -> Mark:
    if type(value) is not list or len(value) != 3 or not all(type(each) is str for each in value):
        raise ValueError(f"expected [who, why, when], found {value!r:.40}")
    return Mark(*value)


def _claims(value: Any) -> tuple[tuple[str, str], ...]:
    if type(value) is not list or not all(type(each) is list and len(each) == 2 for each in value):
        raise ValueError(f"expected [[host, time], ...], found {value!r:.40}")
    return tuple((_text(host), _text(time)) for host, time in value)


def _plain_mark(mark: Mark) -> list[str]:
    return [mark.by, mark.reason, mark.time]


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    key: str
    default: Any
    required: bool
    plain: type | None
    read: Reader
    write: Writer | None


def _document(record: object) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for field in _LAYOUT[type(record)]:
        value = getattr(record, field.name)
        if value is not field.default and value != field.default:
            document[field.key] = value if field.write is None else field.write(value)
    return document


def _from_document(kind: type[T], document: Any) -> T:
    if type(document) is not dict:
        raise ValueError(f"expected an object, found {document!r:.40}")
    known = _BY_KEY[kind]
    values: dict[str, Any] = {}
    for key, found in document.items():
        field = known.get(key)
        if field is not None and found is not None:
            # By far most fields are texts and whole numbers: spare them the call.
            values[field.name] = found if type(found) is field.plain else field.read(found)
    try:
        return kind(**values)
    except TypeError:
        missing = [field.key for field in _LAYOUT[kind] if field.required and field.name not in values]
        raise ValueError(f"{', '.join(missing)} missing") from None


def _part(kind: type) -> tuple[Reader, Writer]:
    """Return how a record inside a record is read and written."""
    return (lambda value: _from_document(kind, value)), _document


_READERS: Final[dict[str, tuple[Reader, Writer | None]]] = {
    "str": (_text, None),
    "str | None": (_text, None),
    "int": (_whole, None),
    "int | None": (_whole, None),
    "float": (_number, None),
    "State": (_one_of(State), None),
    "Operation": (_one_of(Operation), None),
    "Status": (_one_of(Status), None),
    "Mark": (_mark, _plain_mark),
    "Mark | None": (_mark, _plain_mark),
    "Mapping[str, str]": (_texts, dict),
    "tuple[tuple[str, str], ...]": (_claims, None),
    "Limits": _part(Limits),
    "Heartbeat": _part(Heartbeat),
    "TicketRecord | None": _part(TicketRecord),
}
"""The type of a field, as it is written in `model.py` -> how it is read, and written where JSON cannot say it."""

_PLAIN: Final = {"str": str, "str | None": str, "int": int, "int | None": int}

_KEYS: Final = {"tele_port": "tele", "fail_restarts": "fails", "oom_restarts": "ooms"}
"""Fields with another key than their name."""


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return _REQUIRED if field.default_factory is MISSING else field.default_factory()


def _fields(kind: type) -> tuple[_Field, ...]:
    return tuple(
        _Field(
            each.name,
            _KEYS.get(each.name, each.name),
            _default(each),
            _default(each) is _REQUIRED,
            _PLAIN.get(str(each.type)),
            *_READERS[str(each.type)],
        )
        for each in fields(kind)
    )


_LAYOUT: Final[dict[type, tuple[_Field, ...]]] = {
    kind: _fields(kind)
    for kind in (
        AppRecord,
        RevisionRecord,
        Limits,
        Heartbeat,
        ProcRecord,
        EnvRecord,
        InstanceRecord,
        TicketRecord,
        IdRecord,
        ScaleRecord,
        ServiceRecord,
        EndpointRecord,
        RunnerRecord,
        MemberRecord,
        LeaseRecord,
        LockRecord,
    )
}

_BY_KEY: Final[dict[type, dict[str, _Field]]] = {
    kind: {field.key: field for field in layout} for kind, layout in _LAYOUT.items()
}

_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def encode(record: object) -> bytes:
    """Return the bytes of a record."""
    return _dumps({"v": VERSION, **_document(record)}).encode("utf-8", "surrogatepass")


def decode(kind: type[T], data: bytes | None, path: str) -> T:
    """Return the record of a kind that the bytes at `path` hold; BadRecord when they hold none."""
    try:
        document = json.loads(data or b"")
        if type(document) is not dict:
            raise ValueError(f"expected an object, found {document!r:.40}")
        if document.get("v") != VERSION:
            raise ValueError(f"version {document.get('v')!r:.20} of the layout, this library reads {VERSION}")
        return _from_document(kind, document)
    except (ValueError, RecursionError) as error:
        raise BadRecord(path=path, why=f"not {_called(kind)}: {error}", codec="record") from error


def _called(kind: type) -> str:
    word = kind.__name__.removesuffix("Record").lower()
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
