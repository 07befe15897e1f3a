"""What `visor find` looks for beyond a path: in values, and by when it was written. Pure, one file after another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from visor.cli.display import Display

if TYPE_CHECKING:
    from visor.blocking import File

_WILD = re.compile(r"[*?{]")


class Sought(NamedTuple):
    """What a file has to be. Nothing said: anything."""

    value: bytes | None = None
    """It has to hold these bytes; of a sealed value that can be opened, what is inside."""
    after: int | None = None
    """It has to be written after this rev."""

    @property
    def anything(self) -> bool:
        """Every file will do."""
        return self.value is None and self.after is None

    def among(self, files: Iterator[File[bytes]], display: Display) -> Iterator[File[bytes]]:
        """Return those that are."""
        return (file for file in files if self._is(file, display))

    def _is(self, file: File[bytes], display: Display) -> bool:
        if self.after is not None and file.mod_rev <= self.after:
            return False
        return self.value is None or self.value in _opened(file.data, display)


def _opened(data: bytes, display: Display) -> bytes:
    try:
        return display.opened(data)
    except ValueError:  # it stays closed: nobody can tell what is in it
        return b""


def above(glob: str) -> str:
    """Return the directory that all are in that a glob can match.

    >>> above("/service/*/port"), above("/{a,b}/c"), above("/service/web*")
    ('/service', '/', '/service')
    """
    return _WILD.split(glob, maxsplit=1)[0].rpartition("/")[0] or "/"
