# Generated from visor/aio/following/follow.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Following: a source's batches become the calls of a follower."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Generic

from visor._core.backoff import seconds_or_ever
from visor._core.following.errors import ReaderDropped, WatcherClosed
from visor._core.following.follower import Follower, Telling
from visor._core.generic import N
from visor._core.log import log
from visor._core.public import public
from visor._drivers.blocking.signal import Signal
from visor.blocking.following.source import Followable, Reader
from visor.errors import DeadlineExceeded


def follow(source: Followable[N], follower: Follower[N], *, coalesce: bool = False) -> None:
    """Tell the follower of what is there and of what becomes of it, for ever.

    First everything that is there, in pieces of bounded size, then batch after batch: each commit is one,
    and with `coalesce` all that happened while the follower was busy (its latest state, not each step).
    Raises what a callback raised, or what ended the source; `Following` does the same in the background.
    """
    Following(source, follower, coalesce=coalesce).run()


class Following(Generic[N]):
    """One follower at work; `start` runs it in the background, `run` here and now.

    with Following(mirror, follower) as following:
        ...
        error = following.wait()        # returned, not raised
    """

    def __init__(self, source: Followable[N], follower: Follower[N], *, coalesce: bool = False) -> None:
        self._source = source
        self._driver = source._driver
        self._coalesce = coalesce
        self._reader: Reader[N] = source.reader(coalesce=coalesce)
        self._telling = Telling(follower)
        self._signal = Signal()
        self._runner: Any = None
        self._rev = 0
        self._error: BaseException | None = None
        self._ended = False
        self._closed = False

    @property
    def rev(self) -> int:
        """The rev whose state the follower knows with the last `batch_done`; 0 before the end of the backlog."""
        return self._rev

    @property
    def error(self) -> BaseException | None:
        """What ended it: what a callback raised, or why the source ended; None while it runs or after `close`."""
        return self._error

    def start(self) -> Following[N]:
        """Run in the background: a task, or a thread."""
        self._runner = self._driver.spawn(self, self._run)
        return self

    def wait(self, *, timeout: float | None = None) -> BaseException | None:
        """Wait until it ends, and return what ended it; None after `close`. DeadlineExceeded."""
        seconds = seconds_or_ever(timeout)
        if not self._signal.until(lambda: self._ended, seconds):
            raise DeadlineExceeded(f"still following after {seconds or 0.0:g} s", seconds=seconds or 0.0)
        return self._error

    def close(self) -> None:
        """End it: idempotent, bounded (a second); may be called from the follower."""
        self._closed = True
        self._reader.close()
        if self._runner is not None:
            self._driver.join(self._runner)

    def __enter__(self) -> Following[N]:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            self.run()
        except BaseException as error:
            log.info("following ended at rev %d: %r", self._rev, error)
            if not isinstance(error, Exception):
                raise

    def run(self) -> None:
        """Follow until it is closed; raise what ended it otherwise."""
        try:
            while not self._closed:
                self._turn()
        except WatcherClosed:
            if not self._closed:
                raise
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._ended = True
            self._signal.fire()
            self._reader.close()

    def _turn(self) -> None:
        try:
            batch = self._reader.next()
        except ReaderDropped as error:
            # The mirror goes on without this follower: look at all it has and find out what was missed.
            log.info("looking at everything again: %s", error)
            self._telling.look_again()
            self._reader = self._source.reader(coalesce=self._coalesce)
            return
        for call in self._telling.calls(batch):
            self._driver.outcome(call())
            if self._closed:
                return
        self._rev = batch.rev or self._rev
        self._driver.outcome(self._telling.follower.batch_done())

    def __repr__(self) -> str:
        state = "ended" if self._ended else f"at rev {self._rev}"
        return f"<visor following of {self._source!r}, {state}>"


public("visor.following", Following, follow)
