"""What is asked of every peer: an operation, by which kind of client, how many at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

OPS = {
    "put": "write a key",
    "get": "read a key",
    "cas": "write a key if its version is the one that was seen",
    "mixed": "one write, nine reads",
    "range": "read the 1000 keys of one directory, with values",
    "watch": "write a key and wait until a watch of its directory has told of it",
}


class Shape(NamedTuple):
    """One row of the tables."""

    op: str
    client: str
    """asyncio, blocking; `go` in lines that come from the load generator in Go."""
    in_flight: int

    def __str__(self) -> str:
        return f"{self.op}:{self.client}:{self.in_flight}"

    @property
    def title(self) -> str:
        count = "one by one" if self.in_flight == 1 else f"{self.in_flight} in flight"
        return f"{self.op}, {count}, {self.client}"


SHAPES = (
    *(Shape(op, "asyncio", 64) for op in ("put", "get", "cas", "mixed")),
    Shape("watch", "asyncio", 16),
    *(Shape(op, "asyncio", 1) for op in ("put", "get", "range")),
    *(Shape(op, "blocking", 1) for op in OPS),
)


class NoSuchShapeError(ValueError):
    """`--only` names something that is not measured."""


def chosen(only: Iterable[str]) -> list[Shape]:
    """Return the shapes that any of the words names: `put`, `put:blocking`, `put:asyncio:64`; all without a word."""
    words = list(only)
    for word in words:
        if not any(named(shape, word) for shape in SHAPES):
            known = ", ".join(map(str, SHAPES))
            raise NoSuchShapeError(
                f"nothing measured is named {word!r}; there are {known}, and their beginnings"
            )
    return [shape for shape in SHAPES if not words or any(named(shape, word) for word in words)]


def named(shape: Shape, word: str) -> bool:
    """Tell whether the word is the shape, or a beginning of it up to a colon."""
    parts = word.split(":")
    return str(shape).split(":")[: len(parts)] == parts
