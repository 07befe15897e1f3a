"""What a terminal can show: how wide it is, how wide a text is on it, whether in colour. Pure but for its size."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping

from visor.cli.settings import Settings

USUAL, USUAL_ROWS = 80, 24
"""Columns and rows of a terminal that does not tell."""
BOLD, DIM, RED, GREEN, YELLOW, BLUE = "1", "2", "31", "32", "33", "34"


def colour_wanted(settings: Settings) -> bool:
    """Say whether to colour: NO_COLOR wins over FORCE_COLOR wins over what standard output is."""
    environment: Mapping[str, str] = settings.environment
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return settings.streams.stdout_is_terminal and environment.get("TERM") != "dumb"


def columns(settings: Settings) -> int | None:
    """Return how many columns standard output has (COLUMNS, else what it says); None when it is no terminal."""
    if not settings.streams.stdout_is_terminal:
        return None
    said = settings.environment.get("COLUMNS", "")
    if said.isascii() and said.isdigit() and 0 < len(said) < 6 and int(said):
        return int(said)
    try:
        return os.get_terminal_size(settings.streams.stdout.fileno()).columns or USUAL
    except (OSError, ValueError):
        return USUAL


def error_columns() -> int:
    """Return how many columns the terminal on standard error has."""
    try:
        return os.get_terminal_size(2).columns or USUAL
    except OSError:
        return USUAL


def rows(settings: Settings) -> int:
    """Return how many rows the terminal on standard output has."""
    try:
        return os.get_terminal_size(settings.streams.stdout.fileno()).lines or USUAL_ROWS
    except (OSError, ValueError):
        return USUAL_ROWS


def width(text: str) -> int:
    """Return how many columns a text takes: letters of East Asia two, marks that are set upon others none."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def cut(text: str, most: int) -> str:
    """Return the text if it fits into `most` columns, else what fits of it with `…` at its end.

    >>> cut("/apps/web", 6), cut("/a", 6)
    ('/apps…', '/a')
    """
    if width(text) <= most:
        return text
    kept, taken = [], 1
    for character in text:
        taken += _width(character)
        if taken > most:
            break
        kept.append(character)
    return "".join(kept) + "…"


def painted(text: str, style: str, colour: bool) -> str:
    """Return the text in a style, if there is colour."""
    return f"\x1b[{style}m{text}\x1b[0m" if colour and style and text else text
