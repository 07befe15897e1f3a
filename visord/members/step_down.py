"""A leader without space refuses the writes of all, so it hands leadership on: another voter may have some."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from visord.logs import about
from visord.raft.engine import Engine

logger = logging.getLogger("visord.node")

PAUSE_SECONDS: Final = 10.0
"""A node that has handed leadership on and got it again waits so long before the next time: other disks may be full
too. A try that failed, so that the term is the same, is repeated with the next tick: with another heir, who answers."""


class StepDown:
    """When the node `member` tried last, and when it may try again."""

    def __init__(self, member: str, engine: Engine, time: Callable[[], float]) -> None:
        self._member = member
        self._engine = engine
        self._time = time
        self._next = 0.0
        self._term = 0

    def tick(self) -> None:
        """The node has no space: if it leads others, hand on now, unless it did so a moment ago."""
        engine, now = self._engine, self._time()
        alone = engine.configuration.voters == [self._member]
        due = (
            now >= self._next or engine.term == self._term
        )  # still in that term: the last try came to nothing
        if due and engine.is_leader and not engine.transferring and not alone:
            self._next = now + PAUSE_SECONDS
            self._term = engine.term
            heir = engine.transfer_leadership(None)
            if heir is None:
                logger.warning("no space: leadership stays here, no other voter is reachable")
            else:
                logger.warning(
                    "no space: leadership goes to %s",
                    engine.configuration.named(heir),
                    extra=about(member_id=heir),
                )
