"""Who stands in a queue for a lock, in which order, and for whom a contender has to wait: pure.

    /locks/db/w12.1     created at rev 40    lease 12      holds it: nobody came before
    /locks/db/r15.1     created at rev 41    lease 15      shared; waits for w12.1
    /locks/db/r19.4     created at rev 44    lease 19      shared; waits for w12.1 too, beside r15.1
    /locks/db/w12.2     created at rev 47    lease 12      waits for r19.4, the one before it
    /locks/db/@delay    "w12.1 5.0"                        if w12.1 goes without a word, wait 5 s more

The rev at which a contender entered is its fencing number: entrance is in order and nobody overtakes, so whoever holds
the lock later has a higher one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from visor._public import public

EXCLUSIVE = "w"
SHARED = "r"
SLOT = "s"
MEMBER = "m"
MARK = "@"
"""Files of a queue's directory that begin so are no contenders."""
DELAY = "@delay"
LIMIT = "@limit"


class Entry(Protocol):
    """What of a file is used."""

    @property
    def path(self) -> str: ...

    @property
    def created(self) -> int: ...

    @property
    def mod_rev(self) -> int: ...

    @property
    def lease(self) -> int: ...

    @property
    def data(self) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Contender:
    """One that holds a lock or waits for it."""

    name: str
    path: str
    fence: int
    """Its fencing number: the rev at which it entered the queue."""
    lease: int
    shared: bool
    rev: int
    """The rev that wrote its file last."""
    data: bytes | None = None
    """What it says of itself; None when that was not asked for."""


def in_order(files: Iterable[Entry], data: bool = False) -> list[Contender]:
    """Return the contenders among the files of a queue, the first one first."""
    found = []
    for file in files:
        name = file.path.rpartition("/")[2]
        if not name.startswith(MARK):
            said = file.data if data else None
            shared = name.startswith(SHARED)
            found.append(Contender(name, file.path, file.created, file.lease, shared, file.mod_rev, said))
    found.sort(key=lambda one: one.fence)
    return found


def blocker(queue: Sequence[Contender], mine: Contender) -> Contender | None:
    """Return the contender whose going `mine` has to wait for; None when it holds the lock.

    Of those before it that exclude it, the last: when that one goes, it looks again. So each going wakes one waiter
    (or the readers that wait for the same writer), not all.
    """
    ahead = [one for one in queue if one.fence < mine.fence and not (one.shared and mine.shared)]
    return ahead[-1] if ahead else None


def delay_text(name: str, seconds: float) -> bytes:
    """Return what the mark of a holder with a lock delay says."""
    return f"{name} {seconds:g}".encode()


def read_delay(text: bytes | None) -> tuple[str, float]:
    """Return `(holder, seconds)`; what cannot be read asks for no delay."""
    name, _, seconds = (text or b"").decode("utf-8", "replace").partition(" ")
    try:
        return name, max(0.0, float(seconds))
    except ValueError:
        return name, 0.0


public("visor", Contender)
