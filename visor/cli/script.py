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

import json
import os
from dataclasses import field

from visor import guard, op
from visor._core.dataclass import dataclass
from visor._core.steps import BARE, BY_REV, GUARDS, MOST, OPERATIONS, Dialect, of_base64, of_text
from visor.cli import payload
from visor.cli.problem import Problem
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


JSON = Dialect(values={"value": of_text, "value_base64": of_base64, "value_file": payload.from_file})


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
    if kind in BARE:
        _count(f"guard {kind} PATH", rest, 1)
        return rest[0], BARE[kind]()
    if kind in BY_REV:
        _count(f"guard {kind} PATH REV", rest, 2)
        return rest[0], BY_REV[kind](_number(rest[1]))
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
        return of_base64(word.removeprefix("base64:"))
    if word.startswith("text:"):
        return os.fsencode(word.removeprefix("text:"))
    return payload.from_word(word)


# -- JSON ---------------------------------------------------------------------------------------------
def _from_json(text: str) -> Script:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem(f"the transaction is not JSON: {error}") from None
    try:
        found = JSON.read(document)
    except ValueError as error:
        raise Problem(f"transaction: {error}") from None
    return Script(list(found.guards), list(found.then), list(found.orelse), found.note)
