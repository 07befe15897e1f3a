# Generated from tests/aio/following/test_watcher.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Watching one file, and cells: the latest value, and the next when there is one."""

from __future__ import annotations

import pytest

from tests.blocking.tools import Beside, dial, eventually
from tests.client.proxy import Proxy
from tests.following.clients import cut_off
from tests.patience import PATIENCE
from visor import codecs, errors
from visor.following import BacklogDone, Cell, WatcherClosed, watch_one
from visor.testing import Server


class TestWatchOne:
    def test_it_blocks_until_the_file_exists_then_gives_each_newer_value(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client, watch_one(client, "/a") as watcher:
            with pytest.raises(errors.DeadlineExceeded):
                watcher.next(timeout=0.05)
            setting = Beside(client.set, "/a", "1")
            assert watcher.next(timeout=PATIENCE)
            assert (watcher.value, watcher.file.rev, watcher.rev, watcher.error) == ("1", 1, 1, None)
            client.set("/a", "2")
            assert watcher.next(timeout=PATIENCE)
            assert watcher.value == "2"
            setting.join()

    def test_values_between_two_looks_are_skipped(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client, watch_one(client, "/a") as watcher:
            client.set("/a", "0")
            assert watcher.next()
            for number in range(1, 50):
                client.set("/a", str(number))
            values = [watcher.value]
            while values[-1] != "49":
                assert watcher.next(timeout=PATIENCE)
                values.append(watcher.value)
            assert len(values) < 50
            assert values == sorted(values, key=int)

    def test_a_deletion_ends_it(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client, watch_one(client, "/a") as watcher:
            client.set("/a", "1")
            assert watcher.next()
            client.delete("/a")
            client.set("/a", "another")
            assert not watcher.next(timeout=PATIENCE)
            assert isinstance(watcher.error, errors.NotFound)
            assert (watcher.error.path, watcher.error.rev) == ("/a", 2)
            assert not watcher.next()
            assert watcher.value == "1"  # the last that was found
            with watch_one(client, "/a") as again:
                assert again.next()
                assert again.value == "another"

    def test_iteration_gives_values_and_stops_at_the_deletion(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client, watch_one(client, "/a") as watcher:
            client.set("/a", "1")
            values = []
            for value in watcher:
                values.append(value)
                client.set("/a", "2") if value == "1" else client.delete("/a")
            assert values == ["1", "2"]

    def test_close_ends_it_from_another_thread(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client:
            watcher = watch_one(client, "/a")
            closing = Beside(watcher.close)
            assert not watcher.next(timeout=PATIENCE)
            assert isinstance(watcher.error, WatcherClosed)
            assert str(watcher.error) == "watcher closed"
            with pytest.raises(WatcherClosed):
                _ = watcher.value
            closing.join()

    def test_two_readers_at_once_are_refused(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client, watch_one(client, "/a") as watcher:
            reading = Beside(watcher.next)
            eventually(lambda: watcher._busy)
            with pytest.raises(RuntimeError, match="one reader at a time"):
                watcher.next()
            watcher.close()
            assert not reading.join()

    def test_where_and_distinct_leave_values_out(self, visor_server: Server) -> None:
        with (
            dial(visor_server.address) as client,
            watch_one(client, "/a", where=lambda file: file.value != "no") as chosen,
            watch_one(client, "/a", distinct=True) as distinct,
        ):
            for value, takers in (
                ("1", (chosen, distinct)),
                ("no", (distinct,)),
                ("no", ()),
                ("2", (chosen, distinct)),
                ("2", (chosen,)),
            ):
                client.set("/a", value)
                for watcher in (chosen, distinct):
                    if watcher in takers:
                        assert watcher.next(timeout=PATIENCE)
                        assert watcher.value == value
                    else:
                        with pytest.raises(errors.DeadlineExceeded):
                            watcher.next(timeout=0.05)

    def test_backlog_only_never_waits_for_something_to_happen(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client:
            client.set("/a", "1")
            with watch_one(client, "/a", backlog_only=True) as watcher:
                assert list(watcher) == ["1"]
                assert isinstance(watcher.error, BacklogDone)
            with watch_one(client, "/none", backlog_only=True) as watcher:
                assert not watcher.next()
                assert watcher.error is not None
                assert watcher.error.details["rev"] == 1

    def test_a_file_names_its_path_and_a_codec_may_differ(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client:
            client.set("/n", "7")
            with watch_one(client, client.get("/n", codec=codecs.INT), codec=codecs.INT) as watcher:
                assert watcher.next()
                assert watcher.value == 7

    def test_the_end_of_the_client_ends_it_with_that_reason(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client:
            watcher = watch_one(client, "/a")
        assert not watcher.next()
        assert isinstance(watcher.error, errors.ClientClosed)
        with pytest.raises(errors.ClientClosed):
            for _ in watcher:
                pass

    @pytest.mark.parametrize("recreated", [False, True])
    def test_a_deletion_that_was_compacted_away_still_ends_it(
        self, visor_server: Server, proxy: Proxy, recreated: bool
    ) -> None:
        with dial(visor_server.address) as writer, dial(proxy.address) as client:
            writer.set("/a", "1")
            with watch_one(client, "/a") as watcher:
                assert watcher.next()
                with cut_off(proxy):
                    rev = writer.delete("/a")
                    if recreated:
                        rev = writer.set("/a", "1")
                    writer.compact(rev)
                assert not watcher.next(timeout=PATIENCE)
                assert isinstance(watcher.error, errors.NotFound)

    def test_what_survived_compaction_unchanged_is_no_new_value(
        self, visor_server: Server, proxy: Proxy
    ) -> None:
        with dial(visor_server.address) as writer, dial(proxy.address) as client:
            writer.set("/a", "1")
            with watch_one(client, "/a") as watcher:
                assert watcher.next()
                with cut_off(proxy):
                    writer.compact(writer.set("/b", "1"))
                with pytest.raises(errors.DeadlineExceeded):
                    watcher.next(timeout=0.3)
                writer.set("/a", "2")
                assert watcher.next(timeout=PATIENCE)
                assert watcher.value == "2"


class TestCell:
    def test_it_gives_the_latest_value_and_the_next(self) -> None:
        cell: Cell[int] = Cell()
        with pytest.raises(LookupError):
            _ = cell.value
        with cell.watch() as watcher:
            with pytest.raises(LookupError):
                _ = watcher.value
            with pytest.raises(errors.DeadlineExceeded):
                watcher.next(timeout=0.01)
            cell.set(1)
            cell.set(2)
            assert watcher.next()
            assert (watcher.value, cell.value, cell.version) == (2, 2, 2)
            waiting = Beside(watcher.next)
            cell.set(3)
            assert waiting.join()
            assert watcher.value == 3

    def test_options_and_ends(self) -> None:
        cell: Cell[int] = Cell()
        cell.set(1)
        with cell.watch(where=lambda value: value % 2 == 0, backlog_only=True) as watcher:
            assert not watcher.next()
            assert isinstance(watcher.error, BacklogDone)
        with cell.watch(backlog_only=True) as watcher:
            assert list(watcher) == [1]
        watcher = cell.watch()
        assert watcher.next()
        waiting = Beside(watcher.next)
        watcher.close()
        assert not waiting.join()
        assert isinstance(watcher.error, WatcherClosed)
