"""Whether a terminal can show what is drawn with blocks and lines of Unicode. Pure: the environment is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ENCODINGS: Final = ("LC_ALL", "LC_CTYPE", "LANG")
"""The variables that say it; the first that is set counts."""


def draws_blocks(environment: Mapping[str, str]) -> bool:
    """Say whether the terminal takes UTF-8. Where nothing is said it does: who takes it not says so, as `C` does.

    >>> draws_blocks({"LANG": "de_DE.UTF-8"}), draws_blocks({"LANG": "C"}), draws_blocks({})
    (True, False, True)
    """
    said = next((environment[name] for name in ENCODINGS if environment.get(name)), "UTF-8")
    return "UTF8" in said.upper().replace("-", "")
