"""Which files a scan, a watch or a history is about.

Wherever a selector is expected, plain text is a glob: `?` is one character and `*` a run of them within
a component, `**` a run across components (`/a/**` is everything below `/a`), `{web,db}` is either. What several
selectors mean together is `any_of` them:

    client.watch("/{queue,claims}/**")
    client.scan(select.any_of("/queue/*", select.path("/limit")))
"""

from __future__ import annotations

from visor._core.dataclass import dataclass
from visor._core.shown import PATH, shown
from visor.protocol import verbs
from visor.protocol.limits import SELECTORS


@dataclass(frozen=True, slots=True)
class Selector:
    """A set of files; make it with the functions of this module."""

    kind: int
    text: str
    end: str | None = None
    parts: tuple[Selector, ...] = ()

    def __repr__(self) -> str:
        if self.parts:
            return f"select.any_of({', '.join(map(repr, self.parts))})"
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


def any_of(*selectors: str | Selector) -> Selector:
    """The files that at least one of these means, each once: a selector each, or the text of a glob.

    At most 32 of them; ValueError when there are more, or none. Those that braces stand for count too, but only when
    it is used: more are refused by the call that it is given to.
    """
    parts: list[Selector] = []
    for each in selectors:
        if isinstance(each, str):
            each = glob(each)
        if not isinstance(each, Selector):
            raise TypeError(f"a glob or a selector (visor.select) is expected, not {shown(each)}")
        parts += each.parts or (each,)
    if not 1 <= len(parts) <= SELECTORS:
        raise ValueError(f"1 to {SELECTORS} selectors make one, not {len(parts)}")
    return Selector(verbs.SEL_ANY, parts[0].text, parts=tuple(parts))


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
    verbs.SEL_ANY: "any_of",
}

__all__ = [
    "Selector",
    "path",
    "tree",
    "children",
    "glob",
    "range",
    "any_of",
]


def __dir__() -> list[str]:
    return sorted(__all__)
