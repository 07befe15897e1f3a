# Generated from visor/aio/views/announcing.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Announcing: a service says where it is and what it provides, as long as it lives."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from visor import codecs, paths
from visor._core.following.errors import Stopped
from visor._core.log import log
from visor._core.public import public
from visor._core.views.endpoint import Endpoint, encode, file_name, wrong
from visor._core.views.partition import Partition
from visor._drivers.blocking.signal import Signal
from visor._drivers.blocking.turn import Turn
from visor.blocking.views.locator import DIRECTORY
from visor.errors import (
    ClientUnusable,
    Conflict,
    DeadlineExceeded,
    LeaseLost,
    LeaseNotFound,
    NotFound,
    Rejected,
    VisorError,
)
from visor.guard import Guard, missing
from visor.guard import rev as at_rev

if TYPE_CHECKING:
    from visor.blocking.client import Client
    from visor.blocking.session import Session
    from visor.blocking.snapshot import File

MOST_PAUSE = 1.0
"""Seconds between two looks at whether it is still announced; a third of the time to live where that is shorter."""


class Announcement:
    """An announcement of a service; made by `announce`. Gone from the registry when it is closed or its process dies.

    As long as the process lives it comes back by itself. Should its lease be lost (the process or the network stood
    still for longer than `ttl`), it is made again as soon as the registry can be reached; should somebody delete it, or
    detach it from its lease, after a third of `ttl`. A later announcement of the same address takes its place: then it
    stays away until that one is gone.
    """

    def __init__(self, client: Client[Any], endpoint: Endpoint, path: str, ttl: float) -> None:
        self._client = client
        self._endpoint = checked(endpoint)
        self._file = paths.join(path, file_name(endpoint.id))
        self._ttl = ttl
        self._lease: Session | None = None
        self._turn = Turn()
        """Whose turn it is to write the file."""
        self._rev = 0
        """The rev that wrote the file last, as far as is known; 0 when it is not there, or another's."""
        self._former = 0
        """The lease before this one: what the registry still has of it is ours."""
        self._signal = Signal()
        self._runner: Any = None
        self._closed = False
        self._error: VisorError | None = None

    @property
    def endpoint(self) -> Endpoint:
        """What is announced."""
        return self._endpoint

    @property
    def path(self) -> str:
        """The file that says it."""
        return self._file

    @property
    def held(self) -> bool:
        """Whether the registry has it for sure, as far as this process can know without asking."""
        return self._lease is not None and self._rev > 0 and self._lease.time_left() > 0

    @property
    def error(self) -> VisorError | None:
        """Why it cannot be made again, when that is so."""
        return self._error

    def start(self, *, timeout: float | None = None) -> Announcement:
        """Announce it, and keep it announced; `with` does it. It takes the place of an earlier one."""
        self._make(timeout, take=True)
        self._runner = self._client.channel.driver.spawn(self, self._run)
        return self

    def _make(self, timeout: float | None, *, take: bool) -> None:
        """Take a lease, and announce it with that; `take`: also where another one announces the same address."""
        seconds = self._client.channel.settings.timeout if timeout is None else timeout
        left = self._client.channel.driver.deadline(seconds).left
        lease = self._client.session(self._ttl, timeout=left())
        try:
            self._take_turn(left(), seconds)
            try:
                if self._closed:
                    raise Stopped("the announcement is closed")
                if self._lease is not None:
                    self._former = self._lease.id
                self._rev = self._write(lease, None, left()) if take else 0
                self._lease = lease
                if not take:
                    self._claim(left)
            finally:
                self._turn.give()
        except BaseException:
            lease.close()
            raise
        lease._hold(self._file, self)

    def _take_turn(self, left: float, seconds: float) -> None:
        if not self._turn.take(left):
            raise DeadlineExceeded(seconds=seconds)

    def _write(self, lease: Session, condition: Guard | None, timeout: float) -> int:
        data = encode(self._endpoint)
        return self._client.set(
            self._file, data, codec=codecs.BYTES, guard=condition, lease=lease, timeout=timeout
        )

    def _taken_away(self, path: str) -> None:
        """The file is not attached to this announcement's lease any more."""
        self._rev = 0

    def _restore(self, path: str, timeout: float) -> None:
        """The runner brings it back: it also knows of writes whose outcome is unknown."""

    def _claim(self, left: Callable[[], float]) -> None:
        """Write the file unless it is there, in turn; where it is another's, leave it alone."""
        lease = self._lease
        if lease is None or self._closed:
            return
        found = self._found(left())
        if found is not None and found.lease == lease.id and found.data == encode(self._endpoint):
            self._rev = found.mod_rev
            return
        if found is not None and found.lease not in (0, lease.id, self._former):
            log.info("%s is announced by another one, with lease %d", self._endpoint, found.lease)
            return
        condition = missing() if found is None else at_rev(found.mod_rev)
        try:
            self._rev = self._write(lease, condition, left())
            log.info("%s is announced again", self._endpoint)
        except (Conflict, NotFound) as error:
            log.info("%s is not announced, somebody else was faster: %s", self._endpoint, error)

    def _found(self, timeout: float) -> File[bytes] | None:
        try:
            return self._client.get(self._file, codec=codecs.BYTES, timeout=timeout)
        except NotFound:
            return None

    # -- as long as it lives --------------------------------------------------------------------------
    def _run(self) -> None:
        attempt = 0
        settings = self._client.channel.settings
        while not self._closed and self._lease is not None:
            over = self._lease.wait_over(timeout=min(MOST_PAUSE, self._ttl / 3))
            if self._closed:
                return
            if self._rev and not over:
                attempt = 0
                continue
            try:
                self._come_back(over=over)
                self._error = None
            except Stopped:
                return
            except ClientUnusable as error:
                self._error = error
                return
            except VisorError as error:
                self._note(error)
            self._signal.until(lambda: self._closed, settings.backoff.pause(attempt, settings.random))
            attempt += 1

    def _come_back(self, *, over: bool) -> None:
        """Announce it with another lease when its own is over, or with its own, unless it is another's."""
        if over:
            self._make(None, take=False)
            return
        seconds = self._client.channel.settings.timeout
        left = self._client.channel.driver.deadline(seconds).left
        self._take_turn(left(), seconds)
        try:
            self._claim(left)
        finally:
            self._turn.give()

    def _note(self, error: VisorError) -> None:
        """Note why it could not come back now: it is tried again, for what refuses it may pass."""
        if isinstance(error, Rejected) and type(error) is not type(self._error):
            log.warning("%s cannot be announced again: %s", self._endpoint, error)
        else:
            log.info("%s is not announced: %s", self._endpoint, error)
        self._error = error if isinstance(error, Rejected) else self._error

    def update(
        self,
        *,
        features: int | None = None,
        partition: Partition | None = None,
        annotations: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Announce something else at the same address; what is left out stays as it is.

        When the lease has just been lost, it comes with the next announcement; when another one announces the same
        address, as soon as that one is gone. ValueError, TypeError as for `announce`.
        """
        if self._lease is None or self._closed:
            raise Stopped("the announcement is closed")
        seconds = self._client.channel.settings.timeout if timeout is None else timeout
        left = self._client.channel.driver.deadline(seconds).left
        self._take_turn(left(), seconds)
        former = self._endpoint
        try:
            self._endpoint = checked(
                replace(
                    former,
                    features=former.features if features is None else operator.index(features),
                    partition=former.partition if partition is None else partition,
                    annotations=former.annotations if annotations is None else annotations,
                )
            )
            self._renew(self._lease, left)
        except (LeaseLost, LeaseNotFound) as error:
            self._rev = 0
            log.info("%s is announced with its next lease: %s", self._endpoint, error)
        except (Rejected, ValueError, TypeError):
            self._endpoint = former
            raise
        except BaseException:
            self._rev = 0  # what became of it is found out in the background
            raise
        finally:
            self._turn.give()

    def _renew(self, lease: Session, left: Callable[[], float]) -> None:
        """Write what is announced now, in turn, where the file is this announcement's."""
        if self._rev:
            try:
                self._rev = self._write(lease, at_rev(self._rev), left())
                return
            except (Conflict, NotFound):
                self._rev = 0  # somebody else was there
        self._claim(left)

    def close(self) -> None:
        """Take it back: idempotent, bounded (two seconds), silent."""
        self._closed = True
        self._signal.fire()
        if self._lease is not None:
            self._lease.close()
        if self._runner is not None:
            self._client.channel.driver.join(self._runner)

    def __enter__(self) -> Announcement:
        return self if self._runner is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<visor announcement of {self._endpoint}, {'held' if self.held else 'not held'}>"


def announce(
    client: Client[Any],
    host: str,
    port: int | None,
    *,
    features: int = 0,
    partition: Partition | None = None,
    annotations: Mapping[str, str] | None = None,
    network: str = "tcp",
    path: str = DIRECTORY,
    ttl: float = 10.0,
) -> Announcement:
    """Return an announcement of the service at `host` and `port`, to be used in a `with` block or started.

    `features` are bits of the user's own enum, `ttl` is after how many seconds without a sign of life it goes.
    ValueError for what no reader could use: a host that is neither a name nor an IP address, a port above 65535.
    """
    endpoint = Endpoint(host, port, network, operator.index(features), partition, dict(annotations or {}))
    return Announcement(client, endpoint, path, ttl)


def checked(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint; ValueError when readers could not use it."""
    why = wrong(endpoint)
    if why is not None:
        raise ValueError(f"{endpoint.host!r} cannot be announced: {why}")
    return endpoint


public("visor.views", Announcement, announce)
