"""Semaphores, elections and parties, and all recipes awaited."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest

import visor
import visor.aio
from tests.client.proxy import Proxy
from tests.client.test_locks import run_all
from tests.lease_time import LeaseTime
from tests.patience import LONG_TTL, PATIENCE, eventually
from visor import LeaseState, errors
from visor.testing import Server


class TestSemaphore:
    def test_so_many_hold_it_and_no_more(self, visor_server: Server) -> None:
        inside: list[int] = []
        most: list[int] = []
        lock = threading.Lock()

        def contend() -> None:
            with visor_server.dial() as mine, mine.session(LONG_TTL) as session:
                for _ in range(3):
                    with session.semaphore("/slots", 3) as slot:
                        slot.check()
                        with lock:
                            inside.append(1)
                            most.append(len(inside))
                        time.sleep(0.01)
                        with lock:
                            inside.pop()

        run_all(*[contend] * 10)
        assert len(most) == 30
        assert max(most) <= 3
        with visor_server.dial() as witness, witness.session(LONG_TTL) as session:
            assert witness.names("/slots") == ["@limit"]
            for _ in range(3):
                assert session.semaphore("/slots", 3).try_acquire() is not None
            assert session.semaphore("/slots", 3).try_acquire() is None

    def test_those_who_wait_are_served_in_order(self, session: visor.Session) -> None:
        held = [session.semaphore("/slots", 2) for _ in range(2)]
        fences = [slot.acquire() for slot in held]
        assert session.semaphore("/slots", 2).try_acquire() is None
        served: list[int] = []

        def waiting(number: int) -> Callable[[], None]:
            def wait() -> None:
                eventually(lambda: len(held[0].contenders()) == 2 + number)
                slot = session.semaphore("/slots", 2)
                served.append(slot.acquire())
                slot.release()

            return wait

        def let_go() -> None:
            eventually(lambda: len(held[0].contenders()) == 6)
            held[1].release()

        run_all(*[waiting(number) for number in range(4)], let_go)
        assert served == sorted(served)
        assert min(served) > max(fences)
        held[0].release()

    def test_the_limit_is_the_same_for_all(self, session: visor.Session) -> None:
        with session.semaphore("/slots", 2):
            with pytest.raises(ValueError, match="semaphore of 2"):
                session.semaphore("/slots", 3).acquire()
            assert len(session.semaphore("/slots", 2).contenders()) == 1
        with pytest.raises(ValueError, match="one slot at least"):
            session.semaphore("/slots", 0)


class TestElection:
    def test_one_leads_and_the_next_one_follows(self, visor_server: Server) -> None:
        with visor_server.dial() as one, visor_server.dial() as two:
            first, second = one.session(LONG_TTL), two.session(LONG_TTL)
            lead, heir = first.election("/leader", b"one"), second.election("/leader", b"two")
            assert heir.leader() is None
            fence = lead.campaign()
            now = heir.leader()
            assert now is not None
            assert (now.data, now.fence, now.lease) == (b"one", fence, first.id)
            later: list[int] = []
            waiter = threading.Thread(target=lambda: later.append(heir.campaign()))
            waiter.start()
            eventually(lambda: len(lead.contenders()) == 2)
            one.close()  # and with it the session
            waiter.join(PATIENCE)
            assert later[0] > fence
            assert lead.lost or not lead.held
            heir.resign()
            assert heir.leader() is None

    def test_everybody_can_observe_who_leads(self, visor_server: Server) -> None:
        seen: list[bytes | None] = []
        with visor_server.dial() as watcher, visor_server.dial() as client:
            session, looking = client.session(LONG_TTL), watcher.session(LONG_TTL)

            def observe() -> None:
                for leader in looking.election("/leader").observe():
                    seen.append(leader.data if leader is not None else None)
                    if len(seen) == 6:
                        return

            def act() -> None:
                eventually(lambda: len(seen) == 1)
                election = session.election("/leader", b"a")
                election.campaign()
                eventually(lambda: len(seen) == 2)
                election.proclaim(b"b")
                assert election.set("/led", b"") > 0
                heir = session.election("/leader", b"c")

                def give_way() -> None:
                    eventually(lambda: len(election.contenders()) == 2)
                    election.resign()

                run_all(give_way, heir.campaign)
                eventually(lambda: len(seen) >= 4)
                heir.resign()
                eventually(lambda: len(seen) >= 5)
                session.election("/leader", b"d").campaign()

            run_all(observe, act)
        assert seen == [None, b"a", b"b", b"c", None, b"d"]

    def test_run_leads_and_resigns(self, session: visor.Session, client: visor.Client[bytes]) -> None:
        election = session.election("/leader", b"me")

        def lead(fence: int) -> str:
            assert election.held
            assert election.fence == fence
            return "done"

        assert election.run(lead) == "done"
        assert election.leader() is None
        with pytest.raises(ZeroDivisionError):
            election.run(lambda fence: fence // 0)
        assert election.leader() is None
        with pytest.raises(errors.LockLost):
            election.run(lambda fence: client.delete(election.path) and election.set("/x", b""))
        with election:
            assert election.held


class TestParty:
    def test_members_come_and_go(self, visor_server: Server, lease_time: LeaseTime) -> None:
        seen: list[list[bytes | None]] = []
        with visor_server.dial() as watcher, visor_server.dial() as one, lease_time.dial() as two:
            looking = watcher.session(LONG_TTL).party("/workers")
            first, second = one.session(LONG_TTL), two.session(1.0)

            def observe() -> None:
                for members in looking.observe():
                    seen.append([member.data for member in members])
                    if len(seen) == 5:
                        return

            def act() -> None:
                eventually(lambda: len(seen) == 1)
                with first.party("/workers", b"one") as party:
                    assert party.joined
                    assert party.join() == party.join()
                    dying = second.party("/workers", b"two")
                    dying.join()
                    assert [member.data for member in party.members()] == [b"one", b"two"]
                    eventually(lambda: len(seen) == 3)
                    two._keeper(1.0).discard(second)  # it goes without a word
                    lease_time.turn(1.0)
                    eventually(lambda: len(seen) == 4)
                    assert not dying.joined
                assert party.members() == []

            run_all(observe, act)
        assert seen == [[], [b"one"], [b"one", b"two"], [b"one"], []]


class TestHistoryThatGoesOn:
    """Whoever waits is cut off, and what he would have seen is compacted away before he is back: he looks again."""

    @pytest.fixture
    def proxy(self, visor_server: Server) -> Iterator[Proxy]:
        with Proxy(visor_server.address) as proxy:
            yield proxy

    @pytest.fixture
    def cut_off(self, proxy: Proxy) -> Iterator[visor.Client[bytes]]:
        with visor.dial(proxy.address) as client:
            yield client

    @pytest.mark.parametrize("many", [False, True], ids=["lock", "semaphore"])
    def test_who_waits_gets_what_he_waits_for(
        self,
        many: bool,
        proxy: Proxy,
        cut_off: visor.Client[bytes],
        session: visor.Session,
        client: visor.Client[bytes],
    ) -> None:
        waiting = cut_off.session(LONG_TTL)
        holder, waiter = ((one.semaphore("/s", 1) if many else one.lock("/s")) for one in (session, waiting))
        holder.acquire()
        got: list[int] = []
        thread = threading.Thread(target=lambda: got.append(waiter.acquire(timeout=PATIENCE)))
        thread.start()
        eventually(lambda: len(holder.contenders()) == 2 and client.status().watches == 1)
        proxy.miss_history(client)
        eventually(lambda: client.status().watches == 1)
        assert got == []
        holder.release()
        thread.join(PATIENCE)
        assert got == [waiter.fence]
        waiting.close()

    def test_who_observes_sees_who_is_there_now(
        self, proxy: Proxy, cut_off: visor.Client[bytes], client: visor.Client[bytes]
    ) -> None:
        with client.session(LONG_TTL) as first, client.session(LONG_TTL) as second:
            leading = first.election("/s", b"first")
            leading.campaign()
            following = second.election("/s", b"second")
            leaders = visor.Election.observe_at(cut_off, "/s")
            here, there = first.party("/p", b"first"), second.party("/p", b"second")
            here.join()
            members = cut_off.session(LONG_TTL).party("/p").observe()
            leader = next(leaders)
            assert leader is not None
            assert leader.data == b"first"
            assert [one.data for one in next(members)] == [b"first"]
            leading.resign()
            following.campaign()
            here.leave()
            there.join()
            proxy.miss_history(client)
            seen = [leader]
            while seen[-1] is None or seen[-1].data != b"second":
                seen.append(next(leaders))
            while [one.data for one in next(members)] != [b"second"]:
                pass


class TestAsyncio:
    def test_twenty_tasks_contend(self, visor_server: Server) -> None:
        async def main() -> None:
            fences: list[int] = []
            inside: list[int] = []

            async with (
                visor.aio.dial(visor_server.address) as client,
                await client.session(LONG_TTL) as session,
            ):

                async def contend() -> None:
                    lock = session.lock("/locks/a")
                    for _ in range(5):
                        async with lock:
                            inside.append(1)
                            assert len(inside) == 1
                            fences.append(lock.fence)
                            await lock.set(
                                "/count", b"%d" % (int(await client.get_value("/count", b"0")) + 1)
                            )
                            inside.clear()

                async with asyncio.TaskGroup() as group:
                    for _ in range(20):
                        group.create_task(contend())
                assert (await client.get("/count")).value == b"100"
                assert not await client.exists("/locks/a")
            assert len(fences) == 100
            assert fences == sorted(fences)

        asyncio.run(main())

    def test_a_cancelled_wait_leaves_the_queue(self, visor_server: Server) -> None:
        async def main() -> None:
            async with (
                visor.aio.dial(visor_server.address) as client,
                await client.session(LONG_TTL) as session,
                session.lock("/locks/a") as held,
            ):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await session.lock("/locks/a").acquire()
                assert len(await held.contenders()) == 1

        asyncio.run(main())

    @pytest.mark.parametrize("found", ["by the keeper", "by who waits"])
    def test_a_lost_session_ends_waits_and_tells(self, visor_server: Server, found: str) -> None:
        """Whoever finds it: when the wait has ended, everything else that the session held is lost as well."""

        async def main() -> None:
            told: asyncio.Queue[object] = asyncio.Queue()
            async with (
                visor.aio.dial(visor_server.address) as other,
                visor.aio.dial(visor_server.address) as client,
                await other.session(LONG_TTL) as holder,
            ):
                held = holder.lock("/locks/a")
                await held.acquire()
                session = await client.session(LONG_TTL)
                session.on_change(told.put_nowait)
                mine = session.lock("/locks/b")
                await mine.acquire()
                mine.on_lost(told.put_nowait)
                wait = asyncio.create_task(session.lock("/locks/a").acquire())
                async with other.watch("/locks/a/*", 1) as watch:
                    while (await watch.next(timeout=PATIENCE)).changes[0].path == held.path:
                        pass
                await other.revoke(session.id)
                if found == "by the keeper":
                    with pytest.raises(errors.LeaseLost):
                        await session.keep_alive()
                else:
                    await held.release()
                with pytest.raises(errors.LeaseLost):
                    await wait
                assert mine.lost
                with pytest.raises(errors.LockLost):
                    await mine.set("/x", b"")
                both = [await asyncio.wait_for(told.get(), PATIENCE) for _ in range(2)]
                assert both in ([LeaseState.LOST, mine], [mine, LeaseState.LOST])

        asyncio.run(main())

    def test_the_other_recipes(self, visor_server: Server) -> None:
        async def main() -> None:
            async with (
                visor.aio.dial(visor_server.address) as client,
                await client.session(LONG_TTL) as session,
            ):
                async with session.semaphore("/slots", 1):
                    assert await session.semaphore("/slots", 1).try_acquire() is None
                election = session.election("/leader", b"me")

                async def lead(fence: int) -> int:
                    leader = await election.leader()
                    assert leader is not None
                    return leader.fence - fence

                assert await election.run(lead) == 0
                async for leader in election.observe():
                    assert leader is None
                    break
                async with session.party("/party", b"me") as party:
                    assert [member.data for member in await party.members()] == [b"me"]
                async with session.read_lock("/locks/a"), session.read_lock("/locks/a"):
                    assert await session.lock("/locks/a").try_acquire() is None

        asyncio.run(main())
