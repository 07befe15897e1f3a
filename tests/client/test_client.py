"""Every operation of the client, against a real server."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest

import visor
from tests.lease_time import LeaseTime
from tests.patience import PATIENCE
from visor import Kind, Node, codecs, errors, guard, op, select
from visor.testing import Server


class TestReading:
    def test_a_file_carries_its_versions_numbers(self, client: visor.Client[bytes]) -> None:
        client.set("/a", b"1")
        client.set("/b", b"x")
        client.set("/a", b"2")
        file = client.get("/a")
        assert (file.path, file.value, file.data) == ("/a", b"2", b"2")
        assert (file.rev, file.mod_rev, file.created, file.count, file.lease) == (3, 3, 1, 2, 0)
        old = client.get("/a", at=2)
        assert (old.value, old.rev, old.mod_rev) == (b"1", 2, 1)
        assert old == client.get("/a", at=1)
        assert old != file
        assert client.get("/a", stale=True).value == b"2"

    def test_what_is_missing_is_not_found_with_its_path(self, client: visor.Client[bytes]) -> None:
        with pytest.raises(errors.NotFound) as caught:
            client.get("/nope")
        assert caught.value.path == "/nope"
        assert client.get_value("/nope", None) is None
        assert client.get_value("/nope", "x") == "x"
        client.set("/d/f", b"")
        with pytest.raises(errors.IsDirectory):
            client.get("/d")
        with pytest.raises(errors.BadPath):
            client.get("no/slash")

    def test_stat_and_exists(self, client: visor.Client[bytes]) -> None:
        client.set("/d/f", b"abc")
        file = client.stat("/d/f")
        assert (file.kind, file.size, file.mod_rev) == (Node.FILE, 3, 1)
        assert client.stat("/d").kind is Node.DIRECTORY
        assert client.stat("/x").kind is Node.MISSING
        assert [client.exists(path) for path in ("/d/f", "/d", "/", "/x")] == [True, True, True, False]
        client.delete("/d/f")
        assert client.stat("/d/f").mod_rev == 2
        assert not client.exists("/d")
        assert client.exists("/d", at=1)

    def test_listing(self, client: visor.Client[bytes]) -> None:
        assert client.ls() == []
        for name in ("b", "a", "c/x", "c/y"):
            client.set(f"/d/{name}", name.encode())
        entries = client.ls("/d")
        assert [(entry.name, entry.path, entry.kind) for entry in entries] == [
            ("a", "/d/a", Node.FILE),
            ("b", "/d/b", Node.FILE),
            ("c", "/d/c", Node.DIRECTORY),
        ]
        assert client.names("/d") == ["a", "b", "c"]
        assert [entry.name for entry in client.ls("/d", limit=2)] == ["a", "b"]
        assert client.names("/d", at=1) == ["b"]
        with pytest.raises(errors.NotFound):
            client.ls("/nope")
        with pytest.raises(errors.NotDirectory):
            client.ls("/d/a")

    def test_scanning(self, client: visor.Client[bytes]) -> None:
        for number in range(10):
            client.set(f"/n/{number}", b"%d" % number)
        client.set("/n/deep/x", b"deep")
        assert [file.path for file in client.scan("/n/?")] == [f"/n/{number}" for number in range(10)]
        assert [file.value for file in client.scan(select.path("/n/3"))] == [b"3"]
        assert len(list(client.scan(select.tree("/n")))) == 11
        assert len(list(client.scan(select.children("/n")))) == 10
        assert [file.path for file in client.scan(select.range("/n/2", "/n/4"))] == ["/n/2", "/n/3"]
        assert [file.path for file in client.scan(select.range("/n/8"))] == ["/n/8", "/n/9", "/n/deep/x"]
        assert [file.path for file in client.scan("/n/*", reverse=True, limit=2)] == ["/n/9", "/n/8"]
        assert [file.path for file in client.scan("/n/*", at=2)] == ["/n/0", "/n/1"]
        assert client.count("/n/**") == 11
        assert client.count(select.children("/n"), at=4) == 4

    def test_pages_are_all_at_the_rev_of_the_first(self, client: visor.Client[bytes]) -> None:
        for number in range(10):
            client.set(f"/n/{number}", b"old")
        files = client.scan("/n/*", page=3)
        first = next(files)
        client.set("/n/9", b"new")
        client.set("/n/99", b"new")
        rest = list(files)
        assert len(rest) == 9
        assert {file.rev for file in [first, *rest]} == {10}
        assert all(file.value == b"old" for file in rest)

    def test_keys_only_have_no_value(self, client: visor.Client[bytes]) -> None:
        client.set("/a", b"1")
        (file,) = client.scan("/**", keys=True)
        assert (file.path, file.mod_rev, file.count) == ("/a", 1, 1)
        with pytest.raises(ValueError, match="keys=True"):
            _ = file.value

    def test_a_read_at_a_rev_to_come_waits_for_it(self, client: visor.Client[bytes]) -> None:
        client.set("/a", b"1")
        with pytest.raises(errors.DeadlineExceeded):
            client.get("/a", at=2, timeout=0.05)
        timer = threading.Timer(0.05, client.set, ("/a", b"2"))
        timer.start()
        assert client.get("/a", at=2).value == b"2"
        timer.join()

    def test_revs_times_and_horizon(self, client: visor.Client[bytes]) -> None:
        assert client.rev() == 0
        before = time.time() - 1
        client.set("/a", b"1")
        horizon = client.horizon()
        assert horizon.rev == 1
        assert before < horizon.time.timestamp() <= time.time()
        assert client.rev_at(time.time() + 1) == 1
        assert client.rev_at(before) == 0
        assert client.snapshot(at=datetime.now(UTC)).rev == 1
        assert client.snapshot(at=before).rev == 0
        with pytest.raises(ValueError, match="not both"):
            client.snapshot(1, 2.0)
        assert client.nop() == 1
        client.ping()
        assert client.status().rev == 1


class TestWriting:
    def test_guards_of_a_single_write(self, client: visor.Client[bytes]) -> None:
        assert client.set("/a", b"1", guard=guard.missing()) == 1
        assert client.set("/a", b"2", guard=guard.rev(1)) == 2
        assert client.set("/a", b"3", guard=guard.since(2), note="third") == 3
        assert client.set("/a", b"4", guard=guard.exists()) == 4
        assert client.set("/a", b"5", guard=guard.value(b"4")) == 5
        assert client.set("/a", b"6", guard=guard.below(6)) == 6
        assert client.set("/a", b"7", guard=guard.above(5)) == 7
        with pytest.raises(errors.Exists) as exists:
            client.create("/a", b"")
        assert exists.value.actual == 7
        with pytest.raises(errors.RevMismatch) as mismatch:
            client.set("/a", b"", guard=guard.rev(3))
        assert (mismatch.value.expected, mismatch.value.actual) == (3, 7)
        for failing in (guard.value(b"x"), guard.below(7), guard.above(7), guard.since(6)):
            with pytest.raises(errors.Conflict):
                client.set("/a", b"", guard=failing)
        for failing in (guard.exists(), guard.value(b"x"), guard.above(0)):
            with pytest.raises(errors.NotFound):
                client.set("/nope", b"", guard=failing)
        assert client.rev() == 7

    def test_create_replace_delete(self, client: visor.Client[bytes]) -> None:
        with pytest.raises(errors.NotFound):
            client.replace("/a", b"")
        assert client.create("/a", b"1") == 1
        assert client.replace("/a", b"2") == 2
        with pytest.raises(errors.RevMismatch):
            client.delete("/a", guard=guard.rev(1))
        with pytest.raises(errors.Conflict):
            client.delete("/a", guard=guard.value(b"1"))
        assert client.delete("/a", guard=guard.value(b"2")) == 3
        with pytest.raises(errors.NotFound):
            client.delete("/a")
        with pytest.raises(errors.RevMismatch):
            client.set("/a", b"", guard=guard.since(2))  # its deletion is seen

    def test_directories(self, client: visor.Client[bytes]) -> None:
        client.set("/d/e/f", b"")
        client.set("/d/g", b"")
        with pytest.raises(errors.IsDirectory):
            client.delete("/d")
        with pytest.raises(errors.IsDirectory):
            client.set("/d", b"")
        with pytest.raises(errors.NotDirectory) as caught:
            client.set("/d/g/h", b"")
        assert caught.value.path == "/d/g"
        assert client.delete("/d", recursive=True) == 3
        assert client.count() == 0

    def test_transactions(self, client: visor.Client[bytes]) -> None:
        client.set("/a", b"1")
        result = client.txn(
            {"/a": guard.value(b"1"), "/b": guard.missing()},
            [op.set("/b", b"2"), op.get("/b"), op.delete("/a"), op.get("/a"), op.ls("/")],
            note="swap",
        )
        assert (result.rev, result.succeeded) == (2, True)
        assert result.results[0] is None
        assert isinstance(result.results[1], visor.File)
        assert (result.results[1].value, result.results[1].mod_rev) == (b"2", 2)
        assert result.results[2:] == (None, None, [("b", Node.FILE)])
        other = client.txn([("/a", guard.exists())], [op.set("/a", b"")], [op.get("/b")])
        assert (other.rev, other.succeeded) == (2, False)
        assert isinstance(other.results[0], visor.File)
        with pytest.raises(errors.NotDirectory) as caught:
            client.txn((), [op.set("/c", b""), op.set("/b/x", b"")])
        assert caught.value.operation == 1
        assert not client.exists("/c")
        assert client.txn().rev == 2

    def test_values_that_are_too_large_are_refused_before_and_at_the_server(
        self, client: visor.Client[bytes]
    ) -> None:
        with pytest.raises(errors.TooLarge) as caught:
            client.set("/a", bytes(2 << 20))
        assert caught.value.limit == 1 << 20
        with pytest.raises(errors.TooLarge):
            client.set("/a", bytes(20 << 20))
        with pytest.raises(errors.TooLarge):
            client.txn((), [op.set(f"/a/{number}", bytes(1 << 20)) for number in range(20)])
        with pytest.raises((errors.TooLarge, errors.BadPath)):
            client.get("/" + "x" * (20 << 20))
        with pytest.raises(errors.TooLarge):
            client.set("/a", b"", note="x" * (20 << 20))
        assert client.set("/a", bytes(1 << 20)) == 1
        assert len(client.get("/a").value) == 1 << 20


class TestOptimisticTransactions:
    def test_it_reads_at_one_rev_and_commits_at_once(self, client: visor.Client[bytes]) -> None:
        client.set("/a", b"1")
        client.set("/b", b"2")
        with client.transaction(note="swap") as tx:
            a, b = tx.get("/a").value, tx.get("/b").value
            assert tx.rev == 2
            tx.set("/a", b)
            tx.set("/b", a)
            assert tx.get("/a").value == b"2"
            assert client.get("/a").value == b"1"
        assert tx.committed == 3
        assert [(file.path, file.value) for file in client.scan()] == [("/a", b"2"), ("/b", b"1")]
        (commit,) = client.history(first=3)
        assert commit.note == "swap"

    def test_what_was_read_and_changed_is_a_conflict(self, client: visor.Client[bytes]) -> None:
        client.set("/a", b"1")
        with pytest.raises(errors.Conflict) as caught, client.transaction() as tx:
            tx.get("/a")
            client.set("/a", b"other")
            tx.set("/b", b"")
        assert caught.value.path == "/a"
        assert not client.exists("/b")

    @pytest.mark.parametrize("how", ["get", "exists", "ls", "scan", "create"])
    def test_absence_and_listings_are_guarded_too(self, client: visor.Client[bytes], how: str) -> None:
        client.set("/d/a", b"")
        with pytest.raises(errors.Conflict), client.transaction() as tx:
            if how == "get":
                assert tx.get_value("/d/b", None) is None
            elif how == "exists":
                assert not tx.exists("/d/b")
            elif how == "ls":
                assert tx.names("/d") == ["a"]
            elif how == "scan":
                assert [file.path for file in tx.scan("/d/*")] == ["/d/a"]
            else:
                tx.create("/d/b", b"mine")
            client.set("/d/b", b"theirs")
            tx.set("/x", b"")
        assert not client.exists("/x")

    def test_a_change_that_the_body_could_not_see_is_no_conflict(self, client: visor.Client[bytes]) -> None:
        client.set("/d/a/deep", b"")
        with client.transaction() as tx:
            assert [entry.name for entry in tx.ls("/d")] == ["a"]
            client.set("/elsewhere", b"")
            tx.set("/x", b"")
        assert client.exists("/x")
        with client.transaction() as tx:
            assert tx.exists("/d")
            client.set("/d/b", b"")
            tx.set("/y", b"")
        assert client.exists("/y")

    def test_writes_of_the_transaction_itself_are_seen(self, client: visor.Client[bytes]) -> None:
        client.set("/d/a", b"1")
        with client.transaction() as tx:
            tx.delete("/d", recursive=True)
            with pytest.raises(errors.NotFound):
                tx.get("/d/a")
            assert not tx.exists("/d")
            tx.set("/d/b", b"2")
            assert tx.exists("/d")
            with pytest.raises(errors.NotFound):
                tx.replace("/d/a", b"")
            with pytest.raises(ValueError, match="list /d before"):
                tx.ls("/d")
            tx.create("/n", b"")
            with pytest.raises(errors.Exists):
                tx.create("/n", b"")
        assert [file.path for file in client.scan()] == ["/d/b", "/n"]

    def test_an_error_in_the_body_commits_nothing(self, client: visor.Client[bytes]) -> None:
        with pytest.raises(ZeroDivisionError), client.transaction() as tx:
            tx.set("/a", b"")
            _ = 1 // 0
        assert client.rev() == 0
        assert tx.committed is None

    def test_without_writes_nothing_is_committed(self, client: visor.Client[bytes]) -> None:
        client.set("/a", b"")
        with client.transaction() as tx:
            tx.get("/a")
        assert tx.committed == 1
        assert client.rev() == 1

    def test_counters_under_contention_lose_nothing(self, visor_server: Server) -> None:
        with visor_server.dial(codec=codecs.INT) as client:
            client.set("/n", 0)

            def add_with_loop() -> None:
                for _ in range(10):
                    for tx in client.attempts(timeout=PATIENCE):
                        with tx:
                            tx.set("/n", tx.get("/n").value + 1)

            def add_with_function() -> None:
                for _ in range(10):
                    client.update(lambda tx: tx.set("/n", tx.get("/n").value + 1), timeout=PATIENCE)

            threads = [threading.Thread(target=add) for add in (add_with_loop, add_with_function) * 2]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert client.get("/n").value == 40

    def test_attempts_end_with_the_conflict_when_time_is_over(
        self, client: visor.Client[bytes], lease_time: LeaseTime
    ) -> None:
        client.set("/a", b"")

        def pass_time(verb: str, path: str | None, seconds: float, error: BaseException | None) -> None:
            if verb == "txn":
                lease_time.turn(0.2, node=False)

        def hopeless(tx: visor.Transaction[bytes]) -> None:
            tx.get("/a")
            client.set("/a", b"")
            tx.set("/b", b"")

        with lease_time.dial(on_request=pass_time) as slow, pytest.raises(errors.Conflict):
            slow.update(hopeless, timeout=0.9)

    def test_transact_returns_what_the_body_returns(self, client: visor.Client[bytes]) -> None:
        assert client.update(lambda tx: tx.exists("/a")) is False


class TestWatching:
    def test_commits_come_whole_with_everything_known_of_them(self, client: visor.Client[bytes]) -> None:
        client.set("/a", b"1")
        with client.watch("/**", 1, previous=True) as watch:
            client.txn((), [op.set("/a", b"2"), op.set("/b", b"x")], note="both")
            client.delete("/a")
            first, second, third = (watch.next(timeout=PATIENCE) for _ in range(3))
        assert [commit.rev for commit in (first, second, third)] == [1, 2, 3]
        assert first.changes[0].previous is None
        assert [(change.kind, change.path, change.value) for change in second.changes] == [
            (Kind.UPDATE, "/a", b"2"),
            (Kind.CREATE, "/b", b"x"),
        ]
        assert (second.changes[0].previous, second.changes[0].previous_rev) == (b"1", 1)
        assert (second.note, second.time.tzinfo, "@" in second.actor) == ("both", UTC, True)
        (gone,) = third.changes
        assert (gone.kind, gone.value, gone.data, gone.previous) == (Kind.DELETE, None, None, b"2")

    def test_selectors_kinds_and_keys(self, client: visor.Client[bytes]) -> None:
        with (
            client.watch(select.path("/a"), kinds=["delete"]) as deletes,
            client.watch(select.tree("/d"), keys=True) as tree,
            client.watch(select.children("/d")) as children,
        ):
            client.set("/a", b"")
            client.set("/d/e/f", b"x")
            client.set("/d/g", b"y")
            client.delete("/a")
            assert deletes.next(timeout=PATIENCE).rev == 4
            assert [tree.next(timeout=PATIENCE).changes[0].value for _ in range(2)] == [None, None]
            assert children.next(timeout=PATIENCE).changes[0].path == "/d/g"

    def test_state_and_watch_meet_without_gap_or_overlap(self, client: visor.Client[bytes]) -> None:
        client.set("/a", b"1")
        client.set("/b", b"2")
        with client.watch("/*", state=True) as watch:
            assert {path: file.value for path, file in watch.state.items()} == {"/a": b"1", "/b": b"2"}
            assert (watch.state_rev, watch.rev) == (2, 2)
            client.set("/a", b"3")
            assert watch.next(timeout=PATIENCE).rev == 3
        with client.watch("/*", 2, state=True) as old:
            assert {path: file.value for path, file in old.state.items()} == {"/a": b"1"}
            assert old.next(timeout=PATIENCE).rev == 2

    def test_progress_moves_the_position_over_what_does_not_match(self, client: visor.Client[bytes]) -> None:
        with client.watch("/mine") as watch:
            for _ in range(5):
                client.set("/other", b"")
            assert watch.progress() == 5
            assert watch.rev == 5
            client.set("/mine", b"")
            assert watch.progress() == 6
            assert watch.rev == 5
            assert watch.next().rev == 6
            assert watch.rev == 6

    def test_a_value_that_cannot_be_decoded_does_not_end_the_watch(self, visor_server: Server) -> None:
        with visor_server.dial(codec=codecs.JSON) as client, client.watch() as watch:
            client.set("/a", b"\xff", codec=codecs.BYTES)
            client.set("/a", {"ok": True})
            (bad,) = watch.next(timeout=PATIENCE).changes
            with pytest.raises(errors.DecodeError) as caught:
                _ = bad.value
            assert (caught.value.path, bad.data) == ("/a", b"\xff")
            assert watch.next(timeout=PATIENCE).changes[0].value == {"ok": True}

    def test_a_timeout_leaves_it_usable_and_closing_stops_iteration(
        self, client: visor.Client[bytes]
    ) -> None:
        watch = client.watch("/**")
        with pytest.raises(errors.DeadlineExceeded, match=r"0\.05 s"):
            watch.next(timeout=0.05)
        with pytest.raises(errors.DeadlineExceeded):
            watch.next(timeout=0)
        client.set("/a", b"")
        assert watch.next(timeout=PATIENCE).rev == 1
        watch.close()
        watch.close()
        assert list(watch) == []
        with pytest.raises(errors.ClientClosed):
            watch.next()

    def test_below_the_floor_is_a_typed_error_with_the_floor(self, client: visor.Client[bytes]) -> None:
        for _ in range(6):
            client.set("/a", b"")
        assert client.compact(4) == 4
        with pytest.raises(errors.Compacted) as caught:
            client.watch("/**", 2)
        assert caught.value.floor == 5, "the first commit that is left"
        with client.watch("/**", caught.value.floor) as watch:
            assert watch.next(timeout=PATIENCE).rev == 5
        with pytest.raises(errors.Compacted) as caught:
            client.get("/a", at=2)
        assert caught.value.floor == 4, "the first state that is left"
        assert client.get("/a", at=caught.value.floor).mod_rev == 4

    def test_wait_returns_the_first_matching_commit(self, client: visor.Client[bytes]) -> None:
        client.set("/a", b"")
        assert client.wait("/a", 1).rev == 1
        timer = threading.Timer(0.05, client.set, ("/a", b"2"))
        timer.start()
        assert client.wait("/a").rev == 2
        timer.join()
        with pytest.raises(errors.DeadlineExceeded):
            client.wait("/never", timeout=0.05)

    def test_an_unread_watch_holds_nothing_up_and_loses_nothing(self, client: visor.Client[bytes]) -> None:
        with client.watch("/**", 1, window=4096) as watch:
            for number in range(100):
                client.set("/a", b"%d" % number + bytes(500))
            assert [watch.next(timeout=PATIENCE).rev for _ in range(100)] == list(range(1, 101))


class TestHistory:
    def test_history_diff_blame_revert(self, visor_server: Server) -> None:
        with visor_server.dial(codec=codecs.TEXT) as client:
            client.set("/a", "1", note="first")
            client.set("/b", "1")
            client.set("/a", "2")
            client.delete("/b")
            client.set("/c", "1")
            assert [commit.rev for commit in client.history()] == [1, 2, 3, 4, 5]
            assert [commit.rev for commit in client.history("/a")] == [1, 3]
            assert [commit.rev for commit in client.history(first=2, last=3)] == [2, 3]
            assert [commit.rev for commit in client.history(reverse=True, limit=2)] == [5, 4]
            (commit,) = client.history("/a", first=3, previous=True)
            assert (commit.changes[0].previous, commit.changes[0].value) == ("1", "2")
            found = [(diff.kind, diff.path, diff.before, diff.after) for diff in client.diff(2, 5)]
            assert found == [
                (Kind.UPDATE, "/a", "1", "2"),
                (Kind.DELETE, "/b", "1", None),
                (Kind.CREATE, "/c", None, "1"),
            ]
            blamed = {row.path: row for row in client.blame()}
            assert [(path, row.rev) for path, row in blamed.items()] == [("/a", 3), ("/c", 5)]
            assert {row.path: row.note for row in client.blame(at=2)} == {"/a": "first", "/b": None}
            assert client.revert("/", 2, note="back") == 6
            assert {file.path: file.value for file in client.scan()} == {"/a": "1", "/b": "1"}
            with pytest.raises(errors.RevMismatch):
                client.revert("/", 5, since=3)

    def test_long_history_comes_in_pages(self, client: visor.Client[bytes]) -> None:
        for _ in range(30):
            client.txn((), [op.set(f"/n/{number}", bytes(100)) for number in range(500)])
        assert [commit.rev for commit in client.history(keys=True)] == list(range(1, 31))
        assert [commit.rev for commit in client.history(keys=True, reverse=True)] == list(range(30, 0, -1))
        assert len(client.blame("/n/**")) == 500
        assert sum(1 for _ in client.diff(1, 30)) == 500

    def test_retention(self, client: visor.Client[bytes]) -> None:
        for _ in range(5):
            client.set("/a", b"")
        floor = client.retain(revs=2)
        assert floor >= 1
        client.set("/a", b"")
        assert client.horizon().floor >= floor


class TestRoots:
    def test_two_roots_do_not_see_each_other(self, visor_server: Server) -> None:
        with visor_server.dial("/one") as one, visor_server.dial("/two") as two, visor_server.dial() as all_:
            assert one.ls() == []
            assert one.exists("/")
            assert one.stat("/").kind is Node.DIRECTORY
            with one.watch() as watch:
                two.set("/a", b"two")
                one.set("/a", b"one")
                commit = watch.next(timeout=PATIENCE)
                assert [change.path for change in commit.changes] == ["/a"]
                assert commit.rev == 2
            assert one.get("/a").value == b"one"
            assert [file.path for file in one.scan()] == ["/a"]
            assert [entry.path for entry in one.ls()] == ["/a"]
            assert [commit.rev for commit in one.history()] == [2]
            assert [diff.path for diff in one.diff(0, 2)] == ["/a"]
            assert [row.path for row in one.blame()] == ["/a"]
            assert one.count() == 1
            assert [file.path for file in all_.scan()] == ["/one/a", "/two/a"]
            assert one.delete("/", recursive=True) == 3
            assert two.get("/a").value == b"two"

    def test_errors_name_paths_as_the_client_knows_them(self, visor_server: Server) -> None:
        with visor_server.dial("/deep/root") as client:
            client.set("/a", b"")
            with pytest.raises(errors.NotDirectory) as caught:
                client.set("/a/b", b"")
            assert caught.value.path == "/a"
            assert "/deep" not in str(caught.value)
            with pytest.raises(errors.BadPath) as bad:
                client.set("/a b", b"")
            assert bad.value.path == "/a b"
            with pytest.raises(errors.BadGlob) as bad_glob:
                list(client.scan("/a b*"))
            assert bad_glob.value.glob == "/a b*"

    def test_dots_do_not_lead_out(self, visor_server: Server) -> None:
        with visor_server.dial("/one") as one, visor_server.dial() as all_:
            all_.set("/secret", b"x")
            for path in ("/../secret", "/a/../../secret", "/.", "/..", "//secret"):
                with pytest.raises(errors.BadPath):
                    one.get(path)
                with pytest.raises(errors.Rejected):
                    list(one.scan(path))


class TestDialling:
    def test_the_environment_is_the_default(
        self, visor_server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VISOR_ADDR", f"doozer:?ca={visor_server.address}")
        monkeypatch.setenv("VISOR_ROOT", "/env")
        with visor.dial() as client:
            client.set("/a", b"")
            assert client.root == "/env"
            assert client.address == visor_server.address
            assert visor_server.address in repr(client)
            assert client.cluster
        with visor_server.dial() as client:
            assert client.exists("/env/a")

    def test_the_actor_is_in_history(self, visor_server: Server) -> None:
        with visor.dial(visor_server.address, actor="deploy-7") as client:
            client.set("/a", b"")
            assert [commit.actor for commit in client.history()] == ["deploy-7"]

    def test_hooks_see_requests_and_their_errors(self, visor_server: Server) -> None:
        seen: list[tuple[str, str | None, bool, BaseException | None]] = []
        hook = lambda verb, path, seconds, error: seen.append((verb, path, seconds >= 0, error))  # noqa: E731
        with visor.dial(visor_server.address, "/root", on_request=hook) as client:
            client.set("/a", b"")
            with pytest.raises(errors.NotFound):
                client.delete("/b")
            client.get("/a")
            client.names("/")
            list(client.scan("/a*"))
            list(client.scan(select.range("/a")))
            list(client.history(select.tree("/a")))
            client.txn({"/g": guard.missing()}, then=[op.get("/c"), op.get("/d")])
            client.txn({"/g": guard.missing()})
            client.txn()
            client.ping()
        assert [row[:2] for row in seen] == [
            ("set", "/a"), ("delete", "/b"), ("get", "/a"), ("list", "/"), ("scan", "/a*"), ("scan", "/a"),
            ("rev", None), ("log", "/a"), ("txn", "/c"), ("txn", "/g"), ("txn", None), ("ping", None),
        ]  # fmt: skip
        assert all(row[2] for row in seen)
        assert [row[1] for row in seen if isinstance(row[3], errors.NotFound)] == ["/b"]

    def test_the_users_own_codec(self, visor_server: Server) -> None:
        class Upper:
            def encode(self, value: str, /) -> bytes:
                return value.lower().encode()

            def decode(self, data: bytes, /) -> str:
                return data.decode().upper()

        with visor_server.dial(codec=Upper()) as client:
            client.set("/a", "ABC")
            assert client.get("/a").value == "ABC"
            assert client.get("/a", codec=codecs.TEXT).value == "abc"

    def test_embedded(self) -> None:
        with visor.embedded("/x", codec=codecs.JSON) as client:
            client.set("/a", [1])
            assert client.get("/a").value == [1]
