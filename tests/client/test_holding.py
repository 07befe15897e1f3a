"""What is held is judged by lease and file, bad neighbours stand in nobody's way, queues have a type."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import visor
import visor.aio
from tests.client.proxy import Link, Proxy
from tests.client.test_locks import run_all
from tests.lease_time import LeaseTime
from tests.patience import LONG_TTL, PATIENCE, eventually
from visor import errors, guard, op
from visor._core.backoff import Deadline
from visor._core.recipes.queue import Contender, holders, in_order, is_contender, queue_of, told
from visor.blocking.recipes._place import Place
from visor.testing import Server

NAME = "/locks/db"


class TestProclaimBesideWrites:
    def test_both_are_done(self, visor_server: Server) -> None:
        async def main() -> None:
            async with (
                visor.aio.dial(visor_server.address) as client,
                await client.session(LONG_TTL) as session,
                session.election("/lead", b"a") as election,
            ):
                for number in range(20):
                    value = b"%d" % number
                    _, rev = await asyncio.gather(election.proclaim(value), election.set("/work", value))
                    file = await client.get("/work")
                    assert (file.value, file.mod_rev) == (value, rev)
                revs = await asyncio.gather(*(election.proclaim(b"%d" % one) for one in range(8)))
                leader = await election.leader()
                assert leader is not None
                assert leader.data == b"%d" % revs.index(max(revs))
                assert (await client.txn(election.guards(), then=[op.set("/x", b"")])).succeeded

        asyncio.run(main())

    def test_threads_lose_no_write(self, client: visor.Client[bytes], session: visor.Session) -> None:
        over = threading.Event()
        with session.election("/lead") as election:

            def proclaim() -> None:
                number = 0
                while not over.is_set():
                    election.proclaim(b"%d" % number)
                    number += 1

            def write() -> None:
                try:
                    for number in range(60):
                        rev = election.set("/work", b"%d" % number)
                        assert client.get("/work").mod_rev == rev
                finally:
                    over.set()

            run_all(proclaim, write)
        assert client.get("/work").count == 60

    def test_a_proclaim_that_was_cancelled_at_any_step_costs_nothing(self, visor_server: Server) -> None:
        async def main() -> None:
            async with (
                visor.aio.dial(visor_server.address) as client,
                await client.session(LONG_TTL) as session,
                session.election("/lead", b"a") as election,
            ):
                for steps in range(12):
                    task = asyncio.create_task(election.proclaim(b"half"))
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
                    rev = await election.set("/work", b"%d" % steps)
                    assert (await client.get("/work")).mod_rev == rev
                    await election.verify()
                    assert (await client.txn(election.guards(), then=[op.set("/x", b"")])).succeeded
                assert election.held

        asyncio.run(main())

    def test_a_proclaim_whose_answer_was_lost_costs_nothing(self, visor_server: Server) -> None:
        stalled = threading.Event()

        def swallow(link: Link, data: bytes, up: bool) -> bytes | None:
            return b"" if stalled.is_set() and not up else data

        with (
            Proxy(visor_server.address) as proxy,
            visor.dial(proxy.address) as client,
            client.session(LONG_TTL) as session,
            session.election("/lead", b"a") as election,
        ):
            proxy.filter = swallow
            stalled.set()
            with pytest.raises(errors.WriteTimeout):
                election.proclaim(b"b", timeout=0.3)
            stalled.clear()
            proxy.cut_all()
            election.set("/work", b"1")
            election.proclaim(b"c")
            leader = election.leader()
            assert leader is not None
            assert leader.data == b"c"

    def test_the_holder_may_write_its_file_by_other_ways(
        self, client: visor.Client[bytes], session: visor.Session
    ) -> None:
        with session.lock(NAME) as lock:
            client.set(lock.path, b"another word", lease=session)
            lock.set("/x", b"1")
            lock.verify()
            assert [one.fence for one in lock.contenders()] == [lock.fence]


class TestJudging:
    def test_a_file_that_was_detached_is_not_held(
        self, client: visor.Client[bytes], session: visor.Session
    ) -> None:
        for ask in (lambda lock: lock.verify(), lambda lock: lock.set("/x", b"")):
            lock = session.lock(NAME)
            lock.acquire()
            client.set(lock.path, b"detached")
            assert lock.contenders() == [], "it queues no more"
            with pytest.raises(errors.LockLost):
                ask(lock)
            assert lock.lost
            lock.release()
        assert not client.exists("/x")

    def test_one_that_was_deleted_and_made_again_is_another(
        self, client: visor.Client[bytes], session: visor.Session
    ) -> None:
        lock = session.lock(NAME)
        lock.acquire()
        client.delete(lock.path)
        client.set(lock.path, b"again", lease=session)
        with pytest.raises(errors.LockLost):
            lock.set("/x", b"")
        lock.release()
        assert not client.exists("/x")

    def test_neither_branch_happens_without_the_hold(
        self, client: visor.Client[bytes], session: visor.Session
    ) -> None:
        lock = session.lock(NAME)
        lock.acquire()
        client.set(
            lock.path, b"stale", lease=session
        )  # the rev that is known here is not the file's any more
        both: dict[str, Any] = {
            "then": [op.set("/then", b"")],
            "orelse": [op.set("/else", b""), op.get("/x")],
        }
        assert lock.txn({"/x": guard.missing()}, **both).succeeded
        assert (client.exists("/then"), client.exists("/else")) == (True, False)
        client.set("/x", b"")
        client.set(lock.path, b"stale again", lease=session)
        result = lock.txn({"/x": guard.missing()}, **both)
        assert not result.succeeded
        assert len(result.results) == 2
        assert client.get("/else").mod_rev == result.rev
        client.delete("/else")
        client.delete(lock.path)
        for guards in ({"/x": guard.missing()}, {"/x": guard.exists()}):
            with pytest.raises(errors.LockLost):
                lock.txn(guards, **both)
        assert not client.exists("/else")
        lock.release()

    def test_a_release_ends_only_what_it_found(self, session: visor.Session) -> None:
        """Two threads release at once: the hold that a third begins between them stays."""
        lock = session.lock(NAME)
        lock.acquire()
        former = lock._mine()
        lock.release()
        lock.acquire()
        assert not lock._end(former)
        assert lock.held
        lock.release()
        with pytest.raises(RuntimeError):
            lock.release()


BAD = ["", "/", "//", "/locks/", "/a b", "locks", "/a//b", "/..", "/\udcff", "/" + "x" * 300, 5, None, b"/a"]
RECIPES: list[Callable[[visor.Session, Any], object]] = [
    lambda session, path: session.lock(path),
    lambda session, path: session.read_lock(path),
    lambda session, path: session.semaphore(path, 2),
    lambda session, path: session.election(path),
    lambda session, path: session.party(path),
]


class TestBadNeighbours:
    @pytest.mark.parametrize("path", BAD)
    def test_a_bad_path_is_refused_before_anything_is_sent(self, session: visor.Session, path: Any) -> None:
        for make in RECIPES:
            with pytest.raises(errors.BadPath):
                make(session, path)
        with pytest.raises(errors.BadPath):
            visor.Election.leader_at(session._client, path)
        with pytest.raises(errors.BadPath):
            next(iter(visor.Election.observe_at(session._client, path)))
        assert session._leaving == set()

    @pytest.mark.parametrize("data", ["text", 5, [1]])
    def test_data_that_is_not_bytes_is_refused(self, session: visor.Session, data: Any) -> None:
        for make in (session.lock, session.read_lock, session.election, session.party):
            with pytest.raises(TypeError, match="bytes"):
                make("/a", data=data)

    @pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), "5"])
    def test_a_delay_is_seconds(self, session: visor.Session, delay: Any) -> None:
        with pytest.raises(ValueError, match="delay"):
            session.lock("/a", delay=delay)

    def test_what_cannot_be_deleted_or_looked_after_stops_nobody_else(
        self, client: visor.Client[bytes], session: visor.Session, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken:
            def _taken_away(self, path: str) -> None:
                raise RuntimeError("broken neighbour")

            def _restore(self, path: str, timeout: float) -> None:
                raise AssertionError

        left = session.lock("/left")
        left.acquire()
        lock = session.lock(NAME)
        lock.acquire()
        for path in ("/a b", "/locks/", left.path, "/nothing/here"):
            session._leave_later(path)
        for number in range(3):
            session._hold(f"/gone/{number}", Broken())
        client.delete(lock.path)
        session._look_after(20.0)
        assert lock.lost
        assert not client.exists(left.path)
        assert session._leaving == set()
        said = [record.getMessage() for record in caplog.records]
        assert sum("cannot be looked after" in text for text in said) == 3
        assert sum("cannot be deleted" in text for text in said) == 2

    def test_one_session_that_fails_stops_no_other_of_the_same_keeper(
        self, lease_time: LeaseTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with (
            lease_time.dial() as client,
            client.session(LONG_TTL) as broken,
            client.session(LONG_TTL) as session,
        ):

            def fail(timeout: float) -> None:
                raise RuntimeError("broken")

            monkeypatch.setattr(broken, "_look_after", fail)
            lock = session.lock(NAME)
            lock.acquire()
            client.delete(lock.path)
            lease_time.turn(LONG_TTL / 3)
            lease_time.until(lambda: lock.lost)


class TestTypesOfQueues:
    def test_a_queue_is_of_one_kind(self, client: visor.Client[bytes], session: visor.Session) -> None:
        makes: dict[str, Callable[[], Any]] = {
            "a lock": lambda: session.lock("/q"),
            "a semaphore": lambda: session.semaphore("/q", 2),
            "a party": lambda: session.party("/q"),
        }
        for first, make in makes.items():
            with make():
                before = client.names("/q")
                for second, other in makes.items():
                    if second != first:
                        one = other()
                        with pytest.raises(errors.WrongQueue) as caught:
                            one.join() if second == "a party" else one.acquire(timeout=PATIENCE)
                        assert (caught.value.path, caught.value.wanted[:6]) == ("/q", second[:6])
                        assert caught.value.found[:6] == first[:6]
                        assert str(first) in str(caught.value)
                        with pytest.raises(errors.WrongQueue):
                            one.members() if second == "a party" else one.try_acquire()
                assert client.names("/q") == before, "who was refused has left nothing"

    def test_who_looks_at_another_kind_is_told(
        self, client: visor.Client[bytes], session: visor.Session
    ) -> None:
        with session.party("/workers"), session.lock(NAME):
            with pytest.raises(errors.WrongQueue, match="a party"):
                visor.Election.leader_at(client, "/workers")
            with pytest.raises(errors.WrongQueue, match="a party"):
                next(iter(visor.Election.observe_at(client, "/workers")))
            with pytest.raises(errors.WrongQueue, match="a lock"):
                next(iter(session.party(NAME).observe()))
            with pytest.raises(ValueError, match="not of a semaphore"):
                session.semaphore(NAME, 1).contenders()

    def test_what_is_not_a_contender_does_not_queue(
        self, client: visor.Client[bytes], session: visor.Session
    ) -> None:
        for name in ("README", "w1.1", "w1", f"w{session.id}.x", "s5.5", "x.y"):
            client.set(f"{NAME}/{name}", b"not me")
        client.set(f"{NAME}/mine", b"", lease=session)
        client.set(f"{NAME}/w999.1", b"", lease=session)
        lock = session.lock(NAME)
        assert lock.contenders() == []
        assert lock.acquire(timeout=PATIENCE)
        assert [one.fence for one in lock.contenders()] == [lock.fence]
        lock.release()
        assert visor.Election.leader_at(client, NAME) is None
        party = session.party(NAME)
        party.join()
        assert [one.data for one in party.members()] == [party._data]
        party.leave()

    @given(st.text(max_size=12), st.integers(-5, 1 << 40))
    def test_only_the_name_of_a_contender_is_one(self, name: str, lease: int) -> None:
        if is_contender(name, lease):
            kind, rest = name[0], name[1:]
            assert kind in "wrsm"
            assert rest.split(".")[0].lstrip("0") == str(lease)
        for kind in "wrsm":
            assert is_contender(f"{kind}{abs(lease)}.7", abs(lease)) == (lease != 0)
            assert queue_of(f"{kind}{abs(lease)}.7") is not None


class TestSemaphores:
    @pytest.mark.parametrize("limit", [1.5, 2.0, "2", None, [2]])
    def test_a_limit_is_a_whole_number(self, session: visor.Session, limit: Any) -> None:
        with pytest.raises(TypeError, match="whole number of slots"):
            session.semaphore("/slots", limit)

    @pytest.mark.parametrize("limit", [0, -1])
    def test_and_one_at_least(self, session: visor.Session, limit: int) -> None:
        with pytest.raises(ValueError, match=f"one slot at least, not {limit}"):
            session.semaphore("/slots", limit)

    def test_a_limit_that_nobody_uses_is_forgotten(
        self, client: visor.Client[bytes], session: visor.Session
    ) -> None:
        with session.semaphore("/slots", 2) as one:
            with pytest.raises(errors.WrongQueue, match="semaphore of 2, not of 3") as caught:
                session.semaphore("/slots", 3).acquire(timeout=PATIENCE)
            assert isinstance(caught.value, ValueError)
            assert (caught.value.wanted, caught.value.found) == ("a semaphore of 3", "a semaphore of 2")
            assert [each.fence for each in one.contenders()] == [one.fence]
        assert session.semaphore("/slots", 3).acquire(timeout=PATIENCE)
        assert client.get("/slots/@limit").value == b"3"

    def test_one_that_cannot_be_read_is_too(
        self, client: visor.Client[bytes], session: visor.Session
    ) -> None:
        client.set("/slots/@limit", b"\xff many")
        with session.semaphore("/slots", 1) as one:
            assert one.held

    def test_two_that_replace_it_at_once_agree(self, visor_server: Server) -> None:
        async def main() -> None:
            async with (
                visor.aio.dial(visor_server.address) as client,
                await client.session(LONG_TTL) as session,
            ):
                async with session.semaphore("/slots", 9):
                    pass
                slots = [session.semaphore("/slots", limit) for limit in (1, 2, 3)]
                got = await asyncio.gather(
                    *(one.acquire(timeout=PATIENCE) for one in slots), return_exceptions=True
                )
                limits = {one.limit for one, fence in zip(slots, got, strict=True) if isinstance(fence, int)}
                assert len(limits) == 1
                assert all(isinstance(one, int | errors.WrongQueue) for one in got)

        asyncio.run(main())


class TestWaitingThatEnds:
    def test_without_any_time_a_free_one_is_taken(self, session: visor.Session) -> None:
        for make in (session.lock, session.read_lock, session.election):
            one = make(NAME)
            assert one.acquire(timeout=0) == one.fence
            one.release()
        slot = session.semaphore("/slots", 1)
        assert slot.acquire(0) == slot.fence
        slot.release()
        assert session.election("/lead").campaign(0) > 0

    @pytest.fixture
    def impatient(self, session: visor.Session, monkeypatch: pytest.MonkeyPatch) -> visor.Session:
        """A session whose deadlines pass as soon as something is waited for, and not before."""
        now = [0.0]

        def wait(*arguments: object) -> bool:
            now[0] += 1000.0
            return False

        monkeypatch.setattr(
            session._client._driver,
            "deadline",
            lambda seconds: Deadline(lambda: now[0], now[0] + seconds, seconds),
        )
        monkeypatch.setattr(Place, "follow", wait)
        monkeypatch.setattr(session, "wait_over", wait)
        return session

    @pytest.mark.parametrize("timeout", [0, 20.0])
    def test_it_says_who_holds_it(self, timeout: float, impatient: visor.Session) -> None:
        session = impatient
        with session.lock(NAME, data=b"ann@host"):
            with pytest.raises(errors.DeadlineExceeded) as caught:
                session.lock(NAME).acquire(timeout=timeout)
            held = f"held by ann@host (lease {session.id})"
            assert str(caught.value) == f"{NAME}: not acquired within {timeout:g} s, {held}"
            assert caught.value.seconds == timeout

    @pytest.mark.parametrize("timeout", [0, 20.0])
    def test_all_that_hold_it_are_named(self, timeout: float, impatient: visor.Session) -> None:
        session = impatient
        with (
            session.semaphore("/slots", 2, data=b"a"),
            session.semaphore("/slots", 2, data=b"b"),
            pytest.raises(errors.DeadlineExceeded, match=r"held by a \(lease \d+\), b \(lease \d+\)$"),
        ):
            session.semaphore("/slots", 2).acquire(timeout=timeout)
        with (
            session.read_lock(NAME, data=b"r1"),
            session.read_lock(NAME, data=b"r2"),
            pytest.raises(errors.DeadlineExceeded, match=r"held by r1 \(lease \d+\), r2 \(lease \d+\)$"),
        ):
            session.lock(NAME).acquire(timeout=timeout)

    @pytest.mark.parametrize("timeout", [0, 20.0])
    def test_a_delay_may_be_what_it_waits_for(
        self, timeout: float, client: visor.Client[bytes], impatient: visor.Session
    ) -> None:
        dying = client.session(LONG_TTL)
        dying.lock(NAME, delay=600.0).acquire()
        dying.revoke()
        with pytest.raises(errors.DeadlineExceeded, match="lost, and asked for a delay of 600 s"):
            impatient.lock(NAME).acquire(timeout=timeout)

    def test_it_says_how_many_wait(self, session: visor.Session) -> None:
        with session.lock(NAME, data=b"holder") as held:
            waiter = session.lock(NAME, data=b"waiter")
            thread = threading.Thread(target=waiter.acquire)
            thread.start()
            eventually(lambda: len(held.contenders()) == 2)
            with pytest.raises(
                errors.DeadlineExceeded, match=r"held by holder \(.*\); 1 waited before this one"
            ):
                session.lock(NAME).acquire(timeout=0)
        thread.join(PATIENCE)
        waiter.release()

    def test_a_node_that_does_not_answer_is_something_else(self, visor_server: Server) -> None:
        with Proxy(visor_server.address) as proxy, visor.dial(proxy.address) as client:
            session = client.session(LONG_TTL)
            proxy.flowing.clear()
            with pytest.raises(errors.DeadlineExceeded, match="no answer within"):
                session.lock(NAME).acquire(timeout=0.2)
            proxy.flowing.set()

    def test_a_few_are_named_and_the_others_counted(self) -> None:
        queue = [
            Contender(f"w{n}.1", f"/q/w{n}.1", n, n, False, n, b"\x07" if n == 1 else b"x")
            for n in (1, 2, 3, 4, 5)
        ]
        assert told(queue) == "w1.1 (lease 1), x (lease 2), x (lease 3), 2 more"
        assert holders(queue) == queue[:1]
        assert holders([]) == []
        assert in_order([]) == []


class TestTheEnd:
    @pytest.mark.parametrize("end", ["revoke", "close"])
    def test_an_ended_session_gives_one_error_everywhere(self, end: str, client: visor.Client[bytes]) -> None:
        session = client.session(LONG_TTL)
        election, party = session.election("/lead"), session.party("/party")
        election.acquire()
        party.join()
        getattr(session, end)()
        held: list[Callable[[], object]] = [
            lambda: election.set("/x", b""),
            lambda: election.delete("/x"),
            election.txn,
            lambda: election.proclaim(b"x"),
            election.guards,
            election.check,
            election.verify,
        ]
        for call in held:
            with pytest.raises(errors.LockLost):
                call()
        others: list[Callable[[], object]] = [
            party.join,
            session.check,
            session.keep_alive,
            session.lock("/l").acquire,
            session.lock("/l").try_acquire,
            lambda: session.lock("/l").acquire(timeout=0),
            session.semaphore("/s", 1).acquire,
            session.party("/p").join,
            lambda: client.set("/x", b"", lease=session),
            lambda: op.set("/x", b"", lease=session),
        ]
        for call in others:
            with pytest.raises(errors.LeaseLost, match="has ended: it was revoked or closed here"):
                call()
        assert not party.joined
        party.leave()
        election.release()
        assert not client.exists("/x")

    def test_what_was_never_acquired_is_not_held(self, session: visor.Session) -> None:
        election = session.election("/lead")
        calls: list[Callable[[], object]] = [
            lambda: election.set("/x", b""),
            lambda: election.proclaim(b"x"),
            election.guards,
            election.check,
            election.verify,
        ]
        for call in calls:
            with pytest.raises(errors.LockLost, match="not held: it was not acquired"):
                call()


class TestParties:
    def test_one_object_is_one_member_for_tasks(self, visor_server: Server) -> None:
        async def main() -> None:
            async with (
                visor.aio.dial(visor_server.address) as client,
                await client.session(LONG_TTL) as session,
            ):
                party = session.party("/workers", b"me")
                fences = await asyncio.gather(*(party.join() for _ in range(5)))
                assert len(set(fences)) == 1
                assert len(await party.members()) == 1
                leaving: list[Awaitable[object]] = [party.leave() for _ in range(3)]
                await asyncio.gather(*leaving, party.join(), party.leave())
                assert await party.members() == []
                assert not party.joined

        asyncio.run(main())

    def test_and_for_threads(self, session: visor.Session) -> None:
        party = session.party("/workers", b"me")

        def join() -> None:
            party.join()

        run_all(*[join] * 8)
        assert len(party.members()) == 1
        run_all(*[party.leave] * 4)
        assert party.members() == []

    def test_who_was_taken_out_is_back_by_himself(
        self, client: visor.Client[bytes], session: visor.Session
    ) -> None:
        ways: list[Callable[[str], object]] = [client.delete, lambda path: client.set(path, b"detached")]
        party = session.party("/workers", b"me")
        party.join()
        for take_out in ways:
            (mine,) = party.members()
            take_out(mine.path)
            session._look_after(20.0)
            assert party.joined
            (again,) = party.members()
            assert again.data == b"me"
            assert again.fence > mine.fence
            assert party.join() == again.fence
        session._look_after(20.0)  # and takes away what somebody has written over
        assert len(client.names("/workers")) == 1
        party.leave()
        assert not client.exists("/workers")
        session._look_after(20.0)
        assert party.members() == []

    def test_one_that_could_not_come_back_says_so_and_tries_again(
        self, client: visor.Client[bytes], session: visor.Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        party = session.party("/workers", b"me")
        party.join()
        client.delete("/workers", recursive=True)
        restore = party._restore
        monkeypatch.setattr(party, "_restore", lambda path, timeout: None)
        session._look_after(20.0)
        assert not party.joined
        monkeypatch.setattr(party, "_restore", restore)
        session._look_after(20.0)
        assert party.joined

    def test_join_by_hand_is_a_way_too(self, client: visor.Client[bytes], session: visor.Session) -> None:
        party = session.party("/workers", b"me")
        before = party.join()
        client.delete("/workers", recursive=True)
        party._taken_away(party._place.path if party._place else "")
        assert not party.joined
        assert party.join() > before
        assert party.joined
