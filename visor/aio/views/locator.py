"""Locators: who is there, as a list that is told (static) or kept in the registry (announced)."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from visor import select
from visor._core.backoff import seconds_or_ever
from visor._core.call import nothing_changed
from visor._core.following.errors import Stopped
from visor._core.following.staleness import Staleness
from visor._core.public import public
from visor._core.views.announced import (
    Announced,
    BaseRegistryLocator,
    BaseStaticLocator,
    endpoint_at,
    read_announced,
    same_announced,
)
from visor._core.views.endpoint import Endpoint, Found
from visor._drivers.aio.signal import Signal
from visor.aio.following.local_copy import LocalCopy

if TYPE_CHECKING:
    from visor.aio.client import Client

DIRECTORY = "/views"
"""Where views are announced by default."""


class Locator(Protocol):
    """Knows who is there."""

    def cached(self) -> Found:
        """Return what is known now; version 0 when that is nothing yet."""
        ...

    async def wait_for_update(self, version: int, *, timeout: float | None = None) -> Found:
        """Wait until what is known is newer than `version`, and return it. DeadlineExceeded, Stopped."""
        ...

    async def confirm(self, moment: float, timeout: float) -> bool:
        """Say whether what is known was all there was at a moment of the clock that lies in the past."""
        ...

    async def start(self) -> object:
        """Begin to find out; idempotent."""
        ...

    async def close(self) -> None:
        """End it; idempotent."""
        ...


async def get_nonempty(locator: Locator, *, timeout: float | None = None) -> Found:
    """Wait until the locator knows of an endpoint at least, and return what it knows. DeadlineExceeded."""
    found = locator.cached()
    while not found.endpoints:
        found = await locator.wait_for_update(found.version, timeout=timeout)
    return found


class StaticLocator(BaseStaticLocator):
    """A list that is told: None is nothing yet (version 0), anything else is version 1, `set` makes the next."""

    _signal: Signal

    def __init__(self, endpoints: Iterable[Endpoint] | None = None) -> None:
        super().__init__(endpoints, Signal())
        self._closed = False

    async def wait_for_update(self, version: int, *, timeout: float | None = None) -> Found:
        """Wait for a list newer than `version`, and return it. DeadlineExceeded; Stopped after `close`."""
        seconds = seconds_or_ever(timeout)
        if not await self._signal.until(lambda: self._found.version > version or self._closed, seconds):
            raise nothing_changed(seconds or 0.0)
        if self._found.version <= version:
            raise Stopped()
        return self._found

    async def confirm(self, moment: float, timeout: float) -> bool:
        """A list that is told is all there is."""
        return True

    async def start(self) -> StaticLocator:
        """Nothing has to be found out."""
        return self

    async def close(self) -> None:
        """Waiters get Stopped."""
        self._closed = True
        self._signal.fire()


class RegistryLocator(BaseRegistryLocator):
    """Those who have announced themselves (`announce`) and whose lease is alive."""

    _local_copy: LocalCopy[Announced]

    def __init__(self, client: Client[Any], path: str = DIRECTORY, *, confirm: float = 5.0) -> None:
        super().__init__(path)
        self._local_copy = LocalCopy(
            client, select.children(path), read_announced, same_announced, confirm=confirm, moved=self._moved
        )
        self._started = False

    async def start(self, *, timeout: float | None = None) -> RegistryLocator:
        """Fetch who is there, and follow it from then on; idempotent, `with` does it."""
        if not self._started:
            await self._local_copy.start(timeout)
            self._started = True
        return self

    async def close(self) -> None:
        """End it; idempotent."""
        await self._local_copy.close()

    async def __aenter__(self) -> RegistryLocator:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def staleness(self) -> Staleness:
        """How old what is known may be."""
        return self._local_copy.staleness

    async def wait_for_update(self, version: int, *, timeout: float | None = None) -> Found:
        """Wait for news later than `version`, and return who is there. DeadlineExceeded, Stopped."""
        local_copy = self._local_copy
        seconds = seconds_or_ever(timeout)
        if not await local_copy.until(lambda: self._version > version or local_copy.ended, seconds):
            raise nothing_changed(seconds or 0.0)
        if self._version <= version:
            raise Stopped() from local_copy.error
        return self.cached()

    async def confirm(self, moment: float, timeout: float) -> bool:
        """Ask the registry unless it has vouched for a later moment already."""
        if self._local_copy.asked < moment:
            await self._local_copy.refresh(timeout)
        return self._local_copy.asked >= moment


def locator(config: Mapping[str, Any], client: Client[Any] | None = None) -> Locator:
    """Return the locator that a configuration describes.

    {"type": "static", "endpoints": ["host:port", ...]} or {"type": "registry", "path": "/views"}, which
    needs the client. ValueError for anything else.
    """
    kind = config.get("type")
    if kind == "static":
        return StaticLocator([endpoint_at(text) for text in config.get("endpoints", ())])
    if kind == "registry" and client is not None:
        return RegistryLocator(client, config.get("path", DIRECTORY))
    raise ValueError(f"a locator is static, or registry with a client, not {dict(config)!r}")


public("visor.aio.views", Locator, StaticLocator, RegistryLocator, get_nonempty, locator)
