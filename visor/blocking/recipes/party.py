# Generated from visor/aio/recipes/party.py by tests/hygiene/unasync.py.
"""A party: who is there, now and from now on.

with session.party("/workers", b"10.0.0.5") as party:
    members = party.members()
    for members in party.observe(): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from visor._contenders import MEMBER, Contender, in_order
from visor._public import public
from visor._shown import word
from visor.blocking.recipes._place import Patience, Place, files_in
from visor.blocking.recipes._roll import Roll

if TYPE_CHECKING:
    from visor.blocking.session import Session


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

    def join(self, *, timeout: float | None = None) -> int:
        """Become a member (again, if the session has ended: LeaseLost), and return the rev of that."""
        if self._place is None:
            place = Place(self._session, self._directory, MEMBER, self._data)
            patience = Patience(self._session, self._client._settings.timeout if timeout is None else timeout)
            try:
                place.enter(patience)
            except BaseException:
                place.leave()
                raise
            self._place = place
        return self._place.fence

    def leave(self, *, timeout: float | None = None) -> None:
        """Be a member no more; silent when it was none."""
        place, self._place = self._place, None
        if place is not None:
            place.leave(timeout=timeout)

    def members(self, *, timeout: float | None = None) -> list[Contender]:
        """Return who is there, in the order of joining."""
        return in_order(files_in(self._client, self._directory, timeout), data=True)

    def observe(self, *, timeout: float | None = None) -> Iterator[list[Contender]]:
        """Iterate over the members: who is there now, and again after every change.

        `timeout` is for the beginning; then it waits for ever.
        """
        roll = Roll(self._client, self._directory, timeout)
        try:
            while True:
                yield roll.next()
        finally:
            roll.close()

    def __enter__(self) -> Party:
        self.join()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def __repr__(self) -> str:
        return f"<visor party {word(self._directory)}, {'joined' if self.joined else 'not joined'}>"


public("visor", Party)
