"""Visor: a registry of process state, seen from Python.

    import visor

    with visor.dial("localhost:8046") as client:
        client.set("/greeting", b"hello")
        snapshot = client.snapshot()
        file = snapshot.get("/greeting")            # file.rev == snapshot.rev
        newer = file.update(b"bonjour")             # `file` still says b"hello"
        with client.watch("/**") as watch:
            for commit in watch:
                print(commit.rev, commit.actor, commit.changes)

`visor.registry` is the domain on top of it: apps, revisions, instances, tickets, services. `visor.aio` has the same
names for asyncio, `visor.errors` what can go wrong, `visor.codecs` values other
than bytes, `visor.guard`, `visor.op` and `visor.select` the pieces of conditional and bulk calls,
`visor.testing` registries for tests. `Mirror`, `follow` and `watch_one` keep a picture of the registry in
this process in sync (`visor.following`).

A client may be used by any number of threads at once. After a fork the child must call `reopen` on it
(anything else raises ForkedClient); the parent's connection is not touched. Signal handlers must not use
a client that the interrupted code may be using.
"""

from __future__ import annotations

import logging as _logging
from collections.abc import Iterable
from contextlib import AbstractContextManager as _AbstractContextManager
from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any, TypeVar, overload

from visor import codecs, errors, guard, op, select
from visor._contenders import Contender
from visor._settings import ReconnectHook, RequestHook
from visor._settings import gather as _gather
from visor._tenure import LeaseState
from visor._version import __version__
from visor.blocking import (
    Client,
    Election,
    File,
    Lease,
    Lock,
    Party,
    Semaphore,
    Session,
    Snapshot,
    Subscription,
    Transaction,
    Watch,
)
from visor.codecs import Codec
from visor.errors import OutcomeUnknown, Rejected, Unavailable, VisorError
from visor.following import Follower, Mirror, SimpleFollower, follow, watch_one
from visor.guard import Guard
from visor.op import Op
from visor.select import Selector
from visor.values import (
    Blame,
    Change,
    Commit,
    Difference,
    Entry,
    Horizon,
    Kind,
    LeaseInfo,
    Node,
    Result,
    Stat,
)

if TYPE_CHECKING:
    from visor import registry

_logging.getLogger("visor").addHandler(_logging.NullHandler())

T = TypeVar("T")


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
) -> Client[Any]:
    """Connect to the registry.

    `addr`: "host:port", "[v6]:port", "unix:/path", several with commas or as a list, or doozer's
    "doozer:?ca=host:port&ca=..."; default `VISOR_ADDR`, then localhost:8046. Names are resolved at every
    attempt. `root` is put before every path (default `VISOR_ROOT`, then "/"): what lies outside of it does
    not exist for this client. `codec` is for values (default: bytes). `timeout` is for connecting and the
    default of every call, in seconds (`VISOR_TIMEOUT`, then 10). `actor` is named in the history of
    what this client writes (`VISOR_ACTOR`, then user@host), `token` proves who that is (`VISOR_TOKEN`,
    `VISOR_TOKEN_FILE`; "" is none): it is said over a Unix socket only, and no server of this version takes one.
    `on_request(verb, seconds, error)` is called after every request,
    `on_reconnect(address)` after every connection but the first. With `discover` (`VISOR_DISCOVER`, then true) the
    client also learns where the other members of the cluster listen, and goes there when none of `addr` answers.

    ValueError for a token that would go out in the clear, DeadlineExceeded when no node answers in time, Denied or
    Unsupported when it will not have this client.
    """
    settings = _gather(addr, root, timeout, actor, token, on_request, on_reconnect, discover=discover)
    client: Client[Any] = Client(settings, codec)
    try:
        client.connect()
    except BaseException:
        client.close()
        raise
    return client


@overload
def embedded(root: str = "/") -> _AbstractContextManager[Client[bytes]]: ...
@overload
def embedded(root: str = "/", *, codec: Codec[T]) -> _AbstractContextManager[Client[T]]: ...
def embedded(root: str = "/", *, codec: Codec[Any] = codecs.BYTES) -> _AbstractContextManager[Client[Any]]:
    """Return a context manager: a client on a registry inside this process, gone at the end of the block.

    Needs the server: `pip install 'visor-registry[server]'`.
    """
    from visor._embedded import embedded as start

    return start(root, codec)


def __getattr__(name: str) -> Any:
    """Load the domain when it is first asked for: who works with files pays nothing for it."""
    if name == "registry":
        return _import_module("visor.registry")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "dial",
    "embedded",
    "Client",
    "Snapshot",
    "File",
    "Transaction",
    "Watch",
    "Subscription",
    "Mirror",
    "follow",
    "Follower",
    "SimpleFollower",
    "watch_one",
    "Lease",
    "LeaseState",
    "LeaseInfo",
    "Session",
    "Lock",
    "Semaphore",
    "Election",
    "Party",
    "Contender",
    "Commit",
    "Change",
    "Kind",
    "Entry",
    "Stat",
    "Node",
    "Horizon",
    "Blame",
    "Difference",
    "Result",
    "Codec",
    "Guard",
    "Op",
    "Selector",
    "VisorError",
    "Rejected",
    "Unavailable",
    "OutcomeUnknown",
    "codecs",
    "errors",
    "guard",
    "op",
    "registry",
    "select",
    "__version__",
]
