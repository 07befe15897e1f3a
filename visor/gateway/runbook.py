"""What to do about an alarm: `visor/docs/runbook.md` as a page, and the row of its table that a line is about.

That table is the only place where it stands: people read the page, the console shows the row beside the alarm.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final

from visor._core.dataclass import dataclass

PAGE: Final = "/docs/runbook"
_CODE: Final = re.compile(r"`([^`]+)`")
_PLACE: Final = re.compile(r"\[([^\]]+)\]\((#[a-z-]+)\)")
_MEMBER: Final = re.compile(r"\S+: ")
"""What a line of a survey begins with, that is about one member."""
_PLACES: Final = re.compile(r"\.\.\.|\b\d[\w.:]*|\bn\d\b")
"""What stands in a row for something else: dots, a number or an address, a member."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what is seen, what that means, what to do. `anchor` is its place on the page."""

    anchor: str
    seen: str
    means: str
    do: str
    pattern: re.Pattern[str] | None
    """Which lines it is about; None where it is about something that no member says."""


@cache
def text() -> str:
    """Return the page as it was written."""
    return (files("visor") / "docs" / "runbook.md").read_text(encoding="utf-8")


@cache
def rows() -> tuple[Row, ...]:
    """Return the rows of the table, in its order."""
    found: list[Row] = []
    for line in text().splitlines():
        if line.startswith("| ") and line.count(" | ") == 2:
            seen, means, do = (cell.strip() for cell in line.strip("|").split(" | "))
            found.append(Row(_anchor(seen, found), seen, means, do, _pattern(seen)))
    return tuple(found[1:])  # the first one is the head


def find(line: str) -> Row | None:
    """Return the row that is about a line of `visor cluster health`, or an alarm; None for none.

    >>> find("n2: no answer at 10.0.0.2:8046: refused").seen
    '`n3: no answer at ...`'
    """
    for said in (line, _MEMBER.sub("", line, count=1)):
        for row in rows():
            if row.pattern is not None and row.pattern.match(said):
                return row
    return None


def _pattern(seen: str) -> re.Pattern[str] | None:
    """Return what matches the lines that a first cell shows: `n3: ...`, or the word that an alarm begins with."""
    lines = _CODE.findall(seen.partition(";")[0]) if seen.startswith("`") else []
    spelled = [_spelled(line) for line in lines if " " in line]
    return re.compile("|".join(spelled)) if spelled else None


def _spelled(line: str) -> str:
    word, colon, _ = line.partition(": ")
    if colon and not _PLACES.fullmatch(word):
        return re.escape(word + ":")  # an alarm: its word never changes, what follows may
    pieces = _PLACES.split(line)
    return ".+?".join(re.escape(piece) for piece in pieces)


def _anchor(seen: str, before: Iterable[Row]) -> str:
    words = "-".join(re.findall(r"[a-z]{2,}", (_CODE.findall(seen) or [seen])[0].lower())[:5])
    taken = {row.anchor for row in before}
    return words if words not in taken else f"{words}-{len(taken)}"


# -- the page -----------------------------------------------------------------------------------------
def html() -> str:
    """Return the page's body as HTML; of Markdown it knows what the page has."""
    parts: list[str] = []
    block: list[str] = []
    fenced = False
    for line in [*text().splitlines()[1:], ""]:
        if line.startswith("```"):
            if fenced:
                parts.append(f"<pre>{escape(chr(10).join(block))}</pre>")
            block, fenced = [], not fenced
        elif fenced:
            block.append(line)
        elif line.startswith("## "):
            parts.append(f"<h2 id='{_slug(line[3:])}'>{inline(line[3:])}</h2>")
        elif line.startswith("|"):
            continue  # made of the rows, below the first paragraphs
        elif line:
            block.append(line)
        elif block:
            parts.append(f"<p>{inline(' '.join(block))}</p>")
            block = []
    place = next((n for n, part in enumerate(parts) if part.startswith("<h2 ")), len(parts))
    return "".join([*parts[:place], _table(), *parts[place:]])


def _table() -> str:
    cells = "".join(
        f"<tr id='{row.anchor}'><td>{inline(row.seen)}</td><td>{inline(row.means)}</td><td>{inline(row.do)}</td></tr>"
        for row in rows()
    )
    head = "<tr><th>seen</th><th>it means</th><th>do</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{cells}</tbody></table>"


def _slug(words: str) -> str:
    return words.lower().replace(" ", "-")


def inline(words: str) -> str:
    """Return a line as HTML: code, places on this page, and all else as text."""
    made = _CODE.sub(r"<code>\1</code>", escape(words, quote=False))
    made = _PLACE.sub(r"<a href='\2'>\1</a>", made)
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", made)
