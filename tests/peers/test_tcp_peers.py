"""Members on real sockets: messages, reconnects, refusals, questions, and what does not belong there."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import socket
from typing import Any

import pytest

from tests.patience import PATIENCE
from tests.peers.conftest import Run
from tests.peers.world import SECRET, SECURED, Member, Proxy, know, members, until
from visord.peers import incoming
from visord.peers import link as links
from visord.peers.errors import AnswerLostError, PeerRefusedError, PeersStartError, PeerUnavailableError
from visord.peers.frames import frame
from visord.peers.handshake import Hello
from visord.peers.messages import pack
from visord.peers.security import NOTHING, Security

BOTH = pytest.mark.parametrize("security", [NOTHING, SECURED], ids=["open", "secret"])


@BOTH
def test_messages_arrive_whole_and_in_order_both_ways(run: Run, security: Security) -> None:
    async def main() -> None:
        rng = random.Random(3)
        async with members("a", "b", "c", security=security) as (a, b, c):
            sent = [[n, b"x" * rng.choice((0, 10, 1000, 70_000, 1_000_000))] for n in range(200)]
            for number, message in enumerate(sent):
                assert a.say("b", *message)
                assert b.say("a", *message)
                assert c.say("a", number)
                if number % 7 == 0:
                    await asyncio.sleep(0)
            await until(lambda: len(b.heard) == 200 and len(a.heard) == 400)
            assert b.heard == [("a", message) for message in sent]
            assert [message for member, message in a.heard if member == "b"] == sent
            assert [message for member, message in a.heard if member == "c"] == [[n] for n in range(200)]
            assert c.heard == []
            assert a.peers.queued("b") == 0

    run(main())


def test_a_message_of_the_largest_size_arrives_and_a_larger_one_ends_the_connection(run: Run) -> None:
    async def main() -> None:
        async with members("a", "b", queue_limit=1 << 30) as (a, b):
            assert a.say("b", 1, b"x" * ((64 << 20) - 7))
            await until(lambda: b.heard)
            assert len(b.heard[0][1][1]) == (64 << 20) - 7
            assert a.say("b", 1, b"x" * (64 << 20))
            await until(lambda: a.changes[-1] == ("b", False))
            assert len(b.heard) == 1

    run(main())


def test_an_unknown_or_absent_member_gets_nothing(run: Run) -> None:
    async def main() -> None:
        async with members("a") as (a,):
            assert not a.say("b", 1)
            with socket.create_server(("127.0.0.1", 0)) as taken:
                port = taken.getsockname()[1]
            a.peers.set_members({"b": f"127.0.0.1:{port}"})
            await until(lambda: a.peers.problem("b") not in ("", "not dialled yet"))
            assert not a.say("b", 1)
            assert not a.peers.reachable("b")
            assert a.peers.queued("b") == 0
            assert a.changes == []

    run(main())


@BOTH
def test_a_member_that_comes_back_is_reached_again_at_once(
    run: Run, security: Security, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIRST_PAUSE", "LONGEST_PAUSE", "FIRST_PAUSE_REFUSED", "LONGEST_PAUSE_REFUSED"):
        monkeypatch.setattr(links, name, 60.0)

    async def main() -> None:
        async with members("a", "b", security=security) as (a, b):
            for round_ in range(3):
                address = b.address
                await b.close()
                await until(lambda: not a.peers.reachable("b"))
                b = Member("b", security=security, listen=address)
                await b.peers.start()
                know(b, a)
                await until(lambda: a.peers.reachable("b"))  # b has dialled: a waits for no end of its pause
                assert a.say("b", round_)
                await until(lambda b=b, n=round_: b.heard == [("a", [n])])  # type: ignore[misc]
            changes = [reachable for member, reachable in a.changes]
            assert changes == [True, False] * 3 + [True]
            await b.close()

    run(main())


def test_a_member_that_moved_is_dialled_at_its_new_address_and_a_removed_one_not_at_all(run: Run) -> None:
    async def main() -> None:
        async with members("a", "b") as (a, b):
            moved = Member("b")
            await moved.peers.start()
            a.peers.set_members({"b": moved.address})
            assert not a.peers.reachable("b")
            await until(lambda: a.peers.reachable("b"))
            assert a.say("b", 5)
            await until(lambda: moved.heard == [("a", [5])])
            assert b.heard == []
            a.peers.set_members({})
            assert not a.peers.reachable("b")
            assert not a.say("b", 6)
            assert a.changes == [("b", True), ("b", False), ("b", True), ("b", False)]
            await moved.close()

    run(main())


# -- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cluster": "c2"}, "c2"),
        ({"security": Security(secrets=(b"another secret!!",))}, "different shared secrets"),
        ({"security": NOTHING}, "has none"),
    ],
)
def test_who_does_not_belong_is_refused_with_the_reason_logged_once(
    run: Run, options: dict[str, Any], says: str, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    monkeypatch.setattr(links, "FIRST_PAUSE_REFUSED", 0.01)
    monkeypatch.setattr(links, "LONGEST_PAUSE_REFUSED", 0.02)
    caplog.set_level(logging.INFO, "visord.peers")

    async def main() -> None:
        async with members("a", security=SECURED) as (a,):
            b = Member("b", **{"security": SECURED, **options})
            await b.peers.start()
            know(a, b)
            know(b, a)
            await until(lambda: says in a.peers.problem("b") and says in b.peers.problem("a"))
            await asyncio.sleep(0.3)  # several attempts
            assert not a.peers.reachable("b") and not b.peers.reachable("a")
            assert a.changes == b.changes == []
            await b.close()

    run(main())
    lines = [record.getMessage() for record in caplog.records if says in record.getMessage()]
    assert 2 <= len(lines) <= 4, "one a side and a direction"


def test_a_refused_member_is_retried_slowly_and_admitted_when_it_may(run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(links, "FIRST_PAUSE_REFUSED", 0.1)
    asked: list[str] = []
    answer: list[str | None] = ["b was removed"]

    def admit(member: str, hello: Hello) -> str | None:
        asked.append(member)
        return answer[0]

    async def main() -> None:
        async with members("a", security=SECURED, admit=admit) as (a,):
            b = Member("b", security=SECURED)
            await b.peers.start()
            know(b, a)
            await until(lambda: "b was removed" in b.peers.problem("a"))
            await asyncio.sleep(0.25)
            assert 2 <= len(asked) <= 6
            answer[0] = None
            await until(lambda: b.peers.reachable("a"))
            hello = a.peers.hello("b")
            assert hello is not None and hello.address == b.address
            answer[0] = "b was removed"
            a.peers.set_members({})  # who is a member has changed: connections are looked at again
            await until(lambda: not b.peers.reachable("a"))
            assert a.peers.hello("b") is None
            await b.close()

    run(main())


def test_another_member_at_an_address_is_not_taken_for_the_expected_one(run: Run) -> None:
    async def main() -> None:
        async with members("a", "b") as (a, b):
            a.peers.set_members({"b": b.address, "z": b.address})
            await until(lambda: "b was reached instead of 'z'" in a.peers.problem("z"))
            assert not a.say("z", 1)
            a.peers.set_members({"y": a.address})
            await until(lambda: "a was reached instead of 'y'" in a.peers.problem("y"))

    run(main())


def test_pauses_double_up_to_their_limit_with_jitter() -> None:
    pauses = links.RedialPauses(random.Random(1))
    waits = [pauses.after(refused=False) for _ in range(12)]
    for number, wait in enumerate(waits):
        longest = min(0.02 * 2**number, 1.0)
        assert longest / 2 <= wait <= longest
    assert 1.0 <= pauses.after(refused=True) <= 2.0  # twice the last, and a refusal allows of more
    pauses.reset()
    assert pauses.after(refused=False) <= 0.02
    assert 0.25 <= pauses.after(refused=True) <= 0.5


# -- what is in the way ------------------------------------------------------------------------------------


def test_a_slow_reader_costs_bounded_memory_and_is_dropped_when_stuck(run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(links, "STUCK_SECONDS", 0.6)

    async def main() -> None:
        async with members("a", "b", queue_limit=4 << 20) as (a, b):
            proxy = Proxy(b.address)
            a.peers.set_members({"b": await proxy.start()})
            await until(lambda: a.peers.reachable("b"))
            proxy.held = True
            data = b"x" * 100_000
            sent = 0
            while a.say("b", 1, data):
                sent += 1
                assert sent < 1000
                await asyncio.sleep(0)
            assert 3 << 20 < a.peers.queued("b") <= 4 << 20
            assert not a.say("b", 1, data)
            await until(lambda: not a.peers.reachable("b"))
            assert a.peers.queued("b") == 0
            proxy.held = False
            await until(lambda: a.peers.reachable("b"))
            assert a.say("b", 2)
            await until(lambda: b.heard and b.heard[-1] == ("a", [2]))
            await proxy.close()

    run(main())


def test_a_slow_connection_that_moves_is_kept(run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(links, "STUCK_SECONDS", 2.0)

    async def main() -> None:
        async with members("a", "b") as (a, b):
            proxy = Proxy(b.address)
            a.peers.set_members({"b": await proxy.start()})
            await until(lambda: a.peers.reachable("b"))
            changes = list(a.changes)
            proxy.held = True
            for _ in range(400):
                assert a.say("b", 1, b"x" * 100_000)
            for _ in range(7):
                await asyncio.sleep(0.4)
                proxy.held = False
                await asyncio.sleep(0.02)
                proxy.held = True
            proxy.held = False
            await until(lambda: len(b.heard) == 400)
            assert a.changes == changes
            await proxy.close()

    run(main())


@BOTH
def test_broken_connections_lose_messages_and_never_repeat_or_reorder_them(
    run: Run, security: Security
) -> None:
    async def main() -> None:
        async with members("a", "b", security=security) as (a, b):
            proxy = Proxy(b.address)
            a.peers.set_members({"b": await proxy.start()})
            sent = 0
            for round_ in range(300):
                for _ in range(5):
                    sent += a.say("b", round_, sent, b"x" * 20_000)
                if round_ % 60 == 30:
                    proxy.cut()
                await asyncio.sleep(0.001)
            await until(lambda: a.peers.reachable("b"))
            assert a.say("b", 1000, sent)
            await until(lambda: b.heard[-1][1][0] == 1000)
            numbers = [message[1] for _, message in b.heard]
            assert numbers == sorted(set(numbers))
            assert sent // 2 < len(numbers) <= sent + 1
            await proxy.close()

    run(main())


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda data: [data, data], id="repeated"),
        pytest.param(lambda data: [frame(pack([6, 6])), data], id="injected"),
        pytest.param(lambda data: [data[:-1] + bytes([data[-1] ^ 1])], id="altered"),
    ],
)
def test_nothing_can_be_put_into_a_connection_with_a_secret(run: Run, spoil: Any) -> None:
    async def main() -> None:
        async with members("a", "b", security=SECURED) as (a, b):
            proxy = Proxy(b.address)
            a.peers.set_members({"b": await proxy.start()})
            await until(lambda: a.peers.reachable("b"))
            assert a.say("b", 1)
            await until(lambda: b.heard)
            proxy.forward = spoil
            changes = len(a.changes)
            assert a.say("b", 2)
            await until(lambda: len(a.changes) > changes)
            proxy.forward = lambda data: [data]
            await until(lambda: a.peers.reachable("b"))
            assert a.say("b", 3)
            await until(lambda: b.heard[-1] == ("a", [3]))
            assert [message for _, message in b.heard] in ([[1], [3]], [[1], [2], [3]])
            await proxy.close()

    run(main())


def test_a_recorded_connection_cannot_be_played_again(run: Run) -> None:
    async def main() -> None:
        async with members("a", "b", security=SECURED) as (a, b):
            proxy = Proxy(b.address)
            a.peers.set_members({"b": await proxy.start()})
            await until(lambda: a.peers.reachable("b"))
            assert a.say("b", 1)
            await until(lambda: b.heard)
            a.peers.set_members({})
            reader, writer = await asyncio.open_connection(*b.address.split(":"))
            writer.write(bytes(proxy.seen))
            answer = await asyncio.wait_for(reader.read(), PATIENCE)
            assert b"different shared secrets" in answer
            writer.close()
            assert b.heard == [("a", [1])]
            await proxy.close()

    run(main())


def test_the_newer_connection_of_a_member_takes_the_place_of_the_older(run: Run) -> None:
    async def main() -> None:
        async with members("a", "b") as (a, b):
            twin = Member("a")
            await twin.peers.start()
            know(twin, b)
            await until(lambda: ("b", False) in a.changes)
            await twin.close()
            await until(lambda: a.peers.reachable("b"))
            await asyncio.sleep(0.05)
            assert a.say("b", 1)
            await until(lambda: b.heard == [("a", [1])])

    run(main())


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0" * 5000,
        b"\xff" * 100_000,
        frame(b"\x91" * 4000),
        frame(pack(["visor-peer", 1, {"member": "b"}])),
        frame(pack([1, 2, 3])) * 100,
        random.Random(2).randbytes(3000),
    ],
    ids=range(7),
)
def test_strange_bytes_end_their_connection_and_harm_nothing_else(run: Run, data: bytes) -> None:
    async def main() -> None:
        async with members("a", "b", security=SECURED) as (a, b):
            reader, writer = await asyncio.open_connection(*a.address.split(":"))
            writer.write(data)
            try:
                async with asyncio.timeout(5):
                    assert len(await reader.read()) < 400
            except ConnectionError:
                pass
            writer.close()
            assert b.say("a", 1)
            await until(lambda: a.heard == [("b", [1])])
            assert a.changes == [("b", True)]

    run(main())


def test_strangers_have_little_time_and_do_not_keep_members_out(run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(incoming, "STRANGERS", 8)
    monkeypatch.setattr(incoming, "HANDSHAKE_SECONDS", 0.5)

    async def main() -> None:
        async with members("a", security=SECURED) as (a,):
            silent = [await asyncio.open_connection(*a.address.split(":")) for _ in range(30)]
            b = Member("b", security=SECURED)
            await b.peers.start()
            know(b, a)
            await until(lambda: b.peers.reachable("a"), 0.5)
            for reader, writer in silent:
                async with asyncio.timeout(3):
                    await reader.read()
                writer.close()
            assert b.peers.reachable("a")
            await b.close()

    run(main())


def test_a_member_that_does_not_answer_is_given_up_and_tried_again(run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr("visord.peers.outgoing.dial.__kwdefaults__", {"seconds": 0.2, "queue_limit": 1 << 20})

    async def main() -> None:
        async with members("a", "b") as (a, b):
            proxy = Proxy(b.address)
            proxy.held = True
            a.peers.set_members({"b": await proxy.start()})
            await until(lambda: "no answer within 0.2 s" in a.peers.problem("b"))
            assert proxy.connections >= 1
            proxy.held = False
            await until(lambda: a.peers.reachable("b"))
            await proxy.close()

    run(main())


def test_a_name_is_resolved_at_every_attempt(run: Run, monkeypatch: Any) -> None:
    async def main() -> None:
        async with members("a", "b") as (a, b):
            loop, asked = asyncio.get_running_loop(), []
            port = b.address.rpartition(":")[2]
            create = loop.create_connection

            async def counted(protocol: Any, host: Any, *rest: Any, **options: Any) -> Any:
                asked.append(host)
                if len(asked) < 3:
                    raise socket.gaierror(-3, "Temporary failure in name resolution")
                return await create(protocol, "127.0.0.1", *rest, **options)

            a.peers._loop = _With(loop, counted)  # type: ignore[assignment]
            a.peers.set_members({"b": f"b.example:{port}"})
            await until(lambda: a.peers.reachable("b"))
            assert asked == ["b.example"] * 3

    run(main())


class _With:
    """A loop that connects in another way."""

    def __init__(self, loop: Any, create_connection: Any) -> None:
        self._loop = loop
        self.create_connection = create_connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


def test_what_was_said_in_the_turn_in_which_a_connection_ends_is_dropped_in_silence(run: Run) -> None:
    async def main() -> None:
        async with members("a", "b") as (a, b):
            for _ in range(5):
                await until(lambda: a.peers.reachable("b"))
                assert a.say("b", 1) and a.say("b", 2) and a.say("b", 3)
                connection = a.peers._links["b"].connection
                assert connection is not None
                connection.abort("as the test wants")
                assert not a.say("b", 4)
                await until(lambda: not a.peers.reachable("b"))
            assert [4] not in [message for _, message in b.heard]

    run(main())


def test_an_answer_to_an_asker_who_has_just_left_is_dropped_in_silence(run: Run) -> None:
    async def main() -> None:
        replies: list[Any] = []
        async with members("a", answer=lambda hello, message, reply, host: replies.append(reply)) as (a,):
            asker = Member("q")
            question = asyncio.ensure_future(asker.peers.ask(a.address, pack([1]), 5))
            await until(lambda: replies)
            (waiting,) = a.peers._door._askers
            assert waiting._transport is not None
            waiting._transport.abort()
            replies[0](pack([2]))
            with pytest.raises(AnswerLostError):
                await question
            await asker.close()

    run(main())


# -- questions ---------------------------------------------------------------------------------------------


@BOTH
def test_a_question_to_an_address_gets_its_answer(run: Run, security: Security) -> None:
    hellos: list[Hello] = []

    def answer(hello: Hello, message: list[Any], reply: Any, host: str) -> None:
        hellos.append(hello)
        asyncio.get_running_loop().call_later(0.02, reply, pack([2, message[1], b"x" * 300_000]))

    async def main() -> None:
        async with members("a", security=security, answer=answer) as (a,):
            joining = Member("new", security=security, cluster=None)
            assert await joining.peers.ask(a.address, pack([1, 77]), 5) == [2, 77, b"x" * 300_000]
            many = await asyncio.gather(*(joining.peers.ask(a.address, pack([1, n]), 5) for n in range(20)))
            assert [message[1] for message in many] == list(range(20))
            assert hellos[0].member == "new" and hellos[0].cluster is None
            assert hellos[0].address == joining.address
            assert a.heard == []
            await joining.close()

    run(main())


def test_a_question_that_fails_says_whether_it_was_sent(run: Run) -> None:
    replies: list[Any] = []

    def answer(hello: Hello, message: list[Any], reply: Any, host: str) -> None:
        replies.append(reply)

    async def main() -> None:
        async with members("a", security=SECURED, answer=answer) as (a,):
            asker = Member("q", security=SECURED)
            with pytest.raises(AnswerLostError, match=r"no answer within 0\.2 s"):
                await asker.peers.ask(a.address, pack([1]), 0.2)
            replies[0](pack([2]))  # nobody waits any more
            with socket.create_server(("127.0.0.1", 0)) as taken:
                nobody = f"127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(PeerUnavailableError, match=nobody):
                await asker.peers.ask(nobody, pack([1]), 1)
            with pytest.raises(PeerUnavailableError, match="not HOST:PORT"):
                await asker.peers.ask("nonsense", pack([1]), 1)
            stranger = Member("s", security=Security(secrets=(b"another secret!!",)))
            with pytest.raises(PeerRefusedError, match="different shared secrets"):
                await stranger.peers.ask(a.address, pack([1]), 1)
            lost = asyncio.ensure_future(asker.peers.ask(a.address, pack([1]), 5))
            await until(lambda: len(replies) == 2)
            await a.close()
            with pytest.raises(AnswerLostError, match="closed"):
                await lost
            await asker.close()
            await stranger.close()

    run(main())


def test_too_many_questions_are_refused(run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(incoming, "ASKERS", 4)

    async def main() -> None:
        async with members("a") as (a,):
            asker = Member("q")
            waiting = [asyncio.ensure_future(asker.peers.ask(a.address, pack([1]), 5)) for _ in range(4)]
            await until(lambda: len(a.peers._door._askers) == 4)
            with pytest.raises(PeerRefusedError, match="overloaded"):
                await asker.peers.ask(a.address, pack([1]), 5)
            for question in waiting:
                question.cancel()
            await until(lambda: not a.peers._door._askers)
            await asker.close()

    run(main())


# -- starting and stopping ---------------------------------------------------------------------------------


def test_a_failing_bind_names_the_address(run: Run) -> None:
    async def main() -> None:
        async with members("a") as (a,):
            with pytest.raises(PeersStartError, match=a.address):
                Member("b", listen=a.address)

    run(main())


def test_what_cannot_be_dialled_is_not_advertised(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(PeersStartError, match=r"set peers\.advertise"):
            Member("a", listen="0.0.0.0:0", security=SECURED)
        a = Member("a", listen="0.0.0.0:0", security=SECURED, advertise="node-a:8047")
        assert a.peers.advertised == "node-a:8047"
        await a.close()

    run(main())


def test_strangers_cannot_be_let_in_by_accident(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        with pytest.raises(PeersStartError, match=r"peers\.insecure"):
            Member("a", listen="0.0.0.0:0", advertise="x:1")
        a = Member("a", listen="0.0.0.0:0", advertise="x:1", security=Security(insecure=True))
        assert "insecure" in caplog.text
        await a.close()

    run(main())


def test_closing_sends_what_was_said_and_leaves_nothing_behind(run: Run) -> None:
    async def main() -> None:
        async with members("a", "b") as (a, b):
            assert a.say("b", 1)
            assert a.say("b", 2, b"x" * 1_000_000)
            a.peers.close()
            a.peers.close()
            assert not a.say("b", 3)
            assert not a.peers.reachable("b")
            a.peers.set_members({"b": b.address})
            await until(lambda: len(b.heard) == 2)
            await until(lambda: not b.peers.reachable("a"))
            await a.peers.wait_closed()
            assert a.changes == [("b", True)], "a node that closes is told nothing any more"
        await asyncio.sleep(0.05)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_the_secret_can_be_exchanged_while_members_run(run: Run) -> None:
    async def main() -> None:
        new = b"a new secret, as long as needed"
        stages = [(SECRET,), (SECRET, new), (new, SECRET), (new,)]
        for one, other in itertools.pairwise(stages):
            a, b = Member("a", security=Security(secrets=one)), Member("b", security=Security(secrets=other))
            await a.peers.start()
            await b.peers.start()
            know(a, b)
            know(b, a)
            await until(lambda a=a, b=b: a.peers.reachable("b") and b.peers.reachable("a"))  # type: ignore[misc]
            await a.close()
            await b.close()

    run(main())
