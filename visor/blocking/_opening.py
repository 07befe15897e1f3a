"""A watch that is used at once: here it is established before anybody has it."""

from __future__ import annotations

from typing import TypeVar

from visor.blocking.watch import Watch

T = TypeVar("T")

Opening = Watch
"""What `Client.watch` returns."""


def opening(watch: Watch[T]) -> Watch[T]:
    """Return the watch, which is open."""
    return watch
