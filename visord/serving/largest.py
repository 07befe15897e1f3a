"""Who is connected, who watches what and how far behind, whose the sessions and leases are: for STATUS with rows.

What has most comes first. Of very many of something the first `LOOKED` are looked at: that takes a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import nlargest
from itertools import islice
from typing import Any, Final, Protocol, TypeVar

from visord.state.auth.principal import ANONYMOUS, USER, owner_of
from visord.state.sessions import Sessions
from visord.state.store import Store
from visord.watch.hub import Hub
from visord.watch.subscription import Sink

MOST: Final = 100
"""Rows of a table."""
LOOKED: Final = 2000

T = TypeVar("T")


class Speaker(Sink, Protocol):
    """What of a client's connection is shown."""

    peer: str
    actor: str
    principal: str
    in_flight: int

    @property
    def idle_since(self) -> float | None: ...


class Plugged(Protocol):
    """One client's socket."""

    @property
    def conversation(self) -> Speaker: ...

    def unsent(self) -> int: ...


def tables(
    connections: Iterable[Plugged], hub: Hub, sessions: Sessions, store: Store, now: float, most: int
) -> dict[str, list[dict[str, Any]]]:
    """Return `most` rows of each table."""
    return {
        "connections": _connections(connections, hub, now, most),
        "watches": _watches(hub, most),
        "sessions": _top(most, sessions.by_size(), _of_session, lambda row: row["sessions"]),
        "leases": _top(most, store.leases.by_id.values(), _of_lease, lambda row: row["files"]),
    }


def _top(
    most: int, found: Iterable[T], row: Callable[[T], dict[str, Any]], size: Callable[[dict[str, Any]], Any]
) -> list[dict[str, Any]]:
    return nlargest(most, map(row, islice(found, LOOKED)), key=size)


def _connections(found: Iterable[Plugged], hub: Hub, now: float, most: int) -> list[dict[str, Any]]:
    def row(one: Plugged) -> dict[str, Any]:
        said = one.conversation
        since = said.idle_since
        return {
            **_who(said),
            "watches": hub.watched_by(said),
            "writes": said.in_flight,
            "unsent": one.unsent(),
            "idle": None if since is None else max(0, round(now - since)),
        }

    return _top(most, found, row, lambda row: (row["unsent"], row["writes"], row["watches"]))


def _watches(hub: Hub, most: int) -> list[dict[str, Any]]:
    rev = hub.store.rev
    rows = [
        {**_who(sink), "what": what, "state": state, "told": told, "behind": _behind(rev, told)}
        for sink, what, state, told in islice(hub.seen(), LOOKED)
    ]
    return nlargest(most, rows, key=lambda row: row["behind"])


def _behind(rev: int, told: int | None) -> int:
    """Return how many revs a watch has not got; one that has not all files of its beginning has got nothing."""
    return rev if told is None else max(0, rev - told)


def _who(said: Any) -> dict[str, Any]:
    owner = owner_of(said.principal)
    user = owner.removeprefix(USER) if owner.startswith(USER) else ANONYMOUS
    return {"peer": said.peer, "user": user, "actor": said.actor}


def _of_session(told: tuple[str, int, int]) -> dict[str, Any]:
    owner, count, held = told
    return {"owner": owner.removeprefix(USER), "sessions": count, "bytes": held}


def _of_lease(lease: Any) -> dict[str, Any]:
    owner = lease.owner.removeprefix(USER)
    return {"lease": lease.id, "ttl": lease.ttl / 1000, "files": len(lease.files), "owner": owner}
