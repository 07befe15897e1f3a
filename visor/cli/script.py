"""Transactions as people and programs write them: a JSON document, or one line for each step.

    # Text. Everything after "#" at the start of a word is a comment; quotes as in a shell.
    guard rev /leader 17
    guard missing /lock
    then
    set /leader "node-b"
    set /config @config.json
    delete -r /old
    get /leader
    else
    get /leader
    note "node-a is gone"

    {"guards": [{"kind": "rev", "path": "/leader", "rev": 17}, {"kind": "missing", "path": "/lock"}],
     "then":   [{"set": "/leader", "value": "node-b"}, {"set": "/config", "value_file": "config.json"},
                {"delete": "/old", "recursive": true}, {"get": "/leader"}],
     "else":   [{"get": "/leader"}],
     "note":   "node-a is gone"}

Guards: `rev PATH N` (0: missing), `missing PATH`, `exists PATH`, `since PATH N` (not changed after N;
for a directory: nothing below it), `value PATH V`, `below PATH N`, `above PATH N`. Operations: `set PATH V`,
`delete [-r] PATH`, `get PATH`, `ls PATH`. A value V in text is a word, `@FILE`, `@@text` or
`base64:...` (`text:...` takes the rest as it is); in JSON it is `value`, `value_base64` or `value_file`.
`then` may be left out while nothing stands before it but guards.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Callable
from dataclasses import field
from typing import Any

from visor import guard, op
from visor._core.dataclass import dataclass
from visor.cli import payload
from visor.cli.problem import Problem
from visor.cli.settings import MOST
from visor.cli.words import split
from visor.guard import Guard
from visor.op import Op


@dataclass(slots=True)
class Script:
    """A transaction as `client.txn` takes it. Values are bytes."""

    guards: list[tuple[str, Guard]] = field(default_factory=list)
    then: list[Op] = field(default_factory=list)
    orelse: list[Op] = field(default_factory=list)
    note: str | None = None
    then_lines: list[int] = field(default_factory=list)
    """The line of each operation of `then`; none for JSON."""
    orelse_lines: list[int] = field(default_factory=list)

    def place(self, position: int, path: object) -> str:
        """Return what to call the operation at `position` (from 0) of the branch that ran, which failed at `path`."""
        branches = [(self.then, self.then_lines, "then"), (self.orelse, self.orelse_lines, "else")]
        fitting = [each for each in branches if position < len(each[0])]
        exact = [each for each in fitting if each[0][position].path == path] or fitting
        if len(exact) != 1:
            return f"operation {position + 1}"
        _, lines, word = exact[0]
        line = f"line {lines[position]}, " if position < len(lines) else ""
        return f"{line}operation {position + 1} of {word}"


_NUMBER_GUARDS: dict[str, Callable[[int], Guard]] = {
    "rev": guard.rev,
    "since": guard.since,
    "below": guard.below,
    "above": guard.above,
}
_BARE_GUARDS: dict[str, Callable[[], Guard]] = {"missing": guard.missing, "exists": guard.exists}
GUARDS = (*_NUMBER_GUARDS, *_BARE_GUARDS, "value")
OPERATIONS = ("set", "delete", "get", "ls")


def parse(data: bytes) -> Script:
    """Read a transaction in either form. Raises Problem that names the place and what was expected."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(
            f"the transaction is not UTF-8: byte {error.start} is {data[error.start]:#04x}"
        ) from None
    script = _from_json(text) if text.lstrip().startswith("{") else _from_text(text)
    if not (script.guards or script.then or script.orelse):
        raise Problem("the transaction is empty; write guards and operations, see 'visor txn --help'")
    return script


# -- text ---------------------------------------------------------------------------------------------
def _from_text(text: str) -> Script:
    script = Script()
    section: list[Op] = script.then
    for number, line in enumerate(text.split("\n"), 1):
        try:
            words = split(line)
            if words:
                section = _take_line(script, section, words)
                lines = script.orelse_lines if section is script.orelse else script.then_lines
                lines += [number] * (len(section) - len(lines))
        except ValueError as error:
            raise Problem(f"transaction, line {number}: {error}") from None
        except Problem as problem:
            raise Problem(f"transaction, line {number}: {problem}", code=problem.code) from None
    return script


def _take_line(script: Script, section: list[Op], words: list[str]) -> list[Op]:
    """Add one line to `script`; return the section that the next operations belong to."""
    head, *rest = words
    if head in ("then", "else"):
        _count(head, rest, 0)
        return script.then if head == "then" else script.orelse
    if head == "guard":
        if script.then or section is script.orelse:
            raise ValueError("guards come before the operations")
        script.guards.append(_guard_line(rest))
    elif head == "note":
        _count("note TEXT", rest, 1)
        script.note = rest[0]
    else:
        section.append(_operation_line(head, rest))
    return section


def _guard_line(words: list[str]) -> tuple[str, Guard]:
    kind, *rest = words or [""]
    if kind in _BARE_GUARDS:
        _count(f"guard {kind} PATH", rest, 1)
        return rest[0], _BARE_GUARDS[kind]()
    if kind in _NUMBER_GUARDS:
        _count(f"guard {kind} PATH REV", rest, 2)
        return rest[0], _NUMBER_GUARDS[kind](_number(rest[1]))
    if kind == "value":
        _count("guard value PATH VALUE", rest, 2)
        return rest[0], guard.value(_word_value(rest[1]))
    raise ValueError(f"{kind!r} is no guard; there are {', '.join(GUARDS)}")


