"""The standard streams of this process, also when some of them are not there.

A daemon or a careless script starts programs with descriptors closed (`<&-`, `>&-`). Two things must not come of that:
an input that nobody gave is not an empty one, and a socket must not get the number of a standard stream.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import BinaryIO, NamedTuple, cast

from visor._core.harmless import Careful

PLACES = ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY))
"""Each standard descriptor, and a way to open something under its number that still cannot be used for its purpose."""


class Streams(NamedTuple):
    """The three standard streams; output and input are binary."""

    stdin: BinaryIO
    stdout: BinaryIO
    stderr: Careful
    stdin_is_terminal: bool
    stdout_is_terminal: bool
    stderr_is_terminal: bool

    @property
    def heard(self) -> bool:
        """Whether there is a standard output."""
        return not isinstance(self.stdout, Shut)


class Shut(io.RawIOBase):
    """A standard stream that was closed when the process started: reading or writing it raises."""

    def read(self, size: int = -1, /) -> bytes:
        """Raise OSError."""
        raise OSError(errno.EBADF, "it is closed")

    def readline(self, size: int | None = -1, /) -> bytes:
        """Raise OSError."""
        return self.read()

    def writable(self) -> bool:
        """Say yes: that nothing can be written is an error of each write."""
        return True

    def write(self, data: object, /) -> int:
        """Raise OSError."""
        raise OSError(errno.EBADF, "it is closed")


class Nowhere(io.TextIOBase):
    """Takes text for nobody: standard error where there is none."""

    def write(self, text: str, /) -> int:
        """Forget it."""
        return len(text)


def keep_places() -> None:
    """Open something under the number of each standard stream that is closed, so that no file or socket gets it.

    What is opened is as useless as nothing, also for the programs that this one starts: it cannot be read from as
    standard input, nor written to as standard output.
    """
    for number, mode in PLACES:
        try:
            os.fstat(number)
        except OSError:
            found = os.open(os.devnull, mode)  # the lowest free number: this one
            if found != number:
                os.dup2(found, number)
                os.close(found)
            os.set_inheritable(number, True)


def standard() -> Streams:
    """Return the streams of the process as they are now."""
    return Streams(
        stdin=_binary(sys.stdin),
        stdout=_binary(sys.stdout),
        stderr=Careful(sys.stderr if sys.stderr is not None else cast(io.TextIOWrapper, Nowhere())),
        stdin_is_terminal=_is_terminal(sys.stdin),
        stdout_is_terminal=_is_terminal(sys.stdout),
        stderr_is_terminal=_is_terminal(sys.stderr),
    )


def _binary(stream: object) -> BinaryIO:
    """Return the bytes below a text stream."""
    buffer = getattr(stream, "buffer", None)
    return cast(BinaryIO, buffer if buffer is not None else Shut())


def _is_terminal(stream: object) -> bool:
    try:
        return bool(stream is not None and stream.isatty())  # type: ignore[attr-defined]
    except ValueError:  # closed
        return False
