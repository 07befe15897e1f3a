"""How much history is kept, end to end: what can still be read, what is refused, what memory and disk give back."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.wire import Refused, Wire
from visor.protocol import verbs
from visord import embed
from visord.node import Node


def node_of(server: embed.Embedded) -> Node:
    assert server._server is not None
    assert server._server.node is not None
    return server._server.node


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def refusal(wire: Wire, verb: int, *fields: object) -> Refused:
    with pytest.raises(Refused) as refused:
        wire.call(verb, *fields)
    return refused.value


@pytest.mark.parametrize("watched", [False, True])
def test_memory_is_trimmed_whether_anybody_watches_or_not(watched: bool) -> None:
    """Nothing was trimmed while there was no watch: the hub's rev, which trimming must not pass, stood still."""
    with embed.start() as server, Wire(server.address) as wire:
        if watched:
            wire.call(verbs.WATCH, [verbs.SEL_TREE, "/"])
        for number in range(50):
            wire.set("/a", b"%d" % number)
        assert wire.call(verbs.RETAIN, None, None, 40) == 40
        store = node_of(server).store
        eventually(lambda: store.trimmed[0] == 40)
        assert len(store.files["/a"].versions) < 50


def test_old_reads_are_refused_with_the_floor_and_new_ones_go_on() -> None:
    with embed.start() as server, Wire(server.address) as wire:
        for number in range(1, 21):
            wire.set("/a", b"%d" % number)
        assert wire.call(verbs.RETAIN, None, None, 10) == 10
        error = refusal(wire, verbs.GET, "/a", 9)
        assert error.code == "compacted"
        assert error.details["floor"] == 10
        everything = [verbs.SEL_TREE, "/"]
        assert refusal(wire, verbs.SCAN, everything, 3).code == "compacted"
        assert refusal(wire, verbs.LOG, everything, 10).code == "compacted"
        assert refusal(wire, verbs.DIFF, everything, 9, 12).code == "compacted"
        assert refusal(wire, verbs.WATCH, everything, 10).code == "compacted"
        assert refusal(wire, verbs.REVERT, "/a", 9).code == "compacted"
        assert wire.get("/a", 10) == b"10"
        assert [commit[0] for commit in wire.commits(11)] == list(range(11, 21))
        assert wire.call(verbs.WATCH, everything, 11) == 11
        with Wire(server.address) as other:
            assert other.welcome["floor"] == 10
            assert refusal(other, verbs.RETAIN, None, None, 1000).code == "future_rev"
            assert other.call(verbs.RETAIN, None, None, 5) == 10  # it never falls


def test_a_setting_by_count_holds_on_and_survives_restarts(tmp_path: Path) -> None:
    with embed.start(tmp_path / "data") as server, Wire(server.address) as wire:
        assert wire.call(verbs.RETAIN, 5) == 0
        for number in range(1, 31):
            wire.set(f"/n/{number % 3}", b"%d" % number)
        assert wire.call(verbs.REV)[:2] == [30, 25]
        state = wire.call(verbs.SCAN, [verbs.SEL_TREE, "/"])
    for _ in range(2):
        with embed.start(tmp_path / "data") as server, Wire(server.address) as wire:
            assert wire.call(verbs.REV)[:2] == [30, 25]
            assert wire.call(verbs.SCAN, [verbs.SEL_TREE, "/"]) == state
            assert refusal(wire, verbs.GET, "/n/1", 24).code == "compacted"
            assert wire.get("/n/1", 25) == b"25"
    with embed.start(tmp_path / "data") as server, Wire(server.address) as wire:
        assert wire.set("/n/1", b"x") == 31
        assert wire.call(verbs.REV)[:2] == [31, 26]


def test_disk_is_given_back(tmp_path: Path) -> None:
    """A base takes the place of the commits below the floor; the same is there after a restart."""
    data = tmp_path / "data"
    with embed.start(data) as server, Wire(server.address) as wire:
        for number in range(200):
            wire.set(f"/n/{number % 10}", b"x" * 20_000)
        node = node_of(server)
        server._loop.call_soon_threadsafe(node.maintenance.checkpoint_now)  # type: ignore[union-attr]
        eventually(lambda: wire.status()["checkpoint"]["made"] == 1)
        before = sum(path.stat().st_size for path in (data / "history").iterdir())
        for number in range(20):
            wire.set(f"/n/{number % 10}", b"y" * 20_000)
        wire.call(verbs.RETAIN, 1)
        eventually(lambda: node.store.trimmed[0] == 219)
        server._loop.call_soon_threadsafe(node.maintenance.checkpoint_now)  # type: ignore[union-attr]
        eventually(lambda: wire.status()["checkpoint"]["made"] == 2)
        eventually(lambda: sum(path.stat().st_size for path in (data / "history").iterdir()) < before / 5)
        state = wire.call(verbs.SCAN, [verbs.SEL_TREE, "/"])
    with embed.start(data) as server, Wire(server.address) as wire:
        assert wire.call(verbs.SCAN, [verbs.SEL_TREE, "/"]) == state
        assert wire.call(verbs.REV)[:2] == [220, 219]


def test_a_watch_that_falls_below_the_floor_is_told(tmp_path: Path) -> None:
    with embed.start() as server, Wire(server.address) as wire, Wire(server.address) as slow:
        watch = slow.ask(verbs.WATCH, [verbs.SEL_TREE, "/"], None, 0, verbs.ALL_KINDS, 100)
        slow.answer(watch)
        for number in range(1, 31):
            wire.set("/a", b"%d" % number * 50)
        wire.call(verbs.RETAIN, None, None, 25)
        seen = []
        while True:
            message = slow.push()
            if message[0] == verbs.ENDED:
                break
            seen += [commit[0] for commit in message[2]]
        _, _, code, _, details = message
        assert code == "compacted"
        assert details["floor"] == 25
        assert seen == list(range(1, details["rev"] + 1))
        # From the floor on it can go on.
        assert slow.call(verbs.WATCH, [verbs.SEL_TREE, "/"], 26) == 26
