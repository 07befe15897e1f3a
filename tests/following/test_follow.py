"""Followers: told of what comes, changes and goes, as the originals promised and where they failed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import visor
import visor.aio
from tests.client.proxy import Proxy
from tests.following.clients import cut_off, dial, dial_async
from tests.patience import PATIENCE, eventually
from visor import codecs, errors, op
from visor._core.following.pages import MOST
from visor.following import Follower, Following, Mirror, SimpleFollower, Source, follow
from visor.testing import Server

Node = visor.File[str]


class Recorder(Follower[Node]):
    """Writes down every call; `limit` batches, then it has had enough."""

    def __init__(self, limit: int | None = None) -> None:
        self.calls: list[Any] = []
        self.limit = limit
        self.batches = 0
        self.progress = threading.Condition()

    def filter(self, node: Node, /) -> bool:
        return not node.value.startswith("hidden")

    def new(self, node: Node, /) -> None:
        self.calls.append(("new", node.path, node.value))

    def updated(self, previous: Node, node: Node, /) -> None:
        self.calls.append(("updated", node.path, previous.value, node.value))

    def deleted(self, previous: Node, /) -> None:
        self.calls.append(("deleted", previous.path, previous.value))

    def batch_done(self) -> None:
        self.calls.append("done")
        with self.progress:
            self.batches += 1
            self.progress.notify_all()
        if self.batches == self.limit:
            raise Enough

    def wait_for_batches(self, count: int) -> list[Any]:
        with self.progress:
            assert self.progress.wait_for(lambda: self.batches >= count, PATIENCE)
        return self.calls


class Enough(Exception):  # noqa: N818 - an observation
    pass


@contextmanager
def following(
    address: str, follower: Any, **options: Any
) -> Iterator[tuple[visor.Client[str], Following[Any]]]:
    with dial(address) as client, Following(Source(client, "/n/**"), follower, **options) as running:
        yield client, running


class TestCalls:
    def test_each_change_is_the_call_it_should_be(self, visor_server: Server) -> None:
        recorder = Recorder()
        with following(visor_server.address, recorder) as (client, running):
            recorder.wait_for_batches(1)
            client.set("/n/a", "1")
            client.set("/n/a", "2")
            client.set("/n/a", "2")
            client.set("/n/b", "hidden")
            client.delete("/n/a")
            calls = recorder.wait_for_batches(6)
            assert running.rev == 5
        assert calls == [
            "done",  # the backlog, though there was none
            ("new", "/n/a", "1"),
            "done",
            ("updated", "/n/a", "1", "2"),
            "done",
            ("updated", "/n/a", "2", "2"),  # another write of the same: another File
            "done",
            "done",  # also after a batch that changes nothing for this follower
            ("deleted", "/n/a", "2"),
            "done",
        ]

    @pytest.mark.parametrize("again", ["same", "different"])
    def test_a_node_that_reappears_is_new_and_can_be_deleted_again(
        self, visor_server: Server, again: str
    ) -> None:
        """The original told nothing of an identical one, "updated" of a changed one, and no second deletion."""
        recorder = Recorder()
        with following(visor_server.address, recorder) as (client, _):
            client.set("/n/a", "same")
            client.delete("/n/a")
            client.set("/n/a", again)
            client.delete("/n/a")
            calls = [call for call in recorder.wait_for_batches(5) if call != "done"]
        assert calls == [
            ("new", "/n/a", "same"),
            ("deleted", "/n/a", "same"),
            ("new", "/n/a", again),
            ("deleted", "/n/a", again),
        ]

    def test_leaving_the_filter_is_deleted_and_coming_back_is_new(self, visor_server: Server) -> None:
        recorder = Recorder()
        with following(visor_server.address, recorder) as (client, _):
            for value in ("1", "hidden 1", "hidden 2", "2"):
                client.set("/n/a", value)
            client.set("/n/a", "hidden 3")
            client.delete("/n/a")
            calls = [call for call in recorder.wait_for_batches(7) if call != "done"]
        assert calls == [
            ("new", "/n/a", "1"),
            ("deleted", "/n/a", "1"),
            ("new", "/n/a", "2"),
            ("deleted", "/n/a", "2"),
        ]

    def test_equal_nodes_are_not_told_but_refreshed(self, visor_server: Server) -> None:
        class Coarse(Recorder):
            def equals(self, a: Node, b: Node, /) -> bool:
                return a.value[0] == b.value[0]

        recorder = Coarse()
        with following(visor_server.address, recorder) as (client, _):
            for value in ("1a", "1b", "2c"):
                client.set("/n/a", value)
            calls = [call for call in recorder.wait_for_batches(4) if call != "done"]
        assert calls == [("new", "/n/a", "1a"), ("updated", "/n/a", "1b", "2c")]

    def test_calls_of_a_batch_come_in_path_order(self, visor_server: Server) -> None:
        recorder = Recorder()
        with following(visor_server.address, recorder) as (client, _):
            client.txn(then=[op.set(f"/n/{name}", "1") for name in ("c", "a", "b-", "b/x")])
            calls = [call[1] for call in recorder.wait_for_batches(2) if call != "done"]
        assert calls == ["/n/a", "/n/b/x", "/n/b-", "/n/c"]

    @pytest.mark.parametrize("where", ["filter", "equals", "new", "updated", "deleted", "batch_done"])
    def test_an_error_ends_it_at_once_and_is_raised_and_returned(
        self, visor_server: Server, where: str
    ) -> None:
        class Failing(Recorder):
            pass

        def fail(*_: object) -> None:
            recorder.calls.append("failed")
            raise Enough(where)

        with dial(visor_server.address) as client:
            client.set("/n/a", "1")
            recorder = Failing()
            if where in ("filter", "new", "batch_done"):
                setattr(recorder, where, fail)
            running = Following(Source(client, "/n/**"), recorder).start()
            if where in ("equals", "updated", "deleted"):
                recorder.wait_for_batches(1)
                setattr(recorder, where, fail)
                client.set("/n/a", "2") if where != "deleted" else client.delete("/n/a")
            error = running.wait(timeout=PATIENCE)
            assert isinstance(error, Enough)
            assert running.error is error
            assert recorder.calls[-1] == "failed"  # no batch_done after it, and no other call
            client.set("/n/a", "3")
            with pytest.raises(Enough, match=where):
                follow(Source(client, "/n/**"), _raising(where))
            assert recorder.calls[-1] == "failed"
            running.close()


def _raising(where: str) -> Follower[Node]:
    def fail(*_: object) -> None:
        raise Enough(where)

    return SimpleFollower(on_new_updated=fail)


class TestSimpleFollower:
    def test_everything_may_be_left_out(self, visor_server: Server) -> None:
        """The original panicked without an equality."""
        with following(visor_server.address, SimpleFollower()) as (client, running):
            client.set("/n/a", "1")
            client.set("/n/a", "2")
            client.delete("/n/a")
            rev = client.rev()
            eventually(lambda: running.rev == rev)
            with pytest.raises(errors.DeadlineExceeded):
                running.wait(timeout=0.01)
            assert (running.rev, running.error) == (rev, None)

    def test_new_and_updated_are_one_callback(self, visor_server: Server) -> None:
        told: list[Any] = []
        done = threading.Event()
        follower: SimpleFollower[Node] = SimpleFollower(
            filter_fn=lambda node: node.value != "hidden",
            equals_fn=lambda a, b: a.value == b.value,
            on_new_updated=lambda node: told.append(node.value),
            on_deleted=lambda node: (told.append(("gone", node.value)), done.set()),
            on_batch_done=lambda: told.append("done"),
        )
        with following(visor_server.address, follower) as (client, _):
            for value in ("1", "2", "2"):
                client.set("/n/a", value)
            client.set("/n/a", "hidden")
            assert done.wait(PATIENCE)
        assert told[:7] == ["done", "1", "done", "2", "done", "done", ("gone", "2")]


class TestBacklog:
    @pytest.mark.parametrize("count", [0, 1, MOST, 2 * MOST + 1])
    @pytest.mark.parametrize("shared", [False, True])
    def test_it_comes_in_pieces_with_exactly_one_end(
        self, visor_server: Server, count: int, shared: bool
    ) -> None:
        with dial(visor_server.address) as client:
            for first in range(0, count, 1000):
                rows = range(first, min(count, first + 1000))
                client.txn(then=[op.set(f"/n/{number:05}", "x") for number in rows])
            source: Any = Source(client, "/n/**")
            with Mirror(client, "/n/**") as mirror:
                reader = (mirror if shared else source).reader()
                pieces = []
                while not pieces or not pieces[-1].backlog_end:
                    pieces.append(reader.next())
                client.set("/n/later", "x")
                later = reader.next()
                reader.close()
            assert (later.backlog_end, len(later)) == (False, 1)
            assert len(pieces) == max(1, -(-count // MOST))
            assert [delta.path for piece in pieces for delta in piece] == [
                f"/n/{number:05}" for number in range(count)
            ]

    def test_large_values_make_small_pieces(self, visor_server: Server) -> None:
        with visor_server.dial() as client:
            for number in range(5):
                client.set(f"/n/{number}", bytes(900_000))
            reader = Source(client, "/n/**").reader()
            assert [len(reader.next()) for _ in range(3)] == [2, 2, 1]
            reader.close()


class TestPace:
    def test_a_slow_follower_gets_every_step(self, visor_server: Server) -> None:
        """Straight from the registry nobody is dropped: the server waits, and goes on from history."""
        go = threading.Event()

        class Slow(Recorder):
            def new(self, node: Node, /) -> None:
                go.wait(PATIENCE)

        recorder = Slow()
        with following(visor_server.address, recorder) as (client, running):
            client.set("/n/a", "0")
            for number in range(1, 3000):
                client.set("/n/a", str(number))
            go.set()
            recorder.wait_for_batches(3001)
            assert running.rev == 3000
        updates = [call for call in recorder.calls if call != "done"]
        assert updates == [("updated", "/n/a", str(n - 1), str(n)) for n in range(1, 3000)]

    @pytest.mark.parametrize("shared", [False, True])
    def test_with_coalesce_it_gets_the_latest_state(self, visor_server: Server, shared: bool) -> None:
        busy, go = threading.Event(), threading.Event()

        class Slow(Recorder):
            def new(self, node: Node, /) -> None:
                super().new(node)
                if node.path == "/n/first":
                    busy.set()
                    go.wait(PATIENCE)

        recorder = Slow()
        with dial(visor_server.address) as client, Mirror(client, "/n/**") as mirror:
            source: Any = mirror if shared else Source(client, "/n/**")
            with Following(source, recorder, coalesce=True) as running:
                client.set("/n/first", "1")
                assert busy.wait(PATIENCE)
                for number in range(100):
                    client.set("/n/a", str(number))
                client.set("/n/came", "and")
                rev = client.delete("/n/came")
                mirror.wait_for(rev)
                go.set()
                eventually(lambda: running.rev >= rev)
        told = [call for call in recorder.calls if call != "done"]
        assert told[0] == ("new", "/n/first", "1")
        assert told[-1][1:] in [("/n/a", "99"), ("/n/a", "98", "99")] or len(told) < 10
        assert len(told) < 50

    def test_a_follower_of_a_mirror_that_is_dropped_finds_out_what_it_missed(
        self, visor_server: Server
    ) -> None:
        go = threading.Event()

        class Slow(Recorder):
            def updated(self, previous: Node, node: Node, /) -> None:
                super().updated(previous, node)
                go.wait(PATIENCE)

        recorder = Slow()
        with dial(visor_server.address) as client, Mirror(client, "/n/**") as mirror:
            client.set("/n/gone", "1")
            mirror.wait_for(client.set("/n/a", "0"))
            with Following(mirror, recorder) as running:
                recorder.wait_for_batches(1)
                for number in range(1, 30):
                    client.txn(then=[op.set(f"/n/{n}", str(number)) for n in ("a", *range(999))])
                client.delete("/n/gone")
                client.set("/n/back", "1")
                client.delete("/n/0")
                rev = client.set("/n/b", "new")
                mirror.wait_for(rev)
                go.set()
                eventually(lambda: running.rev >= rev)
                assert running.error is None
                expected = {file.path: file.value for file in mirror.files()}
        assert _believed(recorder.calls) == expected


def _believed(calls: list[Any]) -> dict[str, str]:
    """What somebody knows who believes every call."""
    state: dict[str, str] = {}
    for call in calls:
        if call == "done":
            continue
        kind, path, *values = call
        if kind == "new":
            assert path not in state
            state[path] = values[0]
        elif kind == "updated":
            assert state[path] == values[0]
            state[path] = values[1]
        else:
            assert state.pop(path) == values[0]
    return state


class TestEnds:
    def test_close_ends_it_without_an_error(self, visor_server: Server) -> None:
        recorder = Recorder()
        with following(visor_server.address, recorder) as (_, running):
            recorder.wait_for_batches(1)
            running.close()
            assert running.wait(timeout=PATIENCE) is None

    def test_the_end_of_the_client_is_its_error(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client:
            running = Following(Source(client, "/n/**"), SimpleFollower()).start()
        running.wait(timeout=PATIENCE)

    def test_a_follower_may_close_its_own_following(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client:
            client.set("/n/a", "1")
            told: list[str] = []
            running: Following[Node] = Following(
                Source(client, "/n/**"),
                SimpleFollower(
                    on_new_updated=lambda node: (told.append(node.path), running.close()),
                    on_batch_done=lambda: told.append("done"),
                ),
            )
            running.start()
            assert running.wait(timeout=PATIENCE) is None
            assert told == ["/n/a"]

    def test_a_wrong_selector_is_refused_at_once(self, visor_client: visor.Client[bytes]) -> None:
        with pytest.raises(errors.BadGlob):
            Source(visor_client, "n/**")

    def test_compaction_while_cut_off_is_met_by_comparing(self, visor_server: Server, proxy: Proxy) -> None:
        recorder = Recorder()
        with dial(visor_server.address) as writer:
            for name in "abc":
                writer.set(f"/n/{name}", "1")
            with following(proxy.address, recorder) as (_, running):
                recorder.wait_for_batches(1)
                with cut_off(proxy):
                    writer.set("/n/a", "2")
                    writer.delete("/n/b")
                    writer.set("/n/d", "1")
                    writer.compact(writer.rev())
                calls = recorder.wait_for_batches(2)
                assert running.rev == 6
        assert calls[4:] == [
            ("updated", "/n/a", "1", "2"),
            ("deleted", "/n/b", "1"),
            ("new", "/n/d", "1"),
            "done",
        ]


def test_coroutines_follow_too(visor_server: Server, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
    calls: list[Any] = []

    class Mine(Follower[visor.aio.File[int]]):
        async def new(self, node: visor.aio.File[int], /) -> None:
            calls.append(("new", node.value))

        async def updated(self, previous: visor.aio.File[int], node: visor.aio.File[int], /) -> None:
            calls.append(("updated", previous.value, node.value))

        def batch_done(self) -> None:
            calls.append("done")
            if calls.count("done") >= 3:
                raise Enough

    async def main() -> None:
        async with dial_async(visor_server.address) as client:
            await client.set("/n", 1, codec=codecs.INT)
            source = visor.aio.following.Source(client, "/n", codec=codecs.INT)
            running = visor.aio.following.Following(source, Mine())
            async with running:
                while not running.rev:
                    await client.ping()
                with pytest.raises(errors.DeadlineExceeded):
                    await running.wait(timeout=0.01)
                await client.set("/n", 2, codec=codecs.INT)
                await client.set("/other", "x")
                await client.set("/n", 3, codec=codecs.INT)
                assert isinstance(await running.wait(timeout=PATIENCE), Enough)
                assert running.rev == 4
            with pytest.raises(Enough):
                await visor.aio.follow(source, Mine())

    run(main())
    assert calls[:7] == [("new", 1), "done", ("updated", 1, 2), "done", ("updated", 2, 3), "done", ("new", 3)]