def _operation_line(head: str, rest: list[str]) -> Op:
    if head == "set":
        _count("set PATH VALUE", rest, 2)
        return op.set(rest[0], _word_value(rest[1]))
    if head in ("delete", "del"):
        recursive = "-r" in rest
        paths = [word for word in rest if word != "-r"]
        _count("delete [-r] PATH", paths, 1)
        return op.delete(paths[0], recursive=recursive)
    if head in ("get", "ls"):
        _count(f"{head} PATH", rest, 1)
        return op.get(rest[0]) if head == "get" else op.ls(rest[0])
    raise ValueError(
        f"{head!r} is not understood; there are guard, then, else, note, {', '.join(OPERATIONS)}"
    )


def _count(form: str, words: list[str], expected: int) -> None:
    if len(words) != expected:
        raise ValueError(f"expected {form!r}, found {len(words)} words after it instead of {expected}")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text[:40]!r} is not a rev; expected a whole number from 0 on")
    if len(text) > 19 or int(text) > MOST:
        raise ValueError(f"{text[:40]} is no rev: the highest one is {MOST}")
    return int(text)


def _word_value(word: str) -> bytes:
    if word.startswith("base64:"):
        return _unbase64(word.removeprefix("base64:"))
    if word.startswith("text:"):
        return os.fsencode(word.removeprefix("text:"))
    return payload.from_word(word)


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{text[:40]!r} is not base64: {error}") from None


# -- JSON ---------------------------------------------------------------------------------------------
def _from_json(text: str) -> Script:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem(f"the transaction is not JSON: {error}") from None
    try:
        _only(document, "the transaction", ("guards", "then", "else", "note"))
        note = document.get("note")
        if note is not None and not isinstance(note, str):
            raise ValueError("note must be text")
        guards = [_guard_object(each, where) for where, each in _items(document, "guards")]
        then = [_operation_object(each, where) for where, each in _items(document, "then")]
        orelse = [_operation_object(each, where) for where, each in _items(document, "else")]
    except ValueError as error:
        raise Problem(f"transaction: {error}") from None
    return Script(guards, then, orelse, note)


def _items(document: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
    rows = document.get(key, [])
    if not isinstance(rows, list):
        raise ValueError(f"{key} must be a list")
    items = [(f"{key}[{position}]", row) for position, row in enumerate(rows)]
    for where, row in items:
        if not isinstance(row, dict):
            raise ValueError(f"{where} must be an object")
    return items


def _guard_object(row: dict[str, Any], where: str) -> tuple[str, Guard]:
    kind, path = row.get("kind"), row.get("path")
    if not isinstance(path, str):
        raise ValueError(f"{where}.path must be text")
    if kind in _BARE_GUARDS:
        _only(row, where, ("kind", "path"))
        return path, _BARE_GUARDS[kind]()
    if kind in _NUMBER_GUARDS:
        _only(row, where, ("kind", "path", "rev"))
        return path, _NUMBER_GUARDS[kind](_whole(row.get("rev"), f"{where}.rev"))
    if kind == "value":
        _only(row, where, ("kind", "path", *_VALUE_KEYS))
        return path, guard.value(_object_value(row, where))
    raise ValueError(f"{where}.kind must be one of {', '.join(GUARDS)}, not {kind!r}")


def _operation_object(row: dict[str, Any], where: str) -> Op:
    named = [name for name in OPERATIONS if name in row]
    if len(named) != 1:
        raise ValueError(f"{where} must have exactly one of {', '.join(OPERATIONS)}")
    name = named[0]
    path = row[name]
    if not isinstance(path, str):
        raise ValueError(f"{where}.{name} must be a path")
    if name == "set":
        _only(row, where, ("set", *_VALUE_KEYS))
        return op.set(path, _object_value(row, where))
    if name == "delete":
        _only(row, where, ("delete", "recursive"))
        recursive = row.get("recursive", False)
        if not isinstance(recursive, bool):
            raise ValueError(f"{where}.recursive must be true or false")
        return op.delete(path, recursive=recursive)
    _only(row, where, (name,))
    return op.get(path) if name == "get" else op.ls(path)


_VALUE_KEYS = ("value", "value_base64", "value_file")


def _object_value(row: dict[str, Any], where: str) -> bytes:
    given = [key for key in _VALUE_KEYS if key in row]
    if len(given) != 1:
        raise ValueError(f"{where} must have exactly one of {', '.join(_VALUE_KEYS)}")
    text = row[given[0]]
    if not isinstance(text, str):
        raise ValueError(f"{where}.{given[0]} must be text")
    if given[0] == "value_base64":
        return _unbase64(text)
    if given[0] == "value_file":
        return payload.from_file(text)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{where}.value has a lone surrogate; use value_base64 for bytes") from None


def _only(row: dict[str, Any], where: str, allowed: tuple[str, ...]) -> None:
    unknown = [key for key in row if key not in allowed]
    if unknown:
        raise ValueError(f"{where} has the unknown key {unknown[0]!r}; there are {', '.join(allowed)}")


def _whole(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise ValueError(f"{where} must be a whole number from 0 to {MOST}, not {value!r:.40}")
    return value
