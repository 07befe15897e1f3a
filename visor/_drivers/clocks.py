"""The clocks: of leases, of pauses and deadlines, and of the wall."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

monotonic = time.monotonic
"""Seconds that never go back."""
seconds_since_1970 = time.time


def utc_now() -> datetime:
    """Return the time of the wall."""
    return datetime.now(UTC)


def boot_clock() -> float:
    """Return monotonic seconds that go on while the machine is suspended, where the system has such a clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def lease_clock(clock: Callable[[], float]) -> Callable[[], float]:
    """Return what to measure leases with: a clock that was given, or in the place of the usual one a better one."""
    return boot_clock if clock is time.monotonic else clock
