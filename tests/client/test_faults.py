"""Servers and networks that misbehave: what the caller sees is right or an honest error, never a hang."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import visor
import visor.aio
from tests.client.fake_server import PASS, FakeConnection, FakeServer
from tests.client.proxy import Link, Proxy
from tests.patience import PATIENCE
from visor import codecs, errors, op
from visor._drivers.aio.driver import EARLY
from visor._drivers.environment import gather
from visor.protocol import verbs
from visor.protocol.frames import encode
from visor.testing import Server

SOAK = float(os.environ.get("VISOR_SOAK", "1"))


def once(
    handler: Callable[[FakeConnection, list[Any]], None],
) -> Callable[[FakeConnection, list[Any]], object]:
    """Do it for the first message only; the default answers the others."""
    done: list[bool] = []

    def handle(connection: FakeConnection, message: list[Any]) -> object:
        if done:
            return PASS
        done.append(True)
        handler(connection, message)
        return None

    return handle


class TestExactlyOnce:
    def test_a_write_whose_answer_was_lost_is_retried_and_happens_once(self, fake: FakeServer) -> None:
        def lose_the_answer(connection: FakeConnection, message: list[Any]) -> None:
            connection.muted = True
            fake._default(connection, message)
            connection.cut()

        fake.on(verbs.SET, once(lose_the_answer))
        with visor.dial(fake.address) as client:
            assert client.set("/a", b"1") == 1
            assert client.set("/a", b"2") == 2
        assert fake.rev == 2
        (retry,) = fake.saw(verbs.RETRY)
        assert retry[2][1] == retry[1]

    def test_a_write_that_never_arrived_happens_once_too(self, fake: FakeServer) -> None:
        fake.on(verbs.SET, once(lambda connection, message: connection.cut()))
        with visor.dial(fake.address) as client:
            assert client.set("/a", b"1") == 1
        assert fake.rev == 1

    def test_a_session_that_the_server_forgot_is_an_unknown_outcome(self, fake: FakeServer) -> None:
        fake.on(verbs.SET, lambda connection, message: connection.cut())
        fake.on(verbs.RETRY, lambda connection, message: connection.refuse(message, "session_lost"))
        with visor.dial(fake.address) as client, pytest.raises(errors.OutcomeUnknown):
            client.set("/a", b"1")

    def test_a_slow_write_is_unknown_at_its_deadline_and_never_sent_again(self, fake: FakeServer) -> None:
        fake.on(verbs.SET, lambda connection, message: None)
        with visor.dial(fake.address) as client:
            began = time.monotonic()
            with pytest.raises(errors.WriteTimeout) as caught:
                client.set("/a", b"1", timeout=0.1)
            assert time.monotonic() - began < PATIENCE
            assert caught.value.seconds == 0.1
            fake.cut_all()
            assert client.rev() == 0
        assert fake.saw(verbs.RETRY) == []

    def test_a_slow_read_is_unavailable(self, fake: FakeServer) -> None:
        fake.on(verbs.GET, lambda connection, message: None)
        with visor.dial(fake.address) as client:
            with pytest.raises(errors.Unavailable) as caught:
                client.get("/a", timeout=0.1)
            assert isinstance(caught.value, TimeoutError)
            fake.wait(lambda: bool(fake.saw(verbs.CANCEL)))

    @pytest.mark.parametrize("flavour", ["blocking", "asyncio"])
    def test_counting_through_a_proxy_that_cuts_replies(self, visor_server: Server, flavour: str) -> None:
        """Each answer is lost with some probability, after the request went through; the sum is exact."""
        dice = random.Random(3)

        def cut_some_answers(link: Link, data: bytes, up: bool) -> bytes | None:
            return None if not up and link.answers > 2 and dice.random() < 0.1 else data

        with Proxy(visor_server.address) as proxy, visor_server.dial(codec=codecs.INT) as witness:
            proxy.filter = cut_some_answers
            total = int(200 * SOAK)
            if flavour == "blocking":
                _count_blocking(proxy.address, total)
            else:
                asyncio.run(_count_async(proxy.address, total))
            proxy.filter = lambda link, data, up: data
            values = [commit.changes[0].value for commit in witness.history("/mine/*")]
            assert sorted(value for value in values if value is not None) == list(range(total))
            assert proxy.accepted > 3


def _count_blocking(address: str, total: int) -> None:
    with visor.dial(address, codec=codecs.INT, timeout=PATIENCE) as client:
        client.set("/warm", 0)
        numbers = iter(range(total))
        lock = threading.Lock()

        def work() -> None:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                client.set("/mine/x", number)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


async def _count_async(address: str, total: int) -> None:
    async with visor.aio.dial(address, codec=codecs.INT, timeout=PATIENCE) as client:
        await client.set("/warm", 0)
        for start in range(0, total, 4):
            await asyncio.gather(
                *(client.set("/mine/x", number) for number in range(start, min(start + 4, total)))
            )


class TestResume:
    @pytest.mark.parametrize("flavour", ["blocking", "asyncio"])
    def test_a_watch_has_no_gap_and_no_repeat_whatever_is_cut(
        self, visor_server: Server, flavour: str
    ) -> None:
        total = int(400 * SOAK)
        with Proxy(visor_server.address) as proxy, visor_server.dial() as writer:
            stop = threading.Event()

            def write() -> None:
                for number in range(total):
                    writer.txn((), [op.set(f"/w/{number % 7}", b"%d" % number), op.set("/w/x", bytes(300))])

            def cut() -> None:
                dice = random.Random(5)
                while not stop.wait(0.01 + dice.random() * 0.03):
                    proxy.cut_all()

            threads = [threading.Thread(target=write), threading.Thread(target=cut)]
            for thread in threads:
                thread.start()
            try:
                if flavour == "blocking":
                    commits = _watch_blocking(proxy.address, total)
                else:
                    commits = asyncio.run(_watch_async(proxy.address, total))
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
        assert [commit.rev for commit in commits] == list(range(1, total + 1))
        assert all(len(commit.changes) == 2 for commit in commits)

    def test_state_and_watch_survive_cuts(self, visor_server: Server) -> None:
        with visor_server.dial() as writer:
            for start in range(0, 2000, 500):
                writer.txn((), [op.set(f"/s/{number}", bytes(200)) for number in range(start, start + 500)])
            with Proxy(visor_server.address) as proxy, visor.dial(proxy.address) as client:
                cuts: list[Link] = []

                def cut_in_the_middle(link: Link, data: bytes, up: bool) -> bytes | None:
                    if not up and link.to_client > 100_000 and len(cuts) < 2:
                        cuts.append(link)
                        return None
                    return data

                proxy.filter = cut_in_the_middle
                with client.watch("/s/**", state=True, window=20_000) as watch:
                    assert len(cuts) == 2
                    assert len(watch.state) == 2000
                    writer.set("/s/0", b"new")
                    assert watch.next(timeout=PATIENCE).rev == 5

    def test_a_restarted_server_is_found_again(self, tmp_path: Any) -> None:
        with visor.testing.server(tmp_path / "data") as server, server.dial() as client:
            reconnects: list[str] = []
            with (
                visor.dial(server.address, on_reconnect=reconnects.append) as other,
                other.watch("/**") as watch,
            ):
                client.set("/a", b"1")
                assert watch.next(timeout=PATIENCE).rev == 1
                server.restart()
                assert client.set("/a", b"2") == 2
                assert watch.next(timeout=PATIENCE).rev == 2
                assert reconnects == [server.address]


def _watch_blocking(address: str, total: int) -> list[visor.Commit[bytes]]:
    with visor.dial(address, timeout=PATIENCE) as client, client.watch("/w/**", 1, window=3000) as watch:
        return [watch.next(timeout=PATIENCE) for _ in range(total)]


async def _watch_async(address: str, total: int) -> list[visor.Commit[bytes]]:
    async with visor.aio.dial(address, timeout=PATIENCE) as client, await client.watch("/w/**", 1) as watch:
        return [await watch.next(timeout=PATIENCE) for _ in range(total)]


class TestNodes:
    def test_goaway_leads_to_another_address(self, fake: FakeServer) -> None:
        with FakeServer() as other, visor.dial([fake.address, other.address]) as client:
            current = fake if fake.connections else other
            next_one = other if current is fake else fake
            with client.watch("/**") as watch:
                current.stop_listening()
                for connection in current.connections:
                    connection.send((verbs.GOAWAY, "closing", "maintenance"))
                client.ping()  # answered before it leaves
                assert client.set("/a", b"1") == 1
                assert next_one.rev == 1
                assert watch.next(timeout=PATIENCE).rev == 1

    def test_a_dead_address_in_the_list_is_passed_over(self, fake: FakeServer) -> None:
        for seed in range(4):
            settings = gather(f"127.0.0.1:1,{fake.address}", "/", 5, None, None, None, None)
            settings.random.seed(seed)
            client = visor.blocking.Client(settings, codecs.BYTES)
            client.connect()
            assert client.address == fake.address
            client.close()

    def test_a_node_that_accepts_and_stays_silent_is_passed_over(self, fake: FakeServer) -> None:
        with FakeServer() as silent:
            silent.on(verbs.HELLO, lambda connection, message: None)
            settings = gather([silent.address, fake.address], "/", 10, None, None, None, None)
            import dataclasses

            client = visor.blocking.Client(dataclasses.replace(settings, connect_timeout=0.1), codecs.BYTES)
            client.connect()
            assert client.address == fake.address
            client.close()

    @pytest.mark.parametrize("flavour", ["blocking", "asyncio"])
    def test_another_cluster_under_the_same_address_is_refused_loudly(
        self, fake: FakeServer, flavour: str
    ) -> None:
        def check(error: errors.WrongCluster) -> None:
            assert (error.expected, error.actual) == ("fake", "impostor")

        def become_another() -> None:
            fake.cluster = "impostor"
            fake.cut_all()

        async def main() -> None:
            async with visor.aio.dial(fake.address) as client:
                watch = await client.watch()
                become_another()
                for call in (client.rev(), client.set("/a", b""), watch.next()):
                    with pytest.raises(errors.WrongCluster) as caught:
                        await call
                    check(caught.value)
                await client.reopen()
                assert client.cluster == "impostor"

        if flavour == "asyncio":
            asyncio.run(main())
            return
        with visor.dial(fake.address) as client:
            watch = client.watch()
            become_another()
            for call in (client.rev, lambda: client.set("/a", b""), watch.next):
                with pytest.raises(errors.WrongCluster) as caught:
                    call()
                check(caught.value)
            client.reopen()
            assert client.cluster == "impostor"
            assert client.rev() == 0

    def test_a_client_that_nobody_will_have_is_told_at_once(self, fake: FakeServer) -> None:
        fake.on(verbs.HELLO, lambda connection, message: connection.refuse(message, "denied"))
        began = time.monotonic()
        with pytest.raises(errors.Denied):
            visor.dial(fake.address)
        with pytest.raises(errors.Denied):
            asyncio.run(_dial(fake.address))
        assert time.monotonic() - began < PATIENCE

    def test_overload_is_met_with_pauses_within_the_deadline(self, fake: FakeServer) -> None:
        refusals = 3

        def overloaded(connection: FakeConnection, message: list[Any]) -> object:
            nonlocal refusals
            refusals -= 1
            if refusals < 0:
                return PASS
            connection.refuse(message, "overloaded", what="writes", limit=1)
            return None

        fake.on(verbs.SET, overloaded)
        with visor.dial(fake.address) as client:
            assert client.set("/a", b"1") == 1
            ids = [message[1] for message in fake.saw(verbs.SET)]
            assert len(ids) == 4
            assert ids == sorted(set(ids))
            refusals = 10**6
            with pytest.raises(errors.DeadlineExceeded, match="overloaded") as caught:
                client.set("/a", b"2", timeout=0.3)
            assert isinstance(caught.value.__cause__, errors.Overloaded)


async def _dial(address: str) -> None:
    await visor.aio.dial(address)


class TestBytes:
    def test_answers_may_come_in_any_order_and_in_any_pieces(self, fake: FakeServer) -> None:
        held: list[bytes] = []

        def hold(connection: FakeConnection, message: list[Any]) -> None:
            held.append(encode((verbs.OK, message[1], [int(message[2][1:]), None])))
            if len(held) == 20:
                random.Random(1).shuffle(held)
                for byte in b"".join(held):
                    connection.send_bytes(bytes((byte,)))

        fake.on(verbs.GET, hold)

        async def main() -> None:
            async with visor.aio.dial(fake.address) as client:

                async def one(number: int) -> int:
                    answer = await client._call([verbs.GET, 0, f"/{number}"], False, None)
                    return int(answer[0])

                assert await asyncio.gather(*map(one, range(20))) == list(range(20))

        asyncio.run(main())

    @pytest.mark.parametrize(
        "garbage", [b"\xc1\xc1", b"HTTP/1.1 200 OK\r\n\r\n", encode([verbs.OK]), b"\xdd" * 9]
    )
    def test_garbage_costs_the_connection_and_nothing_else(self, fake: FakeServer, garbage: bytes) -> None:
        fake.on(verbs.GET, once(lambda connection, message: connection.send_bytes(garbage)))
        with visor.dial(fake.address) as client:
            with pytest.raises(errors.NotFound):
                client.get("/a")
            assert fake.accepted == 2

    def test_a_large_value_does_not_lock_up_with_a_server_that_is_sending(self, visor_server: Server) -> None:
        """Both sides have more to send than the sockets hold: the client receives while it sends."""
        with visor_server.dial() as client:
            watches = [client.watch("/**", window=1 << 20) for _ in range(8)]
            for _ in range(8):
                client.set("/big", bytes(1 << 20))
            threads = [threading.Thread(target=client.set, args=("/big", bytes(1 << 20))) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
            assert client.rev() == 16
            for watch in watches:
                assert [watch.next(timeout=PATIENCE).rev for _ in range(16)] == list(range(1, 17))


class TestThreads:
    """python-etcd3 #1026, #369: a client used by several threads."""

    def test_any_number_of_threads_share_a_client(self, visor_server: Server) -> None:
        failures: list[BaseException] = []
        with visor_server.dial(codec=codecs.INT) as client:

            def work(number: int) -> None:
                try:
                    for turn in range(40):
                        client.set(f"/t/{number}", turn)
                        assert client.get(f"/t/{number}").value == turn
                    commits = client.history(f"/t/{number}")
                    assert [commit.changes[0].value for commit in commits] == list(range(40))
                except BaseException as error:
                    failures.append(error)

            def follow() -> None:
                try:
                    with client.watch("/t/**", 1) as watch:
                        for expected in range(1, 12 * 40 + 1):
                            assert watch.next(timeout=PATIENCE).rev == expected
                except BaseException as error:
                    failures.append(error)

            threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
            threads += [threading.Thread(target=follow) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
        assert failures == []

    def test_threads_with_deadlines_of_their_own(self, fake: FakeServer) -> None:
        fake.on(verbs.GET, lambda connection, message: None)
        with visor.dial(fake.address) as client:
            took: dict[float, float] = {}

            def wait(seconds: float, error: type[errors.VisorError] = errors.DeadlineExceeded) -> None:
                began = time.monotonic()
                with pytest.raises(error):
                    client.get("/a", timeout=seconds)
                took[seconds] = time.monotonic() - began

            patient = threading.Thread(target=wait, args=(60, errors.ClientClosed))
            patient.start()
            threads = [threading.Thread(target=wait, args=(seconds,)) for seconds in (0.3, 0.1, 0.2)]
            for thread in threads:
                thread.start()
            assert client.rev() == 0
            for thread in threads:
                thread.join(PATIENCE)
            assert set(took) == {0.1, 0.2, 0.3}, "nobody waits for anybody else's deadline"
            assert all(spent >= seconds for seconds, spent in took.items())
        patient.join(PATIENCE)
        assert set(took) == {0.1, 0.2, 0.3, 60}


class TestAsyncio:
    def test_a_cancelled_task_leaves_the_client_usable(self, fake: FakeServer) -> None:
        fake.on(verbs.GET, lambda connection, message: None)

        async def main() -> None:
            async with visor.aio.dial(fake.address) as client:
                task = asyncio.ensure_future(client.get("/a"))
                await asyncio.to_thread(fake.wait, lambda: bool(fake.saw(verbs.GET)))
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await client.set("/a", b"") == 1
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await client.wait("/never")
                assert not client._driver._session.pending
                assert not client._driver._session.feeds

        asyncio.run(main(), debug=True)
        assert fake.saw(verbs.CANCEL)

    def test_a_client_belongs_to_its_loop(self, fake: FakeServer) -> None:
        async def dial() -> visor.aio.Client[bytes]:
            return await visor.aio.dial(fake.address)

        loop = asyncio.new_event_loop()
        client = loop.run_until_complete(dial())
        with pytest.raises(RuntimeError, match="another event loop"):
            asyncio.run(client.rev())
        loop.run_until_complete(client.close())
        loop.close()

    def test_deadlines_and_reconnection(self, fake: FakeServer) -> None:
        async def main() -> None:
            async with visor.aio.dial(fake.address) as client:
                fake.on(verbs.GET, lambda connection, message: None)
                fake.on(verbs.SET, lambda connection, message: None)
                began = time.monotonic()
                results = await asyncio.gather(
                    client.get("/a", timeout=0.1), client.set("/a", b"", timeout=0.2), return_exceptions=True
                )
                assert [type(result) for result in results] == [errors.DeadlineExceeded, errors.WriteTimeout]
                assert time.monotonic() - began < PATIENCE
                fake.cut_all()
                assert await client.rev() == 0

        asyncio.run(main())

    def test_the_sets_of_one_turn_of_the_loop_are_one_write(self, fake: FakeServer) -> None:
        async def main() -> None:
            async with visor.aio.dial(fake.address) as client:
                writes: list[int] = []
                write = client._driver._write
                assert write is not None

                def counted(data: bytes) -> None:
                    writes.append(len(data))
                    write(data)

                client._driver._write = counted
                await asyncio.gather(*(client.set(f"/{number}", b"") for number in range(100)))
                assert len(writes) == 1

        asyncio.run(main())

    def test_of_many_reads_the_first_arrive_while_the_others_are_made(self, fake: FakeServer) -> None:
        async def main() -> None:
            async with visor.aio.dial(fake.address) as client:

                async def look() -> None:
                    fake.wait(lambda: len(fake.saw(verbs.GET)) >= EARLY)  # without giving the loop a turn

                reads = [client.get(f"/{number}", None) for number in range(2 * EARLY)]
                await asyncio.gather(*reads[: EARLY + 8], look(), *reads[EARLY + 8 :])
                assert len(fake.saw(verbs.GET)) == 2 * EARLY

        asyncio.run(main())

    def test_a_unix_socket_will_do(self, tmp_path: Any) -> None:
        import socket

        path = str(tmp_path / "v.sock")
        with FakeServer() as fake:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen()
            served: list[FakeConnection] = []

            def serve() -> None:
                for _ in range(2):
                    served.append(FakeConnection(fake, listener.accept()[0]))

            thread = threading.Thread(target=serve)
            thread.start()
            with visor.dial(f"unix:{path}") as client:
                assert client.set("/a", b"1") == 1

            async def main() -> None:
                async with visor.aio.dial(f"unix:{path}") as client:
                    assert await client.set("/a", b"2") == 2

            asyncio.run(main())
            thread.join(PATIENCE)
            listener.close()
            for connection in served:
                connection.thread.join(PATIENCE)

    def test_uvloop_will_do(self, visor_server: Server) -> None:
        uvloop = pytest.importorskip("uvloop")

        async def main() -> None:
            async with visor_server.dial_async() as client, await client.watch("/**") as watch:
                await asyncio.gather(*(client.set(f"/{number}", b"") for number in range(50)))
                assert [(await watch.next(timeout=PATIENCE)).rev for _ in range(50)] == list(range(1, 51))
                with pytest.raises(errors.DeadlineExceeded):
                    await client.get("/1", at=99, timeout=0.05)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
