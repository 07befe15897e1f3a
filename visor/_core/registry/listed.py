"""Lists that one bad file cannot stop: what could be read, and beside it what could not.

    apps = registry.apps()
    [app.name for app in apps]        ["a", "c"]
    apps.damaged                      (BadRecord("/apps/b/app: not an app: name: expected text, found 7"),)

What is damaged is also logged, is found by `verify`, and is brought back or taken out by `Registry.repair`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from visor._core.log import log
from visor._core.public import public
from visor._core.registry.errors import BadRecord

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class Listed(list[T]):
    """A list of what could be read; `damaged` says which files could not, and why."""

    def __init__(self, found: Iterable[T] = (), damaged: Iterable[BadRecord] = ()) -> None:
        super().__init__(found)
        self.damaged = tuple(damaged)

    def where(self, wanted: Callable[[T], bool]) -> Listed[T]:
        """Return those that are wanted, and the same beside them."""
        return Listed(filter(wanted, self), self.damaged)


class Mapped(dict[K, V]):
    """A dict of what could be read; `damaged` says which files could not, and why."""

    def __init__(self, found: Mapping[K, V], damaged: Iterable[BadRecord] = ()) -> None:
        super().__init__(found)
        self.damaged = tuple(damaged)


def told(damaged: list[BadRecord]) -> list[BadRecord]:
    """Log what is damaged, one line a list, and return it."""
    if damaged:
        more = f" and {len(damaged) - 1} more files" if len(damaged) > 1 else ""
        log.warning("left out of a list: %s%s", damaged[0], more)
    return damaged


public("visor.registry", Listed, Mapped)
