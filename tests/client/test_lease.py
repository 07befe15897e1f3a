"""Leases of clients: what is attached goes with them, and nobody believes in one that may be gone."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

import visor
import visor.aio
from tests.client.proxy import Link, Proxy
from tests.lease_time import STEP, LeaseTime
from tests.patience import LONG_TTL, PATIENCE, eventually
from visor import Kind, LeaseState, errors, guard, op
from visor.protocol import verbs
from visor.protocol.frames import Decoder
from visor.testing import Server, server


def gone(client: visor.Client[bytes], path: str) -> visor.Commit[bytes]:
    """Wait until the file goes, and return the commit that took it."""
    with client.watch(path, 1, kinds=[Kind.EXPIRE, Kind.DELETE]) as watch:
        return watch.next(timeout=PATIENCE)


class Heard:
    """A listener that waits for what it is told."""

    def __init__(self) -> None:
        self.states: list[LeaseState] = []
        self._condition = threading.Condition()

    def __call__(self, state: LeaseState) -> None:
        with self._condition:
            self.states.append(state)
            self._condition.notify_all()

    def wait(self, state: LeaseState) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: state in self.states, PATIENCE), self.states


class TestLiving:
    def test_what_is_attached_lives_as_long_as_the_lease_is_kept(
        self, visor_server: Server, lease_time: LeaseTime
    ) -> None:
        with visor_server.dial() as witness, lease_time.dial() as client:
            with client.lease(LONG_TTL) as lease:
                assert lease.state is LeaseState.CONNECTED
                assert client.set("/a", b"up", lease=lease) == 1
                for _ in range(4):
                    lease_time.pass_kept(LONG_TTL / 3, lease)
                lease.check()
                assert witness.get("/a").lease == lease.id
                assert 0 < lease.time_left() <= LONG_TTL
                assert lease.info().files == ("/a",)
            assert lease.state is LeaseState.ENDED
            assert not lease.lost
            assert not witness.exists("/a")
            (commit,) = witness.history("/a", first=2)
            assert [change.kind for change in commit.changes] == [Kind.DELETE]

    def test_what_nobody_keeps_expires_in_one_rev(
        self, visor_client: visor.Client[bytes], lease_time: LeaseTime
    ) -> None:
        lease = visor_client.lease(LONG_TTL, keep=False)
        for name in "abc":
            visor_client.create(f"/d/{name}", b"", lease=lease)
        lease_time.turn(LONG_TTL - STEP)
        assert visor_client.names("/d") == ["a", "b", "c"]
        lease_time.turn(STEP)
        commit = gone(visor_client, "/d/*")
        assert [(change.kind, change.path) for change in commit.changes] == [
            (Kind.EXPIRE, "/d/a"),
            (Kind.EXPIRE, "/d/b"),
            (Kind.EXPIRE, "/d/c"),
        ]
        assert commit.actor == "visord"
        with pytest.raises(errors.LeaseNotFound) as caught:
            visor_client.set("/e", b"", lease=lease.id)
        assert caught.value.lease == lease.id

    def test_what_nobody_keeps_is_lost_by_the_clients_own_clock(self, lease_time: LeaseTime) -> None:
        with lease_time.dial() as client:
            lease = client.lease(1.0, keep=False)
            lease_time.turn(0.5)
            assert not lease.lost
            lease_time.turn(0.5)
            assert lease.lost
            with pytest.raises(errors.LeaseLost):
                client.set("/e", b"", lease=lease)

    def test_a_file_changes_its_lease_by_being_written(self, visor_client: visor.Client[bytes]) -> None:
        client = visor_client
        with client.lease(LONG_TTL) as one, client.lease(LONG_TTL) as two:
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
            lease = client.lease(LONG_TTL)
            client.set("/a", b"", lease=lease)
            registry.restart()
            assert client.get("/a").lease == lease.id
            assert lease.keep_alive() > 0
            lease.revoke()
            assert not client.exists("/a")

    def test_leases_are_seen_by_everybody(self, visor_server: Server, lease_time: LeaseTime) -> None:
        with visor_server.dial() as client, visor_server.dial("/inner") as other:
            mine = client.lease(5.5, keep=False)
            lease_time.turn(1.0)
            wanted = client.lease(LONG_TTL, keep=False, wanted=1 << 50)
            client.set("/inner/x", b"", lease=mine)
            client.set("/outer", b"", lease=mine)
            assert [(info.id, info.ttl, info.count) for info in other.leases()] == [
                (mine.id, 5.5, 2),
                (1 << 50, LONG_TTL, 0),
            ]
            info = other.lease_info(mine.id)
            assert info.files == ("/x",)
            assert info.left == 4.5
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

    def test_closing_the_client_ends_its_leases(self, visor_server: Server, lease_time: LeaseTime) -> None:
        with visor_server.dial() as witness:
            client = lease_time.dial()
            kept, given_away = client.lease(LONG_TTL), client.lease(LONG_TTL, keep=False)
            client.set("/kept", b"", lease=kept)
            client.set("/given", b"", lease=given_away)
            client.close()
            assert witness.names() == ["given"]
            assert kept.state is LeaseState.ENDED

    def test_many_leases_take_one_thread(self, lease_time: LeaseTime) -> None:
        with lease_time.dial() as client:
            client.rev()
            before = threading.active_count()
            leases = [client.lease(LONG_TTL) for _ in range(50)]
            for _ in range(3):
                lease_time.pass_kept(LONG_TTL / 3, *leases)
                assert threading.active_count() <= before + 1
            for lease in leases:
                lease.close()


class TestLosing:
    def test_a_lease_is_lost_here_before_it_is_given_up_there(
        self, visor_server: Server, lease_time: LeaseTime
    ) -> None:
        heard = Heard()
        with Proxy(visor_server.address) as proxy, visor_server.dial() as witness:
            with lease_time.dial(proxy.address) as client:
                lease = client.lease(LONG_TTL)
                client.set("/a", b"", lease=lease)
                lease_time.pass_kept(LONG_TTL / 3, lease)
                lease.on_change(heard)
                left = lease.time_left()
                proxy.flowing.clear()
                lease_time.turn(LONG_TTL / 3, node=False)
                eventually(lambda: client._driver._session.pending, "an attempt to keep it alive")
                lease_time.turn(LONG_TTL / 3, node=False)  # the attempt has failed, and nothing is lost yet
                heard.wait(LeaseState.SUSPENDED)
                left -= 2 * LONG_TTL / 3
                assert lease.time_left() == left
                lease_time.turn(left, node=False)
                with pytest.raises(errors.LeaseLost):
                    lease.check()
                assert witness.exists("/a"), "the registry counts from when it heard of it"
                lease_time.turn(LONG_TTL, client=False)
                gone(witness, "/a")
                lease_time.until(lambda: LeaseState.LOST in heard.states)
                assert heard.states == [LeaseState.SUSPENDED, LeaseState.LOST]
                proxy.flowing.set()
            assert lease.lost, "what is lost does not come back"

    def test_a_short_silence_only_suspends(self, visor_server: Server, lease_time: LeaseTime) -> None:
        heard = Heard()
        with (
            Proxy(visor_server.address) as proxy,
            lease_time.dial(proxy.address) as client,
            client.lease(LONG_TTL) as lease,
        ):
            lease.on_change(heard)
            proxy.flowing.clear()
            lease_time.turn(LONG_TTL / 3)
            eventually(lambda: client._driver._session.pending, "an attempt to keep it alive")
            lease_time.turn(LONG_TTL / 3)
            heard.wait(LeaseState.SUSPENDED)
            assert lease.time_left() == LONG_TTL / 3
            lease.check()
            proxy.flowing.set()
            lease_time.until(lambda: LeaseState.CONNECTED in heard.states)
            assert heard.states == [LeaseState.SUSPENDED, LeaseState.CONNECTED]

    def test_a_revocation_by_somebody_else_is_noticed(
        self, visor_server: Server, lease_time: LeaseTime
    ) -> None:
        heard = Heard()
        with visor_server.dial() as other, lease_time.dial() as client:
            lease = client.lease(LONG_TTL)
            lease.on_change(heard)
            other.revoke(lease.id)
            lease_time.turn(LONG_TTL / 3)
            lease_time.until(lambda: LeaseState.LOST in heard.states)
            with pytest.raises(errors.LeaseLost):
                lease.keep_alive()

    def test_a_dead_server_means_lost_in_time(self) -> None:
        with server() as registry, LeaseTime(registry) as lease_time, lease_time.dial() as client:
            lease = client.lease(1.0)
            registry.stop()
            lease_time.turn(1.0, node=False)
            with pytest.raises(errors.LeaseLost):
                lease.check()
            assert lease.wait_over(PATIENCE)

    def test_listeners_may_use_the_client_and_one_that_raises_harms_nobody(
        self, visor_server: Server, lease_time: LeaseTime, caplog: pytest.LogCaptureFixture
    ) -> None:
        seen: list[Any] = []
        with visor_server.dial() as other, lease_time.dial() as client:
            done = threading.Event()

            def use_it(state: LeaseState) -> None:
                seen.append((state, client.rev()))
                client.lease(5).close()
                done.set()

            def fail(state: LeaseState) -> None:
                raise RuntimeError("broken listener")

            lease = client.lease(LONG_TTL)
            lease.on_change(fail)
            lease.on_change(use_it)
            client.set("/a", b"", lease=lease)
            other.revoke(lease.id)
            lease_time.turn(LONG_TTL / 3)
            lease_time.until(done.is_set)
        assert seen == [(LeaseState.LOST, 2)]
        assert "broken listener" in caplog.text

    def test_keep_alive_by_hand(self, lease_time: LeaseTime) -> None:
        with lease_time.dial() as client:
            lease = client.lease(2.0, keep=False)
            for _ in range(3):
                lease_time.turn(1.5)
                assert lease.time_left() == 0.5
                assert lease.keep_alive() == 2.0
            assert not lease.wait_over(0.01)
            lease_time.turn(2.0)
            assert lease.wait_over()
            with pytest.raises(errors.LeaseLost):
                lease.keep_alive()

    def test_close_is_silent_and_idempotent_without_a_server(self) -> None:
        with server() as registry, registry.dial() as client:
            lease = client.lease(LONG_TTL)
            registry.stop()
            lease.close()
            lease.close()
            assert lease.state is LeaseState.ENDED

    def test_a_fork_does_not_keep_the_parents_lease(self, lease_time: LeaseTime) -> None:
        with lease_time.dial() as client, client.lease(LONG_TTL) as lease:
            client.set("/a", b"", lease=lease)
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    lease.close()  # says nothing to the registry: it is the parent's
                    code = 0 if lease.lost and lease.time_left() == 0 else 2
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            for _ in range(3):
                lease_time.pass_kept(LONG_TTL / 3, lease)
            assert not lease.lost
            assert client.exists("/a")


class TestRetries:
    def test_a_grant_whose_answer_was_lost_leaves_one_lease(self, visor_server: Server) -> None:
        cut: list[bool] = []
        granted = visor_server.dial()

        def lose_the_grant(link: Link, data: bytes, up: bool) -> bytes | None:
            if up and not cut and any(m[0] == verbs.GRANT for m in Decoder(1 << 20).feed(data)):
                cut.append(True)
                link.far.sendall(data)
                eventually(lambda: bool(granted.leases()), "the grant")
                return None
            return data

        with (
            Proxy(visor_server.address) as proxy,
            granted as witness,
            visor.dial(proxy.address) as client,
        ):
            proxy.filter = lose_the_grant
            lease = client.lease(LONG_TTL)
            assert cut
            assert [info.id for info in witness.leases()] == [lease.id]
            assert lease.time_left() < LONG_TTL


class TestAsyncio:
    def test_the_same_awaited(self, lease_time: LeaseTime) -> None:
        async def main() -> None:
            heard: list[LeaseState] = []

            async def listener(state: LeaseState) -> None:
                heard.append(state)

            async with lease_time.dial_async() as client:
                lease = await client.lease(LONG_TTL)
                lease.on_change(listener)
                await client.set("/a", b"", lease=lease)
                for _ in range(3):
                    await asyncio.to_thread(lease_time.pass_kept, LONG_TTL / 3, lease)
                assert (await client.get("/a")).lease == lease.id
                await client.revoke(lease.id)
                lease_time.turn(LONG_TTL / 3)
                await asyncio.to_thread(lease_time.until, lambda: lease.over)
                assert await lease.wait_over(0)
                assert lease.lost
                assert [info async for info in client.leases()] == []
            assert heard == [LeaseState.LOST]

        asyncio.run(main())

    def test_a_blocked_loop_is_no_excuse(self, lease_time: LeaseTime) -> None:
        async def main() -> None:
            async with lease_time.dial_async() as client:
                lease = await client.lease(1.0)
                lease_time.turn(1.0)  # and nothing of the loop has run since
                with pytest.raises(errors.LeaseLost):
                    lease.check()
                await client.rev()
                assert await lease.wait_over(PATIENCE)
                assert lease.lost, "an answer that comes after that does not bring it back"

        asyncio.run(main())
