# Generated from visor/aio/recipes/_place.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""A contender's place in a queue: a file of its own, attached to the lease of its session.

The name of the file is fixed before anything is sent. So whatever becomes of an answer, the same contender never stands
in the queue twice, and what it may have left there is found again, or goes with the session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from visor import op, select
from visor._core.log import log
from visor._core.recipes.holding import BasePatience
from visor._core.recipes.queue import MARK, QUEUES, Contender, queue_at, queue_of
from visor.blocking.snapshot import File
from visor.codecs import BYTES
from visor.errors import (
    ClientClosed,
    Compacted,
    DeadlineExceeded,
    LeaseLost,
    LockLost,
    NotFound,
    Rejected,
    Unavailable,
    VisorError,
    WriteTimeout,
)
from visor.guard import Guard, missing
from visor.values import Kind, Result

if TYPE_CHECKING:
    from visor.blocking._asks import Asks, Life

R = TypeVar("R")

PAUSE_SECONDS = 0.1
"""After an attempt that was refused at once."""
LEAVE_SECONDS = 2.0
GOING = (Kind.DELETE, Kind.EXPIRE)


def files_in(client: Asks[Any], directory: str, timeout: float | None) -> list[File[bytes]]:
    """Return the files directly in a directory, all at one rev."""
    files = []
    for file in client.scan(select.children(directory), codec=BYTES, timeout=timeout):
        files.append(file)
    return files


def standing_at(client: Asks[Any], directory: str, queue: str, timeout: float | None) -> list[Contender]:
    """Return who stands in the queue at `directory`, the first one first; WrongQueue when it is another's."""
    return queue_at(directory, files_in(client, directory, timeout), queue)


class Patience(BasePatience):
    """How long an acquisition may take: until its deadline, and no longer than its session lives."""

    _session: Life

    def __init__(self, session: Life, directory: str, timeout: float | None) -> None:
        driver = session._client.channel.driver
        super().__init__(session, directory, None if timeout is None else driver.deadline(timeout))

    def do(self, request: Callable[[float], R]) -> R:
        """Make a request that may be repeated, until it is answered or there is no time left."""
        left = self.left()
        while True:
            try:
                return request(left)
            except (Unavailable, WriteTimeout) as error:
                cause = error
            self._session.wait_over(PAUSE_SECONDS)
            self._session.check()
            if self._deadline is not None and not self._deadline.left():
                # It was not a contender that was in the way.
                raise DeadlineExceeded(seconds=self._deadline.whole) from cause
            left = self.left()


def _squatted(result: Result, lease: int) -> bool:
    """Say whether a place that could not be entered is taken by a file of another lease, or of none."""
    found: Any = result.results[0]
    return found is not None and found.lease != lease


