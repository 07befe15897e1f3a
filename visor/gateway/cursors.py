"""Where a page ends: the rev of the reading, and the registry's own mark, as one opaque word.

So all pages are of one state, whatever is written meanwhile. A made-up cursor does no harm: the registry judges what is
in it.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgpack

from visor.gateway.problems import NotServed

VERSION: Final = 1
MOST: Final = 6000
"""Characters; a path has 1024 bytes."""


def write(rev: int, mark: Any) -> str:
    """Return the cursor behind a page that was read at `rev`."""
    return base64.urlsafe_b64encode(msgpack.packb([VERSION, rev, mark])).rstrip(b"=").decode()


def read(text: str) -> tuple[int, Any]:
    """Return rev and mark; NotServed for what is no cursor."""
    try:
        if len(text) > MOST:
            raise ValueError
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        version, rev, mark = msgpack.unpackb(packed)
        if version != VERSION or type(rev) is not int or not 0 <= rev < 1 << 63:
            raise ValueError
    except (binascii.Error, ValueError, TypeError, msgpack.UnpackException, UnicodeDecodeError):
        raise NotServed(
            "usage", "the cursor is none that this API gave: begin without one", field="cursor"
        ) from None
    return rev, mark
