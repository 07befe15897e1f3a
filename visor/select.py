"""Which files a scan, a watch or a history is about.

Wherever a selector is expected, plain text is a glob: `?` is one character and `*` a run of them within
a component, `**` a run across components (`/a/**` is everything below `/a`).
"""

from __future__ import annotations

from dataclasses import dataclass

from visor._shown import PATH, shown
from visor.protocol import verbs


@dataclass(frozen=True, slots=True)
class Selector:
    """A set of files; make it with the functions of this module."""

    kind: int
    text: str
    end: str | None = None

    def __repr__(self) -> str:
        end = "" if self.end is None else f", {shown(self.end, PATH)}"
        return f"select.{_WORDS.get(self.kind, 'Selector')}({shown(self.text, PATH)}{end})"


def path(path: str) -> Selector:
    """Exactly this file."""
    return Selector(verbs.SEL_PATH, path)


def tree(path: str) -> Selector:
    """The path itself and everything below it."""
    return Selector(verbs.SEL_TREE, path)


def children(directory: str) -> Selector:
    """The files directly in this directory."""
    return Selector(verbs.SEL_CHILDREN, directory)


def glob(pattern: str) -> Selector:
    """The files whose path matches; the same as passing the text itself."""
    return Selector(verbs.SEL_GLOB, pattern)


def range(start: str, end: str | None = None) -> Selector:
    """The files from `start` (inclusive) to `end` (exclusive; None: to the last one); components compare one by one.

    ValueError unless `end` comes after `start`: nothing would ever match.
    """
    from visor.paths import sort_key  # the grammar of paths takes a while to load, and ranges are seldom

    if end is not None and sort_key(end) <= sort_key(start):
        raise ValueError(
            f"the range from {start!a} to {end!a} is empty: the end must come after the start "
            "(leave it out for all from the start on)"
        )
    return Selector(verbs.SEL_RANGE, start, end)


_WORDS = {
    verbs.SEL_PATH: "path",
    verbs.SEL_TREE: "tree",
    verbs.SEL_CHILDREN: "children",
    verbs.SEL_GLOB: "glob",
    verbs.SEL_RANGE: "range",
}

__all__ = [
    "Selector",
    "path",
    "tree",
    "children",
    "glob",
    "range",
]


def __dir__() -> list[str]:
    return sorted(__all__)