class Place:
    """One contender of `session` in the queue `directory`."""

    def __init__(self, session: Life, directory: str, kind: str, data: bytes) -> None:
        self._session = session
        self._client = session._client
        self.directory = directory
        self._kind = kind
        self._queue = QUEUES[kind]
        self.name = session._contender(kind)
        self.path = f"{directory}/{self.name}"
        self.data = data
        self.fence = 0
        """The rev at which it entered; 0 before."""
        self.rev = 0
        """The rev that wrote its file last, as far as is known here: what a write compares with."""

    def holds(self, file: Any) -> bool:
        """Say whether the file (None: there is none) is this contender's: judged by what stays while it stands.

        That is when it was created and the lease that it is attached to; its rev moves whenever it is written.
        """
        mine = file is not None and file.created == self.fence and file.lease == self._session.id
        if mine:
            self.wrote(file.mod_rev)
        return mine

    def wrote(self, rev: int) -> None:
        """The file was written at `rev`, if that is news."""
        self.rev = max(self.rev, rev)

    def enter(self, patience: Patience, guards: tuple[tuple[str, Guard], ...] = ()) -> bool:
        """Enter the queue, or find the place that an earlier attempt took; return whether it is alone there.

        LookupError when `guards` do not hold, WrongQueue when something else stands there.
        """

        def request(timeout: float) -> Result:
            return self._client.txn(
                ((self.path, missing()), *guards),
                then=[op.set(self.path, self.data, lease=self._session), op.ls(self.directory)],
                orelse=[op.get(self.path)],
                codec=BYTES,
                timeout=timeout,
            )

        result = patience.do(request)
        while not result.succeeded and _squatted(result, self._session.id):
            # A stranger's file stands where this contender's would be.
            self.name = self._session._contender(self._kind)
            self.path = f"{self.directory}/{self.name}"
            result = patience.do(request)
        if result.succeeded:
            self.fence = self.rev = result.rev
            names: Any = result.results[1]
            if any(queue_of(name) not in (None, self._queue) for name, _ in names):
                self.look(patience)  # raises if they stand before this one
            return len(names) == 1
        mine: Any = result.results[0]
        if mine is None:
            raise LookupError("a guard does not hold")
        self.fence, self.rev = mine.created, mine.mod_rev
        self.look(patience)
        return False

    def look(self, patience: Patience) -> tuple[int, list[Contender], dict[str, File[bytes]]]:
        """Return a rev, and at that rev the queue in order and the other files of its directory by name.

        LockLost when this contender is not in the queue any more, LeaseLost when that is because the session has ended,
        WrongQueue when it is the queue of something else.
        """

        def request(timeout: float) -> list[File[bytes]]:
            return files_in(self._client, self.directory, timeout)

        files = patience.do(request)
        queue = queue_at(self.directory, files, self._queue)
        if not any(one.path == self.path and one.fence == self.fence for one in queue):
            # If the session has ended, so has all else that it holds: that is to be known before anybody hears of this.
            patience.do(self._session._ask)
            raise LockLost(path=self.directory, fence=self.fence or None, lease=self._session.id)
        named = {file.path.rpartition("/")[2]: file for file in files}
        marks = {name: file for name, file in named.items() if name.startswith(MARK)}
        return files[0].rev, queue, marks

    def wait_gone(self, path: str, rev: int, patience: Patience) -> None:
        """Wait until the file at `path`, which is there at `rev`, is deleted or expires; it may return before."""
        self.follow(select.path(path), rev, patience, lambda gone: False)

    def follow(
        self, what: select.Selector, rev: int, patience: Patience, gone: Callable[[str], bool]
    ) -> None:
        """Call `gone(path)` for what goes after `rev`, until it returns False. LeaseLost when the session ends.

        It may return before that: when history went on without this client, which then has to look again.
        """
        session = self._session

        def request(timeout: float) -> Any:
            return self._client.watch(what, rev + 1, kinds=GOING, keys=True, timeout=timeout)

        try:
            watch = patience.do(request)
        except Compacted:
            return
        # A watch that is closed ends the waiting for it; the callback's own thread or task sees to that.
        interrupt = lambda state: watch.close()  # noqa: E731
        session._on_over(interrupt)
        try:
            session.check()
            while True:
                commit = watch.next(timeout=patience.wait())
                for change in commit.changes:
                    if not gone(change.path):
                        return
        except Compacted:
            return
        except DeadlineExceeded:
            patience.left()  # raises, and says who was in the way
        except ClientClosed:
            session.check()
            raise
        finally:
            session._off_over(interrupt)
            watch.close()

    def leave(self, *, timeout: float | None = None) -> None:
        """Leave the queue if this contender stands in it. What cannot be done now is done in the background."""
        if self._session.over:
            return  # it went with the lease, or will
        try:
            self._client.delete(self.path, timeout=LEAVE_SECONDS if timeout is None else timeout)
        except (NotFound, LeaseLost):
            pass
        except Rejected as error:
            log.warning("%s cannot be deleted, it goes with its lease: %s", self.path, error)
        except VisorError:
            self._session._leave_later(self.path)
        except BaseException:
            self._session._leave_later(self.path)
            raise
