"""A contender's place in a queue: a file of its own, attached to the lease of its session.

The name of the file is fixed before anything is sent. So whatever becomes of an answer, the same contender never stands
in the queue twice, and what it may have left there is found again, or goes with the session.
"""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from visor import op, select
from visor._backoff import Deadline
from visor._contenders import Contender, in_order
from visor.aio.snapshot import File
from visor.codecs import BYTES
from visor.errors import (
    ClientClosed,
    Compacted,
    DeadlineExceeded,
    LockLost,
    NotFound,
    Unavailable,
    VisorError,
    WriteTimeout,
)
from visor.guard import Guard, missing
from visor.values import Kind, Result

if TYPE_CHECKING:
    from visor.aio.client import Client
    from visor.aio.session import Session

R = TypeVar("R")

PAUSE_SECONDS = 0.1
"""After an attempt that was refused at once."""
LEAVE_SECONDS = 2.0
GOING = (Kind.DELETE, Kind.EXPIRE)


async def files_in(client: Client[Any], directory: str, timeout: float | None) -> list[File[bytes]]:
    """Return the files directly in a directory, all at one rev."""
    files = []
    async for file in client.scan(select.children(directory), codec=BYTES, timeout=timeout):
        files.append(file)
    return files


class Patience:
    """How long an acquisition may take: until its deadline, and no longer than its session lives."""

    def __init__(self, session: Session, timeout: float | None) -> None:
        self._session = session
        self._timeout = timeout
        self._deadline: Deadline | None = (
            None if timeout is None else session._client._driver.deadline(timeout)
        )

    def left(self) -> float:
        """Return the seconds that the next request may take; LeaseLost, DeadlineExceeded when there are none."""
        self._session.check()
        left = self._session.time_left()
        if self._deadline is not None:
            left = min(left, self._deadline.left())
            if left <= 0:
                raise DeadlineExceeded(seconds=self._timeout or 0.0)
        return left

    def wait(self) -> float | None:
        """Return the seconds for which something may be waited for; None for ever."""
        return None if self._deadline is None else self._deadline.left()

    async def do(self, request: Callable[[float], Awaitable[R]]) -> R:
        """Make a request that may be repeated, until it is answered or there is no time left."""
        while True:
            try:
                return await request(self.left())
            except (Unavailable, WriteTimeout) as error:
                try:
                    self.left()
                except DeadlineExceeded as late:
                    raise late from error
            await self._session.wait_over(PAUSE_SECONDS)


class Place:
    """One contender of `session` in the queue `directory`."""

    def __init__(self, session: Session, directory: str, kind: str, data: bytes) -> None:
        if directory in ("", "/"):
            raise ValueError("a lock needs a directory of its own")
        self._session = session
        self._client = session._client
        self.directory = directory
        self.name = session._contender(kind)
        self.path = f"{directory}/{self.name}"
        self.data = data
        self.fence = 0
        """The rev at which it entered; 0 before."""
        self.rev = 0
        """The rev that wrote its file last."""

    async def enter(self, patience: Patience, guards: tuple[tuple[str, Guard], ...] = ()) -> bool:
        """Enter the queue, or find the place that an earlier attempt took; return whether it is alone there.

        LookupError when `guards` do not hold.
        """

        async def request(timeout: float) -> Result:
            return await self._client.txn(
                ((self.path, missing()), *guards),
                then=[op.set(self.path, self.data, lease=self._session), op.ls(self.directory)],
                orelse=[op.get(self.path)],
                codec=BYTES,
                timeout=timeout,
            )

        result = await patience.do(request)
        if result.succeeded:
            self.fence = self.rev = result.rev
            names: Any = result.results[1]
            return len(names) == 1
        mine: Any = result.results[0]
        if mine is None:
            raise LookupError("a guard does not hold")
        self.fence, self.rev = mine.created, mine.mod_rev
        return False

    async def look(self, patience: Patience) -> tuple[int, list[Contender], dict[str, File[bytes]]]:
        """Return a rev, and at that rev the queue in order and the other files of its directory by name.

        LockLost when this contender is not in the queue any more.
        """

        async def request(timeout: float) -> list[File[bytes]]:
            return await files_in(self._client, self.directory, timeout)

        files = await patience.do(request)
        queue = in_order(files)
        if not any(one.path == self.path and one.fence == self.fence for one in queue):
            self._session.check()
            raise LockLost(path=self.directory, fence=self.fence or None, lease=self._session.id)
        marks = {
            file.path.rpartition("/")[2]: file for file in files if file.path.rpartition("/")[2][0] == "@"
        }
        return files[0].rev, queue, marks

    async def wait_gone(self, path: str, rev: int, patience: Patience) -> None:
        """Wait until the file at `path`, which is there at `rev`, is deleted or expires; it may return before."""
        await self.follow(select.path(path), rev, patience, lambda gone: False)

    async def follow(
        self, what: select.Selector, rev: int, patience: Patience, gone: Callable[[str], bool]
    ) -> None:
        """Call `gone(path)` for what goes after `rev`, until it returns False. LeaseLost when the session ends.

        It may return before that: when history went on without this client, which then has to look again.
        """
        session = self._session

        async def request(timeout: float) -> Any:
            return await self._client.watch(what, rev + 1, kinds=GOING, keys=True, timeout=timeout)

        try:
            watch = await patience.do(request)
        except Compacted:
            return
        # A watch that is closed ends the waiting for it; the callback's own thread or task sees to that.
        interrupt = lambda state: watch.close()  # noqa: E731
        session._on_over(interrupt)
        try:
            session.check()
            while True:
                commit = await watch.next(timeout=patience.wait())
                for change in commit.changes:
                    if not gone(change.path):
                        return
        except Compacted:
            return
        except ClientClosed:
            session.check()
            raise
        finally:
            session._off_over(interrupt)
            await watch.close()

    async def leave(self, *, timeout: float | None = None) -> None:
        """Leave the queue if this contender stands in it. What cannot be done now is done in the background."""
        if self._session.over:
            return  # it went with the lease, or will
        try:
            await self._client.delete(self.path, timeout=LEAVE_SECONDS if timeout is None else timeout)
        except NotFound:
            pass
        except VisorError:
            self._session._leave_later(self.path)
        except BaseException:
            self._session._leave_later(self.path)
            raise
