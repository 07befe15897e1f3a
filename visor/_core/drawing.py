"""What is drawn with blocks of Unicode, and whether a terminal can show it. Pure: the environment is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ENCODINGS: Final = ("LC_ALL", "LC_CTYPE", "LANG")
"""The variables that say it; the first that is set counts."""


_PARTS: Final = " ▏▎▍▌▋▊▉"


def eighths(count: int) -> str:
    """Draw so many eighths of a column, from the left.

    >>> eighths(0), eighths(3), eighths(8), eighths(20)
    ('', '▍', '█', '██▌')
    """
    return "█" * (count // 8) + (_PARTS[count % 8] if count % 8 else "")


def draws_blocks(environment: Mapping[str, str]) -> bool:
    """Say whether the terminal takes UTF-8. Where nothing is said it does: who takes it not says so, as `C` does.

    >>> draws_blocks({"LANG": "de_DE.UTF-8"}), draws_blocks({"LANG": "C"}), draws_blocks({})
    (True, False, True)
    """
    said = next((environment[name] for name in ENCODINGS if environment.get(name)), "UTF-8")
    return "UTF8" in said.upper().replace("-", "")
