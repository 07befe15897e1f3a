# Generated from visor/aio/recipes/party.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""A party: who is there, now and from now on.

with session.party("/workers", b"10.0.0.5") as party:
    members = party.members()
    for members in party.observe(): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from visor._core.backoff import in_seconds
from visor._core.public import public
from visor._core.recipes.holding import check_data, check_directory
from visor._core.recipes.queue import MEMBER, PARTY, Contender
from visor._core.shown import word
from visor._drivers.blocking.turn import Turn
from visor.blocking.recipes._place import (
    LEAVE_SECONDS,
    Patience,
    Place,
    standing_at,
)
from visor.blocking.recipes._roll import Roll
from visor.errors import DeadlineExceeded

if TYPE_CHECKING:
    from visor.blocking._asks import Life


class Party:
    """A membership of one session in a directory; made by `Session.party`.

    A member that goes without a word stays a member until its lease has expired. One whose file somebody took away
    becomes a member again by itself, behind the others, as long as its session lives. One object is one member, however
    many threads or tasks use it.
    """

    def __init__(self, session: Life, path: str, *, data: bytes) -> None:
        self._session = session
        self._client = session._client
        self._directory = check_directory(path, "party")
        self._data = check_data(data)
        self._turn = Turn()
        """Whose turn it is to join or to leave."""
        self._place: Place | None = None
        self._gone = False
        """The file of the place was taken away."""

    @property
    def joined(self) -> bool:
        """This member has joined, not left, is still there as far as is known here, and its session lives."""
        return self._place is not None and not self._gone and not self._session.over

    def join(self, *, timeout: float | None = None) -> int:
        """Become a member, and return the rev of that; of one that it is already, where it is one.

        LeaseLost when the session has ended, WrongQueue when something else than a party stands there.
        """
        seconds = self._client.channel.settings.timeout if timeout is None else timeout
        patience = Patience(self._session, self._directory, seconds)
        self._take_turn(patience.left(), seconds)
        try:
            place = self._place
            if place is None or self._gone:
                place = self._enter(patience)
            return place.fence
        finally:
            self._turn.give()

    def leave(self, *, timeout: float | None = None) -> None:
        """Be a member no more; silent when it was none."""
        seconds = LEAVE_SECONDS if timeout is None else in_seconds(timeout)
        self._take_turn(seconds, seconds)
        try:
            place, self._place = self._place, None
            if place is not None:
                self._session._let_go(place.path)
                place.leave(timeout=seconds)
        finally:
            self._turn.give()

    def _take_turn(self, left: float, seconds: float) -> None:
        if not self._turn.take(left):
            raise DeadlineExceeded(
                f"{self._directory}: another join or leave of this member was not done within {seconds:g} s",
                seconds=seconds,
            )

    def _enter(self, patience: Patience) -> Place:
        """Enter, in turn: in a new place, where the former one was taken away."""
        former, place = self._place, Place(self._session, self._directory, MEMBER, self._data)
        try:
            place.enter(patience)
        except BaseException:
            place.leave()
            raise
        self._place, self._gone = place, False
        self._session._hold(place.path, self)
        if former is not None:
            self._session._let_go(former.path)
            self._session._leave_later(former.path)  # somebody may have written over it
        return place

    def _taken_away(self, path: str) -> None:
        place = self._place
        if place is not None and place.path == path:
            self._gone = True

    def _restore(self, path: str, timeout: float) -> None:
        """Become a member again after the file at `path` was taken away."""
        patience = Patience(self._session, self._directory, timeout)
        if not self._turn.take(timeout):
            return  # the next look at the session comes soon
        try:
            place = self._place
            if place is not None and place.path == path and self._gone:
                self._enter(patience)
        finally:
            self._turn.give()

    def members(self, *, timeout: float | None = None) -> list[Contender]:
        """Return who is there, in the order of joining; WrongQueue when it is the queue of something else."""
        return standing_at(self._client, self._directory, PARTY, timeout)

    def observe(self, *, timeout: float | None = None) -> Iterator[list[Contender]]:
        """Iterate over the members: who is there now, and again after every change.

        `timeout` is for the beginning; then it waits for ever.
        """
        roll = Roll(self._client, self._directory, PARTY, timeout)
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
