"""Pages for people, served by `visor gateway`: CONSOLE.md, beside this file, says how they work.

Everything is a file that a browser loads as it lies here.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
}
PAGE: Final = "index.html"


def assets() -> dict[str, tuple[str, bytes]]:
    """Return the path of each file below the console, its media type and its bytes."""
    found: dict[str, tuple[str, bytes]] = {}
    root = files(__name__)
    for folder, below in ((root, ""), (root / "vendor", "vendor/")):
        for each in folder.iterdir():
            ending = "." + each.name.rpartition(".")[2]
            if ending in TYPES:
                found[below + each.name] = TYPES[ending], each.read_bytes()
    return found
