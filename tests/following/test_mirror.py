"""A mirror: what it holds, how fast it is read, how honestly it tells its age, and what it survives."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import visor
import visor.aio
from tests.client.proxy import Proxy
from tests.following.clients import cut_off, dial, dial_async
from tests.patience import PATIENCE, eventually
from visor import codecs, errors, op, select
from visor.blocking.following.local_copy import LocalCopy
from visor.following import Batch, Mirror, Origin, ReaderDropped, Stopped, WatcherClosed
from visor.testing import Server


@contextmanager
def opened(
    address: str, what: Any = "/**", **changes: Any
) -> Iterator[tuple[visor.Client[str], Mirror[str]]]:
    with dial(address) as client, Mirror(client, what, **changes) as mirror:
        yield client, mirror


class TestReading:
    def test_it_holds_what_matches_and_follows_it(self, visor_server: Server) -> None:
        with dial(visor_server.address) as writer:
            writer.set("/apps/web/head", "v1")
            writer.set("/other", "x")
            with opened(visor_server.address, "/apps/**") as (_, mirror):
                assert (mirror.rev, len(mirror), list(mirror)) == (2, 1, ["/apps/web/head"])
                file = mirror["/apps/web/head"]
                rev = writer.set("/apps/web/head", "v2")
                assert mirror.wait_for(rev) == rev
                assert mirror.value("/apps/web/head") == "v2"
                assert file.value == "v1"  # the old object still tells the old state
                writer.delete("/apps/web/head")
                mirror.refresh()
                assert "/apps/web/head" not in mirror
                assert mirror.get("/apps/web/head") is None
                assert mirror.get("/apps/web/head", 7) == 7
                with pytest.raises(KeyError):
                    mirror["/apps/web/head"]
                with pytest.raises(errors.NotFound, match="at rev 4"):
                    mirror.value("/apps/web/head")

    def test_a_file_of_a_mirror_is_a_file_like_any_other(self, visor_server: Server) -> None:
        with opened(visor_server.address) as (client, mirror):
            mirror.wait_for(client.set("/n", "1"))
            client.set("/unrelated", "x")
            file = mirror["/n"]
            newer = file.update("2")  # nobody changed it since: passes, though the registry moved on
            assert (newer.rev, newer.count, newer.fast_forward().value) == (3, 2, "2")
            with pytest.raises(errors.RevMismatch):
                file.update("3")

    def test_a_snapshot_stands_still_while_the_mirror_moves(self, visor_server: Server) -> None:
        with opened(visor_server.address) as (client, mirror):
            mirror.wait_for(
                client.txn(then=[op.set("/d/a", "1"), op.set("/d/b", "1"), op.set("/e", "1")]).rev
            )
            snapshot = mirror.snapshot()
            mirror.wait_for(
                client.txn(then=[op.set("/d/a", "2"), op.delete("/d/b"), op.set("/d/c", "2")]).rev
            )
            assert [(file.path, file.value) for file in snapshot.files()] == [
                ("/d/a", "1"),
                ("/d/b", "1"),
                ("/e", "1"),
            ]
            assert (snapshot.rev, snapshot.names(), snapshot.names("/d"), len(snapshot)) == (
                1,
                ["d", "e"],
                ["a", "b"],
                3,
            )
            assert [(file.path, file.value) for file in mirror.files("/d")] == [("/d/a", "2"), ("/d/c", "2")]
            assert (mirror.names("/d"), mirror.paths("/e"), mirror.paths("/none")) == (["a", "c"], ["/e"], [])
            assert ("/d/b" in snapshot, "/d/b" in mirror) == (True, False)

    @pytest.mark.soak
    def test_snapshots_show_whole_commits_only(self, visor_server: Server) -> None:
        """Two files always written together: no snapshot ever sees them apart, whatever the timing."""
        with opened(visor_server.address) as (client, mirror):
            mirror.wait_for(client.txn(then=[op.set("/a", "0"), op.set("/b", "0")]).rev)
            stop = threading.Event()
            apart: list[tuple[str, str]] = []

            def look() -> None:
                while not stop.is_set():
                    snapshot = mirror.snapshot()
                    pair = snapshot.value("/a"), snapshot.value("/b")
                    if pair[0] != pair[1]:
                        apart.append(pair)

            thread = threading.Thread(target=look)
            thread.start()
            for number in range(500):
                client.txn(then=[op.set("/a", str(number)), op.set("/b", str(number))])
            stop.set()
            thread.join()
            assert apart == []

    def test_codec_root_and_selectors_are_those_of_the_client(self, visor_server: Server) -> None:
        with visor_server.dial("/r") as rooted, visor_server.dial() as plain:
            rooted.set("/n/a", 1, codec=codecs.INT)
            plain.set("/n/a", b"outside")
            rooted.set("/n/deep/er", b"x")
            with Mirror(rooted, select.children("/n"), codec=codecs.INT) as mirror:
                assert {file.path: file.value for file in mirror.files()} == {"/n/a": 1}

    def test_a_read_is_a_few_look_ups_in_a_dict(self, visor_server: Server) -> None:
        """By turns with the same look-ups, so that it is the same on a busy machine; the benchmark has the figure."""
        with opened(visor_server.address) as (client, mirror):
            mirror.wait_for(client.txn(then=[op.set(f"/k{number}", "v") for number in range(1000)]).rev)
            paths = list(mirror) * 200
            plain = dict.fromkeys(paths, "v")
            best = {}
            for _ in range(7):
                for read in (mirror.value, plain.get):
                    begun = time.thread_time()
                    for path in paths:
                        read(path)
                    best[read] = min(best.get(read, 60.0), time.thread_time() - begun)
            assert best[mirror.value] < 40 * best[plain.get]


class TestTime:
    def test_wait_for_takes_revs_that_change_nothing_here_and_revs_to_come(
        self, visor_server: Server
    ) -> None:
        with (
            opened(visor_server.address, "/mine/**") as (client, mirror),
            dial(visor_server.address) as other,
        ):
            assert mirror.wait_for(client.set("/theirs", "1")) == 1
            thread = threading.Thread(target=lambda: [other.set("/theirs", str(n)) for n in range(3)])
            thread.start()
            assert mirror.wait_for(3) >= 3
            thread.join()
            with pytest.raises(errors.DeadlineExceeded, match="not at rev 99"):
                mirror.wait_for(99, timeout=0.1)
            assert mirror.refresh() == 4

    def test_staleness_is_honest_without_a_connection(self, visor_server: Server, proxy: Proxy) -> None:
        with dial(visor_server.address) as writer, opened(proxy.address, confirm=0.05) as (_, mirror):
            writer.set("/a", "1")
            mirror.refresh()
            eventually(lambda: mirror.staleness.connected and mirror.staleness.age < 0.2)
            with cut_off(proxy):
                writer.set("/a", "2")
                eventually(lambda: mirror.staleness.age > 0.3)
                eventually(lambda: not mirror.staleness.connected)
                assert mirror.value("/a") == "1"  # reading goes on
                assert "not connected" in str(mirror.staleness)
            eventually(lambda: mirror.value("/a") == "2")
            eventually(lambda: mirror.staleness.connected and mirror.staleness.age < 0.2)

    def test_age_grows_while_the_node_is_silent_though_the_connection_stands(
        self, visor_server: Server, proxy: Proxy
    ) -> None:
        with opened(proxy.address, confirm=0.05) as (_, mirror):
            eventually(lambda: 0 < mirror.staleness.age < 0.2)
            proxy.flowing.clear()
            eventually(lambda: mirror.staleness.age > 0.3)
            proxy.flowing.set()
            eventually(lambda: mirror.staleness.age < 0.2)

    def test_behind_counts_what_the_client_has_heard_of(self, visor_server: Server) -> None:
        with opened(visor_server.address, "/mine") as (client, mirror):
            client.set("/theirs", "1")
            client.set("/theirs", "2")
            assert mirror.staleness.behind == 2
            mirror.refresh()
            assert (mirror.staleness.behind, mirror.staleness.known) == (0, 2)


class TestSurvival:
    def test_compaction_while_it_was_away_is_met_by_comparing(
        self, visor_server: Server, proxy: Proxy
    ) -> None:
        with dial(visor_server.address) as writer, opened(proxy.address, "/d/**") as (_, mirror):
            for name in "abc":
                writer.set(f"/d/{name}", "1")
            mirror.refresh()
            with mirror.changes() as changes, cut_off(proxy):
                writer.set("/d/a", "2")
                writer.delete("/d/b")
                writer.set("/d/new", "1")
                last = writer.set("/elsewhere", "1")
                writer.compact(last)
                assert mirror.rev == 3
            mirror.wait_for(last)
            assert {file.path: file.value for file in mirror.files()} == {
                "/d/a": "2",
                "/d/c": "1",
                "/d/new": "1",
            }
            with mirror.changes() as changes:
                assert changes.since == mirror.rev

    def test_what_was_lost_is_told_as_one_rebuilt_batch(self, visor_server: Server, proxy: Proxy) -> None:
        with dial(visor_server.address) as writer, opened(proxy.address, "/d/**") as (_, mirror):
            for name in "abc":
                writer.set(f"/d/{name}", "1")
            mirror.refresh()
            with mirror.changes() as changes:
                with cut_off(proxy):
                    writer.set("/d/a", "2")
                    writer.set("/d/a", "3")
                    writer.delete("/d/b")
                    writer.compact(writer.rev())
                batch = changes.next(timeout=PATIENCE)
                assert (batch.origin, batch.since, batch.rev) == (Origin.REBUILT, 3, 6)
                told = {delta.path: (delta.kind.value, delta.after and delta.after.value) for delta in batch}
                assert told == {"/d/a": ("update", "3"), "/d/b": ("delete", None)}
                writer.set("/d/c", "9")
                assert changes.next(timeout=PATIENCE).origin is Origin.COMMITS

    def test_a_cut_connection_loses_and_repeats_nothing(self, visor_server: Server, proxy: Proxy) -> None:
        with (
            dial(visor_server.address) as writer,
            opened(proxy.address) as (_, mirror),
            mirror.changes() as changes,
        ):
            for number in range(100):
                writer.set("/a", str(number))
                if number % 7 == 0:
                    proxy.cut_all()
            mirror.wait_for(100)
            assert [changes.next(timeout=PATIENCE).rev for _ in range(100)] == list(range(1, 101))

    def test_the_end_of_the_client_ends_it_and_what_it_holds_stays(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client:
            mirror = Mirror(client).start()
            mirror.wait_for(client.set("/a", "1"))
            changes = mirror.changes()
        assert mirror.value("/a") == "1"
        assert isinstance(mirror.error, errors.ClientClosed)
        assert not mirror.staleness.connected
        with pytest.raises(errors.ClientClosed):
            mirror.wait_for(9)
        with pytest.raises(Stopped) as caught:
            changes.next()
        assert caught.value.__cause__ is mirror.error

    def test_close_ends_waiters_readers_and_the_thread(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client:
            mirror = Mirror(client).start()
            caught: list[BaseException] = []

            def wait() -> None:
                try:
                    mirror.wait_for(99, timeout=PATIENCE)
                except errors.VisorError as error:
                    caught.append(error)

            thread = threading.Thread(target=wait)
            thread.start()
            changes = mirror.changes()
            mirror.close()
            mirror.close()
            thread.join(PATIENCE)
            assert [type(error) for error in caught] == [Stopped]
            assert list(_until_stopped(changes)) == []
            assert mirror.error is None
            with pytest.raises(RuntimeError, match="once"):
                mirror.start()

    def test_no_node_is_told_at_the_start_and_nothing_is_left_behind(self) -> None:
        with dial("127.0.0.1:1") as client, pytest.raises(errors.DeadlineExceeded):
            Mirror(client).start(timeout=0.1)

    def test_a_selector_that_is_none_is_refused(self, visor_client: visor.Client[bytes]) -> None:
        with pytest.raises(errors.BadGlob):
            Mirror(visor_client, "apps")

    def test_after_a_fork_the_child_is_told(self, visor_server: Server) -> None:
        from tests.client.test_pains import in_child

        with opened(visor_server.address) as (client, mirror):
            mirror.wait_for(client.set("/a", "1"))

            def child() -> None:
                assert mirror.value("/a") == "1"
                assert not mirror.staleness.connected
                with pytest.raises(errors.ForkedClient):
                    mirror.wait_for(9)
                client.reopen()
                with Mirror(client) as own:
                    assert own.value("/a") == "1"

            assert in_child(child) == 0
            mirror.wait_for(client.set("/a", "2"))
            assert mirror.value("/a") == "2"

    def test_a_time_that_goes_back_is_never_believed(self, visor_server: Server) -> None:
        """A node that is behind what was seen already is asked again, not mirrored."""
        with opened(visor_server.address) as (client, mirror):
            client.set("/a", "1")
            mirror.refresh()
            stream = mirror._local_copy._stream
            stream._last = 5
            feed = stream._feed
            assert feed is not None
            client._driver.unwatch(feed)  # (what a watch that cannot go on looks like)
            eventually(lambda: stream._attempt > 3)
            assert mirror.rev == 1
            for number in range(5):
                client.set("/a", str(number))
            mirror.wait_for(6)
            assert mirror.value("/a") == "4"


def _until_stopped(changes: Any) -> Iterator[Batch[Any]]:
    try:
        yield from changes
    except Stopped:
        return


class TestCallbacks:
    def test_they_are_told_of_the_backlog_and_of_every_change(self, visor_server: Server) -> None:
        with opened(visor_server.address) as (client, mirror):
            mirror.wait_for(client.set("/a", "1"))
            told: list[tuple[int, list[str]]] = []
            done = threading.Event()

            def callback(batch: Batch[Any]) -> object:
                told.append((batch.rev, [str(delta.kind) for delta in batch]))
                if batch.rev == 3:
                    done.set()
                return batch.rev != 3

            with mirror.on_change(callback, backlog=True, coalesce=False) as subscription:
                client.set("/a", "2")
                client.delete("/a")
                assert done.wait(PATIENCE)
            client.set("/a", "not told")
            assert told == [(1, ["create"]), (2, ["update"]), (3, ["delete"])]
            assert subscription.error is None

    def test_a_callback_that_raises_is_not_the_end_and_may_use_the_mirror(
        self, visor_server: Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        with opened(visor_server.address) as (client, mirror):
            seen: list[int] = []
            done = threading.Event()

            def callback(batch: Batch[Any]) -> None:
                seen.append(mirror.wait_for(batch.rev))
                if len(seen) == 1:
                    client.set("/from-callback", "1")
                    raise ValueError("mine")
                done.set()

            with mirror.on_change(callback):
                client.set("/a", "1")
                assert done.wait(PATIENCE)
            assert len(seen) == 2
            assert "a callback raised at" in caplog.text

    def test_a_stuck_callback_holds_nobody_up_and_catches_up_merged(self, visor_server: Server) -> None:
        with opened(visor_server.address) as (client, mirror):
            stuck, go_on, last = threading.Event(), threading.Event(), threading.Event()
            batches: list[Batch[Any]] = []

            def callback(batch: Batch[Any]) -> None:
                batches.append(batch)
                stuck.set()
                go_on.wait(PATIENCE)
                if batch.rev == 200:
                    last.set()

            with mirror.on_change(callback):
                client.set("/a", "1")
                assert stuck.wait(PATIENCE)
                for number in range(199):
                    client.set(f"/{number % 3}", str(number))
                mirror.wait_for(200)
                go_on.set()
                assert last.wait(PATIENCE)
            assert len(batches) == 2
            assert {delta.path: delta.after.value for delta in batches[1]} == {
                "/0": "198",
                "/1": "196",
                "/2": "197",
            }


class TestChanges:
    def test_a_reader_that_is_too_slow_is_told_and_the_others_are_not_held_up(
        self, visor_server: Server
    ) -> None:
        with opened(visor_server.address) as (client, mirror):
            with mirror.changes(limit=10) as slow, mirror.changes() as quick:
                for number in range(50):
                    client.set("/a", str(number))
                mirror.wait_for(50)
                assert [quick.next(timeout=PATIENCE).rev for _ in range(50)] == list(range(1, 51))
                assert [slow.next(timeout=PATIENCE).rev for _ in range(10)] == list(range(1, 11))
                assert slow.rev == 10
                with pytest.raises(ReaderDropped, match="everything up to rev 10 was delivered") as caught:
                    slow.next(timeout=PATIENCE)
                assert caught.value.rev == 10
            assert mirror._local_copy._taps == []

    def test_closing_ends_the_iteration_from_another_thread_too(self, visor_server: Server) -> None:
        with opened(visor_server.address) as (_, mirror):
            changes = mirror.changes()
            timer = threading.Timer(0.05, changes.close)
            timer.start()
            assert list(changes) == []
            timer.join()
            with pytest.raises(WatcherClosed):
                changes.next()

    def test_it_waits_no_longer_than_told_and_stays_usable(self, visor_server: Server) -> None:
        with opened(visor_server.address) as (client, mirror), mirror.changes() as changes:
            with pytest.raises(errors.DeadlineExceeded):
                changes.next(timeout=0.01)
            client.set("/a", "1", note="why")
            batch = changes.next(timeout=PATIENCE)
            assert (batch.rev, batch.since, batch.note, len(batch)) == (1, 0, "why", 1)
            assert batch.actor == client._settings.actor

    def test_a_snapshot_and_its_changes_fit_exactly(self, visor_server: Server) -> None:
        """Readers that come while commits pour in: backlog plus changes is the store at every rev."""
        with opened(visor_server.address) as (client, mirror):
            stop = threading.Event()

            def write() -> None:
                number = 0
                while not stop.is_set():
                    number += 1
                    client.set(f"/{number % 17}", str(number))

            thread = threading.Thread(target=write)
            thread.start()
            try:
                for _ in range(20):
                    state: dict[str, str] = {}
                    with mirror.changes(backlog=True) as changes:
                        for _ in range(5):
                            batch = changes.next(timeout=PATIENCE)
                            assert not state or batch.since <= rev  # noqa: F821
                            rev = batch.rev
                            state.update({delta.path: delta.after.value for delta in batch if delta.after})
                    assert state == {file.path: file.value for file in client.scan("/**", at=rev)}
            finally:
                stop.set()
                thread.join()


def test_the_same_under_asyncio(visor_server: Server, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
    async def main() -> None:
        async with dial_async(visor_server.address) as client, visor.aio.Mirror(client) as mirror:
            rev = await client.set("/b", "1")
            assert await mirror.wait_for(rev) == rev
            assert await mirror.refresh() == rev
            async with mirror.changes(backlog=True) as changes:
                assert (await changes.next()).backlog_end
                await client.set("/b", "2")
                async for batch in changes:
                    assert batch.rev == rev + 1
                    break
            told: list[int] = []

            async def callback(batch: Any) -> bool:
                told.append(batch.rev)
                return False

            async with mirror.on_change(callback):
                await client.set("/b", "3")
                await mirror.wait_for(rev + 2)
                while not told:
                    await client.ping()
            assert told == [rev + 2]

    run(main())


def test_one_pulse_serves_all_copies_of_a_client(visor_server: Server) -> None:
    from visor.blocking.following import freshness

    with dial(visor_server.address) as client:
        mirrors = [Mirror(client, confirm=period).start() for period in (5.0, 1.0, 9.0)]
        assert freshness._asked_by_client[client].period == 1.0
        assert len(freshness._asked_by_client[client].copies) == 3
        for mirror in mirrors:
            mirror.close()
        assert client not in freshness._asked_by_client
    with pytest.raises(ValueError, match="confirm"):
        Mirror(client, confirm=0)


def test_a_failure_of_ours_is_an_end_with_a_reason(visor_server: Server) -> None:
    """An entry that cannot be made must not leave a copy that pretends to be in sync."""

    def make(path: str, rev: int, version: list[Any]) -> int:
        return int(version[1])

    with dial(visor_server.address) as client:
        replica: LocalCopy[int] = LocalCopy(client, "/**", make, int.__eq__)
        replica.start(None)
        client.set("/a", "1")
        replica.wait_for(1, None)
        client.set("/a", "no number")
        eventually(lambda: replica.ended)
        with pytest.raises(Stopped) as caught:
            replica.wait_for(2, None)
        assert isinstance(caught.value.__cause__, ValueError)
        replica.close()


SOAK = float(os.environ.get("VISOR_SOAK", "1"))
