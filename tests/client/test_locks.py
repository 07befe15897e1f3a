"""Locks that are locks: exclusive, fair, fenced, and honest about being lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import visor
from tests.client.proxy import Link, Proxy
from tests.lease_time import LeaseTime
from tests.patience import LONG_TTL, PATIENCE, eventually
from visor import LeaseState, errors, guard, op
from visor._core.recipes.queue import Contender, blocker, delay_text, in_order, read_delay
from visor.protocol import verbs
from visor.protocol.frames import Decoder
from visor.testing import Server

ROOT = Path(__file__).resolve().parents[2]
NAME = "/locks/db"


def run_all(*bodies: Callable[[], None]) -> None:
    """Run each in a thread; raise what one of them raised."""
    failures: list[BaseException] = []

    def guarded(body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(body,), daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "stuck"
    if failures:
        raise failures[0]


class TestHolding:
    def test_it_is_held_by_one_and_the_next_one_has_a_higher_number(self, session: visor.Session) -> None:
        lock, other = session.lock(NAME), session.lock(NAME)
        first = lock.acquire()
        assert (lock.held, lock.lost, lock.fence) == (True, False, first)
        assert other.try_acquire() is None
        with pytest.raises(errors.DeadlineExceeded):
            other.acquire(timeout=0.1)
        eventually(lambda: [one.fence for one in lock.contenders()] == [first])
        lock.release()
        assert not lock.held
        second = other.acquire()
        assert second > first
        other.release()

    def test_one_object_is_one_contender(self, session: visor.Session) -> None:
        lock = session.lock(NAME)
        with pytest.raises(RuntimeError):
            lock.release()
        with pytest.raises(RuntimeError):
            _ = lock.fence
        with lock:
            with pytest.raises(RuntimeError):
                lock.acquire(timeout=0.1)
            assert lock.held
        with lock:
            assert lock.held

    def test_others_see_who_holds_it_and_who_waits(self, session: visor.Session) -> None:
        lock, other = session.lock(NAME, data=b"first"), session.lock(NAME, data=b"second")
        with lock:
            waiter = threading.Thread(target=other.acquire)
            waiter.start()
            eventually(lambda: len(lock.contenders()) == 2)
            assert [one.data for one in lock.contenders()] == [b"first", b"second"]
            assert all(one.lease == session.id for one in lock.contenders())
        waiter.join(PATIENCE)
        other.release()
        assert lock.contenders() == []

    def test_writes_happen_only_while_it_is_held(
        self, client: visor.Client[bytes], session: visor.Session
    ) -> None:
        lock = session.lock(NAME)
        with lock:
            rev = lock.set("/x", b"1")
            assert client.get("/x").mod_rev == rev
            result = lock.txn({"/x": guard.value(b"1")}, then=[op.set("/x", b"2"), op.get("/x")])
            assert result.succeeded
            result = lock.txn({"/x": guard.value(b"1")}, then=[op.set("/x", b"3")], orelse=[op.get("/x")])
            assert not result.succeeded
            (found,) = result.results
            assert isinstance(found, visor.File)
            assert found.value == b"2"
            assert client.txn(lock.guards(), then=[op.set("/x", b"4")]).succeeded
            guards = lock.guards()
            lock.delete("/x")
        assert not client.txn(guards, then=[op.set("/x", b"5")]).succeeded
        assert not client.exists("/x")

    def test_a_lock_that_somebody_took_away_is_lost(
        self, client: visor.Client[bytes], lease_time: LeaseTime
    ) -> None:
        told: list[object] = []
        with lease_time.dial() as mine, mine.session(LONG_TTL) as session:
            lock = session.lock(NAME)
            lock.on_lost(told.append)
            lock.acquire()
            client.delete(lock.path)
            with pytest.raises(errors.LockLost) as caught:
                lock.set("/x", b"1")
            assert (caught.value.path, caught.value.fence) == (NAME, lock.fence)
            assert lock.lost
            eventually(lambda: told == [lock])
            lock.release()
            assert not client.exists("/x")

    def test_it_is_noticed_without_asking(self, client: visor.Client[bytes], lease_time: LeaseTime) -> None:
        with lease_time.dial() as mine, mine.session(LONG_TTL) as session:
            lock = session.lock(NAME)
            lock.acquire()
            lock.verify()
            client.delete(lock.path)
            with pytest.raises(errors.LockLost):
                lock.verify()
            again = session.lock(NAME)
            again.acquire()
            client.delete(again.path)
            lease_time.turn(LONG_TTL / 3)
            lease_time.until(lambda: again.lost)

    def test_a_release_and_a_new_hold_while_the_session_looks_after_the_old_one(
        self, lease_time: LeaseTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The session asks what is attached to its lease; until the answer is here, the lock changes hands."""
        with lease_time.dial() as mine, mine.session(LONG_TTL) as session:
            lock, released = session.lock(NAME), session.lock("/locks/other")
            lock.acquire()
            released.acquire()
            ask, answered = mine.lease_info, threading.Event()

            def answer(lease: int, *, timeout: float | None = None) -> visor.LeaseInfo:
                info = ask(lease, timeout=timeout)
                if not answered.is_set():
                    released.release()
                    lock.release()
                    lock.acquire()
                answered.set()
                return info

            monkeypatch.setattr(mine, "lease_info", answer)
            lease_time.turn(LONG_TTL / 3)
            lease_time.until(answered.is_set)
            for _ in range(2):
                lease_time.pass_kept(LONG_TTL / 3, session)
            assert lock.held
            lock.verify()

    def test_a_block_that_ends_without_the_lock_says_so(
        self, client: visor.Client[bytes], lease_time: LeaseTime
    ) -> None:
        with lease_time.dial() as mine:
            session = mine.session(LONG_TTL)
            with pytest.raises(errors.LockLost), session.lock(NAME):
                client.revoke(session.id)
                lease_time.turn(LONG_TTL / 3)
                lease_time.until(lambda: session.lost)
            with pytest.raises(ZeroDivisionError):
                session = mine.session(LONG_TTL)
                with session.lock(NAME):
                    client.revoke(session.id)
                    lease_time.turn(LONG_TTL / 3)
                    lease_time.until(lambda: session.lost)
                    raise ZeroDivisionError
            with pytest.raises(errors.LeaseLost):
                session.lock(NAME).acquire()

    def test_a_waiter_learns_that_its_session_has_ended(
        self, client: visor.Client[bytes], session: visor.Session, lease_time: LeaseTime
    ) -> None:
        with session.lock(NAME), lease_time.dial() as other:
            waiting = other.session(LONG_TTL)

            def wait() -> None:
                with pytest.raises(errors.LeaseLost):
                    waiting.lock(NAME).acquire()

            def end_it() -> None:
                eventually(lambda: len(session.lock(NAME).contenders()) == 2)
                client.revoke(waiting.id)
                lease_time.turn(LONG_TTL / 3)
                lease_time.until(lambda: waiting.lost)

            run_all(wait, end_it)
            assert len(session.lock(NAME).contenders()) == 1


