"""Milliseconds since 1970 as a date: by arithmetic alone, so that every member, on any machine, spells the same.

spelled(1_000)                -> "1970-01-01T00:00:01Z"
"""

from __future__ import annotations

from typing import Final

_DAY: Final = 86_400
_CYCLE: Final = 146_097
"""Days of 400 years: then the calendar begins again."""
_MONTHS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def spelled(time: int) -> str:
    """Return the second that a time, ms since 1970 UTC, lies in."""
    days, second = divmod(time // 1000, _DAY)
    cycles, days = divmod(days, _CYCLE)
    year = 1970 + 400 * cycles
    while days >= 365 + _leap(year):
        days -= 365 + _leap(year)
        year += 1
    month = 1
    while days >= (length := _MONTHS[month - 1] + (month == 2 and _leap(year))):
        days -= length
        month += 1
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{year:04d}-{month:02d}-{days + 1:02d}T{clock}Z"


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
