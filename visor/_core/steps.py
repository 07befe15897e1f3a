"""A transaction as JSON, as `visor txn` and the gateway take it; and how a row of any such document is read.

    {"guards": [{"kind": "rev", "path": "/leader", "rev": 17}, {"kind": "missing", "path": "/lock"}],
     "then":   [{"set": "/leader", "value": "node-b"}, {"delete": "/old", "recursive": true}, {"get": "/leader"}],
     "else":   [{"ls": "/members"}],
     "note":   "node-a is gone"}

Guards: `rev`, `since`, `below`, `above` with `rev`; `missing`, `exists`; `value` with a value. A value is `value` or
`value_base64`. What one door takes beyond that, or calls otherwise, is its `Dialect`. All that is wrong is a
`Misspelt` that names the place and what is expected.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Final

from visor import guard, op
from visor._core.dataclass import dataclass
from visor.guard import Guard
from visor.op import Op

MOST: Final = (1 << 63) - 1
BY_REV: Final[dict[str, Callable[[int], Guard]]] = {
    "rev": guard.rev,
    "since": guard.since,
    "below": guard.below,
    "above": guard.above,
}
BARE: Final[dict[str, Callable[[], Guard]]] = {"missing": guard.missing, "exists": guard.exists}
GUARDS: Final = (*BY_REV, *BARE, "value")
OPERATIONS: Final = ("set", "delete", "get", "ls")


class Misspelt(ValueError):  # noqa: N818  # what it says is of the document
    """A document that is not what is expected."""


@dataclass(frozen=True, slots=True)
class Steps:
    """A transaction that was read."""

    guards: tuple[tuple[str, Guard], ...]
    then: tuple[Op, ...]
    orelse: tuple[Op, ...]
    note: str | None


def of_text(said: str) -> bytes:
    """Return the value that `value` says."""
    try:
        return said.encode("utf-8")
    except UnicodeEncodeError:
        raise Misspelt("has half of a character; use value_base64 for bytes") from None


def of_base64(said: str) -> bytes:
    """Return the value that `value_base64` says."""
    try:
        return base64.b64decode(said, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Misspelt(f"{said[:40]!r} is not base64: {error}") from None


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one door takes. `guards`: names of that list; `rows`: the most in a list, None: any number."""

    guards: tuple[str, ...] = ("guards",)
    leases: bool = False
    """A file may be attached to a lease as it is set."""
    rows: int | None = None
    values: Mapping[str, Callable[[str], bytes]] = field(
        default_factory=lambda: {"value": of_text, "value_base64": of_base64}
    )
    """By which keys a row says a value, and how each is read."""

    def read(self, document: dict[str, Any]) -> Steps:
        """Return the transaction of a document."""
        only(document, "the transaction", (*self.guards, "then", "else", "note"))
        given = [name for name in self.guards if name in document]
        if len(given) > 1:
            raise Misspelt(
                f"the transaction has {' and '.join(f'`{name}`' for name in given)}, which are the same"
            )
        note = document.get("note")
        if note is not None and not isinstance(note, str):
            raise Misspelt("note must be text")
        guards = tuple(self._guard(row, where) for where, row in self._rows(document, [*given, "guards"][0]))
        then = tuple(self._operation(row, where) for where, row in self._rows(document, "then"))
        orelse = tuple(self._operation(row, where) for where, row in self._rows(document, "else"))
        return Steps(guards, then, orelse, note)

    def _rows(self, document: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
        rows = document.get(key, [])
        if not isinstance(rows, list):
            raise Misspelt(f"{key} must be a list")
        if self.rows is not None and len(rows) > self.rows:
            raise Misspelt(f"{key} has {len(rows)} rows, at most {self.rows} are taken")
        found = [(f"{key}[{place}]", row) for place, row in enumerate(rows)]
        for where, row in found:
            if not isinstance(row, dict):
                raise Misspelt(f"{where} must be an object")
        return found

    def _guard(self, row: dict[str, Any], where: str) -> tuple[str, Guard]:
        kind, path = row.get("kind"), text(row, "path", where)
        if isinstance(kind, str) and kind in BARE:
            only(row, where, ("kind", "path"))
            return path, BARE[kind]()
        if isinstance(kind, str) and kind in BY_REV:
            only(row, where, ("kind", "path", "rev"))
            return path, BY_REV[kind](whole(row, "rev", where))
        if kind == "value":
            only(row, where, ("kind", "path", *self.values))
            return path, guard.value(self._value(row, where))
        raise Misspelt(f"{where}.kind must be one of {', '.join(GUARDS)}, not {kind!r:.40}")

    def _operation(self, row: dict[str, Any], where: str) -> Op:
        name = _one_of(row, OPERATIONS, where)
        path = text(row, name, where)
        if name == "set":
            only(row, where, ("set", *(("lease",) if self.leases else ()), *self.values))
            return op.set(path, self._value(row, where), lease=whole(row, "lease", where, 0))
        if name == "delete":
            only(row, where, ("delete", "recursive"))
            recursive = row.get("recursive", False)
            if not isinstance(recursive, bool):
                raise Misspelt(f"{where}.recursive must be true or false")
            return op.delete(path, recursive=recursive)
        only(row, where, (name,))
        return op.get(path) if name == "get" else op.ls(path)

    def _value(self, row: dict[str, Any], where: str) -> bytes:
        name = _one_of(row, tuple(self.values), where)
        said = text(row, name, where)
        try:
            return self.values[name](said)
        except Misspelt as error:
            raise Misspelt(f"{where}.{name}: {error}") from None


def only(row: dict[str, Any], where: str, known: tuple[str, ...]) -> None:
    """Refuse a key that is not known: what is misspelt must not be left out in silence."""
    for key in row:
        if key not in known:
            raise Misspelt(f"{where} has the unknown key {key[:40]!r}; there are {', '.join(known)}")


def whole(row: dict[str, Any], key: str, where: str, default: int | None = None) -> int:
    """Return a whole number of a row."""
    value = row.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise Misspelt(f"{where}.{key} must be a whole number from 0 to {MOST}, not {value!r:.40}")
    return value


def text(row: dict[str, Any], key: str, where: str) -> str:
    """Return a text of a row."""
    value = row.get(key)
    if not isinstance(value, str):
        raise Misspelt(f"{where}.{key} must be text")
    return value


def _one_of(row: dict[str, Any], names: tuple[str, ...], where: str) -> str:
    """Return which of these names the row has: exactly one."""
    given = [name for name in names if name in row]
    if len(given) != 1:
        raise Misspelt(f"{where} must have exactly one of {', '.join(names)}")
    return given[0]
