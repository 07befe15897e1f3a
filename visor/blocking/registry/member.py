# Generated from visor/aio/registry/member.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Runners, loggers, proxies and process managers: who takes part, and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from visor import select
from visor._core.backoff import in_seconds
from visor._core.log import log
from visor._core.public import public
from visor._core.registry import control, layout, registrations
from visor._core.registry.errors import AlreadyRegistered
from visor._core.registry.model import RunnerRecord
from visor._core.registry.objects import BaseMember, BaseRunner
from visor._core.registry.plan import Refused
from visor._core.registry.records import decode, encode
from visor._drivers.blocking.control import ask
from visor.blocking.registry.access import access_of
from visor.blocking.registry.base import Registered
from visor.codecs import BYTES
from visor.errors import DecodeError, NotFound, Rejected
from visor.values import Commit

if TYPE_CHECKING:
    from visor.blocking.registry.snapshot import Snapshot
    from visor.blocking.watch import Watch


class Runner(Registered, BaseRunner):
    """The runner of an instance at HOST:PORT, at a rev."""

    __slots__ = ()

    def register(self, *, timeout: float | None = None) -> Runner:
        """Register it; Exists when there is one at this address."""
        path = layout.runner(self.host, self.port)
        what = f"runner {self.addr}"
        if self.is_registered:
            raise AlreadyRegistered(f"{what}: is registered already", path=path, actual=self._mod_rev)
        record = replace(self._record, registered=self._access.time())
        done = self._access.commit(registrations.create(path, encode(record), self.rev), timeout)
        if isinstance(done, Refused):
            raise registrations.why(what, path, self.rev, done, created=True)
        return Runner(self._view.at(done), record, done)

    def unregister(self, *, timeout: float | None = None) -> Runner:
        """Take it out; NotFound when it is not registered."""
        path = layout.runner(self.host, self.port)
        what = f"runner {self.addr}"
        if not self.is_registered:
            raise NotFound(f"{what}: not registered", path=path, rev=self.rev)
        done = self._access.commit(registrations.remove(path, self._mod_rev), timeout)
        if isinstance(done, Refused):
            raise registrations.why(what, path, self.rev, done)
        return Runner(self._view.at(done), replace(self._record, registered=None), 0)

    def raw(self, command: str, *, timeout: float = 5.0) -> str:
        """Send it one line and return its one-line answer; Unavailable when it cannot be reached.

        Three tries to connect, half a second apart, within `timeout` seconds in all.
        """
        return ask(self.host, self.port, control.checked(command), in_seconds(timeout))

    def status(self, *, timeout: float = 5.0) -> tuple[str, int, int]:
        """Return the state of its process, since how many seconds, and how often it was started again."""
        return control.status(self.raw("status", timeout=timeout))

    def pid(self, *, timeout: float = 5.0) -> int:
        """Return the id of its process."""
        return int(self.raw("pid", timeout=timeout))

    def kill(self, *, timeout: float = 5.0) -> None:
        """Have its process killed; Rejected, with the answer, when it does not say OK."""
        _expect_ok("kill", self.raw("kill", timeout=timeout))

    def down(self, *, timeout: float = 5.0) -> None:
        """Have its process ended and not started again; Rejected, with the answer, when it does not say OK."""
        _expect_ok("down", self.raw("down", timeout=timeout))


def _expect_ok(command: str, answer: str) -> None:
    if answer != "OK":
        raise Rejected(f"the runner answered {answer!r:.60} to {command}")


class Member(Registered, BaseMember):
    """A logger, a proxy or a process manager at a rev."""

    __slots__ = ()

    def register(self, *, lease: int = 0, timeout: float | None = None) -> Member:
        """Register it, or register it anew; RevMismatch when it has changed since this rev.

        With a lease it is gone when that ends.
        """
        record = replace(self._record, registered=self._access.time())
        plan = registrations.overwrite(self._path, encode(record), self.rev, lease=lease)
        done = self._access.commit(plan, timeout)
        if isinstance(done, Refused):
            raise registrations.why(f"{self.kind} {self.addr}", self._path, self.rev, done)
        return Member(self._view.at(done), record, done)

    def unregister(self, *, timeout: float | None = None) -> Member:
        """Take it out; NotFound when it is not registered."""
        what = f"{self.kind} {self.addr}"
        if not self.is_registered:
            raise NotFound(f"{what}: not registered", path=self._path, rev=self.rev)
        done = self._access.commit(registrations.remove(self._path, self._mod_rev), timeout)
        if isinstance(done, Refused):
            raise registrations.why(what, self._path, self.rev, done)
        return Member(self._view.at(done), replace(self._record, registered=None), 0)


class RunnerWatch:
    """An endless iterable of `("start" or "stop", runner)`; made by `watch_runner`."""

    def __init__(self, view: Snapshot, watch: Watch[bytes]) -> None:
        self._view = view
        self._watch = watch
        self._ready: list[tuple[str, Runner]] = []

    def next(self, *, timeout: float | None = None) -> tuple[str, Runner]:
        """Return the next one; DeadlineExceeded when none comes in `timeout` seconds (None: wait for ever)."""
        deadline = access_of(self._view).client.channel.driver.deadline(1e9 if timeout is None else timeout)
        while not self._ready:
            commit = self._watch.next(timeout=None if timeout is None else deadline.left())
            self._take(commit)
        return self._ready.pop()

    def _take(self, commit: Commit[bytes]) -> None:
        found = []
        for change in commit.changes:
            data, rev, word = change.data, commit.rev, "start"
            if data is None:
                data, rev, word = change.previous_data, commit.rev - 1, "stop"
            try:
                record = decode(RunnerRecord, data, change.path)
            except DecodeError as error:
                log.warning("a runner cannot be read: %s", error)
                continue
            found.append((word, Runner(self._view.at(rev), record, change.previous_rev or rev)))
        self._ready = found[::-1]

    def __iter__(self) -> Iterator[tuple[str, Runner]]:
        return self

    def __next__(self) -> tuple[str, Runner]:
        while not self._ready:
            self._take(self._watch.__next__())
        return self._ready.pop()

    def close(self) -> None:
        """End it: idempotent, never waits."""
        self._watch.close()

    def __enter__(self) -> RunnerWatch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<visor runner watch, handed out up to {self._watch.rev}>"


def watch_runner(view: Snapshot, host: str | None, rev: int | None, timeout: float | None) -> RunnerWatch:
    """Follow the runners of a host, or of all, from `rev` on."""
    what = select.tree(layout.RUNNERS if host is None else layout.runners(host))
    watch = access_of(view).client.watch(what, rev, previous=True, codec=BYTES, timeout=timeout)
    return RunnerWatch(view, watch)


public("visor.registry", Member, Runner, RunnerWatch)
