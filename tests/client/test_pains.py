"""What hurt the users of other registries' clients, one test each: here it must not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import visor
import visor.aio
from tests.client.fake_server import FakeServer
from tests.patience import GROWING, PATIENCE, eventually
from visor import errors
from visor._drivers.environment import gather
from visor.protocol import verbs
from visor.testing import Server

SOAK = float(os.environ.get("VISOR_SOAK", "1"))
STRIKES = int(300 * SOAK)
"""Interrupts of a hail, and calls that end well in it, each at least."""


@contextlib.contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Send this process SIGINT from another thread, as the terminal does on Ctrl-C."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def in_child(body: Callable[[], object]) -> int:
    """Run `body` in a fork of this process; return 0 when it did not raise."""
    pid = os.fork()
    if not pid:
        signal.alarm(int(PATIENCE))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        code = 1
        try:
            body()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


class TestFork:
    """kazoo #628, #554, #538: hangs after fork, in multiprocessing, celery and uwsgi."""

    def test_the_child_is_told_what_to_do_and_the_parent_goes_on(self, visor_server: Server) -> None:
        with visor_server.dial() as client, client.watch("/**") as watch:
            client.set("/a", b"1")

            def child() -> None:
                for call in (client.rev, client.ping, lambda: client.set("/a", b"2"), lambda: next(watch)):
                    with pytest.raises(errors.ForkedClient, match=r"call client\.reopen\(\)") as caught:
                        call()
                    assert (caught.value.opened_in, caught.value.used_in) == (os.getppid(), os.getpid())
                client.close()

            assert in_child(child) == 0
            assert client.set("/a", b"3") == 2
            assert [watch.next(timeout=PATIENCE).rev for _ in range(2)] == [1, 2]

    def test_reopen_works_in_the_child_beside_the_parent(self, visor_server: Server) -> None:
        with visor_server.dial() as client:
            before = client.set("/a", b"parent")

            def child() -> None:
                client.reopen()
                assert client.get("/a").value == b"parent"
                assert client.set("/child", b"1") == before + 1
                client.close()

            assert in_child(child) == 0
            assert client.get("/child").value == b"1"
            assert client.set("/a", b"parent again") == before + 2

    def test_a_fork_while_another_thread_is_in_a_call(self, fake: FakeServer) -> None:
        fake.on(verbs.GET, lambda connection, message: None)
        with visor.dial(fake.address) as client:
            waiting = threading.Thread(
                target=lambda: _ignore(lambda: client.get("/a", timeout=10 * PATIENCE))
            )
            waiting.start()
            fake.wait(lambda: bool(fake.saw(verbs.GET)))

            def child() -> None:
                with pytest.raises(errors.ForkedClient):
                    client.rev()
                client.reopen()
                assert client.rev() == 0
                client.close()

            assert in_child(child) == 0
            fake.on(verbs.GET, lambda connection, message: connection.ok(message, [0, None]))
            assert client.rev() == 0
            client.close()
            waiting.join(PATIENCE)
            assert not waiting.is_alive()

    def test_an_asyncio_client_is_told_too(self, visor_server: Server) -> None:
        async def main() -> None:
            async with visor_server.dial_async() as client:
                await client.set("/a", b"1")

                def child() -> None:
                    async def inner() -> None:
                        with pytest.raises(errors.ForkedClient):
                            await client.rev()
                        await client.reopen()
                        assert (await client.get("/a")).value == b"1"
                        await client.close()

                    asyncio.run(inner())

                assert in_child(child) == 0
                assert await client.set("/a", b"2") == 2

        asyncio.run(main())


def _ignore(call: Callable[[], object]) -> None:
    with contextlib.suppress(errors.VisorError):
        call()


BLOCKING: dict[str, Callable[[visor.Client[bytes]], object]] = {
    "rev": lambda client: client.rev(timeout=10 * PATIENCE),
    "get": lambda client: client.get("/a", timeout=10 * PATIENCE),
    "set": lambda client: client.set("/a", b"", timeout=10 * PATIENCE),
    "txn": lambda client: client.txn(timeout=10 * PATIENCE),
    "ls": lambda client: client.ls(timeout=10 * PATIENCE),
    "scan": lambda client: list(client.scan(timeout=10 * PATIENCE)),
    "ping": lambda client: client.ping(timeout=10 * PATIENCE),
    "watch": lambda client: client.watch(timeout=10 * PATIENCE),
    "snapshot": lambda client: client.snapshot(timeout=10 * PATIENCE),
    "history": lambda client: list(client.history(timeout=10 * PATIENCE)),
    "status": lambda client: client.status(timeout=10 * PATIENCE),
}


