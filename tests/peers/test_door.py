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
from visord.members.conduct import STRIKES, Conduct
from visord.peers import incoming
from visord.peers.asking import ask
from visord.peers.crowd import Crowd
from visord.peers.handshake import MEMBER, Dialler, Identity
from visord.peers.link import HURRY_SECONDS
from visord.peers.messages import pack
from visord.peers.outgoing import dial
from visord.peers.probation import FORGOTTEN_SECONDS, MOST, Probation
from visord.peers.security import from_settings
from visord.peers.telling import LINES, Telling


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


def test_who_was_hung_up_on_comes_again_after_a_while_that_doubles() -> None:
    now = [100.0]
    probation = Probation(lambda: now[0])
    pauses = []
    for _ in range(9):
        assert probation.wait("a", "h") == 0
        pauses.append(probation.hung_up("a", "h"))
        assert probation.wait("a", "h") == pauses[-1]
        assert probation.wait("a", "elsewhere") == probation.wait("b", "h") == 0
        now[0] += pauses[-1]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    now[0] += FORGOTTEN_SECONDS
    assert probation.hung_up("a", "h") == 0.5
    for number in range(1000):
        probation.hung_up(str(number), "h")
    assert len(probation._rows) == MOST


def test_so_many_lines_a_minute() -> None:
    now = [100.0]
    telling = Telling(lambda: now[0], lines=3)
    for _ in range(2):
        assert [(telling.may(), telling.note != "") for _ in range(5)] == [
            (True, False),
            (True, False),
            (True, True),
            (False, False),
            (False, False),
        ]
        now[0] += 60.0


def test_a_member_that_is_hung_up_on_and_dials_again_is_refused_and_fills_no_log(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "visord")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with members("a", "b", security=SECURED) as (a, b):
            conduct = Conduct(loop.time, a.peers.hang_up)
            a.peers.receive = lambda member, message: conduct.bad(member, message[0], "it is none")
            now = [loop.time()]
            a.peers._door._probation._time = lambda: now[0]  # it stands still: nobody is let in again
            for _ in range(STRIKES):
                b.say("a", 99)
            await until(lambda: not b.peers.reachable("a"))
            await until(lambda: "overloaded" in b.peers.problem("a"))
            for _ in range(100):
                hello = Dialler(
                    Identity("b", "c1", b.address),
                    expect="a",
                    purpose=MEMBER,
                    secret=SECURED.secret,
                    nonce=b"n" * 32,
                )
                assert "wait" in str(await _failure(dial(loop, a.address, hello, SECURED)))
            assert a.peers._door.hello("b") is None
            now[0] += 0.6
            await until(lambda: b.peers.reachable("a"))
        assert len(caplog.records) < 30

    run(main())


def test_a_member_that_comes_and_goes_is_dialled_back_at_a_bounded_pace_and_told_of_seldom(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "visord.peers")

    async def main() -> None:
        async with members("a", "b", security=SECURED) as (a, b):
            loop = asyncio.get_running_loop()
            link, began = a.peers._links["b"], loop.time()
            attempts, dial_once = [], link._dial

            def counted(member: str, address: str) -> Any:
                attempts.append(loop.time())
                return dial_once(member, address)

            link._dial = counted
            while len(attempts) < 12:
                b.peers._door.close()
                link.hurry()
                await asyncio.sleep(0.005)
            assert loop.time() - began >= 10 * HURRY_SECONDS  # however often it has shown itself
        told = [row for row in caplog.records if "member b" in row.getMessage()]
        assert len(told) <= LINES

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
