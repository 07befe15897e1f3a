"""Times and durations as people type them: `10m`, `1h30m`, `2026-03-01T12:00:00Z`, `1767225600`.

Pure: the current time is an argument.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_LONGEST = 100 * 366 * 86_400.0

MILLISECONDS_FROM = 100_000_000_000
"""A bare number from here on is milliseconds since 1970, below it seconds (10^11 s is the year 5138)."""


def duration(text: str) -> float:
    """Read a duration such as `500ms`, `1.5s`, `1h30m`, `2d` or `30` (seconds); return seconds.

    Raises ValueError, with what was expected, for anything else and for more than 100 years.
    """
    compact = text.strip().replace(" ", "")
    if _NUMBER.fullmatch(compact):
        seconds = float(compact)
    else:
        parts = _PART.findall(compact)
        if not parts or "".join(number + unit for number, unit in parts) != compact:
            raise ValueError(f"{text!r} is not a duration; write it like 500ms, 10s, 1h30m or 2d")
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > _LONGEST:
        raise ValueError(f"{text!r} is over 100 years")
    return seconds


def instant(text: str, now: datetime) -> datetime:
    """Read a point in time and return it in UTC.

    Three forms: RFC 3339 with its offset (`2026-03-01T12:00:00Z`, `2026-03-01 13:00:00+01:00`), a
    duration before `now` (`10m`, `1h30m ago`), or seconds (or milliseconds) since 1970. A time
    without an offset is refused: it would mean something else on another machine.

    Raises ValueError, with what was expected.
    """
    stripped = text.strip()
    if _NUMBER.fullmatch(stripped):
        return _epoch(stripped)
    relative = stripped.removesuffix("ago").strip()
    if relative and _PART.match(relative):
        return _shift(now, -duration(relative))
    if relative != stripped:
        raise ValueError(f"{text!r} is not a duration before now; write it like '10m ago'")
    return _rfc3339(stripped)


def _epoch(digits: str) -> datetime:
    number = float(digits)
    seconds = number / 1000 if number >= MILLISECONDS_FROM else number
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise ValueError(f"{digits} is too far away for a time") from None


def _shift(moment: datetime, seconds: float) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() + seconds, UTC)


def _rfc3339(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a time; write 2026-03-01T12:00:00Z, a duration before now (10m), "
            "or seconds since 1970"
        ) from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; add Z (UTC) or one like +01:00")
    return moment.astimezone(UTC)


def rfc3339(milliseconds: int) -> str:
    """Write milliseconds since 1970 as `2026-03-01T12:00:00.000Z`; out of range, as the number itself."""
    try:
        moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return str(milliseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def age(milliseconds: int, now: datetime) -> str:
    """Say how long ago a time was, in one or two words: `3m`, `2h`, `5d`; `now` when under a second."""
    seconds = now.timestamp() - milliseconds / 1000
    if seconds < 1:
        return "now"
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def spell(seconds: float) -> str:
    """Write a duration with the largest unit that makes it a whole number: `30d`, `90s`, `1.5s`."""
    for unit in ("w", "d", "h", "m"):
        if seconds >= _UNITS[unit] and seconds % _UNITS[unit] == 0:
            return f"{int(seconds // _UNITS[unit])}{unit}"
    return f"{seconds:g}s"