class TestSharing:
    def test_readers_share_and_writers_do_not(self, session: visor.Session) -> None:
        readers = [session.read_lock(NAME) for _ in range(3)]
        writer = session.lock(NAME)
        for reader in readers:
            assert reader.acquire() > 0
        assert writer.try_acquire() is None
        took: list[str] = []

        def write() -> None:
            writer.acquire()
            assert len(writer.contenders()) == 2
            took.append("writer")
            writer.release()

        def read_late() -> None:
            eventually(lambda: len(writer.contenders()) == 4)
            late = session.read_lock(NAME)
            late.acquire()
            took.append("reader")
            late.release()

        def let_go() -> None:
            eventually(lambda: len(writer.contenders()) == 5)
            assert took == []
            for reader in readers:
                reader.release()

        run_all(write, read_late, let_go)
        assert took == ["writer", "reader"], "a writer that waits is not overtaken by readers"


class TestContention:
    def test_twenty_contenders_one_at_a_time_in_rising_numbers(self, visor_server: Server) -> None:
        fences: list[int] = []
        inside: list[int] = []
        scans: list[int] = []

        def contend() -> None:
            scanned = [0]

            def count(verb: str, path: str | None, seconds: float, error: BaseException | None) -> None:
                scanned[0] += verb == "scan"

            with (
                visor.dial(visor_server.address, on_request=count) as mine,
                mine.session(LONG_TTL) as session,
            ):
                lock = session.lock(NAME)
                for _ in range(5):
                    with lock as held:
                        inside.append(1)
                        assert len(inside) == 1
                        fences.append(held.fence)
                        value = mine.get_value("/count", b"0")
                        lock.set("/count", b"%d" % (int(value) + 1))
                        inside.clear()
            scans.append(scanned[0])

        run_all(*[contend] * 20)
        with visor_server.dial() as witness:
            assert witness.get("/count").value == b"100"
            assert not witness.exists(NAME)
        assert len(fences) == 100
        assert fences == sorted(fences)
        # Each waiter is woken by the one before it alone: it looks once when it enters and once when that one goes.
        assert sum(scans) <= 2 * 100

    @pytest.mark.soak
    def test_holders_that_die_give_way_and_their_writes_are_refused(self, visor_server: Server) -> None:
        """Three of thirteen are cut off while they hold the lock; the others go on when their leases have ended."""
        order: list[int] = []
        refused: list[int] = []

        def die() -> None:
            with Proxy(visor_server.address) as proxy, visor.dial(proxy.address) as mine:
                session = mine.session(LONG_TTL)
                lock = session.lock(NAME)
                lock.acquire()
                order.append(lock.fence)
                proxy.flowing.clear()
                with visor_server.dial() as witness:
                    witness.revoke(session.id)
                    assert all(one.fence != lock.fence for one in lock_of(witness))
                proxy.flowing.set()
                place = lock._mine()
                late = mine.txn({place.path: guard.rev(place.rev)}, then=[op.set("/dead", b"")])
                assert not late.succeeded
                refused.append(lock.fence)

        def live() -> None:
            with visor_server.dial() as mine, mine.session(LONG_TTL) as session, session.lock(NAME) as lock:
                order.append(lock.fence)
                lock.set("/alive", b"%d" % lock.fence)

        run_all(*[die] * 3, *[live] * 10)
        assert len(order) == 13
        assert order == sorted(order)
        assert len(refused) == 3
        with visor_server.dial() as witness:
            assert not witness.exists("/dead")


