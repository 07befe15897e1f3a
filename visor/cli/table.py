"""Tables and trees for people, with rich. Loaded only when one is drawn."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from visor._harmless import harmless
from visor.cli.settings import Settings
from visor.cli.views import View

T = TypeVar("T")

WIDE = 10_000
"""Columns of a table that goes to a file: nothing is cut."""
NUMBERS = frozenset(("rev", "size", "created", "writes"))
_WIDTHS = {"rev": 8, "when": 5, "who": 16, "what": 7, "path": 32, "value": 0, "why": 0}
_STYLES = {"create": "green", "delete": "red", "expire": "red", "update": "yellow"}


def colour_wanted(settings: Settings) -> bool:
    """Say whether to colour: NO_COLOR wins over FORCE_COLOR wins over what standard output is."""
    environment: Mapping[str, str] = settings.environment
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return settings.streams.stdout_is_terminal and environment.get("TERM") != "dumb"


def _console(settings: Settings) -> Console:
    terminal = settings.streams.stdout_is_terminal
    colour = colour_wanted(settings)
    return Console(
        file=io.StringIO(),
        width=None if terminal else WIDE,
        force_terminal=colour,
        no_color=not colour,
        color_system="auto" if colour else None,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
        _environ=settings.environment,
    )


def _drawn(console: Console, thing: Any) -> str:
    console.print(thing, soft_wrap=False)
    stream = console.file
    assert isinstance(stream, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def table_text(view: View[T], rows: Iterable[T], settings: Settings) -> str:
    """Draw a table. No row, no header."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in view.columns:
        table.add_column(name.upper(), justify="right" if name in NUMBERS else "left", overflow="fold")
    for row in rows:
        for cells in view.cells(row):
            table.add_row(*(Text(harmless(cell), style=_STYLES.get(cell, "")) for cell in cells))
    return _drawn(_console(settings), table) if table.row_count else ""


def stream_lines(view: View[T], row: T) -> list[str]:
    """Draw one row of a stream as lines with columns of fixed width, which need no other row."""
    lines = []
    for cells in view.cells(row):
        padded = [
            harmless(cell).ljust(_WIDTHS.get(name, 0)) for name, cell in zip(view.columns, cells, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def tree_text(title: str, paths: Iterable[tuple[str, str]], settings: Settings) -> str:
    """Draw paths (with a remark each, all below `title`, in path order) as a tree."""
    tree = Tree(Text(harmless(title), style="bold"))
    branches: dict[str, Tree] = {"": tree}
    prefix = "" if title == "/" else title
    for path, remark in paths:
        *directories, name = path[len(prefix) + 1 :].split("/")
        parent = _branch(branches, directories)
        label = Text(harmless(name))
        if remark:
            label.append(f"  {harmless(remark)}", style="dim")
        parent.add(label)
    return _drawn(_console(settings), tree)


def _branch(branches: dict[str, Tree], directories: list[str]) -> Tree:
    """Return the branch of a directory, with all above it made where they are missing."""
    above, so_far = branches[""], ""
    for name in directories:
        so_far = f"{so_far}/{name}"
        if so_far not in branches:
            branches[so_far] = above.add(Text(harmless(f"{name}/"), style="blue"))
        above = branches[so_far]
    return above
