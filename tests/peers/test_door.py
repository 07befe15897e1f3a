"""The peers' port: sockets count from `accept` on, and nobody who dials from one host keeps those of others out."""

from __future__ import annotations

import asyncio
import random
import socket
from typing import Any

import pytest

from tests.peers.authority import Authority
from tests.peers.conftest import Run
from tests.peers.world import SECURED, Member, know, members, until
from visord.peers import incoming
from visord.peers.asking import ask
from visord.peers.crowd import Crowd
from visord.peers.handshake import Identity
from visord.peers.messages import pack
from visord.peers.security import from_settings


def test_the_oldest_of_the_host_with_most_goes() -> None:
    crowd: Crowd[str] = Crowd()
    assert [crowd.enter(one, one[0], 4) for one in ("a1", "b1", "a2", "a3")] == [None] * 4
    assert crowd.enter("c1", "c", 4) == "a1"
    crowd.leave("a1")
    assert crowd.enter("a4", "a", 4) == "a2"  # his own host has most
    crowd.leave("a2")
    crowd.leave("a3")
    assert crowd.enter("d1", "d", 4) is None
    assert crowd.enter("e1", "e", 4) == "b1"  # all have one: the oldest


def silent(address: str, count: int, host: str = "127.0.0.1", first: bytes = b"") -> list[socket.socket]:
    """Connect and say nothing, or only how a message would begin."""
    sockets = []
    target, _, port = address.rpartition(":")
    for _ in range(count):
        one = socket.socket()
        one.bind((host, 0))
        one.connect((target, int(port)))
        if first:
            one.send(first)
        sockets.append(one)
    return sockets


@pytest.mark.parametrize("tls", [False, True])
def test_sockets_count_from_accept_on_also_while_tls_shakes_hands(
    run: Run, authority: Authority, monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    monkeypatch.setattr(incoming, "STRANGERS", 8)
    security = from_settings(authority.settings("a")) if tls else SECURED

    async def main() -> None:
        async with members("a", "b", security=security) as (a, b):
            hello = b"\x16\x03\x01" if tls else b""  # TLS begins, and stops
            sockets = silent(a.address, 50, first=hello)
            await until(lambda: a.peers._door.sent_away >= 42)
            assert a.peers.strangers <= 8
            await until(lambda: sum(_is_closed(one) for one in sockets) >= 42)
            late = Member("c", security=security)
            await late.peers.start()
            know(late, a)
            await until(lambda: late.peers.reachable("a"))
            assert a.say("b", 1)
            await until(lambda: b.heard)
            for one in sockets:
                one.close()
            await until(lambda: not a.peers.strangers)
            await late.close()

    run(main())


def _is_closed(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        while one.recv(4096):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def test_who_dials_from_one_host_keeps_no_other_host_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "STRANGERS", 8)

    async def main() -> None:
        a = Member("a", security=SECURED)
        await a.peers.start()
        (slow,) = silent(a.address, 1, host="127.0.0.9")
        await until(lambda: a.peers.strangers == 1)
        crowd = silent(a.address, 40, host="127.0.0.8")
        await until(lambda: a.peers._door.sent_away >= 33)
        assert not _is_closed(slow)
        for one in (slow, *crowd):
            one.close()
        await a.close()

    run(main())


def test_questions_of_one_host_leave_room_for_another(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "ASKERS", 4)
    waiting: list[Any] = []

    async def main() -> None:
        a = Member("a", security=SECURED, answer=lambda hello, message, reply, host: waiting.append(reply))
        await a.peers.start()
        loop, rng = asyncio.get_running_loop(), random.Random(1)

        async def question() -> Any:
            me = Identity(None, "c1", None)
            return await ask(loop, a.address, pack([5]), me=me, security=SECURED, rng=rng, timeout=10.0)

        asked = [asyncio.ensure_future(question()) for _ in range(4)]
        await until(lambda: len(waiting) == 4)
        failure = await _failure(question())  # all are of its own host
        assert "overloaded" in str(failure)
        for reply in waiting:
            reply(pack([6]))
        assert await asyncio.gather(*asked) == [[6]] * 4
        await a.close()

    run(main())


async def _failure(work: Any) -> BaseException:
    try:
        await work
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


def test_no_more_descriptors_is_survived(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "ACCEPT_PAUSE", 0.01)

    async def main() -> None:
        async with members("a", "b", security=SECURED) as (a, _b):
            door, loop = a.peers._door, asyncio.get_running_loop()
            accept, failed = loop.sock_accept, []

            class Poor:
                """A loop that has no descriptor left, at first."""

                def __getattr__(self, name: str) -> Any:
                    return getattr(loop, name)

                async def sock_accept(self, listening: socket.socket) -> Any:
                    if len(failed) < 3:
                        failed.append(1)
                        raise OSError(24, "Too many open files")
                    return await accept(listening)

            door.loop = Poor()  # type: ignore[assignment]
            silent(a.address, 1)[0].close()  # the accept under way is still the real one
            await until(lambda: len(failed) == 3)
            late = Member("c", security=SECURED)
            await late.peers.start()
            know(late, a)
            await until(lambda: late.peers.reachable("a"))
            await late.close()

    run(main())