class TestCtrlC:
    """python-etcd3 #47: watching breaks Ctrl-C."""

    @pytest.mark.parametrize("name", sorted(BLOCKING))
    def test_it_works_in_every_blocking_call(self, fake: FakeServer, name: str) -> None:
        silent = True
        fake_verbs = [*range(10, 19), *range(30, 36), verbs.WATCH, verbs.PING]
        for verb in fake_verbs:
            fake.on(verb, lambda connection, message: None if silent else _pass())
        with visor.dial(fake.address) as client:
            began = time.monotonic()
            with pytest.raises(KeyboardInterrupt), interrupted_after(0.1):
                BLOCKING[name](client)
            assert time.monotonic() - began < PATIENCE
            silent = False
            assert client.set("/after", b"1") > 0
            assert client.get("/after").value == b"1"

    def test_it_works_in_a_watch_that_waits(self, visor_client: visor.Client[bytes]) -> None:
        with visor_client.watch("/**") as watch:
            for how in (lambda: next(watch), lambda: watch.next(timeout=10 * PATIENCE), lambda: list(watch)):
                with pytest.raises(KeyboardInterrupt), interrupted_after(0.1):
                    how()
            visor_client.set("/a", b"1")
            assert watch.next(timeout=PATIENCE).rev == 1

    def test_it_works_while_connecting(self, fake: FakeServer) -> None:
        fake.on(verbs.HELLO, lambda connection, message: None)
        with pytest.raises(KeyboardInterrupt), interrupted_after(0.1):
            visor.dial(fake.address, timeout=10 * PATIENCE)
        fake.stop_listening()
        with pytest.raises(KeyboardInterrupt), interrupted_after(0.1):
            visor.dial(fake.address, timeout=10 * PATIENCE)

    def test_it_works_for_a_thread_that_waits_behind_the_reader(self, fake: FakeServer) -> None:
        fake.on(verbs.GET, lambda connection, message: None)
        with visor.dial(fake.address) as client:
            reader = threading.Thread(
                target=lambda: _ignore(lambda: client.get("/other", timeout=10 * PATIENCE))
            )
            reader.start()
            fake.wait(lambda: bool(fake.saw(verbs.GET)))
            with pytest.raises(KeyboardInterrupt), interrupted_after(0.1):
                client.get("/mine", timeout=10 * PATIENCE)
            assert client.rev() == 0
            client.close()
            reader.join(PATIENCE)

    @pytest.mark.timeout(240)
    def test_a_hail_of_interrupts_leaves_the_client_usable_and_counts_right(
        self, visor_server: Server
    ) -> None:
        """Interrupts strike between any two bytecodes; what returned has happened exactly once."""
        done = attempts = 0
        with visor_server.dial() as client, visor_server.dial() as witness:
            with Hail(seed=7) as hail:
                while hail.interrupts < STRIKES or done < STRIKES:
                    attempts += 1
                    number = b"%d" % attempts
                    done += hail.strikes(lambda number=number: client.set("/n", number)) is not None
            assert client.set("/end", b"1") > 0
            written = [int(commit.changes[0].value or b"0") for commit in witness.history("/n")]
            assert len(written) == len(set(written))  # never twice
            assert done <= len(written) <= attempts
            assert not client._driver._session.pending

    @pytest.mark.timeout(240)
    def test_a_hail_of_interrupts_in_a_watch_brings_nothing_twice(self, visor_server: Server) -> None:
        revs, stop = list[int](), threading.Event()

        def write() -> None:
            with visor_server.dial() as writer:
                while not stop.wait(0.0005):
                    writer.set("/w", b"")
                writer.set("/end", b"")

        with visor_server.dial() as client, client.watch("/**", 1) as watch:
            thread = threading.Thread(target=write)
            thread.start()
            with Hail(seed=8) as hail:
                while hail.interrupts < STRIKES or len(revs) < STRIKES:
                    commit = hail.strikes(lambda: watch.next(timeout=PATIENCE))
                    if commit is not None:
                        revs.append(commit.rev)
            stop.set()
            revs += [commit.rev for commit in _up_to_the_end(watch)]
            thread.join()
        assert revs == sorted(set(revs))
        # What is lost was handed out: the interrupt struck between the watch and the variable.
        assert revs[-1] - len(revs) <= hail.interrupts


