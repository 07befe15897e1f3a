"""The root of a client: put before every path that goes out, taken off every path that comes in.

    root = Root("/staging")
    root.path("/apps/web")          # "/staging/apps/web"
    root.path("/")                  # "/staging"
    root.relative("/staging/apps")     # "/apps"

Paths are never interpreted (`..` is no way up), and every path must begin with a slash, so nothing that
a client can say reaches outside its root.
"""

from __future__ import annotations

from typing import Any

from visor import paths
from visor._core.shown import shown
from visor.errors import BadGlob, BadPath
from visor.protocol import verbs
from visor.protocol.limits import SELECTORS
from visor.select import Selector

_PATH_DETAILS = ("path", "directory", "start", "end")


class Root:
    """One root; `text` is how it was given, without a slash at the end ("/" for the whole registry)."""

    __slots__ = ("_cut", "_end", "_prefix", "text")

    def __init__(self, text: str = "/") -> None:
        if not text.startswith("/"):
            raise BadPath(path=text, why="a root begins with a slash")
        self._prefix = text.rstrip("/")
        why = paths.check(self._prefix) if self._prefix else None
        if why is not None:
            raise BadPath(path=text, why=why)
        self._cut = len(self._prefix)
        self.text = self._prefix or "/"
        # Right behind all that is below the root: "!" is the first character that a name may hold.
        self._end = f"{self._prefix}!" if self._prefix else None

    def path(self, path: str) -> str:
        """Return the path as the server knows it; BadPath when it does not begin with a slash."""
        if type(path) is not str or path[:1] != "/":
            raise BadPath(path=path, why="a path begins with a slash")
        if not self._cut:
            return path
        return self._prefix if path == "/" else self._prefix + path

    def selector(self, what: str | Selector) -> list[Any]:
        """Return the selector as it goes on the wire."""
        if isinstance(what, str):
            return self._together(self._globs(what))
        if not isinstance(what, Selector):
            raise TypeError(f"a glob or a selector (visor.select) is expected, not {shown(what)}")
        if what.parts:
            return self._together([raw for part in what.parts for raw in self._raws(part)])
        return self._together(self._raws(what))

    def _raws(self, what: Selector) -> list[list[Any]]:
        if what.kind == verbs.SEL_GLOB:
            return self._globs(what.text)
        if what.kind == verbs.SEL_RANGE:
            return [[what.kind, self.path(what.text), self._end if what.end is None else self.path(what.end)]]
        return [[what.kind, self.path(what.text)]]

    def _globs(self, text: str) -> list[list[Any]]:
        if "{" not in text and "}" not in text:
            return [[verbs.SEL_GLOB, self._glob(text)]]
        from visor._core.braces import expand  # most globs have none

        try:
            globs = expand(text)
        except ValueError as error:
            raise BadGlob(glob=text, why=str(error)) from None
        for glob in globs:
            why = _wrong(glob)
            if why is not None:  # in the words of who wrote it: what it became, the server would name alone
                raise BadGlob(glob=text, why=f"it stands for {glob!r}, which {why}")
        return [[verbs.SEL_GLOB, self._glob(glob)] for glob in globs]

    def _together(self, raws: list[list[Any]]) -> list[Any]:
        if len(raws) == 1:
            return raws[0]
        if len(raws) > SELECTORS:
            raise ValueError(
                f"{len(raws)} selectors, braces spelled out, are over the {SELECTORS} of one request"
            )
        return [verbs.SEL_ANY, raws]

    def _glob(self, glob: str) -> str:
        if glob[:1] != "/":
            raise BadGlob(glob=glob, why="a glob begins with a slash")
        return self._prefix + glob

    def relative(self, path: str) -> str:
        """Return the path as this client knows it."""
        return path if not self._cut else path[self._cut :] or "/"

    def details(self, details: dict[str, Any]) -> dict[str, Any]:
        """Return an error's details with the root taken off every path and glob in them."""
        if not self._cut:
            return details
        inside = {key: self._inside(key, value) for key, value in details.items()}
        if "why" in inside:
            inside["why"] = _why(inside) or inside["why"]
        return inside

    def _inside(self, key: str, value: Any) -> Any:
        if (key in _PATH_DETAILS or key == "glob") and isinstance(value, str):
            if value == self._prefix or value.startswith(self._prefix + "/"):
                return self.relative(value)
            # The thing in the way lies above the root, whose name is nobody's business here.
            return "/"
        return value


def _wrong(glob: str) -> str | None:
    """Return why a text is no glob, None when it is one."""
    try:
        paths.Glob(glob)
    except ValueError as error:
        return str(error)
    return None


def _why(details: dict[str, Any]) -> str | None:
    """Judge the path or glob again: the server counted positions in what has the root before it."""
    if isinstance(details.get("path"), str):
        return paths.check(details["path"])
    return _wrong(str(details.get("glob")))
