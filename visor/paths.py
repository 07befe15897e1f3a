"""Paths and globs: the grammar that client and server share.

    path      = "/" | ("/" component)+
    component = one or more of
                  ASCII letters and digits   . - _ ~ @ : + = , % ! $ & #
                  any code point from U+00A1 up, except the ranges in `_EXCLUDED`
                but not "." and not ".."
    glob      = a path whose components may also hold
                  ?   one character within a component
                  *   any run within a component, also an empty one
                  **  any run, also across "/"

and wherever a client takes a glob, `{web,db}` within it stands for either (`expand` tells which globs that makes).

So `/a**` matches `/a`, `/ab` and `/a/b`; `/**` matches everything. Text is compared code point by code point:
nothing is normalised, folded or trimmed, and no table of the running Python is asked, so that every
node and every client judges a path alike for ever. **Path order** compares components, and a directory comes
right before what is in it: `/a`, `/a/b`, `/a-b`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Final, TypeAlias

from visor._core.matching import SHORT, Matches, compiled
from visor.protocol.limits import DEFAULT, Limits

ROOT: Final = "/"

MAX_WILDCARDS: Final = 64
"""Wildcards (`?`, `*`, `**`) in one glob."""

_ASCII: Final = r"A-Za-z0-9.\-_~@:+=,%!$&#"

# What a reader cannot see, cannot copy, or cannot tell from something else.
_EXCLUDED: Final = (
    (0x0080, 0x00A0),  # C1 controls, no-break space
    (0x00AD, 0x00AD),  # soft hyphen
    (0x0600, 0x0605),  # Arabic prepended marks
    (0x061C, 0x061C),  # Arabic letter mark (bidi)
    (0x06DD, 0x06DD),
    (0x070F, 0x070F),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
    (0x115F, 0x1160),  # Hangul fillers: letters that show nothing
    (0x1680, 0x1680),  # Ogham space
    (0x180E, 0x180E),  # Mongolian vowel separator
    (0x2000, 0x200F),  # spaces, zero-width characters, bidi marks
    (0x2028, 0x202F),  # line and paragraph separators, bidi embeddings, narrow space
    (0x205F, 0x206F),  # mathematical space, invisible operators, bidi isolates
    (0x3000, 0x3000),  # ideographic space
    (0x3164, 0x3164),  # Hangul filler
    (0xD800, 0xF8FF),  # surrogates, private use
    (0xFDD0, 0xFDEF),  # noncharacters
    (0xFEFF, 0xFEFF),  # byte order mark
    (0xFFA0, 0xFFA0),  # half-width Hangul filler
    (0xFFF0, 0xFFFB),  # unassigned, interlinear annotation
    (0xFFFE, 0xFFFF),
    (0x110BD, 0x110BD),
    (0x110CD, 0x110CD),
    (0x13430, 0x1343F),  # Egyptian format controls
    (0x1BCA0, 0x1BCA3),  # shorthand format controls
    (0x1D173, 0x1D17A),  # musical format controls
    *((plane | 0xFFFE, plane | 0xFFFF) for plane in range(0x10000, 0xE0000, 0x10000)),
    (0xE0000, 0x10FFFF),  # tags, variation supplements, private planes
)


def _allowed() -> str:
    """Return the body of a regular expression's class: everything a component may hold."""
    parts, start = [_ASCII], 0x00A1
    for low, high in _EXCLUDED:
        if start < low:
            parts.append(f"{chr(start)}-{chr(low - 1)}")
        start = max(start, high + 1)
    return "".join(parts)


# Most paths are ASCII. What judges all of Unicode takes 20 ms to compile, so that waits for the first one that is not.
_COMPONENTS: Final = r"(?:/(?!\.\.?(?:/|\Z))[{}]+)+"
_ASCII_PATH: Final = re.compile(_COMPONENTS.format(_ASCII)).fullmatch
_Pattern: TypeAlias = Callable[[str], "re.Match[str] | None"]


@cache
def _path_of() -> _Pattern:
    return re.compile(_COMPONENTS.format(_allowed())).fullmatch


@cache
def _glob_of() -> _Pattern:
    return re.compile(_COMPONENTS.format(_allowed() + "*?")).fullmatch


@cache
def _ascii_glob_of() -> _Pattern:
    return re.compile(_COMPONENTS.format(_ASCII + "*?")).fullmatch


@cache
def _bad_of(wildcards: str) -> _Pattern:
    return re.compile(rf"[^{_allowed()}/{wildcards}]").search


def check(path: str, limits: Limits = DEFAULT) -> str | None:
    """Return why `path` is not a path, or None when it is one. "/" is a path."""
    if _ASCII_PATH(path) is not None:
        if len(path) <= limits.component and len(path) <= limits.path:
            return None
    elif path == ROOT:
        return None
    elif path.isascii() or _path_of()(path) is None:
        return _why(path, "")
    return _too_long(path, limits)


def size(path: str) -> int:
    """Return the bytes of `path` in UTF-8."""
    return len(path) if path.isascii() else len(path.encode("utf-8", "surrogatepass"))


def parent(path: str) -> str:
    """Return the directory that holds `path`; of "/" it is "/"."""
    return path[: path.rfind("/")] or ROOT


