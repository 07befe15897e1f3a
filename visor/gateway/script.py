"""A transaction as JSON: what `visor txn` takes, but for files of the machine that would be read.

    {"if":   [{"kind": "rev", "path": "/leader", "rev": 17}, {"kind": "missing", "path": "/lock"}],
     "then": [{"set": "/leader", "value": "node-b", "lease": 12}, {"delete": "/old", "recursive": true},
              {"get": "/leader"}],
     "else": [{"ls": "/members"}],
     "note": "node-a is gone"}

Guards: `rev`, `since`, `below`, `above` with `rev`; `missing`, `exists`; `value` with `value` or `value_base64`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, Final

from visor import guard, op
from visor._core.dataclass import dataclass
from visor.gateway.problems import NotServed
from visor.guard import Guard
from visor.op import Op

MOST: Final = (1 << 63) - 1
MOST_ROWS: Final = 4096
BY_REV: Final[dict[str, Callable[[int], Guard]]] = {
    "rev": guard.rev,
    "since": guard.since,
    "below": guard.below,
    "above": guard.above,
}
BARE: Final[dict[str, Callable[[], Guard]]] = {"missing": guard.missing, "exists": guard.exists}
OPERATIONS: Final = ("set", "delete", "get", "ls")
VALUES: Final = ("value", "value_base64")


@dataclass(frozen=True, slots=True)
class Steps:
    """A transaction that was read."""

    guards: tuple[tuple[str, Guard], ...]
    then: tuple[Op, ...]
    orelse: tuple[Op, ...]
    note: str | None


def read(document: dict[str, Any]) -> Steps:
    """Return the transaction; NotServed names the place and what is expected."""
    only(document, "the transaction", ("if", "guards", "then", "else", "note"))
    if "if" in document and "guards" in document:
        raise wrong("the transaction has `if` and `guards`, which are the same")
    note = document.get("note")
    if note is not None and not isinstance(note, str):
        raise wrong("note must be text")
    key = "guards" if "guards" in document else "if"
    guards = tuple(_guard(row, where) for where, row in _rows(document, key))
    then = tuple(_operation(row, where) for where, row in _rows(document, "then"))
    orelse = tuple(_operation(row, where) for where, row in _rows(document, "else"))
    if not (guards or then or orelse):
        raise wrong("the transaction is empty")
    return Steps(guards, then, orelse, note)


def wrong(text: str, **details: Any) -> NotServed:
    """Return the refusal of a body."""
    return NotServed("usage", text, **details)


def only(row: dict[str, Any], where: str, known: tuple[str, ...]) -> None:
    """Refuse a key that is not known: what is misspelt must not be left out in silence."""
    for key in row:
        if key not in known:
            raise wrong(f"{where} has the unknown key {key[:40]!r}; there are {', '.join(known)}")


def whole(row: dict[str, Any], key: str, where: str, default: int | None = None) -> int:
    """Return a whole number of a body."""
    value = row.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise wrong(f"{where}.{key} must be a whole number from 0 to {MOST}")
    return value


def text(row: dict[str, Any], key: str, where: str) -> str:
    """Return a text of a body."""
    value = row.get(key)
    if not isinstance(value, str):
        raise wrong(f"{where}.{key} must be text")
    return value


def _rows(document: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
    rows = document.get(key, [])
    if not isinstance(rows, list) or len(rows) > MOST_ROWS:
        raise wrong(f"{key} must be a list of {MOST_ROWS} at most")
    found = [(f"{key}[{place}]", row) for place, row in enumerate(rows)]
    for where, row in found:
        if not isinstance(row, dict):
            raise wrong(f"{where} must be an object")
    return found


def _guard(row: dict[str, Any], where: str) -> tuple[str, Guard]:
    kind, path = row.get("kind"), text(row, "path", where)
    if isinstance(kind, str) and kind in BARE:
        only(row, where, ("kind", "path"))
        return path, BARE[kind]()
    if isinstance(kind, str) and kind in BY_REV:
        only(row, where, ("kind", "path", "rev"))
        return path, BY_REV[kind](whole(row, "rev", where))
    if kind == "value":
        only(row, where, ("kind", "path", *VALUES))
        return path, guard.data(_value(row, where))
    raise wrong(f"{where}.kind must be one of {', '.join((*BY_REV, *BARE, 'value'))}")


def _operation(row: dict[str, Any], where: str) -> Op:
    named = [name for name in OPERATIONS if name in row]
    if len(named) != 1:
        raise wrong(f"{where} must have exactly one of {', '.join(OPERATIONS)}")
    name = named[0]
    path = text(row, name, where)
    if name == "set":
        only(row, where, ("set", "lease", *VALUES))
        return op.set(path, _value(row, where), lease=whole(row, "lease", where, 0))
    if name == "delete":
        only(row, where, ("delete", "recursive"))
        recursive = row.get("recursive", False)
        if not isinstance(recursive, bool):
            raise wrong(f"{where}.recursive must be true or false")
        return op.delete(path, recursive=recursive)
    only(row, where, (name,))
    return op.get(path) if name == "get" else op.ls(path)


def _value(row: dict[str, Any], where: str) -> bytes:
    given = [key for key in VALUES if key in row]
    if len(given) != 1:
        raise wrong(f"{where} must have exactly one of {', '.join(VALUES)}")
    said = text(row, given[0], where)
    try:
        return said.encode() if given[0] == "value" else base64.b64decode(said, validate=True)
    except UnicodeEncodeError:
        raise wrong(f"{where}.value has half of a character; use value_base64 for bytes") from None
    except (binascii.Error, ValueError) as error:
        raise wrong(f"{where}.value_base64 is not base64: {error}") from None
