"""Conditions under which a write happens.

    client.set("/leader", b"me", guard=guard.missing())
    client.set("/leader", b"me", guard=guard.rev(file.mod_rev))
    client.txn({"/leader": guard.value(b"me")}, then=[op.delete("/leader")])

A guard says nothing about its path: the write or the transaction names it. A deleted file is seen by
`rev`, `missing` and `since` through its tombstone.
"""

from __future__ import annotations

from dataclasses import dataclass

from visor.protocol import verbs


@dataclass(frozen=True, slots=True)
class Guard:
    """One condition on one path; make it with the functions of this module."""

    kind: int
    arg: int | bytes = 0


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


def value(data: bytes) -> Guard:
    """The file exists and holds exactly these bytes (encoded: `codec.encode(value)`)."""
    return Guard(verbs.G_VALUE, bytes(data))


def below(number: int) -> Guard:
    """The file exists and its rev is below `number`."""
    return Guard(verbs.G_BELOW, number)


def above(number: int) -> Guard:
    """The file exists and its rev is above `number`."""
    return Guard(verbs.G_ABOVE, number)
