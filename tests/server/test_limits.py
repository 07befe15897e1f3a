"""The limits that a client is told: reached, named, and no one else's trouble."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from tests.node_process import SMALL, NodeProcess
from tests.patience import PATIENCE
from tests.wire import Closed, Refused, Wire
from visor.protocol import verbs as v


def test_connections_over_the_limit_are_sent_away_and_room_is_given_back(tmp_path: Path) -> None:
    """Those that are open are all in use, so who comes has to wait."""
    with NodeProcess(tmp_path / "data", settings=(*SMALL, "listen.connections=5")) as node:
        wires = [Wire(node.address) for _ in range(5)]
        for wire in wires:
            wire.call(v.WATCH, [v.SEL_TREE, "/"])
        for _ in range(3):
            with pytest.raises(Closed) as closed:
                Wire(node.address)
            assert closed.value.goaway is not None
            code, text = closed.value.goaway
            assert code == "overloaded"
            assert "5" in text
        assert wires[4].set("/a", b"1") == 1
        wires.pop(0).close()
        deadline = time.monotonic() + PATIENCE
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
        assert node.complaints() == ""


def test_who_is_idle_gives_way_to_who_comes(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "data", settings=(*SMALL, "listen.connections=5")) as node:
        wires = [Wire(node.address) for _ in range(5)]
        wires[0].call(v.WATCH, [v.SEL_TREE, "/"])
        with Wire(node.address) as sixth:
            assert sixth.set("/a", b"1") == 1
        assert wires[0].call(v.PING) is None
        ended = [wire.end() for wire in wires[1:2]]
        assert ended[0] is not None
        assert ended[0][0] == "overloaded"


def test_a_crowd_of_one_address_costs_no_other_address_its_connection(tmp_path: Path) -> None:
    settings = (*SMALL, "listen.connections=6", "listen.client=127.0.0.1:0")
    with (
        NodeProcess(tmp_path / "data", settings=settings) as node,
        Wire(node.address, source="127.0.0.7") as good,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(20):
            with contextlib.suppress(Closed):
                stack.enter_context(Wire(node.address, source="127.0.0.8"))
        assert good.call(v.PING) is None
        with Wire(node.address, source="127.0.0.9") as other:
            assert other.call(v.PING) is None


@pytest.mark.soak
def test_an_idle_connection_is_closed_and_one_that_watches_is_not(tmp_path: Path) -> None:
    settings = (*SMALL, "listen.idle_seconds=0.1")
    with (
        NodeProcess(tmp_path / "data", settings=settings) as node,
        Wire(node.address) as idle,
        Wire(node.address) as watching,
    ):
        watching.call(v.WATCH, [v.SEL_TREE, "/"])
        goaway = idle.end(timeout=PATIENCE)
        assert goaway is not None
        assert goaway[0] == "closing"
        assert watching.call(v.PING) is None


def test_a_message_that_is_never_finished_ends_its_connection(tmp_path: Path) -> None:
    settings = (*SMALL, "listen.message_seconds=0.1")
    with NodeProcess(tmp_path / "data", settings=settings) as node, Wire(node.address) as wire:
        wire.send_bytes(b"\x95\x1e\x09\x00\xa2/a\xc6\x00\x0f\x00\x00" + b"x" * 100_000)
        goaway = wire.end(timeout=PATIENCE)
        assert goaway is not None
        assert goaway[0] == "deadline"
        assert "0.1 s" in goaway[1]


def test_unfinished_messages_beyond_the_limit_cost_those_who_hold_most(tmp_path: Path) -> None:
    settings = (*SMALL, f"listen.held_bytes={16 << 20}")
    beginning = b"\x95\x1e\x09\x00\xa2/a\xc6\x00\x0f\xff\xff" + b"x" * 900_000
    with (
        NodeProcess(tmp_path / "data", settings=settings) as node,
        Wire(node.address, source="127.0.0.7") as good,
    ):
        good.send_bytes(beginning)
        with contextlib.ExitStack() as stack:
            wires = [stack.enter_context(Wire(node.address, source="127.0.0.8")) for _ in range(30)]
            for wire in wires:
                with contextlib.suppress(OSError):
                    wire.send_bytes(beginning)
            good.send_bytes(b"x" * (0xFFFFF - 900_000))
            assert good.read()[:2] == [v.OK, 9]
            goaway = next(gone for wire in wires if (gone := ended(wire)) is not None)
            assert goaway[0] == "overloaded"


def ended(wire: Wire) -> tuple[str, str] | None:
    """Return the GOAWAY of a connection; None while it is open."""
    try:
        return wire.end(timeout=0.5)
    except (TimeoutError, OSError):
        return None


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
