"""Much at once: what has a bound meets it, is counted, and others go on. `siege.py` does it in earnest."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import visor
from tests.gateway import siege
from tests.gateway.model import Model, ModelClient
from tests.gateway.running import Caller, Running, gateway
from tests.gateway.test_hostile import say, status_and_code
from tests.patience import PATIENCE, eventually
from visor.errors import Denied
from visor.gateway import upstream
from visor.gateway.arrivals import Arrivals
from visor.gateway.budget import Budget
from visor.gateway.credential import Credential
from visor.gateway.problems import NotServed
from visor.gateway.upstream import Upstream
from visor.testing import Server

GET = b"GET /v1/files/f/small HTTP/1.1\r\nhost: localhost\r\n\r\n"
LARGE = b"GET /v1/files/f/large HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.fixture(scope="module", autouse=True)
def files(registry: Server) -> None:
    with registry.dial() as client:
        client.set("/f/small", b"1")
        client.set("/f/large", b"x" * 1_000_000)


@pytest.fixture
def small(registry: Server) -> Iterator[Running]:
    """One that has place for ten connections, and patience for none."""
    with gateway(registry.address) as one:
        protocol: Any = one.server.config.http
        protocol.most_connections, protocol.slow_seconds = 10, 0.05
        yield one


def counted(running: Running, word: str) -> bool:
    app: Any = running.server.config.app
    return bool(app.counts.cut[word] or app.counts.refused[word])


def connect(running: Running) -> socket.socket:
    return socket.create_connection(running.place, PATIENCE)


def test_who_says_nothing_makes_room_for_who_does(small: Running) -> None:
    """However many silent connections there are, a request on another one is answered, and on one that is known."""
    with ExitStack() as held, Caller(small.url) as known:
        assert known.get("/v1/files/f/small").text == "1"
        silent = [held.enter_context(connect(small)) for _ in range(30)]
        silent[-1].sendall(b"GET /v1/files/f/small HT")
        with Caller(small.url) as another:
            assert another.get("/v1/files/f/small").text == "1"
        assert known.get("/v1/files/f/small").text == "1", "it was not the one to go"
        assert status_and_code(silent[0].recv(4096)) == (503, "crowded")
    assert counted(small, "crowded")


def test_who_waits_longest_goes_first_and_strangers_before_those_that_are_known() -> None:
    arrivals: Arrivals[str] = Arrivals()
    arrivals.wait("idle", known=True)
    arrivals.wait("first", known=False)
    arrivals.wait("second", known=False)
    arrivals.wait("busy", known=False)
    arrivals.done("busy")
    assert [arrivals.first() for _ in range(4)] == ["first", "second", "idle", None]


def test_requests_that_are_sent_ahead_are_bounded_and_those_before_are_answered(running: Running) -> None:
    with connect(running) as one:
        one.sendall(GET * 64)
        answers = b""
        while answers.count(b"HTTP/1.1 200 ") < 64:
            answers += one.recv(65536)
    say(running, GET * 500)
    assert counted(running, "pipelined")


@pytest.mark.parametrize("asked", [LARGE * 8, GET * 60], ids=["large", "many"])
def test_answers_that_nobody_takes_end_with_their_connection(small: Running, asked: bytes) -> None:
    app: Any = small.server.config.app
    with connect(small) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.sendall(asked)
        if asked.startswith(LARGE):
            eventually(lambda: counted(small, "slow_reader"), "the end of a reader that takes nothing")
        else:
            one.shutdown(socket.SHUT_WR)
    eventually(lambda: app.budget.held == 0, "nothing is held any more")
    eventually(lambda: not small.server.server_state.connections, "the end of the connection")


def test_a_stream_that_nobody_reads_ends_and_its_watch_with_it(
    small: Running, client: visor.Client[bytes]
) -> None:
    with connect(small) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.sendall(b"GET /v1/watch?glob=/unread/** HTTP/1.1\r\nhost: localhost\r\n\r\n")
        one.recv(10)
        eventually(lambda: client.status().watches == 1, "the watch")
        for _ in range(12):
            client.set("/unread/a", b"x" * 1_000_000)
        eventually(lambda: client.status().watches == 0, "the end of the watch")
    assert counted(small, "slow_reader")


def test_bodies_and_answers_together_are_bounded(registry: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with gateway(registry.address) as running, Caller(running.url) as http:
        app: Any = running.server.config.app
        app.budget.most = 1_500_000
        with connect(running) as one:
            one.sendall(siege.PUT % (1, 1_400_000) + b"x" * 1_000_000)
            eventually(lambda: app.budget.held >= 900_000, "the body is held")
            answer = http.get("/v1/files/f/large")
            assert (answer.status_code, answer.json()["code"]) == (503, "crowded")
            assert answer.headers["retry-after"]
            assert http.get("/v1/files/f/small").text == "1"
        eventually(lambda: app.budget.held == 0, "the body has gone")
        assert http.get("/v1/files/f/large").status_code == 200


def test_a_budget_gives_back_what_was_taken() -> None:
    budget = Budget(10)
    budget.take(10)
    with pytest.raises(NotServed):
        budget.take(1)
    budget.give(10)
    budget.take(1)


class Strangers(ModelClient):
    """A client whose token proves nothing, or never comes to be looked at."""

    def __init__(self, token: str | None, wait: asyncio.Event) -> None:
        super().__init__(Model())
        self._token, self._wait = token, wait

    async def connect(self, **_: Any) -> None:
        if self._token is not None and self._token.startswith("bad"):
            await self._wait.wait()
            raise Denied("no such token")


def test_made_up_tokens_and_names_take_no_place_from_good_callers() -> None:
    async def play() -> None:
        looked = asyncio.Event()
        clients: list[Any] = []

        def dial(credential: Credential, session: bytes | None = None, member: Any = None) -> Any:
            clients.append(Strangers(credential.token, looked))
            return clients[-1]

        one = Upstream(dial, time.monotonic)

        async def use(token: str | None, actor: str = "http") -> None:
            async with one.lend(Credential(token, actor)):
                pass

        await use("good")
        bad = [asyncio.create_task(use(f"bad{number}")) for number in range(upstream.UNPROVEN)]
        await asyncio.sleep(0)
        with pytest.raises(NotServed, match="new callers"):
            await use("another")
        await use("good")
        looked.set()
        assert all(isinstance(each, Denied) for each in await asyncio.gather(*bad, return_exceptions=True))
        await use("another")
        for number in range(3 * upstream.ACTORS):
            await use(None, f"actor{number}")
        assert len(one) == 2 + upstream.ACTORS
        before = len(clients)
        await use("good")
        assert len(clients) == before, "its connection is still there"
        await one.close()

    asyncio.run(play())


@pytest.mark.soak
def test_floods_of_all_kinds_leave_memory_callers_and_the_log_alone() -> None:
    verdicts = []
    for secure in (False, True):
        with siege.scene(secure=secure) as scene:
            floods = [each for each in siege.FLOODS.values() if each.secure == secure]
            verdicts += [siege.play(scene, each, 1.5, None) for each in floods]
    assert [(each.name, each.problems) for each in verdicts if each.problems] == []
