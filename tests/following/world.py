"""A writer that knows the registry's state at every rev, and readers whose claims are held against it.

A `World` writes to a real node (or to the cluster at `addresses`) through one client, so it knows what the
state at each rev is. Readers sit behind a proxy that cuts, refuses and stalls. Whatever they claim to be
the state at a rev is compared with the truth at that rev, after every batch.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import visor
from tests.client.proxy import Link, Proxy
from tests.following.clients import dial
from tests.patience import PATIENCE
from visor import errors, op
from visor.following import Batch, Follower, Following, Mirror, Source

State = dict[str, str]
ROOT = "/w"


class Knowing(Follower[visor.File[str]]):
    """Believes every call, and writes down what it believes after each batch."""

    def __init__(self, hide: str) -> None:
        self._hide = hide
        self.state: State = {}
        self.claims: list[tuple[int, State]] = []
        self.following: Following[visor.File[str]] | None = None

    def filter(self, node: visor.File[str], /) -> bool:
        return not node.value.endswith(self._hide)

    def new(self, node: visor.File[str], /) -> None:
        assert node.path not in self.state, f"{node.path} is new twice"
        self.state[node.path] = node.value

    def updated(self, previous: visor.File[str], node: visor.File[str], /) -> None:
        assert self.state[node.path] == previous.value
        self.state[node.path] = node.value

    def deleted(self, previous: visor.File[str], /) -> None:
        assert self.state.pop(previous.path) == previous.value

    def batch_done(self) -> None:
        if self.following is not None and self.following.rev:
            self.claims.append((self.following.rev, dict(self.state)))


class World:
    """The writer, the truth, and the readers: mirrors, readers of changes, followers of both kinds."""

    def __init__(self, addresses: Sequence[str], prefix: str = ROOT) -> None:
        self._prefix = prefix
        self.proxies = [Proxy(address) for address in addresses]
        self.writer = dial(",".join(addresses))
        self.client = dial(",".join(proxy.address for proxy in self.proxies))
        with self._suppressed():
            self.writer.delete(prefix, recursive=True)
        self.first = self.writer.set(f"{prefix}/begin", "0")
        self.truth: dict[int, State] = {self.first: {f"{prefix}/begin": "0"}}
        self.state: State = dict(self.truth[self.first])
        self.last = self.first
        what = f"{prefix}/**"
        self.mirror: Mirror[str] = Mirror(self.client, what, confirm=0.05).start()
        self.told = _Told(self.mirror, coalesce=False)
        self.merged = _Told(self.mirror, coalesce=True)
        self.followers = [Knowing("!"), Knowing("1"), Knowing("2")]
        sources: list[Any] = [Source(self.client, what), self.mirror, Source(self.client, what)]
        self.followings = []
        for follower, source in zip(self.followers, sources, strict=True):
            following = Following(source, follower, coalesce=follower is self.followers[2])
            follower.following = following
            self.followings.append(following.start())

    @staticmethod
    def _suppressed() -> Any:
        import contextlib

        return contextlib.suppress(errors.NotFound)

    # -- what happens to the registry -----------------------------------------------------------------
    def _done(self, rev: int) -> None:
        self.last = rev
        self.truth[rev] = dict(self.state)

    def set(self, name: str, value: str) -> None:
        self.state[f"{self._prefix}/{name}"] = value
        self._done(self.writer.set(f"{self._prefix}/{name}", value))

    def delete(self, name: str) -> None:
        path = f"{self._prefix}/{name}"
        if self.state.pop(path, None) is not None:
            self._done(self.writer.delete(path))

    def several(self, names: Sequence[str], value: str) -> None:
        """One commit: these files get the value, and those of them that have it already go."""
        operations = []
        for name in dict.fromkeys(names):
            path = f"{self._prefix}/{name}"
            if self.state.get(path) == value:
                del self.state[path]
                operations.append(op.delete(path))
            else:
                self.state[path] = value
                operations.append(op.set(path, value))
        self._done(self.writer.txn(then=operations).rev)

    def clear(self) -> None:
        """Everything but the first file goes in one commit."""
        gone = [path for path in self.state if not path.endswith("/begin")]
        if gone:
            for path in gone:
                del self.state[path]
            self._done(self.writer.txn(then=[op.delete(path) for path in gone]).rev)

    def elsewhere(self) -> None:
        """A commit that nobody here can see takes a rev."""
        rev = self.writer.set(f"{self._prefix}-not/x", "")
        self.truth[rev] = dict(self.state)
        self.last = rev

    def compact(self) -> None:
        self.writer.compact(self.last)

    # -- what happens to the readers ------------------------------------------------------------------
    def cut(self) -> None:
        for proxy in self.proxies:
            proxy.cut_all()

    def refuse(self) -> None:
        for proxy in self.proxies:
            proxy.filter = _refuse
        self.cut()

    def stall(self) -> None:
        for proxy in self.proxies:
            proxy.flowing.clear()

    def heal(self) -> None:
        for proxy in self.proxies:
            proxy.filter = _pass
            proxy.flowing.set()

    # -- what the readers claim -----------------------------------------------------------------------
    def look(self) -> None:
        """Hold the mirror against the truth, just now."""
        snapshot = self.mirror.snapshot()
        assert {file.path: file.value for file in snapshot.files()} == self._truth(snapshot.rev)

    def _truth(self, rev: int) -> State:
        """The state at a rev; revs of others on a shared cluster change nothing here."""
        while rev not in self.truth and rev > self.first:
            rev -= 1
        return self.truth[rev]

    def settle(self) -> None:
        """Heal, wait until everybody has caught up, and hold all claims against the truth."""
        self.heal()
        self.mirror.wait_for(self.last, timeout=PATIENCE)
        self.set("end", str(self.last))
        self.mirror.wait_for(self.last, timeout=PATIENCE)
        self.look()
        self.told.check(self)
        self.merged.check(self)
        for follower, following in zip(self.followers, self.followings, strict=True):
            self._check_follower(follower, following)
        staleness = self.mirror.staleness
        assert staleness.connected
        assert staleness.behind == 0

    def _check_follower(self, follower: Knowing, following: Following[visor.File[str]]) -> None:
        done = threading.Event()
        deadline = self.writer._driver.deadline(20)
        while following.rev < self.last and not following.error:
            assert deadline.left() > 0, f"stuck at rev {following.rev} of {self.last}"
            done.wait(0.005)
        assert following.error is None
        for rev, claimed in list(follower.claims):
            truth = {k: v for k, v in self._truth(rev).items() if not v.endswith(follower._hide)}
            assert claimed == truth, f"at rev {rev}"

    def close(self) -> None:
        self.heal()
        for following in self.followings:
            following.close()
        self.mirror.close()
        self.client.close()
        self.writer.close()
        for proxy in self.proxies:
            proxy.__exit__(None, None, None)

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Told:
    """Reads a mirror's changes in the test's own time and holds each batch against the truth."""

    def __init__(self, mirror: Mirror[str], *, coalesce: bool) -> None:
        self._changes = mirror.changes(backlog=True, coalesce=coalesce, limit=None)
        self._state: State = {}

    def check(self, world: World) -> None:
        while not self._changes.rev or self._changes.rev < world.last:
            batch = self._changes.next(timeout=PATIENCE)
            self._believe(batch)
            if batch.rev:
                assert self._state == world._truth(batch.rev), f"at rev {batch.rev}"

    def _believe(self, batch: Batch[visor.File[str]]) -> None:
        for delta in batch:
            before = None if delta.before is None else delta.before.value
            assert self._state.get(delta.path) == before
            if delta.after is None:
                del self._state[delta.path]
            else:
                self._state[delta.path] = delta.after.value


def _refuse(link: Link, data: bytes, up: bool) -> bytes | None:
    return None


def _pass(link: Link, data: bytes, up: bool) -> bytes | None:
    return data
