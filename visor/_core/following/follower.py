"""Followers: callbacks that are told of a set of nodes as they come, change and go.

A node that a follower's `filter` does not let through does not exist for it: one that stops passing is
`deleted`, one that passes (again) is `new`, whatever else became of it meanwhile.

    registry        filter   the follower is told
    create  a=1     yes      new(1)
    update  a=2     yes      updated(1, 2)      unless equals(1, 2)
    update  a=3     no       deleted(2)
    update  a=4     yes      new(4)
    delete  a                deleted(4)
    create  a=4     yes      new(4)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol

from visor import paths
from visor._core.dataclass import dataclass
from visor._core.following.delta import Batch, Origin
from visor._core.generic import N, N_contra
from visor._core.public import public


def _nothing(*_: object) -> object:
    """Be the body of what may be left out: a type checker takes a method of a Protocol without one for abstract."""
    return None


class Follower(Protocol[N_contra]):
    """What `follow` calls. Inherit from it and override what you need, or bring anything of this shape.

    Calls come one after another, in path order within a batch. What a call raises ends the following: no
    further call is made, and `follow` raises it. Under asyncio `new`, `updated`, `deleted` and
    `batch_done` may be coroutine functions.
    """

    def filter(self, node: N_contra, /) -> bool:
        """Whether the follower sees this node; every node unless overridden."""
        return True

    def equals(self, a: N_contra, b: N_contra, /) -> bool:
        """Whether two states of a node are the same to the follower; `==` unless overridden."""
        return bool(a == b)

    def new(self, node: N_contra, /) -> object:
        """A node is there."""
        return _nothing(node)

    def updated(self, previous: N_contra, node: N_contra, /) -> object:
        """A node has changed. `previous` is what the registry had before, also when it was not told."""
        return _nothing(previous, node)

    def deleted(self, previous: N_contra, /) -> object:
        """A node is gone."""
        return _nothing(previous)

    def batch_done(self) -> object:
        """A batch is complete, also one that changed nothing for this follower."""
        return _nothing()


@dataclass(frozen=True, slots=True)
class SimpleFollower(Generic[N]):
    """A follower made of functions; all of them may be left out."""

    on_new_updated: Callable[[N], object] = _nothing
    """Told of a node that is new or has changed."""
    on_deleted: Callable[[N], object] = _nothing
    on_batch_done: Callable[[], object] = _nothing
    filter_fn: Callable[[N], bool] | None = None
    """None: every node."""
    equals_fn: Callable[[N, N], bool] | None = None
    """None: `==`."""

    def filter(self, node: N, /) -> bool:
        """Ask `filter_fn`."""
        return self.filter_fn is None or self.filter_fn(node)

    def equals(self, a: N, b: N, /) -> bool:
        """Ask `equals_fn`."""
        return bool(a == b) if self.equals_fn is None else self.equals_fn(a, b)

    def new(self, node: N, /) -> object:
        """Tell `on_new_updated`."""
        return self.on_new_updated(node)

    def updated(self, previous: N, node: N, /) -> object:
        """Tell `on_new_updated`."""
        return self.on_new_updated(node)

    def deleted(self, previous: N, /) -> object:
        """Tell `on_deleted`."""
        return self.on_deleted(previous)

    def batch_done(self) -> object:
        """Tell `on_batch_done`."""
        return self.on_batch_done()


class Telling(Generic[N]):
    """Turns batches into the calls of one follower."""

    def __init__(self, follower: Follower[N]) -> None:
        self.follower = follower
        self.seen: dict[str, N] = {}
        """What the follower has been told is there, by path."""
        self._fresh: set[str] | None = None
        """While looking at everything again: the paths that were there."""

    def look_again(self) -> None:
        """The next batches are a backlog of everything; what is not in it is gone."""
        self._fresh = set()

    def calls(self, batch: Batch[N]) -> Iterator[Callable[[], Any]]:
        """Yield the calls for what a batch changes; each must be made before the next is asked for."""
        for delta in sorted(batch.deltas, key=lambda delta: paths.sort_key(delta.path)):
            if self._fresh is not None and batch.origin is Origin.BACKLOG:
                self._fresh.add(delta.path)
            yield from self._call(delta.path, delta.after)
        if self._fresh is not None and batch.backlog_end:
            gone = sorted((path for path in self.seen if path not in self._fresh), key=paths.sort_key)
            self._fresh = None
            for path in gone:
                yield from self._call(path, None)

    def _call(self, path: str, node: N | None) -> Iterator[Callable[[], Any]]:
        follower, seen = self.follower, self.seen
        before = seen.get(path)
        if node is None or not follower.filter(node):
            if before is not None:
                del seen[path]
                yield lambda: follower.deleted(before)
            return
        seen[path] = node
        if before is None:
            yield lambda: follower.new(node)
        elif not follower.equals(before, node):
            yield lambda: follower.updated(before, node)


public("visor.following", Follower, SimpleFollower)
