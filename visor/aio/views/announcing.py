"""Announcing: a service says where it is and what it provides, as long as it lives."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from visor import codecs, paths
from visor._follow.errors import Stopped
from visor._log import log
from visor._public import public
from visor._views.endpoint import Endpoint, encode, file_name
from visor._views.partition import Partition
from visor.aio._signal import Signal
from visor.aio.views.locator import DIRECTORY
from visor.errors import ClientUnusable, LeaseLost, LeaseNotFound, Rejected, VisorError

if TYPE_CHECKING:
    from visor.aio.client import Client
    from visor.aio.lease import Lease


class Announcement:
    """An announcement of a service; made by `announce`. Gone from the registry when it is closed or its process dies.

    Should its lease be lost (the process or the network stood still for longer than `ttl`), it is made
    again as soon as the registry can be reached.
    """

    def __init__(self, client: Client[Any], endpoint: Endpoint, path: str, ttl: float) -> None:
        self._client = client
        self._endpoint = endpoint
        self._file = paths.join(path, file_name(endpoint.id))
        self._ttl = ttl
        self._lease: Lease | None = None
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
        return self._lease is not None and self._lease.time_left() > 0

    @property
    def error(self) -> VisorError | None:
        """Why it cannot be made again, when that is so."""
        return self._error

    async def start(self, *, timeout: float | None = None) -> Announcement:
        """Announce it, and keep it announced; `with` does it."""
        await self._make(timeout)
        self._runner = self._client._driver.spawn(self, self._run)
        return self

    async def _make(self, timeout: float | None) -> None:
        lease = await self._client.lease(self._ttl, timeout=timeout)
        try:
            await self._write(lease, timeout)
        except BaseException:
            await lease.close()
            raise
        self._lease = lease

    async def _write(self, lease: Lease, timeout: float | None) -> None:
        data = encode(self._endpoint)
        await self._client.set(self._file, data, codec=codecs.BYTES, lease=lease, timeout=timeout)

    async def _run(self) -> None:
        attempt = 0
        while not self._closed and self._lease is not None:
            if not await self._lease.wait_over(timeout=1.0):
                attempt = 0
                continue
            if self._closed:
                return
            try:
                await self._make(None)
                log.info("%s is announced again after its lease was lost", self._endpoint)
            except (ClientUnusable, Rejected) as error:
                self._error = error
                log.warning("%s cannot be announced again: %s", self._endpoint, error)
                return
            except VisorError as error:
                log.info("%s is not announced: %s", self._endpoint, error)
            settings = self._client._settings
            await self._signal.until(lambda: self._closed, settings.backoff.pause(attempt, settings.random))
            attempt += 1

    async def update(
        self,
        *,
        features: int | None = None,
        partition: Partition | None = None,
        annotations: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Announce something else at the same address; what is left out stays as it is.

        When the lease has just been lost, it comes with the next announcement.
        """
        endpoint = self._endpoint
        self._endpoint = replace(
            endpoint,
            features=endpoint.features if features is None else int(features),
            partition=endpoint.partition if partition is None else partition,
            annotations=endpoint.annotations if annotations is None else annotations,
        )
        if self._lease is None or self._closed:
            raise Stopped("the announcement is closed")
        try:
            await self._write(self._lease, timeout)
        except (LeaseLost, LeaseNotFound) as error:
            log.info("%s is announced with its next lease: %s", self._endpoint, error)

    async def close(self) -> None:
        """Take it back: idempotent, bounded (two seconds), silent."""
        self._closed = True
        self._signal.fire()
        if self._lease is not None:
            await self._lease.close()
        if self._runner is not None:
            await self._client._driver.join(self._runner)

    async def __aenter__(self) -> Announcement:
        return self if self._runner is not None else await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

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
    """
    endpoint = Endpoint(host, port, network, int(features), partition, dict(annotations or {}))
    return Announcement(client, endpoint, path, ttl)


public("visor.aio.views", Announcement, announce)