def lock_of(client: visor.Client[bytes]) -> list[Contender]:
    return in_order(client.scan(visor.select.children(NAME), keys=True))


class TestInterruptions:
    def test_a_lost_answer_leaves_one_contender(self, visor_server: Server) -> None:
        """The connection breaks right after the entry was sent: the repetition finds that it is there."""
        cut: list[bool] = []
        witness = visor_server.dial()

        def lose_the_entry(link: Link, data: bytes, up: bool) -> bytes | None:
            if up and not cut and any(m[0] == verbs.TXN for m in Decoder(1 << 20).feed(data)):
                cut.append(True)
                link.far.sendall(data)
                eventually(lambda: lock_of(witness), "the entry")
                return None
            return data

        with (
            witness,
            Proxy(visor_server.address) as proxy,
            visor.dial(proxy.address) as client,
            client.session(LONG_TTL) as session,
        ):
            proxy.filter = lose_the_entry
            lock = session.lock(NAME)
            fence = lock.acquire()
            assert cut
            assert [one.fence for one in lock.contenders()] == [fence]
            lock.release()
            assert lock.contenders() == []

    def test_who_gives_up_while_cut_off_leaves_nothing_behind(
        self, visor_server: Server, lease_time: LeaseTime
    ) -> None:
        with (
            visor_server.dial() as other,
            other.session(LONG_TTL) as holder,
            Proxy(visor_server.address) as proxy,
            lease_time.dial(proxy.address) as client,
            client.session(LONG_TTL) as session,
            holder.lock(NAME) as held,
        ):
            lock = session.lock(NAME)
            given_up = threading.Event()

            def cut_off() -> None:
                eventually(lambda: len(held.contenders()) == 2)
                proxy.flowing.clear()
                while not given_up.wait(0.5):  # and it takes its time to say so
                    lease_time.turn(0.5)

            def give_up() -> None:
                with pytest.raises(errors.DeadlineExceeded):
                    lock.acquire(timeout=1.0)
                given_up.set()

            run_all(cut_off, give_up)
            assert len(held.contenders()) == 2, "it could not say so yet"
            proxy.flowing.set()
            lease_time.turn(LONG_TTL / 3, node=False)  # what could not be said is said with a keep-alive
            lease_time.until(lambda: len(held.contenders()) == 1)
            assert not session.lost

    def test_an_interrupted_wait_leaves_the_queue(
        self, session: visor.Session, client: visor.Client[bytes], visor_server: Server
    ) -> None:
        def interrupt(number: int, frame: object) -> None:
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            with visor_server.dial() as witness, session.lock(NAME) as held:

                def strike() -> None:
                    eventually(lambda: witness.status().watches == 1, "the wait")
                    os.kill(os.getpid(), signal.SIGALRM)

                thread = threading.Thread(target=strike)
                thread.start()
                with pytest.raises(KeyboardInterrupt):
                    session.lock(NAME).acquire()
                thread.join()
                eventually(lambda: len(held.contenders()) == 1)
        finally:
            signal.signal(signal.SIGALRM, before)

    def test_a_release_that_cannot_be_said_is_done_later(self, visor_server: Server) -> None:
        with (
            visor_server.dial() as other,
            Proxy(visor_server.address) as proxy,
            visor.dial(proxy.address) as client,
            client.session(LONG_TTL) as session,
        ):
            lock = session.lock(NAME)
            lock.acquire()
            proxy.flowing.clear()
            lock.release(timeout=0.2)
            proxy.flowing.set()
            eventually(lambda: not other.exists(NAME))


