"""Tables for people. Where a terminal is too narrow, cells are cut with an ellipsis; a line is never folded.

    REV  WHEN  WHO       WHAT    PATH      VALUE  WHY
    812  3m    ann@web…  update  /apps/w…  v2     roll…

First columns with nothing in them go, then values and notes shrink, then the others; numbers stay whole. What is still
too wide runs over the edge, as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from visor._core.harmless import harmless
from visor.cli.screen import BOLD, GREEN, RED, YELLOW, colour_wanted, columns, cut, painted, width
from visor.cli.settings import Settings

if TYPE_CHECKING:
    from visor.cli.views import View

T = TypeVar("T")

GAP: Final = 2
RIGHT: Final = frozenset(("rev", "size", "created", "writes"))
WHOLE: Final = RIGHT.union(
    ("id", "lease", "fence", "port", "term", "applied", "behind", "files", "when", "age"),
    ("what", "kind", "state", "status", "role", "alarm", "lag", "revs/s"),
)
"""Columns that say nothing any more when they are cut."""
FIRST: Final = frozenset(
    ("value", "before", "after", "why", "command", "repository", "archive", "remark", "stack")
)
"""Columns that are cut first: they can be long, and are asked for by name."""
LEAST_FIRST, LEAST = 4, 6
"""Columns that are left of a cell, and at least its heading."""
_WIDTHS = {"rev": 8, "when": 5, "who": 16, "what": 7, "path": 32, "value": 0, "why": 0}
_STYLES = {"create": GREEN, "delete": RED, "expire": RED, "update": YELLOW}


def table_text(view: View[T], rows: Iterable[T], settings: Settings) -> str:
    """Draw a table. No row, no header."""
    cells = [[harmless(cell) for cell in line] for row in rows for line in view.cells(row)]
    if not cells:
        return ""
    colour, most = colour_wanted(settings), columns(settings)
    shown = list(range(len(view.columns)))
    wide = [max(len(name), *(width(line[at]) for line in cells)) for at, name in enumerate(view.columns)]
    if most is not None and _total(wide, shown) > most:
        shown = [at for at in shown if any(line[at] for line in cells)]
        wide = fitted(view.columns, wide, shown, most)
    lines = [_line([name.upper() for name in view.columns], view.columns, wide, shown, colour, BOLD)]
    lines += [_line(line, view.columns, wide, shown, colour) for line in cells]
    return "".join(f"{each}\n" for each in lines)


def _total(wide: Sequence[int], shown: Sequence[int]) -> int:
    return sum(wide[at] for at in shown) + GAP * (len(shown) - 1)


def fitted(names: Sequence[str], wide: Sequence[int], shown: Sequence[int], most: int) -> list[int]:
    """Return widths with which the columns `shown` take `most` in all, as far as that can be."""
    found = [
        each if name in WHOLE else min(each, max(most, LEAST)) for name, each in zip(names, wide, strict=True)
    ]
    some = [at for at in shown if names[at] in FIRST]
    others = [at for at in shown if names[at] not in FIRST | WHOLE]
    for group, least in ((some, LEAST_FIRST), (others, LEAST)):
        floors = {at: min(found[at], max(least, len(names[at]))) for at in group}
        while _total(found, shown) > most:
            left = [at for at in group if found[at] > floors[at]]
            if not left:
                break
            found[max(left, key=found.__getitem__)] -= 1
    return found


def _line(
    cells: Sequence[str],
    names: Sequence[str],
    wide: Sequence[int],
    shown: Sequence[int],
    colour: bool,
    style: str = "",
) -> str:
    pieces = []
    for at in shown:
        text = cut(cells[at], wide[at])
        space = " " * (wide[at] - width(text))
        drawn = painted(text, style or _STYLES.get(text, ""), colour)
        pieces.append(space + drawn if names[at] in RIGHT else drawn + space)
    return (" " * GAP).join(pieces).rstrip(" ")


def stream_lines(view: View[T], row: T) -> list[str]:
    """Draw one row of a stream as lines with columns of fixed width, which need no other row."""
    lines = []
    for cells in view.cells(row):
        padded = [
            harmless(cell).ljust(_WIDTHS.get(name, 0)) for name, cell in zip(view.columns, cells, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return lines
