"""Values on their way in: from the argument, from a file, from standard input. Bytes stay as they are.

visor set /a text          the text, as UTF-8
visor set /a @photo.png    the content of the file
visor set /a @@home        the text "@home"
visor set /a -             standard input to its end
visor set /a --file=photo.png
visor set /a --value=-     the text "-", whatever it looks like
"""

from __future__ import annotations

import os
from typing import BinaryIO

from visor.cli.problem import Problem
from visor.protocol.limits import DEFAULT

CHUNK = 1 << 16
LIMIT = 64 * DEFAULT.value
"""Where reading stops. Far above what the registry takes, so that the registry names its own limit."""


def from_argument(text: str, stdin: BinaryIO) -> bytes:
    """Read `-` (standard input), `@FILE`, `@@text` or plain text; return the bytes.

    Raises Problem when the file cannot be read, or the input is over `LIMIT` bytes.
    """
    if text == "-":
        return read_all(stdin, "standard input")
    return from_word(text)


def from_word(text: str) -> bytes:
    """Read `@FILE`, `@@text` or plain text; return the bytes. Raises Problem as `from_argument` does."""
    if text.startswith("@@"):
        text = text[1:]
    elif text.startswith("@"):
        return from_file(text[1:])
    return literal(text)


def from_file(name: str) -> bytes:
    """Return the content of a file. Raises Problem when it cannot be read or is over `LIMIT` bytes."""
    if not name:
        raise Problem("'@' needs the name of a file; write '@@' for a value that is one '@'")
    try:
        with open(name, "rb") as stream:
            return read_all(stream, name)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Problem(f"cannot read {name}: {reason}", code="input") from None


def read_all(stream: BinaryIO, name: str) -> bytes:
    """Read to the end. Raises Problem when that fails, or over `LIMIT` bytes: an endless input fills no memory.

    An input that is closed, as daemons have it, is no empty one: nobody has given a value.
    """
    try:
        data = stream.read(LIMIT + 1) if _blocks(stream) else _read_slowly(stream)
    except OSError as error:
        raise Problem(f"cannot read {name}: {error.strerror or error}", code="input") from None
    if len(data) > LIMIT:
        raise Problem(f"{name} is over {LIMIT} bytes; a value is at most {DEFAULT.value} bytes", code="input")
    return data


def _blocks(stream: BinaryIO) -> bool:
    """Say whether a read waits for data. Whoever started us may have made standard input one that does not."""
    try:
        return os.get_blocking(stream.fileno())
    except (OSError, ValueError):  # no descriptor
        return True


def _read_slowly(stream: BinaryIO) -> bytes:
    """Read to the end, or to one byte over `LIMIT`, from what gives only what is there; waiting is done here."""
    import select

    pieces: list[bytes] = []
    left = LIMIT + 1
    while left:
        piece: bytes | None = stream.read(min(CHUNK, left))
        if piece is None:
            select.select([stream], [], [])
            continue
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def literal(text: str) -> bytes:
    """Return the bytes of an argument as they are, whatever they look like."""
    # What the shell passed and is no UTF-8 has arrived as surrogates: this gives its bytes back.
    return os.fsencode(text)
