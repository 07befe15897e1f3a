"""The asyncio client: the names of `visor`, awaited.

    async with visor.aio.dial("localhost:8046") as client:
        rev = await client.set("/greeting", b"hello")
        file = await client.get("/greeting")

A client belongs to the event loop in which it was dialled; any number of its tasks may use it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterable
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, overload

from visor._core.generic import T
from visor._core.recipes.lease import LeaseState
from visor._core.settings import ReconnectHook, RequestHook
from visor._core.state import ClientState
from visor._drivers.environment import gather
from visor.aio.admin import Admin
from visor.aio.auth import Auth
from visor.aio.client import Client
from visor.aio.following import Mirror, follow, watch_one
from visor.aio.lease import Lease
from visor.aio.recipes import Election, Lock, Party, Semaphore
from visor.aio.session import Session
from visor.aio.snapshot import File, Snapshot
from visor.aio.subscription import Subscription
from visor.aio.transaction import Transaction
from visor.aio.watch import Watch
from visor.codecs import BYTES, Codec

if TYPE_CHECKING:
    from visor._core.tls import TLS
    from visor.aio import following, registry, store, views


class Dialling(Generic[T]):
    """What `dial` returns: await it for the client, or use it in `async with`."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, Client[T]]]) -> None:
        self._start = start
        self._client: Client[T] | None = None

    def __await__(self) -> Generator[Any, None, Client[T]]:
        return self._start().__await__()

    async def __aenter__(self) -> Client[T]:
        self._client = await self._start()
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()

    def __repr__(self) -> str:
        return "<visor client that is not connected yet: await it, or use it in 'async with'>"


@overload
def dial(
    addr: str | Iterable[str] | None = ...,
    root: str | None = ...,
    *,
    timeout: float | None = ...,
    actor: str | None = ...,
    token: str | None = ...,
    on_request: RequestHook | None = ...,
    on_reconnect: ReconnectHook | None = ...,
    discover: bool | None = ...,
    tls: TLS | bool | None = ...,
) -> Dialling[bytes]: ...
@overload
def dial(
    addr: str | Iterable[str] | None = ...,
    root: str | None = ...,
    *,
    codec: Codec[T],
    timeout: float | None = ...,
    actor: str | None = ...,
    token: str | None = ...,
    on_request: RequestHook | None = ...,
    on_reconnect: ReconnectHook | None = ...,
    discover: bool | None = ...,
    tls: TLS | bool | None = ...,
) -> Dialling[T]: ...
def dial(
    addr: str | Iterable[str] | None = None,
    root: str | None = None,
    *,
    codec: Codec[Any] = BYTES,
    timeout: float | None = None,
    actor: str | None = None,
    token: str | None = None,
    on_request: RequestHook | None = None,
    on_reconnect: ReconnectHook | None = None,
    discover: bool | None = None,
    tls: TLS | bool | None = None,
) -> Dialling[Any]:
    """Connect to the registry; the arguments are those of `visor.dial`."""
    settings = gather(addr, root, timeout, actor, token, on_request, on_reconnect, discover=discover, tls=tls)

    async def start() -> Client[Any]:
        client: Client[Any] = Client(settings, codec)
        try:
            await client.connect()
        except BaseException:
            await client.close()
            raise
        return client

    return Dialling(start)


_MODULES = ("following", "registry", "store", "views")

if not TYPE_CHECKING:  # or a checker would take any misspelt name for one that is made here

    def __getattr__(name):
        if name in _MODULES:  # loaded when first asked for, as those of `visor`
            return import_module(f"visor.aio.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Admin",
    "Auth",
    "Client",
    "ClientState",
    "Dialling",
    "File",
    "Lease",
    "LeaseState",
    "Session",
    "Lock",
    "Semaphore",
    "Election",
    "Party",
    "Mirror",
    "Snapshot",
    "Subscription",
    "Transaction",
    "Watch",
    "dial",
    "follow",
    "watch_one",
    "following",
    "registry",
    "store",
    "views",
]


def __dir__() -> list[str]:
    return sorted(__all__)
