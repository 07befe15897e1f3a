"""The description of the API (OpenAPI 3.1), made from the table of routes: what is described is what is checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from visor._version import __version__
from visor.gateway import accept, problems, shapes, signing_in
from visor.gateway.params import TEXT, Param
from visor.gateway.router import OUT, PATH, Route

TITLE: Final = "Visor"
ABOUT: Final = (
    "The registry over HTTP. Within v1 there are only additions; unknown keys of answers are to be ignored."
)
_NAME: Final = re.compile(r"\{(\w+)\}")

PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "family"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "family": {"enum": ["rejected", "unavailable", "unknown"]},
        "rev": {"type": ["integer", "null"]},
        "path": {"type": ["string", "null"]},
    },
}
SCHEMES: Final[dict[str, dict[str, Any]]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token of the registry: `vis_...`."},
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "The token for a password, whatever the user name, for programs that know no other way.",
    },
    "session_cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": signing_in.COOKIE,
        "description": "One half of a token, which `POST /v1/session` sets; where the URL has a port, that stands "
        f"behind its name: `{signing_in.COOKIE}-8048`. Alone it is nobody's.",
    },
    "session_key": {
        "type": "apiKey",
        "in": "header",
        "name": signing_in.KEY,
        "description": "The other half: `key` of the answer of `POST /v1/session`. A change needs `Origin`, or "
        "`Sec-Fetch-Site: same-origin`, besides; a session counts only where there is no `Authorization`.",
    },
}
ANYBODY: Final[list[dict[str, list[str]]]] = []
"""Nothing that proves somebody is looked at."""
PROOFS: Final[list[dict[str, list[str]]]] = [
    {"bearer": []},
    {"basic": []},
    {"session_cookie": [], "session_key": []},
    {},
]
"""By any of these; by nothing where the registry is open, or lets everybody do it."""
STATUSES: Final = (
    400,
    401,
    403,
    404,
    406,
    408,
    409,
    410,
    412,
    413,
    415,
    421,
    422,
    429,
    431,
    500,
    501,
    503,
    504,
    507,
)
"""Of problems, whatever is asked; a test compares them with all that there are."""


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the description."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": __version__, "description": ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {"Problem": PROBLEM, **shapes.SCHEMAS},
            "responses": {"Problem": {"description": "A problem.", "content": _problem_content()}},
            "securitySchemes": SCHEMES,
        },
    }


def _problem_content() -> dict[str, Any]:
    return {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def _operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": name_of(route),
        "summary": route.about,
        "tags": [route.group],
        "security": ANYBODY if route.signs else PROOFS,
        "parameters": [
            *_of_path(route.template),
            *map(_in_query, route.params),
            *map(_in_head, route.headers),
        ],
        "responses": {
            "2XX": {"description": "Done.", "content": _content(route), "headers": _HEADERS},
            **{str(status): {"$ref": "#/components/responses/Problem"} for status in STATUSES},
        },
    }
    if route.once:
        found["parameters"].append(_in_head(_KEY))
    if route.raw and route.method in ("GET", "HEAD"):
        found["responses"]["304"] = {"description": "Nothing has changed."}
    if route.method == "HEAD":
        found["responses"]["2XX"].pop("content")
    if route.signs == OUT:
        found["responses"]["204"] = {"description": "Done, and nothing to say."}
        del found["responses"]["2XX"]
    if route.body is not None:
        media = accept.RAW if route.raw else accept.JSON
        found["requestBody"] = {"required": not route.raw, "content": {media: {"schema": route.body}}}
    return found


_HEADERS: Final[dict[str, Any]] = {
    "Visor-Rev": {"description": "The rev that was read or written.", "schema": {"type": "integer"}},
    "Visor-Cluster": {"description": "Whose rev that is.", "schema": {"type": "string"}},
}


def name_of(route: Route) -> str:
    """Return the name of an operation: its handler's, with the room that it is in."""
    return f"{route.handler.__module__.rpartition('.')[2]}_{route.handler.__name__}"


def _of_path(template: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": "A path without its first slash; slashes in it stay."
            if name == PATH
            else "A name.",
            "schema": {"type": "string"},
        }
        for name in _NAME.findall(template)
    ]


def _in_query(param: Param) -> dict[str, Any]:
    schema = dict(param.kind.schema)
    if param.default not in (None, []):
        schema["default"] = param.kind.write(param.default)
    return {
        "name": param.name,
        "in": "query",
        "required": param.required,
        "description": param.about,
        "schema": schema,
    }


_KEY: Final = Param("Idempotency-Key", TEXT, "The same write, however often it is sent, through any gateway.")


def _in_head(param: Param) -> dict[str, Any]:
    return {
        "name": param.name,
        "in": "header",
        "required": False,
        "description": param.about,
        "schema": dict(param.kind.schema),
    }


def _content(route: Route) -> dict[str, Any]:
    document = {"schema": shapes.ANSWERS.get(name_of(route), shapes.ANYTHING)}
    found: dict[str, Any] = {} if route.streams else {accept.JSON: document, accept.MSGPACK: document}
    for form in route.forms:
        if form == accept.RAW:
            found[form] = {"schema": {"type": "string", "format": "binary"}}
        else:
            found[form] = {"schema": {"type": "string", "description": "One event, or row, after another."}}
    return found
