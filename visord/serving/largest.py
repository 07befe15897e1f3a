"""Who is connected, who watches what and how far behind, whose the sessions and leases are: for STATUS with rows.

What has most comes first. Of very many of something the first `LOOKED` are looked at: that takes a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import nlargest
from itertools import islice
from typing import Any, Final, Protocol, TypeVar

from visord.state.auth.principal import ANONYMOUS, USER, owner_of
from visord.state.selector import raw_of
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
        "sessions": [_of_session(*one) for one in _top(most, sessions.by_size(), lambda one: one[1])],
        "leases": [
            _of_lease(one) for one in _top(most, store.leases.by_id.values(), lambda one: len(one.files))
        ],
    }


def _top(most: int, found: Iterable[T], size: Callable[[T], Any]) -> list[T]:
    return nlargest(most, islice(found, LOOKED), key=size)


def _connections(found: Iterable[Plugged], hub: Hub, now: float, most: int) -> list[dict[str, Any]]:
    def size(one: Plugged) -> tuple[int, int, int]:
        return one.unsent(), one.conversation.in_flight, hub.watched_by(one.conversation)

    def row(one: Plugged) -> dict[str, Any]:
        unsent, writes, watches = size(one)
        since = one.conversation.idle_since
        idle = None if since is None else max(0, round(now - since))
        return {
            **_who(one.conversation), "watches": watches, "writes": writes, "unsent": unsent, "idle": idle
        }  # fmt: skip

    return [row(one) for one in _top(most, found, size)]


def _watches(hub: Hub, most: int) -> list[dict[str, Any]]:
    rev = hub.store.rev
    return [
        {
            **_who(one.sink), "what": raw_of(one.key[0]), "state": one.state, "told": told,
            "behind": _behind(rev, told),
        }
        for one, told in _top(most, hub.seen(), lambda seen: _behind(rev, seen[1]))
    ]  # fmt: skip


def _behind(rev: int, told: int | None) -> int:
    """Return how many revs a watch has not got; one that has not all files of its beginning has got nothing."""
    return rev if told is None else max(0, rev - told)


def _who(said: Any) -> dict[str, Any]:
    owner = owner_of(said.principal)
    user = owner.removeprefix(USER) if owner.startswith(USER) else ANONYMOUS
    return {"peer": said.peer, "user": user, "actor": said.actor}


def _of_session(owner: str, count: int, held: int) -> dict[str, Any]:
    return {"owner": owner.removeprefix(USER), "sessions": count, "bytes": held}


def _of_lease(lease: Any) -> dict[str, Any]:
    owner = lease.owner.removeprefix(USER)
    return {"lease": lease.id, "ttl": lease.ttl / 1000, "files": len(lease.files), "owner": owner}