def name(path: str) -> str:
    """Return the last component of `path`; of "/" it is ""."""
    return path[path.rfind("/") + 1 :]


def join(directory: str, *names: str) -> str:
    """Return the path of `names` below `directory`; each may hold several components."""
    below = "/".join(names)
    if not below:
        return directory
    return f"/{below}" if directory == ROOT else f"{directory}/{below}"


def components(path: str) -> list[str]:
    """Return the names on the way to `path`; of "/" it is []."""
    return path[1:].split("/") if path != ROOT else []


def below(path: str, directory: str) -> bool:
    """Say whether `path` is `directory` itself or lies somewhere in it."""
    if directory == ROOT:
        return True
    return path.startswith(directory) and (len(path) == len(directory) or path[len(directory)] == "/")


def sort_key(path: str) -> str:
    """Return what orders paths by components: "/" ranks below every character that a name may hold."""
    return "" if path == ROOT else path.replace("/", "\0")


def _why(path: str, wildcards: str) -> str:
    found = _bad_of(wildcards)(path)
    if not path.startswith("/"):
        return "does not start with a slash"
    if found is not None:
        return f"holds U+{ord(found[0]):04X} at position {found.start()}, which is not allowed"
    if "//" in path:
        return "has two slashes in a row"
    if path.endswith("/"):
        return "ends with a slash"
    return 'has "." or ".." as a component'


def _too_long(path: str, limits: Limits) -> str | None:
    total = size(path)
    if total > limits.path:
        return f"is {total} bytes long, over the {limits.path} of a path"
    longest = max(map(size, components(path)))
    if longest > limits.component:
        return f"has a component of {longest} bytes, over the {limits.component} of one"
    return None


def expand(glob: str) -> list[str]:
    """Return the globs that one with braces stands for, each once, in order: of `/{web,db}/*` two.

    At most 32. ValueError says what is wrong with the braces; whether each is a glob, `Glob` tells.
    """
    from visor._core import braces  # most have none

    return braces.expand(glob)


class Glob:
    """A compiled glob. `glob.matches(path)` is truthy when `path` matches.

    `exact` is true without wildcards. `directory` is the deepest directory that holds everything that can
    match. `levels` says what each component from the root on must match as long as no `**` came by: a `str`
    for a literal name, a function for a pattern. `depth` is how many components a match has, or None
    when a `**` leaves it open. Together they let a walk skip what cannot match. `prefix` and `suffix` are the literal
    text before the first wildcard and behind the last one (without wildcards all is prefix), and `rest` asks what is
    left of a path that has room for both and has them (`short` where it has at most `SHORT` characters); None: nothing.

    `cost(n)` is what one match against a path of `n` characters takes at most, in units of about a microsecond:

        /config/**          2 for a path of 60 characters, 5 for one of 1024
        /**/live/*          6, 86
        /**a*a*a*b**x**   153, 2093
    """

    __slots__ = (
        "_cost",
        "depth",
        "directory",
        "exact",
        "levels",
        "matches",
        "prefix",
        "rest",
        "short",
        "suffix",
        "text",
    )

    SHORT: Final = SHORT

    def __init__(self, text: str, limits: Limits = DEFAULT) -> None:
        """Raise ValueError, saying why, when `text` is not a glob."""
        self.text = text
        names = _parse(text, limits)
        crossing = [position for position, part in enumerate(names) if "**" in part]
        plain = names[: crossing[0]] if crossing else names
        self.exact = not any("*" in part or "?" in part for part in names)
        self.depth = None if crossing else len(names)
        self.levels: tuple[str | Callable[[str], object], ...] = tuple(map(_level, plain))
        self.directory = literal_directory(text)
        self.matches: Matches
        self.matches, self.prefix, self.suffix, self.rest, self.short, self._cost = compiled(text)

    def cost(self, length: int) -> int:
        """Return the most that one match of a path of `length` characters takes, in units of about a microsecond."""
        return 1 + int(self._cost(length))

    @property
    def literal_prefix(self) -> str:
        """The directory below which (or at which) every match lies."""
        return self.directory

    def __repr__(self) -> str:
        return f"Glob({self.text!r})"


def _parse(text: str, limits: Limits) -> list[str]:
    if text == ROOT:
        return []
    if (_ascii_glob_of() if text.isascii() else _glob_of())(text) is None:
        raise ValueError(_why(text, "*?"))
    if size(text) > limits.path:
        raise ValueError(f"is {size(text)} bytes long, over the {limits.path} of a path")
    if len(re.findall(r"\*+|\?", text)) > MAX_WILDCARDS:
        raise ValueError(f"has more than {MAX_WILDCARDS} wildcards")
    return components(text)


@lru_cache(maxsize=1024)
def _level(part: str) -> str | Callable[[str], object]:
    return compiled(part).matches if "*" in part or "?" in part else part


def literal_directory(text: str) -> str:
    """Return the deepest directory that holds all that a glob can match; without wildcards, the path itself."""
    wildcard = re.search(r"[*?]", text)
    return text if wildcard is None else parent(text[: wildcard.start()])


__all__ = [
    "ROOT",
    "Glob",
    "below",
    "check",
    "components",
    "expand",
    "join",
    "name",
    "parent",
    "size",
    "sort_key",
]


def __dir__() -> list[str]:
    return sorted(__all__)
