"""How much history is kept: replicated settings, and the floor that follows from them."""

from __future__ import annotations

from typing import Any, Final

from visord.state import fields, refusal
from visord.state.refusal import Refusal
from visord.state.store import Store


class Retention:
    """`keep_revs`: how many commits stay readable; `keep_ms`: for how long. 0 keeps everything.

    With both set, a commit goes as soon as it is beyond either.
    """

    __slots__ = ("asked", "keep_ms", "keep_revs")

    def __init__(self, keep_revs: int = 0, keep_ms: int = 0) -> None:
        self.keep_revs = keep_revs
        self.keep_ms = keep_ms
        self.asked = 0
        """How often it was set, since this object was made: for who looks for that. No part of the state."""

    def set(self, store: Store, time: int, frame: list[Any]) -> int | Refusal:
        """Carry out a RETAIN `[35, id, acked, keep_revs, keep_ms, compact_to]`; return the floor."""
        wrong = fields.length(frame, 3, 6)
        if wrong is not None:
            return wrong
        _, _, _, keep_revs, keep_ms, compact_to = frame + _DEFAULTS[len(frame) - 3 :]
        wrong = (
            fields.optional_integer("keep_revs", keep_revs)
            or fields.optional_integer("keep_ms", keep_ms)
            or fields.optional_integer("compact_to", compact_to)
        )
        if wrong is not None:
            return wrong
        if compact_to is not None and compact_to > store.rev:
            return refusal.future_rev(store.rev, compact_to)
        self.asked += 1
        if keep_revs is not None:
            self.keep_revs = keep_revs
        if keep_ms is not None:
            self.keep_ms = keep_ms
        if compact_to is not None:
            store.raise_floor(compact_to)
        self.advance(store, time)
        return store.floor

    def advance(self, store: Store, time: int) -> None:
        """Raise the floor as far as the settings ask at `time`; it never falls."""
        if self.keep_revs and store.rev - self.keep_revs > store.floor:
            store.raise_floor(store.rev - self.keep_revs)
        if self.keep_ms and store.rev > store.floor:
            oldest = time - self.keep_ms
            if store.history.time(store.floor + 1) <= oldest:
                store.raise_floor(store.history.rev_at(oldest))


_DEFAULTS: Final[list[Any]] = [None, None, None]