def _up_to_the_end(watch: visor.Watch[bytes]) -> Iterator[visor.Commit[bytes]]:
    for commit in watch:
        yield commit
        if commit.changes[0].path == "/end":
            return


class Hail:
    """Interrupts at random moments of the calls that are exposed to it, up to two in each."""

    def __init__(self, seed: int) -> None:
        self.interrupts = 0
        self._dice = random.Random(seed)
        self._left = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fall)

    def _fall(self) -> None:
        while not self._stop.wait(self._dice.random() * 0.004):
            os.kill(os.getpid(), signal.SIGINT)

    def _struck(self, number: int, frame: object) -> None:
        if self._left:
            self._left -= 1
            self.interrupts += 1
            raise KeyboardInterrupt

    def strikes(self, call: Callable[[], Any]) -> Any:
        """Return what the call returned, None when it was interrupted."""
        try:
            try:
                try:
                    self._left = 2
                    result = call()
                    self._left = 0
                    return result
                except KeyboardInterrupt:
                    self._left = 0
            except KeyboardInterrupt:  # the second may strike while the first is dealt with
                self._left = 0
        except KeyboardInterrupt:
            self._left = 0
        return None

    def __enter__(self) -> Hail:
        self._before = signal.signal(signal.SIGINT, self._struck)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        signal.signal(signal.SIGINT, self._before)


def _pass() -> object:
    from tests.client.fake_server import PASS

    return PASS


