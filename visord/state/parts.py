"""The selectors of several that can concern a path, without a look at all of them.

Each has a base, the deepest path at or below which all that it means lies, and most lists are of disjoint ones:

    /rack1/*  /rack2/*  ...  /rack30/*     for /rack7/w12 one of thirty is asked

They are kept by their bases, and a path is cut at the lengths that bases have: a few slices and look-ups, however
deep the path and however many the parts. What lies at the root is always asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from visor.paths import ROOT


class Part(Protocol):
    """What is asked of one of them."""

    @property
    def base(self) -> str:
        """Where all that it means lies at or below."""

    @property
    def matches(self) -> Callable[[str], object]:
        """Whether it means a path."""

    @property
    def cost(self) -> Callable[[int], int]:
        """The microseconds that one match against a path of so many characters takes at most."""


P = TypeVar("P", bound=Part)


class Parts(Generic[P]):
    """Several selectors, as one."""

    __slots__ = ("_always", "_by_base", "_lengths", "all")

    def __init__(self, parts: Sequence[P]) -> None:
        self.all = tuple(parts)
        self._always = [part for part in parts if part.base == ROOT]
        self._by_base: dict[str, list[P]] = {}
        for part in parts:
            if part.base != ROOT:
                self._by_base.setdefault(part.base, []).append(part)
        self._lengths = sorted({len(base) for base in self._by_base})

    def concerned(self, path: str) -> list[P]:
        """Return those whose base is the path or lies above it."""
        found = self._always.copy()
        size = len(path)
        for length in self._lengths:
            if length > size:
                break
            if length == size or path[length] == "/":
                found += self._by_base.get(path[:length], ())
        return found

    def matches(self, path: str) -> bool:
        """Tell whether any of them means the path."""
        for part in self.concerned(path):  # noqa: SIM110  # a generator would take twice as long
            if part.matches(path):
                return True
        return False

    def weigh(self, path: str) -> int:
        """Return the microseconds that `matches` takes at most."""
        return 1 + sum(part.cost(len(path)) for part in self.concerned(path))
