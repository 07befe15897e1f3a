"""Who stands in a queue for a lock, in which order, and for whom a contender has to wait: pure.

    /locks/db/w12.1     created at rev 40    lease 12      holds it: nobody came before
    /locks/db/r15.1     created at rev 41    lease 15      shared; waits for w12.1
    /locks/db/r19.4     created at rev 44    lease 19      shared; waits for w12.1 too, beside r15.1
    /locks/db/w12.2     created at rev 47    lease 12      waits for r19.4, the one before it
    /locks/db/@delay    "w12.1 5.0"                        if w12.1 goes without a word, wait 5 s more

The rev at which a contender entered is its fencing number: entrance is in order and nobody overtakes, so a later
holder has a higher one.

A contender's file is attached to the lease that its name tells. Whatever else lies in the directory (a README, a file
that somebody wrote over and so detached) does not queue. A directory is the queue of one kind of thing, that of who
came first: locks (elections are locks), a semaphore, or a party.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from visor._core.dataclass import dataclass
from visor._core.public import public
from visor.errors import WrongQueue

EXCLUSIVE = "w"
SHARED = "r"
SLOT = "s"
MEMBER = "m"
MARK = "@"
"""Files of a queue's directory that begin so are no contenders."""
DELAY = "@delay"
LIMIT = "@limit"

LOCK = "lock"
SEMAPHORE = "semaphore"
PARTY = "party"
QUEUES: Final = {EXCLUSIVE: LOCK, SHARED: LOCK, SLOT: SEMAPHORE, MEMBER: PARTY}
"""What a directory is the queue of, by the kind of a contender in it."""
TOLD: Final = {LOCK: "a lock or an election", SEMAPHORE: "a semaphore", PARTY: "a party"}

_NAME: Final = re.compile(r"([wrsm])([0-9]+)\.[0-9]+").fullmatch


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

    @property
    def queue(self) -> str:
        """What it is a contender for: "lock" (also an election), "semaphore" or "party"."""
        return QUEUES[self.name[:1]]


def queue_of(name: str) -> str | None:
    """Return what a file of this name would be a contender for, whatever it is attached to; None for no contender."""
    match = _NAME(name)
    return None if match is None else QUEUES[match[1]]


def is_contender(name: str, lease: int) -> bool:
    """Say whether the file is a contender: its name tells its kind and the lease that it is attached to."""
    match = _NAME(name)
    return match is not None and lease > 0 and int(match[2]) == lease


def in_order(files: Iterable[Entry], data: bool = False) -> list[Contender]:
    """Return the contenders among the files of a directory, of whatever kind, the first one first."""
    found = []
    for file in files:
        name = file.path.rpartition("/")[2]
        if is_contender(name, file.lease):
            said = file.data if data else None
            shared = name.startswith(SHARED)
            found.append(Contender(name, file.path, file.created, file.lease, shared, file.mod_rev, said))
    found.sort(key=lambda one: one.fence)
    return found


def queue_at(directory: str, files: Iterable[Entry], queue: str) -> list[Contender]:
    """Return who stands in the queue at `directory`, the first one first.

    WrongQueue when it is the queue of something else. Contenders of another kind behind the first one do not count:
    they find that out themselves, and go.
    """
    standing = in_order(files, data=True)
    if standing and standing[0].queue != queue:
        raise WrongQueue(path=directory, wanted=TOLD[queue], found=TOLD[standing[0].queue])
    return [one for one in standing if one.queue == queue]


def told(contenders: Sequence[Contender], most: int = 3) -> str:
    """Return the contenders in words: what each says of itself, where that can be shown, and its lease."""
    words = [f"{_said(one)} (lease {one.lease})" for one in contenders[:most]]
    if len(contenders) > most:
        words.append(f"{len(contenders) - most} more")
    return ", ".join(words)


def _said(one: Contender) -> str:
    text = (one.data or b"").decode("utf-8", "replace")
    return text[:80] if text and text.isprintable() else one.name


def blocker(queue: Sequence[Contender], mine: Contender) -> Contender | None:
    """Return the contender whose going `mine` has to wait for; None when it holds the lock.

    Of those before it that exclude it, the last: when that one goes, it looks again. So each going wakes one waiter
    (or the readers that wait for the same writer), not all.
    """
    ahead = [one for one in queue if one.fence < mine.fence and not (one.shared and mine.shared)]
    return ahead[-1] if ahead else None


def holders(queue: Sequence[Contender]) -> list[Contender]:
    """Return who holds the lock: the first one, and if that one shares it, those behind it that do too."""
    found: list[Contender] = []
    for one in queue:
        if found and not (one.shared and found[0].shared):
            break
        found.append(one)
    return found


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
