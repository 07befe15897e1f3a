"""Bytes that all requests together hold: bodies that arrive, and answers that nobody has taken yet."""

from __future__ import annotations

from typing import Final

from visor.gateway.problems import NotServed

MOST: Final = 256 << 20


class Budget:
    """What is held of `most` bytes."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.held = 0

    def take(self, size: int) -> None:
        """Hold so many more; NotServed where that is over."""
        if self.held + size > self.most:
            raise NotServed("crowded", f"{self.held} bytes of requests and answers are held: try again")
        self.held += size

    def give(self, size: int) -> None:
        """Hold so many fewer."""
        self.held -= size
