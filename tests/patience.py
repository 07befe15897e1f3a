"""How long tests wait for what has to come: no machine is so busy, or stands still for so long, that it takes more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

PATIENCE: Final = 60.0
"""Seconds. What must not wait for something is given more than this to wait for, and has to end before."""
LONG_TTL: Final = 60.0
"""Seconds. What lives so long outlives every standstill of a machine; what has to end is turned to its end
(`tests.lease_time`)."""
GROWING: Final = (0.1, 1.0, 10.0, PATIENCE)
"""Seconds. What has to be seen within a short time gets them one by one: the machine may stand still in the first."""


def eventually(true: Callable[[], object], what: str = "it") -> None:
    """Return as soon as it is true; fail when it is not within `PATIENCE` seconds."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come true within {PATIENCE:g} s"
        time.sleep(0.005)
