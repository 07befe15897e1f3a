"""Files of a typed store that should be objects and cannot be read: left out of everything, and never written over."""

from __future__ import annotations

from collections.abc import Mapping

from visor._core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Damaged:
    """What is wrong with a file: the rev that wrote it, and why it cannot be read."""

    rev: int
    why: str

    def __str__(self) -> str:
        return f"at rev {self.rev}: {self.why}"


Damages = Mapping[str, Damaged]
"""By path."""

NONE: Damages = {}
