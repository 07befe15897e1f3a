"""Do all members stand where the leader stood at the same entry of the log? Asked every few seconds, at little cost.

    leader: SAMPLE n, index, first, after, upto ---> every member
    member: SAMPLED n, index, sample, why              once it has applied the entry `index`

The *sample* of an entry is the rev that it left, the time, how many sessions and leases there are, a digest of the
roles, users and tokens once there are any, and one of two portions of the tree at that rev: what the last few revs
changed, and the next few hundred files, so that all files have their turn. "The same rev with other content" in a file
that was just written, "one rev less", and what only an outcome or a lease shows are seen with the next sample; then all
hash everything (`replica_check`), which decides who is wrong.

    index 1041 -> rev 977       noted by every member when it applies the entry, for the last `NOTED` entries
    SAMPLE 5, 1041, 850, "/a", "/f" -> "977 1764... 12 3 5f0a..." of all, or not
"""

from __future__ import annotations

from typing import Final, NamedTuple

from visord.state.digest import portion
from visord.state.machine import Machine

NOTED: Final = 4096
"""Entries whose rev is known: about a second of the heaviest load."""
RECENT: Final = 128
"""Revs before the sample whose changes are hashed."""


class Point(NamedTuple):
    """Where a machine stood when it had applied an entry."""

    entry: int
    rev: int
    time: int
    sessions: int
    leases: int
    rights: str = ""
    """The digest of roles, users and tokens; "" while they are as they were in the beginning."""

    def with_rights(self, digest: str) -> str:
        """Return a digest of files with that of the rights at this place."""
        return f"{digest} rights {self.rights}" if self.rights else digest


class Question(NamedTuple):
    """What a leader asks of all: the sample of `entry`, with the files behind `after` up to `upto`."""

    entry: int
    first: int
    after: str | None
    upto: str | None


class Points:
    """Where one node stood at its last entries."""

    def __init__(self) -> None:
        self._noted: dict[int, Point] = {}

    def note(self, machine: Machine) -> None:
        """The machine has just applied an entry."""
        index = machine.index
        store = machine.store
        self._noted[index % NOTED] = Point(
            index,
            store.rev,
            machine.time,
            len(machine.sessions),
            store.leases.next,
            machine.auth.digest,
        )

    def at(self, index: int) -> Point | None:
        """Return where the machine stood; None when that is not known (any more)."""
        place = self._noted.get(index % NOTED)
        return place if place is not None and place.entry == index else None

    def forget(self) -> None:
        """Another state was taken over."""
        self._noted.clear()


def ask(machine: Machine, place: Point, after: str | None) -> tuple[Question, str] | None:
    """Return what to ask of the others about this place, and the own answer; None when it cannot be told."""
    store = machine.store
    first = max(store.floor, place.rev - RECENT)
    found = portion(store, place.rev, after, None, first)
    if found is None:
        return None
    digest, upto = found
    return Question(place.entry, first, after, upto), _sample(place, digest)


def answer(machine: Machine, place: Point, question: Question) -> str | None:
    """Return the sample of a place as a leader asked for it; None when what it takes is gone."""
    first = question.first
    if place.rev < first:  # far behind the leader, at the same entry: nothing to read, and told all the same
        return _sample(place, "-")
    found = portion(machine.store, place.rev, question.after, question.upto or END, first)
    return None if found is None else _sample(place, found[0])


def _sample(place: Point, digest: str) -> str:
    told = f"rev {place.rev} time {place.time} sessions {place.sessions} leases {place.leases} {digest}"
    return place.with_rights(told)


END: Final = "/\U0010ffff"
"""A path behind all that can be: up to the end of the tree."""
