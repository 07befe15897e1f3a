"""Taking turns among threads."""

from __future__ import annotations

import threading


class Turn:
    """One at a time. Those who come meanwhile wait, until their own deadline.

    if turn.take(1.0):
        try: ...
        finally: turn.give()
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def take(self, timeout: float) -> bool:
        """Wait for the turn, `timeout` seconds at most, and say whether it came."""
        return self._lock.acquire(timeout=min(max(0.0, timeout), threading.TIMEOUT_MAX))

    def give(self) -> None:
        """Let the next one have it."""
        self._lock.release()
