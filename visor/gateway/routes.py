"""The one table of the API: what there is, who handles it, which parameters it takes.

OpenAPI and the pages are made from it.
"""

from __future__ import annotations

from typing import Any, Final

from visor.gateway import accept, files
from visor.gateway.params import AT, FLAG, REV, TEXT, Param, choice
from visor.gateway.router import Route

ANY: Final[dict[str, Any]] = {"type": "string", "format": "binary"}
_AT: Final = Param(
    "at", AT, "Read the state at a rev, at a time, or as of so long ago; the latest without it."
)
_STALE: Final = Param(
    "consistency", choice("linearizable", "stale"), "`stale` reads what one node has, which may be old."
)
_MIN: Final = Param(
    "min_rev", REV, "Wait until this rev is there: what you have just written, by any gateway."
)
_IF_MATCH: Final = Param(
    "If-Match", TEXT, 'Only if the file is what `ETag` said: `"7"`; `*`: only if there is one.'
)
_IF_NONE: Final = Param(
    "If-None-Match", TEXT, "`*`: only if there is no such file; of a read: 304 if nothing changed."
)
_NOTE: Final = Param("Visor-Note", TEXT, "Why: kept in history.")
_LEASE: Final = Param("Visor-Lease", TEXT, "The number of a lease: the file goes when that ends.")

FILES: Final = (
    Route(
        "GET", "/v1/files/{path}", files.read, "Read a file: its value as it is, or as JSON all about it.",
        (_AT, _STALE, _MIN), (_IF_MATCH, _IF_NONE), raw=True, forms=(accept.RAW,), group="files",
    ),
    Route(
        "HEAD", "/v1/files/{path}", files.head, "The same without the value.",
        (_AT, _STALE, _MIN), (_IF_MATCH, _IF_NONE), raw=True, group="files",
    ),
    Route(
        "PUT", "/v1/files/{path}", files.write, "Write a file: the body is the value.",
        (), (_IF_MATCH, _IF_NONE, _NOTE, _LEASE), ANY, raw=True, group="files",
    ),
    Route(
        "DELETE", "/v1/files/{path}", files.delete, "Delete a file, or a whole subtree.",
        (Param("recursive", FLAG, "The directory and all below.", False),), (_IF_MATCH, _NOTE), group="files",
    ),
)  # fmt: skip

ROUTES: Final = (*FILES,)
