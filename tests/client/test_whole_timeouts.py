"""What a call of several requests says when one of them is late: the timeout that it was given, not what was left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import visor
from visor import errors, testing
from visor._core.backoff import Deadline, in_seconds, whole_of
from visor.store import Kind, Record, Store


@pytest.fixture(scope="module")
def server() -> Iterator[testing.Server]:
    with testing.server() as running:
        yield running


class Slow:
    """A client whose requests take a second each, of a clock that nothing else moves."""

    def __init__(self, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self._call = client._call
        monkeypatch.setattr(client, "_call", self._slow)
        monkeypatch.setattr(client.channel, "call", self._slow)
        monkeypatch.setattr(client._driver, "deadline", self._deadline)

    def _deadline(self, timeout: float | None) -> Deadline:
        seconds = 30.0 if timeout is None else in_seconds(timeout)
        return Deadline(lambda: self.now, self.now + seconds, whole_of(timeout, seconds))

    def _slow(self, message: list[Any], write: bool, timeout: float | None) -> Any:
        seconds = 30.0 if timeout is None else in_seconds(timeout)
        self.now += 1.0
        if seconds < 1.0:
            raise errors.DeadlineExceeded(seconds=whole_of(timeout, seconds))
        return self._call(message, write, 30.0)


RECIPES: dict[str, tuple[Callable[[visor.Session], Any], Callable[[Any, float], Any]]] = {
    "Lock.acquire": (lambda s: s.lock("/l"), lambda lock, t: lock.acquire(t)),
    "Lock.try_acquire": (lambda s: s.lock("/l"), lambda lock, t: lock.try_acquire(timeout=t)),
    "Lock.verify": (lambda s: _held(s.lock("/l")), lambda lock, t: lock.verify(timeout=t)),
    "Lock.contenders": (lambda s: s.lock("/l"), lambda lock, t: lock.contenders(timeout=t)),
    "Lock.set": (lambda s: _held(s.lock("/l")), lambda lock, t: lock.set("/x", b"", timeout=t)),
    "Lock.delete": (lambda s: _held(s.lock("/l")), lambda lock, t: lock.delete("/x", timeout=t)),
    "Lock.txn": (lambda s: _held(s.lock("/l")), lambda lock, t: lock.txn([], timeout=t)),
    "Semaphore.acquire": (lambda s: s.semaphore("/s", 1), lambda one, t: one.acquire(t)),
    "Semaphore.try_acquire": (lambda s: s.semaphore("/s", 1), lambda one, t: one.try_acquire(timeout=t)),
    "Election.campaign": (lambda s: s.election("/e", b""), lambda one, t: one.campaign(t)),
    "Election.proclaim": (
        lambda s: _held(s.election("/e", b"")),
        lambda one, t: one.proclaim(b"", timeout=t),
    ),
    "Election.leader": (lambda s: s.election("/e", b""), lambda one, t: one.leader(timeout=t)),
    "Party.join": (lambda s: s.party("/p", b""), lambda one, t: one.join(timeout=t)),
    "Party.members": (lambda s: s.party("/p", b""), lambda one, t: one.members(timeout=t)),
}


def _held(one: Any) -> Any:
    one.acquire()
    return one


@pytest.mark.parametrize("timeout", [0.5, 1.5])
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_the_whole_timeout(
    server: testing.Server, monkeypatch: pytest.MonkeyPatch, name: str, timeout: float
) -> None:
    make, call = RECIPES[name]
    with server.dial(f"/{name}/{timeout:g}") as client, client.session(60) as session:
        client.set("/x", b"")
        subject = make(session)
        with monkeypatch.context() as patch:
            slow = Slow(client, patch)
            try:
                call(subject, timeout)
                late = None
            except errors.DeadlineExceeded as error:
                late = error
        if late is None:
            assert slow.now <= 100.0 + timeout
        else:
            assert late.seconds == timeout
            assert f"within {timeout:g} s" in str(late)


@dataclass(frozen=True, kw_only=True)
class Task(Record):
    name: str


def test_an_update_of_a_store_shares_its_timeout_and_names_it(
    server: testing.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first transaction fails for what somebody else wrote; the second one is late."""
    with (
        server.dial("/store") as client,
        server.dial("/store") as other,
        Store(client, "/s", [Kind(Task)]) as store,
        Store(other, "/s", [Kind(Task)]) as others,
    ):

        def body(tx: Any) -> None:
            if tx.get(Task, "t") is None:
                others.update(lambda theirs: theirs.create(Task(id="t", name="theirs")))
                tx.create(Task(id="t", name="mine"))
            else:
                tx.create(Task(id="u", name="mine"))

        with monkeypatch.context() as patch:
            Slow(client, patch)
            with pytest.raises(errors.DeadlineExceeded) as caught:
                store.update(body, timeout=1.5)
        assert caught.value.seconds == 1.5
        assert store.refresh() and store.get(Task, "u") is None


# -- the drivers ----------------------------------------------------------------------------------------
def what_is_left() -> float:
    """Return a timeout of which next to nothing is left, out of 7.5 seconds."""
    return Deadline(lambda: 7.49, 7.5, 7.5).left()


REQUESTS: dict[str, Callable[[Any, Any, float], Any]] = {
    "call": lambda client, watch, t: client.get("/a", timeout=t),
    "connect": lambda client, watch, t: client.connect(timeout=t),
    "subscribe": lambda client, watch, t: client.watch("/a", timeout=t).next(),
    "next": lambda client, watch, t: watch.next(timeout=t),
    "progress": lambda client, watch, t: watch.progress(timeout=t),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_blocking_driver_names_the_whole_timeout(name: str) -> None:
    with testing.server() as server, server.dial() as client, client.watch("/a") as watch:
        server.stop()
        with contextlib.suppress(errors.VisorError):
            client.get("/a", timeout=0.05)  # so that it notices
        with pytest.raises(errors.DeadlineExceeded) as caught:
            REQUESTS[name](client, watch, what_is_left())
        assert caught.value.seconds == 7.5


@pytest.mark.parametrize("name", REQUESTS)
def test_the_awaited_driver_names_the_whole_timeout(name: str) -> None:
    async def run(server: testing.Server) -> None:
        async with server.dial_async() as client, client.watch("/a") as watch:
            server.stop()
            with contextlib.suppress(errors.VisorError):
                await client.get("/a", timeout=0.05)
            with pytest.raises(errors.DeadlineExceeded) as caught:
                if name == "subscribe":
                    await client.watch("/a", timeout=what_is_left())
                else:
                    await REQUESTS[name](client, watch, what_is_left())
            assert caught.value.seconds == 7.5

    with testing.server() as server:
        asyncio.run(run(server))
