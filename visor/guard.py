"""Conditions under which a write happens.

    client.set("/leader", b"me", guard=guard.missing())
    client.set("/leader", b"me", guard=guard.rev(file.mod_rev))
    client.txn({"/leader": guard.value(b"me")}, then=[op.delete("/leader")])
    client.set("/state", "up", codec=codecs.JSON, guard=guard.value("starting"))

A guard says nothing about its path: the write or the transaction names it. A deleted file is seen by
`rev`, `missing` and `since` through its tombstone.
"""

from __future__ import annotations

from visor._core.dataclass import dataclass
from visor._core.shown import shown
from visor.codecs import BYTES
from visor.protocol import verbs


@dataclass(frozen=True, slots=True)
class Guard:
    """One condition on one path; make it with the functions of this module."""

    kind: int
    arg: object = 0
    encoded: bool = True
    """`arg` is as the registry stores it; False: it is a value, for the codec of the call."""

    def __repr__(self) -> str:
        word = "data" if self.kind == verbs.G_VALUE and self.encoded else _WORDS.get(self.kind, "Guard")
        return f"guard.{word}({'' if self.kind in (verbs.G_MISSING, verbs.G_EXISTS) else shown(self.arg)})"


def rev(number: int) -> Guard:
    """The file's rev (`File.mod_rev`) is exactly `number`; 0: there is no such file."""
    return Guard(verbs.G_REV, number)


def missing() -> Guard:
    """There is no such file."""
    return Guard(verbs.G_MISSING)


def exists() -> Guard:
    """The file exists."""
    return Guard(verbs.G_EXISTS)


def since(number: int) -> Guard:
    """Not created, changed or deleted after rev `number`; for a directory: nothing below it."""
    return Guard(verbs.G_SINCE, number)


def value(value: object) -> Guard:
    """The file exists and holds this value, as the codec of the call (default: the client's) encodes it."""
    return Guard(verbs.G_VALUE, value, encoded=False)


def data(data: bytes) -> Guard:
    """The file exists and holds exactly these bytes, whatever the codec."""
    return Guard(verbs.G_VALUE, BYTES.encode(data))


def below(number: int) -> Guard:
    """The file exists and its rev is below `number`."""
    return Guard(verbs.G_BELOW, number)


def above(number: int) -> Guard:
    """The file exists and its rev is above `number`."""
    return Guard(verbs.G_ABOVE, number)


_WORDS = {
    verbs.G_REV: "rev",
    verbs.G_MISSING: "missing",
    verbs.G_EXISTS: "exists",
    verbs.G_SINCE: "since",
    verbs.G_VALUE: "value",
    verbs.G_BELOW: "below",
    verbs.G_ABOVE: "above",
}

__all__ = [
    "Guard",
    "rev",
    "missing",
    "exists",
    "since",
    "value",
    "data",
    "below",
    "above",
]


def __dir__() -> list[str]:
    return sorted(__all__)
