"""Records as bytes: JSON objects that a person can read with `visor get`, each with the version of its layout.

    encode(RevisionRecord("web", "v1", registered="2026-03-01T12:00:00.000Z"))
    b'{"v":1,"app":"web","ref":"v1","registered":"2026-03-01T12:00:00.000Z"}'

What equals its default is left out; keys that are not known are ignored, so that a later version may add some. The
type of a field, as `model.py` writes it, chooses its form (`schema.py`), which is asked on both sides: a value that
does not fit is a BadValue when it is written, and nothing is stored; a file that holds one, or no JSON, or another
version of the layout, is a BadRecord with the field and the reason.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, Field, fields
from typing import Any, Final, NoReturn, TypeVar

from visor._core.dataclass import dataclass
from visor._core.registry.errors import BadRecord
from visor._core.registry.model import (
    Heartbeat,
    Limits,
    Mark,
    TicketRecord,
)
from visor._core.registry.schema import NUMBER, PORT, TEXT, TEXTS, WHOLE, Form, bad_value, one_of
from visor._core.registry.states import Operation, State, Status
from visor._core.unfit import Unfit

T = TypeVar("T")

VERSION: Final = 1
"""Of the records' layout."""

_REQUIRED: Final = object()


def _mark() -> Form:
    expected = "[who, why, when]"

    def read(value: Any) -> Mark:
        if type(value) is not list or len(value) != 3 or not all(type(each) is str for each in value):
            raise Unfit(expected, value)
        return Mark(*value)

    def write(value: Any) -> list[str]:
        if type(value) is not Mark:
            raise Unfit("a Mark", value)
        return [_named(name, getattr(value, name)) for name in ("by", "reason", "time")]

    return Form(expected, read, write)


def _named(name: str, value: Any) -> str:
    try:
        found: str = TEXT.write(value)
    except Unfit as unfit:
        raise Unfit(unfit.expected, value, name, own=True) from None
    return found


def _claims() -> Form:
    expected = "[[host, time], ...]"

    def read(value: Any) -> tuple[tuple[str, str], ...]:
        if type(value) is not list or not all(type(each) is list and len(each) == 2 for each in value):
            raise Unfit(expected, value)
        return tuple((TEXT.read(host), TEXT.read(time)) for host, time in value)

    def write(value: Any) -> list[list[str]]:
        if type(value) is not tuple or not all(type(each) is tuple and len(each) == 2 for each in value):
            raise Unfit("((host, time), ...)", value)
        return [[TEXT.write(host), TEXT.write(time)] for host, time in value]

    return Form(expected, read, write)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    key: str
    default: Any
    required: bool
    form: Form


def _document(record: object) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for field in _LAYOUT[type(record)]:
        value = getattr(record, field.name)
        if value is field.default:
            continue
        try:
            plain = field.form.write(value)
        except Unfit as unfit:
            raise unfit.inside(field.name) from None
        if value != field.default:
            document[field.key] = plain
    return document


def _from_document(kind: type[T], document: Any) -> T:
    if type(document) is not dict:
        raise Unfit("an object", document)
    known = _BY_KEY[kind]
    values: dict[str, Any] = {}
    for key, found in document.items():
        field = known.get(key)
        if field is None or found is None:
            continue
        # By far most fields are texts: spare them the call.
        if field.form is TEXT and type(found) is str:
            values[field.name] = found
            continue
        try:
            values[field.name] = field.form.read(found)
        except Unfit as unfit:
            raise unfit.inside(key) from None
    try:
        return kind(**values)
    except TypeError:
        missing = [field.key for field in _LAYOUT[kind] if field.required and field.name not in values]
        raise ValueError(f"{', '.join(missing)} missing") from None


def _part(kind: type) -> Form:
    """Return how a record inside a record is read and written."""

    def write(value: Any) -> dict[str, Any]:
        if type(value) is not kind:
            raise Unfit(f"a {kind.__name__}", value)
        return _document(value)

    return Form("an object", lambda value: _from_document(kind, value), write)


_MARK: Final = _mark()

_FORMS: Final[dict[str, Form]] = {
    "str": TEXT,
    "str | None": TEXT,
    "int": WHOLE,
    "int | None": WHOLE,
    "Port": PORT,
    "Port | None": PORT,
    "float": NUMBER,
    "State": one_of(State),
    "Operation": one_of(Operation),
    "Status": one_of(Status),
    "Mark": _MARK,
    "Mark | None": _MARK,
    "Mapping[str, str]": TEXTS,
    "tuple[tuple[str, str], ...]": _claims(),
    "Limits": _part(Limits),
    "Heartbeat": _part(Heartbeat),
    "TicketRecord | None": _part(TicketRecord),
}
"""The type of a field, as it is written in `model.py` -> its form."""

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
            _FORMS[str(each.type)],
        )
        for each in fields(kind)
    )


class _Layouts(dict[type, tuple[_Field, ...]]):
    """The fields of each kind of record, read from `model.py` when the kind is first met."""

    def __missing__(self, kind: type) -> tuple[_Field, ...]:
        found = self[kind] = _fields(kind)
        return found


class _Keys(dict[type, dict[str, _Field]]):
    """The same by the key in the file."""

    def __missing__(self, kind: type) -> dict[str, _Field]:
        found = self[kind] = {field.key: field for field in _LAYOUT[kind]}
        return found


_LAYOUT: Final = _Layouts()
_BY_KEY: Final = _Keys()

_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


_loads = json.JSONDecoder(parse_constant=_no_number).decode


def encode(record: object) -> bytes:
    """Return the bytes of a record; BadValue, naming the field, for a value that does not fit."""
    try:
        document = _document(record)
    except Unfit as unfit:
        raise bad_value(_word(type(record)), unfit) from None
    return _dumps({"v": VERSION, **document}).encode()


def check(record: T) -> T:
    """Return the record, if everything in it fits: what `encode` would refuse is refused before anything is done."""
    encode(record)
    return record


def decode(kind: type[T], data: bytes | None, path: str) -> T:
    """Return the record of a kind that the bytes at `path` hold; BadRecord when they hold none."""
    try:
        document = parsed(data)
        if type(document) is not dict:
            raise Unfit("an object", document)
        if document.get("v") != VERSION:
            raise ValueError(f"version {document.get('v')!r:.20} of the layout, this library reads {VERSION}")
        return _from_document(kind, document)
    except (ValueError, RecursionError) as error:
        raise BadRecord(path=path, why=f"not {_called(kind)}: {error}", codec="record") from error


def parsed(data: bytes | None) -> Any:
    """Return the JSON that the bytes hold; ValueError, RecursionError for none, and for text that UTF-8 cannot say."""
    text = (data or b"").decode()
    document = _loads(text)
    if "\\u" in text:
        _dumps(document).encode()  # half of a surrogate pair can be escaped, and then not be written again
    return document


def _word(kind: type) -> str:
    return kind.__name__.removesuffix("Record").lower()


def _called(kind: type) -> str:
    word = _word(kind)
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
