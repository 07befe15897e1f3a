"""What a watch of the typed store gives: the events of one transaction, and the version that they lead to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import IntFlag

from visor._core.dataclass import dataclass
from visor._core.following.delta import Batch, Delta, Origin
from visor._core.public import public
from visor._core.shown import PATH, several, word
from visor._core.store.record import Record
from visor.values import Kind as Change
from visor.values import instant


class Action(IntFlag):
    """What became of an object; several make a mask."""

    CREATE = 1
    UPDATE = 2
    REMOVE = 4
    ANY = 7


@dataclass(frozen=True, slots=True)
class Event:
    """One object was created, updated or removed."""

    action: Action
    object: Record
    """As it is now; a removed one as it was last."""
    old: Record | None = None
    """As it was before; only when asked for (`include_old`), None for a created one."""
    expired: bool = False
    """It was removed because its lease ended."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The events of one transaction that a watch is about, complete: with them a reader is at `version`."""

    version: int
    since: int
    """The version before it, as far as this store knows."""
    events: tuple[Event, ...]
    rebuilt: bool = False
    """These are the differences to a fresh look at everything: steps between were lost to compaction."""
    time: datetime | None = None
    """When it was committed; None for what is not one transaction."""
    actor: str = ""
    note: str | None = None

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        names = (
            f"{event.action.name} {type(event.object).__name__} {event.object.id}" for event in self.events
        )
        what = several(names, len(self.events)) or "nothing"
        return f"Committed(version {self.version}: {word(what, PATH)})"


def action_of(delta: Delta[Record]) -> Action:
    """Return what became of the object."""
    if delta.before is None:
        return Action.CREATE
    return Action.REMOVE if delta.after is None else Action.UPDATE


def subject(delta: Delta[Record]) -> Record:
    """Return the object that the event is about: as it is now, or as it was last."""
    found = delta.after if delta.after is not None else delta.before
    assert found is not None
    return found


def committed(batch: Batch[Record], include_old: bool) -> Committed:
    """Return what a reader is told of a batch."""
    events = []
    for delta in batch.deltas:
        old = delta.before if include_old else None
        events.append(Event(action_of(delta), subject(delta), old, delta.kind is Change.EXPIRE))
    return Committed(
        batch.rev,
        batch.since,
        tuple(events),
        batch.origin is Origin.REBUILT,
        instant(batch.time) if batch.time else None,
        batch.actor,
        batch.note,
    )


public("visor.store", Action, Event, Committed)