class TestDelay:
    def test_nobody_gets_it_for_a_while_after_a_holder_was_lost(
        self, visor_server: Server, lease_time: LeaseTime
    ) -> None:
        with lease_time.dial() as client, visor_server.dial() as other, other.session(LONG_TTL) as session:
            dying = client.session(1.0)
            lock = dying.lock(NAME, delay=0.7)
            lock.acquire()
            client._keeper(1.0).discard(dying)  # it stops answering
            waiter = session.lock(NAME)
            began = time.monotonic()
            lease_time.turn(1.0)
            waiter.acquire(timeout=PATIENCE)
            assert time.monotonic() - began >= 0.7
            assert other.names(NAME) == [waiter.path.rpartition("/")[2]]
            waiter.release()

    def test_a_newcomer_waits_too_and_gives_up_in_time(self, visor_server: Server) -> None:
        with visor_server.dial() as client, visor_server.dial() as other, other.session(LONG_TTL) as session:
            dying = client.session(LONG_TTL)
            dying.lock(NAME, delay=0.3).acquire()
            client.revoke(dying.id)
            lock = session.lock(NAME)
            assert lock.try_acquire() is None
            with pytest.raises(errors.DeadlineExceeded):
                lock.acquire(timeout=0.1)
            began = time.monotonic()
            lock.acquire()
            assert time.monotonic() - began >= 0.3
            lock.release()

    def test_a_release_needs_no_delay(self, session: visor.Session, client: visor.Client[bytes]) -> None:
        lock = session.lock(NAME, delay=10 * PATIENCE)
        with lock:
            assert "@delay" in client.names(NAME)
        assert not client.exists(NAME)
        began = time.monotonic()
        with session.lock(NAME, delay=10 * PATIENCE):
            assert time.monotonic() - began < PATIENCE


HOLDER = """
import sys, time
import visor
from visor import errors
with visor.dial(sys.argv[1]) as client:
    session = client.session(60)
    lock = session.lock("/locks/db")
    print(lock.acquire(), flush=True)
    sys.stdin.readline()                      # stopped here, and woken long after
    # Whatever this process believes: the registry compares.
    guarded = client.txn({lock.path: visor.guard.rev(lock.fence)}, then=[visor.op.set("/state", b"stale")])
    print("written" if guarded.succeeded else "not written")
    try:
        lock.set("/state", b"stale")
        print("written")
    except errors.LockLost as error:
        print("refused", error.fence, flush=True)
"""


