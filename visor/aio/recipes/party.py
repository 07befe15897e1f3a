"""A party: who is there, now and from now on.

async with session.party("/workers", b"10.0.0.5") as party:
    members = await party.members()
    async for members in party.observe(): ...
"""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING

from visor._contenders import MEMBER, Contender, in_order
from visor._public import public
from visor._shown import word
from visor.aio.recipes._place import Patience, Place, files_in
from visor.aio.recipes._roll import Roll

if TYPE_CHECKING:
    from visor.aio.session import Session


class Party:
    """A membership of one session in a directory; made by `Session.party`.

    A member that goes without a word stays a member until its lease has expired.
    """

    def __init__(self, session: Session, path: str, *, data: bytes) -> None:
        self._session = session
        self._client = session._client
        self._directory = path
        self._data = data
        self._place: Place | None = None

    @property
    def joined(self) -> bool:
        """This member has joined, not left, and its session lives."""
        return self._place is not None and not self._session.over

    async def join(self, *, timeout: float | None = None) -> int:
        """Become a member (again, if the session has ended: LeaseLost), and return the rev of that."""
        if self._place is None:
            place = Place(self._session, self._directory, MEMBER, self._data)
            patience = Patience(self._session, self._client._settings.timeout if timeout is None else timeout)
            try:
                await place.enter(patience)
            except BaseException:
                await place.leave()
                raise
            self._place = place
        return self._place.fence

    async def leave(self, *, timeout: float | None = None) -> None:
        """Be a member no more; silent when it was none."""
        place, self._place = self._place, None
        if place is not None:
            await place.leave(timeout=timeout)

    async def members(self, *, timeout: float | None = None) -> list[Contender]:
        """Return who is there, in the order of joining."""
        return in_order(await files_in(self._client, self._directory, timeout), data=True)

    async def observe(self, *, timeout: float | None = None) -> AsyncIterator[list[Contender]]:
        """Iterate over the members: who is there now, and again after every change.

        `timeout` is for the beginning; then it waits for ever.
        """
        roll = Roll(self._client, self._directory, timeout)
        try:
            while True:
                yield await roll.next()
        finally:
            await roll.close()

    async def __aenter__(self) -> Party:
        await self.join()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    def __repr__(self) -> str:
        return f"<visor party {word(self._directory)}, {'joined' if self.joined else 'not joined'}>"


public("visor.aio", Party)
