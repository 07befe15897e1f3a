"""What is said when the time of a call is over, by what it was waiting for."""

from __future__ import annotations

from visor.errors import DeadlineExceeded


def no_time(seconds: float) -> DeadlineExceeded:
    """Return the error of a call that had no time to ask: nothing was sent. `seconds` as the caller gave them."""
    if seconds:
        return DeadlineExceeded(seconds=seconds)
    return DeadlineExceeded("a timeout of 0 s leaves no time to ask: nothing was sent", seconds=seconds)


def nothing_changed(seconds: float) -> DeadlineExceeded:
    """Return the error of a call that waited for a change, and all was well, but none came."""
    return DeadlineExceeded(f"nothing changed within {seconds:g} s", seconds=seconds)


def nothing_yet(rev: int, latest: int, seconds: float) -> DeadlineExceeded:
    """Return the error of a call that waited for changes from a rev on that nobody may have written yet."""
    return DeadlineExceeded(
        f"nothing changed within {seconds:g} s: it waits from rev {rev} on, and the latest known here is rev {latest}",
        seconds=seconds,
    )
