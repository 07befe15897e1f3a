"""Whether a node may answer: linearizable reads at once, and clients at all.

    readable    it is the only voter, leads, and has applied all that was committed: a read needs no round
    reached     since its start it has once known all that was committed; from then on it takes clients

A member of several finds out by a read of its own (`check`): once that is confirmed it has caught up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from visord.raft.configuration import Configuration


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def member(self) -> str: ...

    @property
    def leader(self) -> str | None: ...

    @property
    def configuration(self) -> Configuration: ...

    @property
    def reads_are_current(self) -> bool: ...


class Readiness:
    """See the module. `ask(reader)` has a read confirmed: `reader(True)` when this node is as new as any."""

    def __init__(self, consensus: Consensus, ask: Callable[[Callable[[bool], None]], None]) -> None:
        self._consensus = consensus
        self._ask = ask
        self._event = asyncio.Event()
        self._sound = True
        self._checking = False
        self.readable = False
        """Linearizable reads can be answered from the store right now."""

    @property
    def reached(self) -> bool:
        """Since its start this node has once known all that was committed."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Return when reads and writes are accepted."""
        await self._event.wait()

    def refresh(self) -> None:
        """The members, the leader or what was applied have changed: see whether reads need a round."""
        consensus = self._consensus
        alone = consensus.configuration.voters == [consensus.member]
        self.readable = alone and consensus.reads_are_current and self._sound
        if self.readable:
            self._event.set()

    def tick(self) -> None:
        """From time to time, after a start: a node serves when it has caught up with what was committed then."""
        if not self.reached and not self._checking and self._consensus.leader is not None:
            self._checking = True
            self._ask(self._checked)

    def _checked(self, yes: bool) -> None:
        self._checking = False
        if yes:
            self._event.set()

    def end(self) -> None:
        """This node failed, stops, or differs from the others: it answers no such read any more."""
        self._sound = self.readable = False
