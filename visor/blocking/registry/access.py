# Generated from visor/aio/registry/access.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""How the domain reads and writes: whole listings at one rev, and plans as transactions.

It speaks the protocol's arrays itself, one request a page: a listing of 100 000 instances makes no object per file
but the one that the caller wants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from visor._core.backoff import Backoff, Deadline
from visor._core.registry.ids import block
from visor._core.registry.layout import UID
from visor._core.registry.model import Mark
from visor._core.registry.plan import Plan, Refused, Version
from visor._core.registry.schema import text
from visor.errors import DeadlineExceeded, NotFound
from visor.protocol import verbs
from visor.select import Selector

if TYPE_CHECKING:
    from visor._drivers.blocking.driver import Pauses
    from visor.blocking.client import Client

CONTEST = Backoff(base=0.01, factor=1.6, most=0.3)
"""Between attempts that others have won. Shorter than after a lost connection: each time another one has got on."""

Row = tuple[str, Version]
"""(path, version) of a file."""


class Hurry:
    """What the requests of one call share: the moment until which all must be done."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self.wrote = False
        """Something was written, or may have been."""

    def left(self) -> float:
        """Return the seconds for the next request; DeadlineExceeded when there are none: nothing is sent."""
        left = self._deadline.left()
        if left <= 0:
            seconds = self._deadline.whole
            done = ": what was done until then stays" if self.wrote else ""
            raise DeadlineExceeded(f"not done within {seconds:g} s{done}", seconds=seconds)
        return left


class Asking(Protocol):
    """What knows the way to the registry: the registry itself, the domain at a rev, its objects."""

    @property
    def _access(self) -> Access: ...


class Sight(Asking, Protocol):
    """The domain at a rev, as far as helpers look at it: they do not know what it lists."""

    @property
    def rev(self) -> int:
        """The rev."""

    def at(self, rev: int) -> Self:
        """Return the domain at another rev."""

    def _within(self, timeout: float | None) -> Self:
        """Return this for one call of several requests, which share `timeout`."""


S = TypeVar("S", bound=Sight)


def access_of(part: Asking) -> Access:
    """Return how a part of the domain asks and writes. It is no name of the part: users see those."""
    return part._access


def within(view: S, timeout: float | None) -> S:
    """Return the domain at that rev, for a call that may take `timeout` seconds (None: each request its own)."""
    return view._within(timeout)


class Access:
    """A client, a clock and dice. `time` says now as RFC 3339; `actor` is who writes."""

    __slots__ = (
        "_clock",
        "_hurry",
        "_path",
        "_relative",
        "actor",
        "client",
        "random",
        "unhurried",
    )

    def __init__(self, client: Client[Any], clock: Callable[[], float], random: Random) -> None:
        self.client = client
        self.random = random
        self.actor: str = text("actor", client.channel.settings.actor)
        self._clock = clock
        self._path = client.channel.root.path
        self._relative = client.channel.root.relative
        self._hurry: Hurry | None = None
        self.unhurried: Access = self
        """The same without the deadline of one call: what a call returns works with that."""

    def within(self, timeout: float | None) -> Access:
        """Return this for one call of several requests: all of them together have `timeout` seconds.

        Itself for None: then each request has the time that was given to `dial`.
        """
        if timeout is None:
            return self
        hurried = Access(self.client, self._clock, self.random)
        hurried._hurry = Hurry(self.client.channel.driver.deadline(timeout))
        hurried.unhurried = self.unhurried
        return hurried

    def time(self) -> str:
        """Return the time as RFC 3339 in UTC with milliseconds."""
        moment = datetime.fromtimestamp(self._clock(), UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"

    def who(self, by: str | None) -> str:
        """Return who does something: the actor unless it is said. BadValue for what is no text."""
        return self.actor if by is None or by == "" else text("by", by)

    def mark(self, by: str | None, reason: str) -> Mark:
        """Return who did something, when (now) and why. BadValue for what is no text."""
        return Mark(self.who(by), text("reason", reason), self.time())

    def pauses(self) -> Pauses:
        """Return the pauses between attempts within the deadline of the call (without one: in the time of `dial`)."""
        return self.client.channel.driver.pauses(self.left(), CONTEST)

    def left(self) -> float | None:
        """Return the seconds that the call has left, None when it has no deadline; DeadlineExceeded for none left."""
        return None if self._hurry is None else self._hurry.left()

    def _to_write(self, timeout: float | None) -> float | None:
        """Return how long a write may take for which the caller gave `timeout`."""
        seconds = self.left() if timeout is None else timeout
        if self._hurry is not None:
            self._hurry.wrote = True
        return seconds

    def _ask(self, message: list[Any]) -> Any:
        return self.client.channel.call(message, False, self.left())

    # -- reading --------------------------------------------------------------------------------------
    def rev(self) -> int:
        """Return the latest rev."""
        return self.client.rev(timeout=self.left())

    def get(self, path: str, at: int | None = None) -> tuple[int, Version | None]:
        """Return the rev that was read and the file's version, None when there is none."""
        message = [verbs.GET, 0, self._path(path), at]
        rev, version = self._ask(message)
        return rev if at is None else at, version

    def scan(
        self,
        what: Selector,
        at: int | None = None,
        *,
        keys: bool = False,
        limit: int | None = None,
    ) -> tuple[int, list[Row]]:
        """Return the rev that was read and the files that match, in path order, at most `limit`."""
        found: list[Row] = []
        read = 0
        for rev, rows in self.pages(what, at, keys=keys, limit=limit):
            read = rev
            found += rows
        return read, found

    def pages(
        self,
        what: Selector,
        at: int | None = None,
        *,
        keys: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[int, list[Row]]]:
        """Iterate over the same by pages, each with the rev that was read; there is at least one."""
        selector = self.client.channel.root.selector(what)
        options = {"keys": True} if keys else {}
        cursor: object = None
        left = limit
        while True:
            message = [verbs.SCAN, 0, selector, at, 0, cursor, left or 0, options]
            at, rows, cursor = (self._ask(message))[:3]
            if self.client.root != "/":
                rows = [(self._relative(path), version) for path, version in rows]
            yield (at if at is not None else 0), rows
            if left is not None:
                left -= len(rows)
            if cursor is None or left == 0:
                return

    def count(self, what: Selector, at: int | None = None) -> tuple[int, int]:
        """Return the rev that was read, and how many files match."""
        selector = self.client.channel.root.selector(what)
        cursor: object = None
        count = 0
        while True:
            message = [verbs.SCAN, 0, selector, at, 0, cursor, 0, {"count": True}]
            rev, _, cursor, more = self._ask(message)
            at = rev if at is None else at
            count += more
            if cursor is None:
                return at, count

    def sizes(self, directory: str, at: int | None = None) -> dict[str, int]:
        """Return how many direct entries each directory in `directory` has."""
        sizes: dict[str, int] = {}
        cursor: object = None
        while True:
            message = [verbs.LIST, 0, self._path(directory), at, 0, cursor, 0]
            try:
                at, rows, cursor = self._ask(message)
            except NotFound:
                return sizes
            sizes.update({row[0]: row[2] for row in rows if row[1] == verbs.N_DIRECTORY})
            if cursor is None:
                return sizes

    # -- writing --------------------------------------------------------------------------------------
    def commit(self, plan: Plan, timeout: float | None = None) -> int | Refused:
        """Send the transaction: the rev that it took, or what was found instead of what it needs."""
        full = self._path
        message = [
            verbs.TXN,
            0,
            0,
            [[kind, full(path), arg] for kind, path, arg in plan.guards],
            [[kind, full(path), *rest] for kind, path, *rest in plan.writes],
            [[verbs.T_GET, full(path)] for path in plan.look],
            plan.note,
        ]
        rev, succeeded, results = self.client.channel.call(message, True, self._to_write(timeout))
        if succeeded:
            return int(rev)
        return Refused(rev, dict(zip(plan.look, results, strict=True)))

    def uid(self, timeout: float | None = None) -> int:
        """Return a number that nobody else gets: the rev of a write that cannot fail for others' sake."""
        message = [verbs.SET, 0, 0, self._path(UID), b""]
        rev: int = self.client.channel.call(message, True, self._to_write(timeout))
        return rev

    def ids(self, count: int, timeout: float | None = None) -> list[int]:
        """Return ids for so many new instances or tickets, in rising order, later ones always higher."""
        return block(self.uid(timeout), count)
