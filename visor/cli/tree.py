"""Trees of paths for people, in ASCII where the terminal's encoding has no lines.

/  2 files
├── apps/  1 file
│   └── web  rev 3
└── top  rev 7
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field

from visor._core.dataclass import dataclass
from visor._core.drawing import draws_blocks
from visor._core.harmless import harmless
from visor.cli.screen import BLUE, BOLD, DIM, colour_wanted, columns, cut, painted, width
from visor.cli.settings import Settings
from visor.cli.wording import counted

LEAST = 8
"""Columns of a remark that is cut; below that it runs over the edge instead."""


@dataclass(slots=True)
class _Branch:
    name: str
    remark: str = ""
    below: list[_Branch] = field(default_factory=list)
    files: int = 0
    """At all its levels."""


def tree_text(
    title: str, paths: Iterable[tuple[str, str]], settings: Settings, *, counts: bool = False
) -> str:
    """Draw paths (with a remark each, all below `title`, in path order) as a tree; `counts`: with those of files."""
    root = _Branch(title)
    branches = {"": root}
    prefix = "" if title == "/" else title
    for path, remark in paths:
        *directories, name = path[len(prefix) + 1 :].split("/")
        _branch(branches, directories).below.append(_Branch(name, remark))
    if counts:
        _count(list(branches.values()))
    colour, most = colour_wanted(settings), columns(settings)
    lines = [_line("", root, colour, most, BOLD)]
    lines += [_line(lead, branch, colour, most) for lead, branch in _walk(root)]
    text = "".join(f"{each}\n" for each in lines)
    return text if draws_blocks(settings.environment) else _in_ascii(text)


def _branch(branches: dict[str, _Branch], directories: list[str]) -> _Branch:
    """Return the branch of a directory, with all above it made where they are missing."""
    above, so_far = branches[""], ""
    for name in directories:
        so_far = f"{so_far}/{name}"
        if so_far not in branches:
            branches[so_far] = _Branch(f"{name}/")
            above.below.append(branches[so_far])
        above = branches[so_far]
    return above


def _count(directories: list[_Branch]) -> None:
    """Note at each directory how many files are below it; those come after it."""
    for directory in reversed(directories):
        directory.files = sum(each.files if each.name.endswith("/") else 1 for each in directory.below)
        directory.remark = counted(directory.files, "file")


def _in_ascii(text: str) -> str:
    for drawn, plain in (("├── ", "|-- "), ("└── ", "`-- "), ("│   ", "|   "), ("…", "~")):
        text = text.replace(drawn, plain)
    return text


def _walk(root: _Branch) -> Iterator[tuple[str, _Branch]]:
    """Yield what is below, each with the lines that lead to it. A path can have 500 levels: no recursion."""
    todo = [("", branch, branch is root.below[-1]) for branch in reversed(root.below)]
    while todo:
        lead, branch, last = todo.pop()
        yield f"{lead}{'└── ' if last else '├── '}", branch
        further = f"{lead}{'    ' if last else '│   '}"
        todo += [(further, each, each is branch.below[-1]) for each in reversed(branch.below)]


def _line(lead: str, branch: _Branch, colour: bool, most: int | None, style: str = "") -> str:
    name, remark = harmless(branch.name), harmless(branch.remark)
    if most is not None and remark:
        left = most - width(lead) - width(name) - 2
        remark = cut(remark, left) if left >= LEAST else remark
    shown = painted(name, style or (BLUE if branch.name.endswith("/") else ""), colour)
    return f"{lead}{shown}  {painted(remark, DIM, colour)}" if remark else f"{lead}{shown}"
