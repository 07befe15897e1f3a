"""Leases of clients: what is attached goes with them, and nobody believes in one that may be gone."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import visor
import visor.aio
from tests.patience import PATIENCE
from visor import Kind, LeaseState, errors, guard, op
from visor.protocol import verbs
from visor.protocol.frames import Decoder
from visor.testing import Server, server

from .proxy import Link, Proxy


def gone(client: visor.Client[bytes], path: str, within: float) -> visor.Commit[bytes]:
    """Wait until the file goes, and return the commit that took it."""
    with client.watch(path, 1, kinds=[Kind.EXPIRE, Kind.DELETE]) as watch:
        return watch.next(timeout=within)


class Heard:
    """A listener that waits for what it is told."""

    def __init__(self) -> None:
        self.states: list[LeaseState] = []
        self._condition = threading.Condition()

    def __call__(self, state: LeaseState) -> None:
        with self._condition:
            self.states.append(state)
            self._condition.notify_all()

    def wait(self, state: LeaseState, within: float = 5.0) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: state in self.states, within), self.states


class TestLiving:
    def test_what_is_attached_lives_as_long_as_the_lease_is_kept(self, visor_server: Server) -> None:
        with visor_server.dial() as witness, visor_server.dial() as client:
            with client.lease(1.0) as lease:
                assert lease.state is LeaseState.CONNECTED
                assert client.set("/a", b"up", lease=lease) == 1
                time.sleep(1.6)
                lease.check()
                assert witness.get("/a").lease == lease.id
                assert 0 < lease.time_left() <= 1.0
                assert lease.info().files == ("/a",)
            assert lease.state is LeaseState.ENDED
            assert not lease.lost
            assert not witness.exists("/a")
            (commit,) = witness.history("/a", first=2)
            assert [change.kind for change in commit.changes] == [Kind.DELETE]

    def test_what_nobody_keeps_expires_in_one_rev(self, visor_client: visor.Client[bytes]) -> None:
        began = time.monotonic()
        lease = visor_client.lease(1.0, keep=False)
        for name in "abc":
            visor_client.create(f"/d/{name}", b"", lease=lease)
        commit = gone(visor_client, "/d/*", within=3)
        assert time.monotonic() - began >= 1.0
        assert [(change.kind, change.path) for change in commit.changes] == [
            (Kind.EXPIRE, "/d/a"),
            (Kind.EXPIRE, "/d/b"),
            (Kind.EXPIRE, "/d/c"),
        ]
        assert lease.lost
        assert commit.actor == "visord"
        with pytest.raises(errors.LeaseLost):
            visor_client.set("/e", b"", lease=lease)
        with pytest.raises(errors.LeaseNotFound) as caught:
            visor_client.set("/e", b"", lease=lease.id)
        assert caught.value.lease == lease.id

    def test_a_file_changes_its_lease_by_being_written(self, visor_client: visor.Client[bytes]) -> None:
        client = visor_client
        with client.lease(30) as one, client.lease(30) as two:
            client.set("/a", b"", lease=one)
            client.set("/b", b"", lease=one, guard=guard.missing(), note="mine")
            client.replace("/a", b"", lease=two)
            client.txn(then=[op.set("/c", b"", lease=two), op.set("/d", b"")])
            with client.transaction() as tx:
                tx.create("/e", b"", lease=one)
                tx.set("/f", b"", lease=two.id)
            client.set("/b", b"")
            client.set("/g", b"", lease=one, guard=guard.missing())
            client.set("/g", b"", lease=two, guard=guard.value(b""))
            assert one.info().files == ("/e",)
            assert two.info().files == ("/a", "/c", "/f", "/g")
        assert client.names() == ["b", "d"]

    def test_a_lease_survives_a_restart_with_its_files(self, tmp_path: Path) -> None:
        with server(tmp_path) as registry, registry.dial() as client:
            with client.lease(3.0) as lease:
                client.set("/a", b"", lease=lease)
                registry.restart()
                assert client.get("/a").lease == lease.id
                assert lease.keep_alive() > 2.5
            assert not client.exists("/a")

    def test_leases_are_seen_by_everybody(self, visor_server: Server) -> None:
        with visor_server.dial() as client, visor_server.dial("/inner") as other:
            mine = client.lease(5.5, keep=False)
            wanted = client.lease(20, keep=False, wanted=1 << 50)
            client.set("/inner/x", b"", lease=mine)
            client.set("/outer", b"", lease=mine)
            assert [(info.id, info.ttl, info.count) for info in other.leases()] == [
                (mine.id, 5.5, 2),
                (1 << 50, 20.0, 0),
            ]
            info = other.lease_info(mine.id)
            assert info.files == ("/x",)
            assert info.left is not None
            assert 4 < info.left <= 5.5
            with pytest.raises(errors.LeaseExists):
                other.lease(5, wanted=1 << 50)
            assert other.keep_alive([mine.id, 12345]) == {mine.id: 5.5, 12345: 0.0}
            other.revoke(mine.id, note="enough")
            (commit,) = client.history("/outer", first=3)
            assert commit.note == "enough"
            with pytest.raises(errors.LeaseNotFound):
                client.lease_info(mine.id)
            wanted.revoke()
            with pytest.raises(errors.LeaseNotFound):
                wanted.revoke()

    @pytest.mark.parametrize("ttl", [0, 0.5, -1, 1e9])
    def test_a_time_to_live_out_of_bounds_is_refused(
        self, visor_client: visor.Client[bytes], ttl: float
    ) -> None:
        with pytest.raises(errors.BadRequest):
            visor_client.lease(ttl)

    def test_closing_the_client_ends_its_leases(self, visor_server: Server) -> None:
        with visor_server.dial() as witness:
            client = visor_server.dial()
            kept, given_away = client.lease(30), client.lease(30, keep=False)
            client.set("/kept", b"", lease=kept)
            client.set("/given", b"", lease=given_away)
            began = time.monotonic()
            client.close()
            assert time.monotonic() - began < PATIENCE
            assert witness.names() == ["given"]
            assert kept.state is LeaseState.ENDED

    def test_many_leases_take_one_thread(self, visor_client: visor.Client[bytes]) -> None:
        before = threading.active_count()
        leases = [visor_client.lease(1.0) for _ in range(50)]
        time.sleep(1.5)
        assert threading.active_count() <= before + 1
        assert not any(lease.lost for lease in leases)
        for lease in leases:
            lease.close()


class TestLosing:
    def test_a_lease_is_lost_here_before_it_is_given_up_there(self, visor_server: Server) -> None:
        heard = Heard()
        with Proxy(visor_server.address) as proxy, visor_server.dial() as witness:
            with visor.dial(proxy.address) as client:
                lease = client.lease(4.0)
                lease.on_change(heard)
                client.set("/a", b"", lease=lease)
                time.sleep(0.6)
                proxy.flowing.clear()
                gone(witness, "/a", within=7)
                with pytest.raises(errors.LeaseLost):
                    lease.check()  # whatever keeps threads from running: who asks has known before
                heard.wait(LeaseState.LOST)
                assert heard.states == [LeaseState.SUSPENDED, LeaseState.LOST]
                proxy.flowing.set()
            assert lease.lost, "what is lost does not come back"

    def test_a_short_silence_only_suspends(self, visor_server: Server) -> None:
        heard = Heard()
        with (
            Proxy(visor_server.address) as proxy,
            visor.dial(proxy.address) as client,
            client.lease(3.0) as lease,
        ):
            lease.on_change(heard)
            proxy.flowing.clear()
            heard.wait(LeaseState.SUSPENDED)
            assert lease.time_left() > 0
            lease.check()
            proxy.flowing.set()
            heard.wait(LeaseState.CONNECTED)
            assert heard.states == [LeaseState.SUSPENDED, LeaseState.CONNECTED]

    def test_a_revocation_by_somebody_else_is_noticed(self, visor_server: Server) -> None:
        heard = Heard()
        with visor_server.dial() as other, visor_server.dial() as client:
            lease = client.lease(1.0)
            lease.on_change(heard)
            other.revoke(lease.id)
            heard.wait(LeaseState.LOST, within=1.0)
            with pytest.raises(errors.LeaseLost):
                lease.keep_alive()

    def test_a_dead_server_means_lost_in_time(self) -> None:
        with server() as registry, registry.dial() as client:
            lease = client.lease(1.0)
            registry.stop()
            time.sleep(1.0)
            with pytest.raises(errors.LeaseLost):
                lease.check()
            assert lease.wait_over(5.0)

    def test_listeners_may_use_the_client_and_one_that_raises_harms_nobody(
        self, visor_server: Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        seen: list[Any] = []
        with visor_server.dial() as other, visor_server.dial() as client:
            done = threading.Event()

            def use_it(state: LeaseState) -> None:
                seen.append((state, client.rev()))
                client.lease(5).close()
                done.set()

            def fail(state: LeaseState) -> None:
                raise RuntimeError("broken listener")

            lease = client.lease(1.0)
            lease.on_change(fail)
            lease.on_change(use_it)
            client.set("/a", b"", lease=lease)
            other.revoke(lease.id)
            assert done.wait(3)
        assert seen == [(LeaseState.LOST, 2)]
        assert "broken listener" in caplog.text

    def test_keep_alive_by_hand(self, visor_client: visor.Client[bytes]) -> None:
        lease = visor_client.lease(2.0, keep=False)
        for _ in range(3):
            time.sleep(0.8)
            assert 1.8 < lease.keep_alive() <= 2.0
        assert not lease.wait_over(0.2)
        assert lease.wait_over()
        with pytest.raises(errors.LeaseLost):
            lease.keep_alive()

    def test_close_is_silent_and_idempotent_without_a_server(self) -> None:
        with server() as registry, registry.dial() as client:
            lease = client.lease(30)
            registry.stop()
            began = time.monotonic()
            lease.close()
            lease.close()
            assert time.monotonic() - began < PATIENCE
            assert lease.state is LeaseState.ENDED

    def test_a_fork_does_not_keep_the_parents_lease(self, visor_client: visor.Client[bytes]) -> None:
        with visor_client.lease(1.0) as lease:
            visor_client.set("/a", b"", lease=lease)
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    lease.close()  # says nothing to the registry: it is the parent's
                    code = 0 if lease.lost and lease.time_left() == 0 else 2
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            time.sleep(1.2)
            assert not lease.lost
            assert visor_client.exists("/a")


class TestRetries:
    def test_a_grant_whose_answer_was_lost_leaves_one_lease(self, visor_server: Server) -> None:
        cut: list[bool] = []

        def lose_the_grant(link: Link, data: bytes, up: bool) -> bytes | None:
            if up and not cut and any(m[0] == verbs.GRANT for m in Decoder(1 << 20).feed(data)):
                cut.append(True)
                link.far.sendall(data)
                time.sleep(0.2)
                return None
            return data

        with (
            Proxy(visor_server.address) as proxy,
            visor_server.dial() as witness,
            visor.dial(proxy.address) as client,
        ):
            proxy.filter = lose_the_grant
            lease = client.lease(5)
            assert cut
            assert [info.id for info in witness.leases()] == [lease.id]
            assert lease.time_left() < 5.0


class TestAsyncio:
    def test_the_same_awaited(self, visor_server: Server) -> None:
        async def main() -> None:
            heard: list[LeaseState] = []

            async def listener(state: LeaseState) -> None:
                heard.append(state)

            async with visor.aio.dial(visor_server.address) as client:
                async with await client.lease(1.0) as lease:
                    lease.on_change(listener)
                    await client.set("/a", b"", lease=lease)
                    await asyncio.sleep(1.5)
                    assert (await client.get("/a")).lease == lease.id
                    await client.revoke(lease.id)
                    assert await lease.wait_over(2.0)
                    assert lease.lost
                assert [info async for info in client.leases()] == []
            assert heard == [LeaseState.LOST]

        asyncio.run(main())

    def test_a_blocked_loop_is_no_excuse(self, visor_server: Server) -> None:
        async def main() -> None:
            async with visor.aio.dial(visor_server.address) as client:
                lease = await client.lease(1.0)
                time.sleep(1.2)  # noqa: ASYNC251 - that is the point
                with pytest.raises(errors.LeaseLost):
                    lease.check()
                await asyncio.sleep(0.5)
                assert lease.lost, "an answer that comes after that does not bring it back"

        asyncio.run(main())
