"""Where history begins: what an error names can be used as it is, and who names nothing begins there."""

from __future__ import annotations

import pytest

import visor
from tests.patience import PATIENCE
from visor import errors
from visor.testing import Server


@pytest.fixture
def client(visor_client: visor.Client[bytes]) -> visor.Client[bytes]:
    """A registry of ten revs, whose states go back to rev 6 and whose commits to rev 7."""
    for number in range(10):
        visor_client.set("/a", b"%d" % number)
    assert visor_client.compact(6) == 6
    return visor_client


def revs(client: visor.Client[bytes], first: int) -> list[int]:
    return [commit.rev for commit in client.history(first=first)]


class TestTheFloorOfAnError:
    @pytest.mark.parametrize("first", [1, 5, 6])
    def test_a_history_can_begin_there(self, client: visor.Client[bytes], first: int) -> None:
        with pytest.raises(errors.Compacted, match="history starts at rev 7") as caught:
            revs(client, first)
        assert revs(client, caught.value.floor) == [7, 8, 9, 10]

    @pytest.mark.parametrize("state", [False, True])
    @pytest.mark.parametrize("rev", [1, 5, 6, 0])
    def test_a_watch_can_begin_there(self, client: visor.Client[bytes], rev: int, state: bool) -> None:
        with pytest.raises(errors.Compacted) as caught:
            client.watch(rev=rev, state=state)
        with client.watch(rev=caught.value.floor, state=state) as watch:
            assert [watch.next(timeout=PATIENCE).rev for _ in range(4)] == [7, 8, 9, 10]

    @pytest.mark.parametrize("at", [1, 5])
    def test_a_read_can_be_done_there(self, client: visor.Client[bytes], at: int) -> None:
        reads = (
            lambda rev: client.get("/a", at=rev).mod_rev,
            lambda rev: client.stat("/a", at=rev).mod_rev,
            lambda rev: client.ls(at=rev)[0].mod_rev,
            lambda rev: next(iter(client.scan(at=rev))).mod_rev,
            lambda rev: client.snapshot(rev).get("/a").mod_rev,
        )
        for read in reads:
            with pytest.raises(errors.Compacted) as caught:
                read(at)
            assert read(caught.value.floor) == caught.value.floor == 6

    def test_differences_and_reverts_can_begin_there(self, client: visor.Client[bytes]) -> None:
        with pytest.raises(errors.Compacted) as caught:
            list(client.diff(1, 10))
        (difference,) = client.diff(caught.value.floor, 10)
        assert (difference.before, difference.after) == (b"5", b"9")
        with pytest.raises(errors.Compacted) as caught:
            client.revert("/a", 1)
        client.revert("/a", caught.value.floor)
        assert client.get("/a").value == b"5"


class TestTheBeginning:
    def test_a_history_without_a_first_begins_with_the_oldest_commit(
        self, client: visor.Client[bytes]
    ) -> None:
        assert [commit.rev for commit in client.history("/a")] == [7, 8, 9, 10]
        assert [commit.rev for commit in client.history("/a", reverse=True)] == [10, 9, 8, 7]
        assert [commit.rev for commit in client.history("/a", reverse=True, limit=2)] == [10, 9]
        assert [commit.rev for commit in client.history("/a", last=8)] == [7, 8]

    def test_an_empty_registry_has_an_empty_history(self, visor_server: Server) -> None:
        with visor_server.dial() as client:
            assert list(client.history()) == []

    @pytest.mark.parametrize("state", [False, True])
    def test_a_watch_from_the_rev_of_an_empty_registry_has_everything(
        self, visor_server: Server, state: bool
    ) -> None:
        with visor_server.dial() as client, client.watch(rev=client.rev(), state=state) as watch:
            assert dict(watch.state) == {}
            assert client.set("/a", b"1") == 1
            assert watch.next(timeout=PATIENCE).rev == 1

    def test_rev_0_is_the_very_first(self, visor_server: Server) -> None:
        with visor_server.dial() as client:
            client.set("/a", b"1")
            with client.watch(rev=0) as watch:
                assert watch.next(timeout=PATIENCE).rev == 1
            assert client.wait("/a", 0, timeout=PATIENCE).rev == 1