class FencedStore:
    """A store elsewhere that does what a fencing number is for."""

    def __init__(self) -> None:
        self.highest = 0
        self.writes: list[bytes] = []

    def write(self, data: bytes, fence: int) -> bool:
        if fence < self.highest:
            return False
        self.highest = fence
        self.writes.append(data)
        return True


class TestThatLocksAreLocks:
    def test_a_holder_that_was_stopped_cannot_write_any_more(
        self, visor_server: Server, lease_time: LeaseTime
    ) -> None:
        """So other locks were shown to be none: a holder stands still, its lease goes, it wakes and writes."""
        store = FencedStore()
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, visor_server.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        try:
            assert process.stdout is not None
            stale = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGSTOP)
            lease_time.turn(60)
            with (
                visor_server.dial() as client,
                client.session(LONG_TTL) as session,
                session.lock(NAME) as lock,
            ):
                assert lock.fence > stale
                assert store.write(b"fresh", lock.fence)
                lock.set("/state", b"fresh")
                os.kill(process.pid, signal.SIGCONT)
                said, _ = process.communicate("go on\n", timeout=PATIENCE)
                assert said.splitlines() == ["not written", f"refused {stale}"]
                assert not store.write(b"stale", stale)
                assert client.get("/state").value == b"fresh"
                lock.check()
        finally:
            process.kill()
            process.communicate()
        assert store.writes == [b"fresh"]


class TestSession:
    def test_states_and_listeners(self, visor_server: Server, lease_time: LeaseTime) -> None:
        states: list[LeaseState] = []
        with Proxy(visor_server.address) as proxy, lease_time.dial(proxy.address) as client:
            session = client.session(LONG_TTL)
            session.on_change(states.append)
            client.set("/here", b"", lease=session)
            lock = session.lock(NAME)
            lock.acquire()
            proxy.flowing.clear()
            lease_time.turn(LONG_TTL / 3)
            eventually(lambda: client._driver._session.pending, "an attempt to keep it alive")
            lease_time.turn(LONG_TTL / 3)
            eventually(lambda: LeaseState.SUSPENDED in states)
            assert lock.held
            lease_time.turn(LONG_TTL / 3)
            lease_time.until(lambda: LeaseState.LOST in states)
            assert lock.lost
            proxy.flowing.set()
            with client.session(LONG_TTL) as again:
                # A new session acquires anew, behind what is left of the old one.
                assert again.lock(NAME).acquire(timeout=PATIENCE) > lock.fence
        assert states == [LeaseState.SUSPENDED, LeaseState.LOST]


def one(fence: int, *, shared: bool = False) -> Contender:
    return Contender(f"c{fence}", f"/q/c{fence}", fence, 1, shared, fence)


class TestQueue:
    @pytest.mark.parametrize(
        ("queue", "mine", "expected"),
        [
            ([one(3)], one(3), None),
            ([one(3), one(5), one(9)], one(9), 5),
            ([one(3), one(5)], one(3), None),
            ([one(3, shared=True), one(5, shared=True)], one(5, shared=True), None),
            ([one(3, shared=True), one(4), one(5, shared=True), one(6, shared=True)], one(6, shared=True), 4),
            ([one(3, shared=True), one(4, shared=True)], one(8), 4),
        ],
    )
    def test_for_whom_one_waits(self, queue: list[Contender], mine: Contender, expected: int | None) -> None:
        found: Any = blocker(queue, mine)
        assert (found.fence if found else None) == expected

    def test_what_a_delay_says_is_read_again(self) -> None:
        assert read_delay(delay_text("w1.2", 2.5)) == ("w1.2", 2.5)
        for odd in (None, b"", b"w1", b"w1 x", b"\xff \xff", b"w1 -3"):
            assert read_delay(odd)[1] == 0.0
