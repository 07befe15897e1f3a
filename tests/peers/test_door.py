"""The peers' port: sockets count from `accept` on, and nobody who dials from one host keeps those of others out."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from typing import Any, cast

import pytest

from tests.patience import PATIENCE
from tests.peers.authority import Authority
from tests.peers.conftest import Run
from tests.peers.lone import TurnedLoop
from tests.peers.world import SECURED, Member, know, members, until
from visord.members.conduct import STRIKES, Conduct
from visord.peers import incoming
from visord.peers.asking import ask
from visord.peers.crowd import Crowd
from visord.peers.errors import PeerUnavailableError
from visord.peers.handshake import MEMBER, Dialler, Introduction
from visord.peers.link import HURRY_SECONDS
from visord.peers.messages import pack
from visord.peers.outgoing import dial
from visord.peers.probation import FORGOTTEN_SECONDS, MOST, Probation
from visord.peers.security import from_settings
from visord.peers.telling import LINES, Telling

NO_LINGER = struct.pack("ii", 1, 0)
"""A connection that is closed is gone at once, and leaves no port behind."""


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
                    Introduction("b", "c1", b.address),
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
            me = Introduction(None, "c1", None)
            return await ask(loop, a.address, pack([5]), me=me, security=SECURED, rng=rng, timeout=PATIENCE)

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


class Ear:
    """A listening socket at which so many wait; each is gone already, or lives."""

    def __init__(self, waiting: int, *, live: bool) -> None:
        self.waiting = waiting
        self.live = live
        self.failures = 0
        self.others: list[socket.socket] = []

    def setblocking(self, flag: bool) -> None: ...

    def listen(self, backlog: int) -> None: ...

    def close(self) -> None: ...

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            self.failures -= 1
            raise OSError(24, "Too many open files")
        if not self.waiting:
            raise BlockingIOError
        self.waiting -= 1
        here, there = socket.socketpair()
        if self.live:
            self.others.append(there)
        else:
            there.close()
        return here, ("10.0.0.9", 1)


class TurnedReading(TurnedLoop):
    """A loop that is turned by hand and reads one socket."""

    def __init__(self) -> None:
        super().__init__()
        self.reader: Any = None

    def add_reader(self, listening: Any, callback: Any) -> None:
        self.reader = callback

    def remove_reader(self, listening: Any) -> None:
        self.reader = None

    def turn(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.001)):
            if self.reader is not None:
                self.reader()
            super().turn(0.001)


def turned_door(ear: Ear) -> tuple[incoming.PeerDoor, TurnedReading, list[socket.socket]]:
    """Return a door at which some wait, its loop, and where those appear who were let in."""
    loop, arrived = TurnedReading(), []
    door = incoming.PeerDoor(cast(Any, loop), cast(Any, None), SECURED)
    door._arrived = lambda accepted, address: arrived.append(accepted)  # type: ignore[method-assign]
    door.serve(cast(Any, ear))
    return door, loop, arrived


@pytest.mark.parametrize("live", [True, False])
def test_a_flood_is_accepted_a_few_at_a_time(live: bool) -> None:
    ear = Ear(10_000, live=live)
    door, loop, arrived = turned_door(ear)
    assert loop.reader is not None
    loop.reader()
    assert 10_000 - ear.waiting == (incoming.ACCEPTS if live else incoming.LOOKED_AT)
    assert loop.reader is None, "a breath, in which all else has its turns"
    loop.turn(1.0)
    if live:
        assert 700 <= len(arrived) <= 1100
    else:
        assert not arrived and ear.waiting < 5_000  # who has gone again takes nobody's place
    for one in (*arrived, *ear.others):
        one.close()
    door.close()
    assert loop.reader is None
    loop.turn(0.1)
    assert loop.reader is None


def test_a_few_are_accepted_at_once_and_without_a_pause() -> None:
    ear = Ear(5, live=True)
    door, loop, arrived = turned_door(ear)
    loop.reader()
    assert len(arrived) == 5 and loop.reader is not None
    ear.waiting = 1
    loop.reader()
    assert len(arrived) == 6
    for one in (*arrived, *ear.others):
        one.close()
    door.close()


def test_no_more_descriptors_is_survived() -> None:
    ear = Ear(1, live=True)
    ear.failures = 3
    door, loop, arrived = turned_door(ear)
    loop.turn(2 * incoming.ACCEPT_PAUSE)
    assert not arrived and ear.failures == 1  # it does not try without a pause
    loop.turn(2 * incoming.ACCEPT_PAUSE)
    assert len(arrived) == 1
    for one in (*arrived, *ear.others):
        one.close()
    door.close()


def test_an_honest_member_is_let_in_while_a_stranger_of_its_host_floods(run: Run) -> None:
    async def main() -> None:
        a = Member("a", security=SECURED)
        await a.peers.start()
        loop, stop = asyncio.get_running_loop(), asyncio.Event()

        async def flood() -> None:
            kept: list[socket.socket] = []
            host, _, port = a.address.rpartition(":")
            while not stop.is_set():
                for _ in range(20):
                    one = socket.socket()
                    one.setblocking(False)
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)  # ports are few
                    one.connect_ex((host, int(port)))
                    kept.append(one)
                while len(kept) > 400:  # on a busy machine it takes a while until one is accepted
                    kept.pop(0).close()
                await asyncio.sleep(0)
            for one in kept:
                one.close()

        flooding = asyncio.ensure_future(flood())
        await until(lambda: a.peers.strangers)
        me = Introduction("b", "c1", "127.0.0.1:9")
        end = loop.time() + PATIENCE
        while True:  # as a member does: whoever is crowded out comes again
            hello = Dialler(me, expect="a", purpose=MEMBER, secret=SECURED.secret, nonce=b"n" * 32)
            try:
                (await dial(loop, a.address, hello, SECURED, seconds=5.0)).close()
                break
            except (OSError, PeerUnavailableError):
                assert loop.time() < end
        stop.set()
        await flooding
        await until(lambda: not a.peers.strangers)
        await a.close()

    run(main())
