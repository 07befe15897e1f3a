"""Whether an argument is of the kind that is expected, said where it is given and not where it is used."""

from __future__ import annotations

from typing import TypeVar

from visor._core.shown import shown

C = TypeVar("C")


def checked_codec(codec: C) -> C:
    """Return the codec; TypeError unless it can encode and decode."""
    if not (callable(getattr(codec, "encode", None)) and callable(getattr(codec, "decode", None))):
        raise TypeError(f"a codec is expected, as visor.codecs.TEXT is, not {shown(codec)}")
    return codec


def check_limit(limit: object) -> None:
    """TypeError or ValueError unless it is None or a whole number, 0 or more."""
    if limit is None:
        return
    if not isinstance(limit, int):
        raise TypeError(f"limit must be a whole number or None, not {shown(limit)}")
    if limit < 0:
        raise ValueError(f"limit must be 0 or more, not {shown(limit)}")
