"""The limits that a client is told: reached, named, and no one else's trouble."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.node_process import SMALL, NodeProcess
from tests.wire import Closed, Refused, Wire
from visor.protocol import verbs as v


def test_connections_over_the_limit_are_sent_away_and_room_is_given_back(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "data", settings=(*SMALL, "listen.connections=5")) as node:
        wires = [Wire(node.address) for _ in range(5)]
        for _ in range(3):
            with pytest.raises(Closed) as closed:
                Wire(node.address)
            assert closed.value.goaway is not None
            code, text = closed.value.goaway
            assert code == "overloaded"
            assert "5" in text
        assert wires[4].set("/a", b"1") == 1
        wires.pop(0).close()
        deadline = time.monotonic() + 5
        while True:
            try:
                with Wire(node.address) as wire:
                    assert wire.get("/a") == b"1"
                    break
            except Closed:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        for wire in wires:
            wire.close()
        assert node.errors() == ""


def test_watches_over_the_limit_are_refused_and_room_is_given_back(tmp_path: Path) -> None:
    with (
        NodeProcess(tmp_path / "data", settings=(*SMALL, "listen.watches=3")) as node,
        Wire(node.address) as wire,
    ):
        assert wire.welcome["limits"]["watches"] == 3
        numbers = []
        for _ in range(3):
            numbers.append(wire.ask(v.WATCH, [v.SEL_TREE, "/"]))
            wire.answer(numbers[-1])
        with pytest.raises(Refused) as refused:
            wire.call(v.WATCH, [v.SEL_TREE, "/"])
        assert refused.value.code == "too_large"
        assert refused.value.details["limit"] == 3
        with Wire(node.address) as other:
            other.call(v.WATCH, [v.SEL_TREE, "/"])
        wire.call(v.UNWATCH, numbers[0])
        assert wire.call(v.WATCH, [v.SEL_TREE, "/"]) == 1


def test_writes_over_the_limit_in_flight_wait_their_turn(tmp_path: Path) -> None:
    """Nothing is refused: the server just reads on when it has answered."""
    with (
        NodeProcess(tmp_path / "data", settings=(*SMALL, "listen.in_flight=4")) as node,
        Wire(node.address) as wire,
    ):
        assert wire.welcome["limits"]["in_flight"] == 4
        requests = [wire.next_id() for _ in range(500)]
        wire.send(*[[v.SET, request, 0, "/a", b"%d" % request] for request in requests])
        answers = [wire.read() for _ in requests]
        assert [answer[:2] for answer in answers] == [[v.OK, request] for request in requests]
        assert [answer[2] for answer in answers] == list(range(1, 501))
        # Reads that wait have a limit of the same size, and are refused beyond it.
        for _ in range(4):
            wire.ask(v.GET, "/a", 10_000)
        with pytest.raises(Refused) as refused:
            wire.call(v.GET, "/a", 10_000)
        assert refused.value.code == "overloaded"


def test_pages_end_and_go_on(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "data") as node, Wire(node.address) as wire:
        names = [f"{number:05}" for number in range(12_345)]
        for start in range(0, len(names), 4000):
            operations = [[v.T_SET, f"/p/{name}", b"x"] for name in names[start : start + 4000]]
            wire.call(v.TXN, [], operations)
        page = wire.welcome["limits"]["page"]
        for limit in (0, 1000, page + 1):
            found: list[str] = []
            cursor = None
            while True:
                _, rows, cursor = wire.call(v.LIST, "/p", None, 0, cursor, limit)
                assert len(rows) <= min(limit or page, page)
                found += [row[0] for row in rows]
                if cursor is None:
                    break
            assert found == names
        _, _, _, count = wire.call(v.SCAN, [v.SEL_TREE, "/p"], None, 0, None, 0, {"count": True})
        assert count == len(names)
