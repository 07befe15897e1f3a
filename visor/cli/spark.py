"""Figures drawn in a line of text: `▁▂▃▅▇`, or `_.-=*` where the terminal's encoding has no such characters. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from visor._core.drawing import eighths

BLOCKS: Final = "▁▂▃▄▅▆▇█"
PLAIN: Final = "_.-:=+*#"
"""Eight steps in ASCII, each with more ink than the one before."""


def spark(values: Sequence[float | None], room: int, blocks: bool = True, most: float = 0.0) -> str:
    """Draw the last `room` values, the highest of them (at least `most`) as a full block; None is a gap.

    >>> spark([0, 1, None, 4, 8], 5), spark([0, 1, None, 4, 8], 5, blocks=False)
    ('▁▂ ▅█', '_. =#')
    """
    shown = values[-room:] if room > 0 else []
    steps = BLOCKS if blocks else PLAIN
    highest = max((value for value in shown if value is not None), default=0.0)
    return "".join(_step(value, max(highest, most), steps) for value in shown)


def _step(value: float | None, most: float, steps: str) -> str:
    if value is None:
        return " "
    if value <= 0 or most <= 0:
        return steps[0]
    return steps[max(1, min(len(steps) - 1, round(value / most * (len(steps) - 1))))]


def bar(part: float, room: int, blocks: bool = True) -> str:
    """Draw a part (0 to 1) of `room` columns, in eighths of one; what is more than nothing is seen.

    >>> bar(0.5, 8), bar(0.001, 8), bar(0.5, 8, blocks=False)
    ('████', '▏', '####')
    """
    part = min(1.0, max(0.0, part))
    if not blocks:
        return "#" * max(round(part * room), 1 if part else 0)
    return eighths(max(round(part * room * 8), 1 if part else 0))
