"""Which route a path means, looked at as it came: nothing is decoded, cut or repaired before that."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from visor._core.dataclass import dataclass
from visor.gateway.entrance import registry_path
from visor.gateway.params import Param
from visor.gateway.problems import NotServed
from visor.gateway.visit import Handler

PATH: Final = "path"
"""The name in a template that takes all the rest, as a path of the registry."""
IN: Final = "in"
OUT: Final = "out"
_NAME: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one template: `/v1/files/{path}`. `body`: the schema of what comes, None where nothing does."""

    method: str
    template: str
    handler: Handler
    about: str
    params: tuple[Param, ...] = ()
    headers: tuple[Param, ...] = ()
    body: dict[str, Any] | None = None
    raw: bool = False
    """The body, or the answer to a read, is a value as it is."""
    forms: tuple[str, ...] = ()
    """What may be answered besides JSON and msgpack."""
    streams: bool = False
    """Nothing is answered in JSON or msgpack: only `forms` are."""
    once: bool = False
    """It is one write, and takes an Idempotency-Key."""
    group: str = ""
    signs: str = ""
    """`IN`: the token is in the body; `OUT`: it is answered without the registry."""


class Router:
    """All routes, found by the fixed beginning of a path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._found: dict[str, list[tuple[re.Pattern[bytes], dict[str, Route]]]] = {}
        templates: dict[str, dict[str, Route]] = {}
        for route in self.routes:
            templates.setdefault(route.template, {})[route.method] = route
        for template, methods in templates.items():
            self._found.setdefault(_beginning(template), []).append((_pattern(template), methods))

    def match(self, method: str, raw_path: bytes) -> tuple[Route, dict[str, str], str]:
        """Return the route, the names in the path, and the registry's path in it (`/` where there is none).

        NotServed for no route, or another method; BadPath for what is not canonical.
        """
        text = raw_path.decode("ascii", "replace")
        for pattern, methods in self._found.get(_beginning(text), ()):
            found = pattern.fullmatch(raw_path)
            if found is None:
                continue
            route = methods.get(method) or methods.get("GET" if method == "HEAD" else method)
            if route is None:
                raise NotServed("method", f"{method} is not taken here", allow=", ".join(sorted(methods)))
            names = {name: registry_path(value)[1:] for name, value in found.groupdict().items()}
            return route, names, "/" + names.get(PATH, "")
        raise NotServed("no_route", f"there is nothing at {text[:200]!r}: see /docs")


def _beginning(path: str) -> str:
    return "/".join(path.split("/", 3)[:3])


def _pattern(template: str) -> re.Pattern[bytes]:
    pieces = _NAME.split(template)
    made = "".join(
        (rf"(?P<{piece}>.*)" if piece == PATH else rf"(?P<{piece}>[^/]+)") if place % 2 else re.escape(piece)
        for place, piece in enumerate(pieces)
    )
    return re.compile(made.encode(), re.DOTALL)
