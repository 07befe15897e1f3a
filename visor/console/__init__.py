"""Pages for people, served by `visor gateway`: CONSOLE.md, beside this file, says how they work.

A browser loads the files that lie here. What only their readers need is left out on the way: comments on lines of their
own, and indentation. Lines stay lines, so that what a browser says of one names that of the file.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
}
PAGE: Final = "index.html"
OTHERS: Final = ".mjs"
"""What comes from others goes out as it came, whatever is in it."""
_FOR_READERS: Final = re.compile(rb"^[ ]*(//.*|/\*.*\*/$)?", re.MULTILINE)


def assets() -> dict[str, tuple[str, bytes]]:
    """Return the path of each file below the console, its media type and its bytes as they are sent."""
    found: dict[str, tuple[str, bytes]] = {}
    root = files(__name__)
    for folder, below in ((root, ""), (root / "vendor", "vendor/")):
        for each in folder.iterdir():
            ending = "." + each.name.rpartition(".")[2]
            if ending in TYPES:
                data = each.read_bytes()
                found[below + each.name] = TYPES[ending], data if ending == OTHERS else lean(data)
    return found


def lean(text: bytes) -> bytes:
    r"""Return a file of ours without comments that have lines of their own, and without indentation.

    >>> lean(b"// why\nif (a)\n  b(); // here\n")
    b'\nif (a)\nb(); // here\n'
    """
    return _FOR_READERS.sub(b"", text)
