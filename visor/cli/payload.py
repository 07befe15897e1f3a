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
from pathlib import Path
from typing import BinaryIO

from visor.cli.problem import Problem
from visor.protocol.limits import DEFAULT

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
        with Path(name).open("rb") as stream:
            return read_all(stream, name)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Problem(f"cannot read {name}: {reason}", code="input") from None


def read_all(stream: BinaryIO, name: str) -> bytes:
    """Read to the end. Raises Problem over `LIMIT` bytes: an endless input must not fill the memory."""
    data = stream.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise Problem(f"{name} is over {LIMIT} bytes; a value is at most {DEFAULT.value} bytes", code="input")
    return data


def literal(text: str) -> bytes:
    """Return the bytes of an argument as they are, whatever they look like."""
    # What the shell passed and is no UTF-8 has arrived as surrogates: this gives its bytes back.
    return os.fsencode(text)
