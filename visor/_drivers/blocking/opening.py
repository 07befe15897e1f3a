"""A watch that is used at once: here it is established before anybody has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from visor.blocking.watch import Watch

    Opening = Watch
    """What `Client.watch` returns."""

T = TypeVar("T")


def opening(watch: Watch[T]) -> Watch[T]:
    """Return the watch, which is open."""
    return watch
