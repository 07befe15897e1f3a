"""One member's outgoing connection through its whole life: dial, be there, be lost, dial again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final

from visord.logs import about
from visord.peers.errors import HandshakeError, PeerRefusedError
from visord.peers.outgoing import OutgoingConnection
from visord.peers.telling import Telling

logger = logging.getLogger("visord.peers")

FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 1.0
FIRST_PAUSE_REFUSED: Final = 0.5
LONGEST_PAUSE_REFUSED: Final = 5.0
HURRY_SECONDS: Final = 0.1
"""Between two attempts, however often a member shows that it is there."""
STEADY_SECONDS: Final = 1.0
"""A connection that lived for so long was a good one: the pauses start from the beginning."""
STUCK_SECONDS: Final = 3.0
"""A connection with waiting bytes of which none left for so long is given up."""
TOLD: Final = 16
"""Different reasons that are logged before a member is reached again."""


class RedialPauses:
    """How long to wait before the next attempt: doubling, up to a limit, with jitter so that nobody keeps step."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._next = 0.0

    def after(self, *, refused: bool) -> float:
        """Return seconds to wait after one more failure."""
        first, longest = (
            (FIRST_PAUSE_REFUSED, LONGEST_PAUSE_REFUSED) if refused else (FIRST_PAUSE, LONGEST_PAUSE)
        )
        pause = min(max(self._next, first), longest)
        self._next = pause * 2
        return pause * (0.5 + self._rng.random() / 2)

    def reset(self) -> None:
        """Start from the shortest pause again."""
        self._next = 0.0


class Link:
    """Keeps a connection to one member. `up` is called with it when it may send, `down` when it is lost."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        member: str,
        address: str,
        dial: Callable[[str, str], Coroutine[Any, Any, OutgoingConnection]],
        rng: random.Random,
        up: Callable[[str, OutgoingConnection], None],
        down: Callable[[str, OutgoingConnection], None],
        name: Callable[[str], str],
    ) -> None:
        self._loop = loop
        self._name = name
        self.member = member
        self.address = address
        self._dial = dial
        self._up = up
        self._down = down
        self._pauses = RedialPauses(rng)
        self._told: set[str] = set()
        self._telling = Telling(loop.time)
        self._hurry = asyncio.Event()
        self._began = 0.0
        """When the last attempt began."""
        self._taken = 0
        self._moved = 0.0
        self.connection: OutgoingConnection | None = None
        self.problem = "not dialled yet"
        """Why there is no connection; "" while there is one."""
        self._task = loop.create_task(self._run())

    async def _run(self) -> None:
        while True:
            refused = False
            self._began = self._loop.time()
            try:
                connection = await self._dial(self.member, self.address)
            except (OSError, ValueError, HandshakeError, PeerRefusedError) as error:
                refused = isinstance(error, PeerRefusedError)
                self._failed(str(error) or type(error).__name__, refused=refused)
            else:
                await self._serve(connection)
            await self._wait(self._pauses.after(refused=refused))

    async def _serve(self, connection: OutgoingConnection) -> None:
        began = self._loop.time()
        self.connection = connection
        self.problem = ""
        self._taken, self._moved = connection.taken, began
        self._told.clear()
        self._tell(logging.INFO, "connected to %s")
        self._up(self.member, connection)
        try:
            self.problem = await connection.lost
        finally:
            self.connection = None
            self._down(self.member, connection)
        self._tell(logging.WARNING, "lost %s", self.problem)
        if self._loop.time() - began >= STEADY_SECONDS:
            self._pauses.reset()

    def _failed(self, why: str, *, refused: bool) -> None:
        """Log every reason once, not at every attempt; and not for ever when it comes and goes."""
        self.problem = why
        if why in self._told or len(self._told) >= TOLD:
            return
        self._told.add(why)
        self._tell(logging.WARNING, "no connection to %s" if refused else "cannot reach %s", why)

    def _tell(self, level: int, words: str, why: str = "") -> None:
        """Log what became of this connection, unless there was too much of that within this minute."""
        if not self._telling.may():
            return
        name = self._name(self.member)
        who = f"member {name} ({self.member})" if name else f"member {self.member}"
        text = words % f"{who} at {self.address}" + (f": {why}" if why else "") + self._telling.note
        known = about(member=name or None, member_id=self.member, address=self.address)
        logger.log(level, "%s", text, extra=known)

    async def _wait(self, seconds: float) -> None:
        self._hurry.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
                await asyncio.sleep(self._began + HURRY_SECONDS - self._loop.time())
        except TimeoutError:
            pass

    def hurry(self) -> None:
        """Dial now if this link is waiting: the member has shown that it is there."""
        self._hurry.set()

    def check(self) -> None:
        """Give up a connection that is stuck. Called every second or so."""
        connection = self.connection
        if connection is None:
            return
        now, taken = self._loop.time(), connection.taken
        if taken > self._taken or not connection.waiting:
            self._taken, self._moved = taken, now
        elif now - self._moved >= STUCK_SECONDS:
            connection.abort(f"{connection.waiting} bytes waited and none left for {STUCK_SECONDS:g} s")

    def close(self) -> asyncio.Task[None]:
        """Hang up; return the task that is ending."""
        if self.connection is not None:
            self.connection.close()
        self._task.cancel()
        return self._task
