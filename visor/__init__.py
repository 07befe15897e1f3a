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

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from visor._version import __version__

if TYPE_CHECKING:
    from visor import (
        aio,
        auth,
        codecs,
        errors,
        following,
        guard,
        members,
        op,
        paths,
        registry,
        select,
        store,
        testing,
        views,
    )
    from visor._core.recipes.lease import LeaseState
    from visor._core.recipes.queue import Contender
    from visor._core.state import ClientState
    from visor._core.tls import TLS
    from visor._dial import dial, embedded
    from visor.blocking import (
        Admin,
        Auth,
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
        Redaction,
        Result,
        Stat,
    )

_MODULES = (
    *(
        "aio",
        "auth",
        "blocking",
        "codecs",
        "errors",
        "following",
        "guard",
        "members",
        "op",
        "paths",
        "registry",
        "select",
    ),
    *("store", "testing", "views"),
)
_PLACES = {
    "_core.recipes.queue": ("Contender",),
    "_dial": ("dial", "embedded"),
    "_core.state": ("ClientState",),
    "_core.tls": ("TLS",),
    "_core.recipes.lease": ("LeaseState",),
    "blocking": (
        *(
            "Admin",
            "Auth",
            "Client",
            "Election",
            "File",
            "Lease",
            "Lock",
            "Party",
            "Semaphore",
            "Session",
            "Snapshot",
        ),
        *("Subscription", "Transaction", "Watch"),
    ),
    "codecs": ("Codec",),
    "errors": ("OutcomeUnknown", "Rejected", "Unavailable", "VisorError"),
    "following": ("Follower", "Mirror", "SimpleFollower", "follow", "watch_one"),
    "guard": ("Guard",),
    "op": ("Op",),
    "select": ("Selector",),
    "values": (
        *(
            "Blame",
            "Change",
            "Commit",
            "Difference",
            "Entry",
            "Horizon",
            "Kind",
            "LeaseInfo",
            "Node",
            "Redaction",
            "Result",
        ),
        "Stat",
    ),
}
"""What each module here brings. It is loaded when one of its names is first asked for: nobody pays for the rest."""
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}

if not TYPE_CHECKING:  # or a checker would take any misspelt name for one that is made here

    def __getattr__(name):
        if name in _MODULES:
            return _import_module(f"visor.{name}")
        if name in _PLACE_OF:
            found = getattr(_import_module(f"visor.{_PLACE_OF[name]}"), name)
            globals()[name] = found
            return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "dial",
    "embedded",
    "Client",
    "ClientState",
    "TLS",
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
    "Admin",
    "Auth",
    "Commit",
    "Change",
    "Kind",
    "Entry",
    "Stat",
    "Node",
    "Horizon",
    "Blame",
    "Difference",
    "Redaction",
    "Result",
    "Codec",
    "Guard",
    "Op",
    "Selector",
    "VisorError",
    "Rejected",
    "Unavailable",
    "OutcomeUnknown",
    "aio",
    "auth",
    "codecs",
    "errors",
    "following",
    "guard",
    "members",
    "op",
    "paths",
    "registry",
    "select",
    "store",
    "testing",
    "views",
    "__version__",
]
