"""Numbers with the word that says what they count. Off a terminal they go without."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Say how many: `1 file`, `3 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
