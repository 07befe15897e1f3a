"""How a client is made: `dial`, and `embedded` for a registry inside the process."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, overload

from visor import codecs
from visor._core.generic import T
from visor._core.public import public
from visor._core.settings import ReconnectHook, RequestHook
from visor._drivers.environment import gather
from visor.blocking.client import Client
from visor.codecs import Codec

if TYPE_CHECKING:
    from visor._core.tls import TLS


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
) -> Client[bytes]: ...
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
) -> Client[T]: ...
def dial(
    addr: str | Iterable[str] | None = None,
    root: str | None = None,
    *,
    codec: Codec[Any] = codecs.BYTES,
    timeout: float | None = None,
    actor: str | None = None,
    token: str | None = None,
    on_request: RequestHook | None = None,
    on_reconnect: ReconnectHook | None = None,
    discover: bool | None = None,
    tls: TLS | bool | None = None,
) -> Client[Any]:
    """Connect to the registry.

    `addr`: "host:port", "[v6]:port", "unix:/path", several with commas or as a list, or doozer's
    "doozer:?ca=host:port&ca=..."; default `VISOR_ADDR`, then localhost:8046. Names are resolved at every
    attempt. `root` is put before every path (default `VISOR_ROOT`, then "/"): what lies outside of it does
    not exist for this client. `codec` is for values (default: bytes). `timeout` is for connecting and the
    default of every call, in seconds (`VISOR_TIMEOUT`, then 10). `actor` is named in the history of
    what this client writes (`VISOR_ACTOR`, then user@host), `token` proves who that is (`VISOR_TOKEN`,
    `VISOR_TOKEN_FILE`; "" is none): it is said within TLS, over a Unix socket, or on this machine (localhost) only.
    `tls` is a `TLS(...)`, or True for one with the authorities of the system; False is none, None what
    `VISOR_CACERT` (a file, or "system"), `VISOR_CERT`, `VISOR_KEY` and `VISOR_SERVER_NAME` say, none if they say
    nothing. With it, each node must show a certificate for what was dialled.
    `on_request(verb, path, seconds, error)` is called after every request,
    `on_reconnect(address)` after every connection but the first. With `discover` (`VISOR_DISCOVER`, then true) the
    client also learns where the other members of the cluster listen, and goes there when none of `addr` answers.

    ValueError for a token that would go out in the clear, ValueError or OSError for files that cannot be used,
    DeadlineExceeded when no node answers in time, Denied or Unsupported when it will not have this client.
    """
    settings = gather(addr, root, timeout, actor, token, on_request, on_reconnect, discover=discover, tls=tls)
    client: Client[Any] = Client(settings, codec)
    try:
        client.connect()
    except BaseException:
        client.close()
        raise
    return client


@overload
def embedded(root: str = "/") -> AbstractContextManager[Client[bytes]]: ...
@overload
def embedded(root: str = "/", *, codec: Codec[T]) -> AbstractContextManager[Client[T]]: ...
def embedded(root: str = "/", *, codec: Codec[Any] = codecs.BYTES) -> AbstractContextManager[Client[Any]]:
    """Return a context manager: a client on a registry inside this process, gone at the end of the block.

    Needs the server: `pip install 'visor-registry[server]'`.
    """
    from visor._dial.inside import embedded as start

    return start(root, codec)


public("visor", dial, embedded)