class TestClosing:
    """kazoo #582, #394, #426; python-etcd3 #997: closing hangs, deadlocks in callbacks, throws in threads."""

    def test_it_is_idempotent_bounded_and_silent(
        self, fake: FakeServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        fake.on(verbs.GET, lambda connection, message: None)
        client = visor.dial(fake.address)
        ended: list[object] = []

        def wait(call: Callable[[], object]) -> None:
            try:
                call()
            except errors.ClientClosed as error:
                ended.append(error)

        watch = client.watch("/**")
        calls = [
            lambda: client.get("/a", timeout=10 * PATIENCE),
            lambda: client.get("/b", timeout=10 * PATIENCE),
            lambda: next(watch),
        ]
        threads = [threading.Thread(target=wait, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        fake.wait(lambda: len(fake.saw(verbs.GET)) == 2)
        began = time.monotonic()
        client.close()
        client.close()
        for thread in threads:
            thread.join(PATIENCE)
        assert time.monotonic() - began < PATIENCE
        assert len(ended) == 3
        for call in (client.rev, client.connect, lambda: client.watch("/**"), lambda: next(watch)):
            with pytest.raises(errors.ClientClosed):
                call()
        assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
        assert capfd.readouterr().err == ""

    def test_it_is_bounded_when_the_server_is_gone_or_stuck(self, fake: FakeServer) -> None:
        for spoil in (fake.cut_all, fake.stop_listening):
            client = visor.dial(fake.address)
            spoil()
            began = time.monotonic()
            client.close()
            assert time.monotonic() - began < PATIENCE

    def test_a_closed_client_can_be_reopened(self, visor_server: Server) -> None:
        client = visor_server.dial()
        client.close()
        client.reopen()
        assert client.set("/a", b"") == 1
        client.close()

    def test_it_interrupts_connecting(self, fake: FakeServer) -> None:
        client = visor.dial(fake.address)
        fake.on(verbs.HELLO, lambda connection, message: None)
        fake.cut_all()
        thread = threading.Thread(target=lambda: _ignore(lambda: client.rev(timeout=10 * PATIENCE)))
        thread.start()
        fake.wait(lambda: fake.accepted >= 2)
        client.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()

    def test_an_asyncio_client_closes_the_same_way(self, fake: FakeServer) -> None:
        fake.on(verbs.GET, lambda connection, message: None)

        async def main() -> None:
            client = await visor.aio.dial(fake.address)
            watch = await client.watch("/**")
            tasks = [
                asyncio.ensure_future(client.get("/a")),
                asyncio.ensure_future(watch.next()),
                asyncio.ensure_future(client.wait("/b")),
            ]
            await asyncio.sleep(0.05)
            began = time.monotonic()
            await client.close()
            await client.close()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert time.monotonic() - began < PATIENCE
            assert [type(result) for result in results] == [errors.ClientClosed] * 3
            with pytest.raises(errors.ClientClosed):
                await client.rev()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main(), debug=True)


class TestCallbacks:
    """python-etcd3 #187, kazoo #426: a callback that uses the client deadlocks."""

    def test_a_callback_may_use_the_client_in_every_way(self, visor_client: visor.Client[bytes]) -> None:
        client, results, done = visor_client, list[Any](), threading.Event()

        def callback(commit: visor.Commit[bytes]) -> None:
            if commit.changes[0].path == "/a":
                results.append(client.get("/a").value)
                results.append(client.set("/b", b"from a callback"))
                with client.watch("/c") as watch:
                    client.set("/c", b"")
                    results.append(watch.next(timeout=PATIENCE).rev)
                inner = client.on_change("/never", lambda commit: None)
                inner.close()
                done.set()

        with client.on_change("/**", callback):
            client.set("/a", b"1")
            assert done.wait(PATIENCE)
        assert results == [b"1", 2, 3]

    def test_a_callback_may_close_its_subscription_and_its_client(self, visor_server: Server) -> None:
        for what in ("subscription", "client"):
            client, done = visor_server.dial(), threading.Event()
            closing: list[Any] = []

            def callback(
                commit: visor.Commit[bytes], closing: list[Any] = closing, done: threading.Event = done
            ) -> None:
                closing[0].close()
                done.set()

            subscription = client.on_change("/**", callback)
            closing.append(client if what == "client" else subscription)
            client.set("/a", b"")
            assert done.wait(PATIENCE)
            client.close()

    def test_one_that_raises_is_logged_and_the_next_commit_follows(
        self, visor_client: visor.Client[bytes], caplog: pytest.LogCaptureFixture
    ) -> None:
        """python-etcd3 PR #377: the watcher thread died on any error and could never be restarted."""
        seen, done = list[int](), threading.Event()

        def callback(commit: visor.Commit[bytes]) -> object:
            seen.append(commit.rev)
            if commit.rev == 1:
                raise ZeroDivisionError
            if commit.rev == 2:
                done.set()
                return False
            return None

        subscription = visor_client.on_change("/**", callback)
        for _ in range(3):
            visor_client.set("/a", b"")
        assert done.wait(PATIENCE)
        subscription.close()
        assert seen == [1, 2]
        assert "a callback raised at Commit(rev 1" in caplog.text
        assert subscription.error is None

    def test_a_subscription_that_ends_says_why(self, visor_client: visor.Client[bytes]) -> None:
        for _ in range(3):
            visor_client.set("/a", b"")
        visor_client.compact(3)
        with pytest.raises(errors.Compacted):
            visor_client.on_change("/**", print, 1)

    def test_asyncio_callbacks_may_be_coroutines(self, visor_server: Server) -> None:
        async def main() -> None:
            async with visor_server.dial_async() as client:
                done = asyncio.Event()

                async def callback(commit: visor.Commit[bytes]) -> None:
                    await client.get("/a")
                    done.set()
                    await client.close()

                await client.on_change("/**", callback)
                await client.set("/a", b"")
                await asyncio.wait_for(done.wait(), PATIENCE)

        asyncio.run(main())


class TestLeaks:
    """python-etcd3 #291: a thread and memory leak per client object."""

    def test_clients_leave_no_threads_files_or_memory_of_themselves(self, visor_server: Server) -> None:
        import gc
        import weakref

        def use() -> weakref.ref[object]:
            with visor_server.dial() as client:
                client.set("/a", b"")
                with client.watch("/**"), client.on_change("/**", lambda commit: None):
                    client.get("/a")
                return weakref.ref(client)

        use()
        threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        references = [use() for _ in range(20)]
        gc.collect()
        deadline = time.monotonic() + PATIENCE
        while len(os.listdir("/proc/self/fd")) > files + 5 and time.monotonic() < deadline:  # noqa: PTH208
            time.sleep(0.01)  # the server's ends close a moment later
        assert threading.active_count() == threads
        assert len(os.listdir("/proc/self/fd")) <= files + 5  # noqa: PTH208  # the server opens some of its own
        assert all(reference() is None for reference in references)

    def test_a_blocking_client_has_no_thread_at_all(self, visor_server: Server) -> None:
        before = threading.active_count()
        with visor_server.dial() as client, client.watch("/**"):
            client.set("/a", b"")
            assert threading.active_count() == before


class TestNames:
    """kazoo #794: stale DNS until every old address has failed."""

    def test_names_are_resolved_at_every_attempt(
        self, visor_server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host, _, port = visor_server.address.rpartition(":")
        real, asked = socket.getaddrinfo, list[str]()
        with socket.create_server(("127.0.0.1", 0)) as dead:
            dead_port = dead.getsockname()[1]
        moved = False

        def lookup(name: Any, *args: Any, **named: Any) -> Any:
            if name not in ("registry.example", b"registry.example"):  # asyncio asks with text
                return real(name, *args, **named)
            asked.append(name)
            where = (host, int(port)) if moved else ("127.0.0.1", dead_port)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", where)]

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        client = visor.blocking.Client(
            gather("registry.example:1", "/", 10, None, None, None, None), visor.codecs.BYTES
        )
        thread = threading.Thread(target=client.connect)
        thread.start()
        eventually(lambda: len(asked) >= 3)
        moved = True
        thread.join(PATIENCE)
        assert client.set("/a", b"") == 1
        client.close()

        async def main() -> None:
            asked.clear()
            async with visor.aio.dial("registry.example:1") as client:
                assert (await client.get("/a")).rev == 1
            assert asked

        asyncio.run(main())

    def test_a_lookup_that_hangs_does_not_hang_the_call(self, monkeypatch: pytest.MonkeyPatch) -> None:
        release = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **named: [][: release.wait(10 * PATIENCE)])
        began = time.monotonic()
        with pytest.raises(errors.DeadlineExceeded, match=r"slow\.example"):
            visor.dial("slow.example:1", timeout=0.2)
        assert time.monotonic() - began < PATIENCE
        release.set()


class TestVanishing:
    """python-etcd3 #88, #258: a watch on a dead server never returns; a dead server costs 100 % CPU."""

    def test_a_server_that_vanishes_without_a_word_is_noticed(self, fake: FakeServer) -> None:
        import dataclasses

        settings = gather(fake.address, "/", 10, None, None, None, None)
        settings = dataclasses.replace(settings, ping_after=0.1, dead_after=0.3)
        client = visor.blocking.Client(settings, visor.codecs.BYTES)
        client.connect()
        watch = client.watch("/**")
        for connection in fake.connections:
            connection.muted = True
        thread = threading.Thread(target=lambda: _ignore(lambda: watch.next(timeout=10 * PATIENCE)))
        thread.start()
        fake.wait(lambda: fake.accepted >= 2)
        fake.wait(lambda: bool(fake.saw(verbs.PING)))
        client.set("/a", b"1")
        thread.join(PATIENCE)
        assert watch.rev == 1
        client.close()

    def test_an_asyncio_client_notices_too(self, fake: FakeServer) -> None:
        import dataclasses

        settings = gather(fake.address, "/", 10, None, None, None, None)
        settings = dataclasses.replace(settings, ping_after=0.1, dead_after=0.3)

        async def main() -> None:
            async with visor.aio.Client(settings, visor.codecs.BYTES) as client:
                await client.connect()
                for connection in fake.connections:
                    connection.muted = True
                assert await client.set("/a", b"1") == 1
            assert fake.accepted >= 2
            assert fake.saw(verbs.RETRY)

        asyncio.run(main())

    def test_waiting_for_a_dead_server_costs_no_cpu(self, fake: FakeServer) -> None:
        client = visor.dial(fake.address)
        watch = client.watch("/**")
        fake.stop_listening()
        fake.cut_all()
        used = time.process_time()
        with pytest.raises(errors.DeadlineExceeded):
            watch.next(timeout=0.5)
        assert time.process_time() - used < 0.25
        client.close()

    def test_no_server_at_all_is_a_prompt_and_clear_error(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
        for seconds in GROWING:
            with pytest.raises(errors.DeadlineExceeded) as caught:
                visor.dial(address, timeout=seconds)
            assert address in str(caught.value)
            if "refused" in str(caught.value):
                break
        assert "refused" in str(caught.value)
        with pytest.raises(TimeoutError):
            asyncio.run(_dial(address))


async def _dial(address: str) -> None:
    await visor.aio.dial(address, timeout=0.2)
