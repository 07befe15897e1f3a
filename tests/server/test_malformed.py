"""Every field of every verb, wrong in every way: an ERROR with the request's id, and harm to nothing else."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import pytest

from tests.patience import PATIENCE
from tests.wire import Closed, Refused, Wire
from visor.protocol import verbs as v
from visor.protocol.codes import FAMILY
from visor.protocol.frames import encode
from visord import embed

TREE = [v.SEL_TREE, "/m"]
RIGHT: dict[str, list[Any]] = {
    "PING": [v.PING],
    "CANCEL": [v.CANCEL, 1],
    "GET": [v.GET, "/m/a", None, 0],
    "STAT": [v.STAT, "/m/a", None, 0],
    "LIST": [v.LIST, "/m", None, 0, None, 10, {"values": True}],
    "SCAN": [v.SCAN, TREE, None, 0, None, 10, {"keys": True}],
    "REV": [v.REV, 0],
    "LOG": [v.LOG, TREE, 1, None, 10, {"previous": True}],
    "DIFF": [v.DIFF, TREE, 1, 2, None, 10],
    "AT": [v.AT, 5],
    "STATUS": [v.STATUS],
    "LEASES": [v.LEASES, None, 10],
    "KEEPALIVE": [v.KEEPALIVE, [1, 2]],
    "LEASE": [v.LEASE, 1],
    "SET": [v.SET, 0, "/m/a", b"1", 0, 0, 0, None],
    "DELETE": [v.DELETE, 0, "/m/b", False, 0, 0, None],
    "TXN": [
        v.TXN,
        0,
        [[1, "/m/c", 0]],
        [[0, "/m/d", b"1"], [2, "/m/a"], [3, "/m"]],
        [[1, "/m/d", False]],
        None,
    ],
    "REVERT": [v.REVERT, 0, "/m/a", 1, None, None],
    "NOP": [v.NOP, 0],
    "RETAIN": [v.RETAIN, 0, 0, 0, 0],
    "GRANT": [v.GRANT, 0, 60_000, 0],
    "REVOKE": [v.REVOKE, 0, 1, None],
    "RETRY": [v.RETRY, [v.SET, 1, 0, "/m/e", b"1"]],
    "WATCH": [v.WATCH, TREE, None, 0, 30, 0],
    "UNWATCH": [v.UNWATCH, 1],
}
"""Each verb with all its fields, without the id."""

WRONG: list[Any] = [
    None, True, False, 0, -1, 1, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, -(1 << 63), 0.0, 1.5, math.nan,
    math.inf, "", "/", "x", "/m/", "/m//a", "/m/./a", "/m/a\0", "/" + "x" * 256, "/x" * 600, "\U0010ffff", b"",
    b"\xff" * 10, [], [[]], [0], [9, "/m"], [1, "m"], [v.SEL_GLOB, "/m/["], [v.SEL_RANGE, "/m"], [1, 2, 3, 4, 5],
    [[0, "/m/a"]], [[7, "/m/a", "x"]], [[99, "/m/a", 0]], {}, {"x": 1}, {"values": 1, "keys": None},
    msgpack.ExtType(5, b""),
]  # fmt: skip


@pytest.fixture(scope="module")
def prepared(node: embed.Embedded) -> embed.Embedded:
    with Wire(node.address) as wire:
        wire.set("/m/a", b"1")
        wire.set("/m/b", b"1")
    return node


def ask(wire: Wire, message: list[Any]) -> str:
    """Send `[verb, *fields]` under a new id: "ok", or the refusal's code. The answer must be a right one."""
    request = wire.next_id()
    verb, *fields = message
    if verb == v.RETRY and fields and type(fields[0]) is list and len(fields[0]) > 1 and fields[0][1] == 1:
        fields = [[fields[0][0], request, *fields[0][2:]], *fields[1:]]
    wire.send([verb, request, *fields])
    try:
        wire.answer(request, timeout=PATIENCE)
    except Refused as refused:
        assert refused.code in FAMILY
        assert refused.code not in ("internal", "overloaded", "closing")
        assert refused.text
        assert len(refused.text) < 3000
        return refused.code
    return "ok"


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_message_is_right(prepared: embed.Embedded, name: str) -> None:
    with Wire(prepared.address) as wire:
        assert ask(wire, RIGHT[name]) in (
            "ok",
            "not_found",
            "lease_not_found",
            "session_lost",
            "rev_mismatch",
        )


@pytest.mark.parametrize("name", [name for name, message in RIGHT.items() if len(message) > 1])
def test_a_wrong_field_is_refused_and_harms_nothing_else(prepared: embed.Embedded, name: str) -> None:
    right = RIGHT[name]
    with Wire(prepared.address) as wire, Wire(prepared.address) as other:
        for place in range(1, len(right)):
            for wrong in WRONG:
                message = [*right[:place], wrong, *right[place + 1 :]]
                if is_late(name, place, wrong):
                    continue
                code = ask(wire, message)
                if type(wrong) is not type(right[place]) and right[place] is not None:
                    acceptable = wrong is None or name in ("CANCEL", "UNWATCH", "REV")
                    assert code != "ok" or acceptable, f"{name} took {wrong!r} as field {place}"
        assert other.get("/m/a") is not None
        assert wire.call(v.PING) is None


def is_late(name: str, place: int, wrong: Any) -> bool:
    """A read at a rev that is still to come waits for it."""
    return name in ("GET", "STAT", "LIST", "SCAN") and place == 2 and type(wrong) is int and wrong > 0


@pytest.mark.parametrize("name", RIGHT)
def test_missing_and_surplus_fields_are_answered(prepared: embed.Embedded, name: str) -> None:
    right = RIGHT[name]
    with Wire(prepared.address) as wire:
        for length in range(1, len(right)):
            ask(wire, right[:length])
        for more in range(1, 6):
            code = ask(wire, [*right, *[None] * more])
            if name not in ("PING", "CANCEL", "REV", "STATUS", "UNWATCH"):
                assert code != "ok", f"{name} took {more} fields too many"
        assert wire.call(v.PING) is None


@pytest.mark.parametrize(
    "verb", [0, 3, 9, 21, 29, 38, 42, 49, 54, 59, 62, 99, 100, 127, 128, 1 << 40, -1, -(1 << 63)]
)
def test_an_unknown_verb_is_unsupported(prepared: embed.Embedded, verb: int) -> None:
    with Wire(prepared.address) as wire:
        with pytest.raises(Refused) as refused:
            wire.answer(wire.ask(verb, "/m/a"))
        assert refused.value.code == "unsupported"
        assert wire.call(v.PING) is None


@pytest.mark.parametrize("identity", [0, -1, None, True, "1", 1.0, b"1", [1], {}])
def test_a_wrong_id_ends_the_connection(prepared: embed.Embedded, identity: Any) -> None:
    """There is nothing that an answer could be told by."""
    with Wire(prepared.address) as wire:
        wire.send([v.GET, identity, "/m/a"])
        goaway = wire.end()
        assert goaway is not None
        assert goaway[0] == "bad_request"
        assert "id" in goaway[1]


@pytest.mark.parametrize(
    "data", [b"\xc1", b"\x07", b"\x90", b"\x91\xa1x", b"\x91\xc3", b"\xa3abc", b"\x80", b"\xff", b"\x91\x0a"]
)
def test_what_is_no_message_ends_the_connection_and_no_other(prepared: embed.Embedded, data: bytes) -> None:
    with Wire(prepared.address) as wire, Wire(prepared.address) as other:
        assert wire.get("/m/a") is not None
        wire.send_bytes(encode([v.PING, 77]) + data)
        assert wire.read() == [v.OK, 77, None]
        goaway = wire.end()
        assert goaway is not None
        assert goaway[0] == "bad_request"
        assert goaway[1]
        assert other.get("/m/a") is not None


def test_a_frame_over_the_limit_ends_the_connection_and_no_other(prepared: embed.Embedded) -> None:
    with Wire(prepared.address) as wire, Wire(prepared.address) as other:
        limit = wire.welcome["limits"]["frame"]
        try:
            wire.send([v.SET, 5, 0, "/m/large", b"x" * (3 * limit)])
            goaway = wire.end()
        except (ConnectionError, Closed):  # cut while still sending
            goaway = ("bad_request", str(limit))
        assert goaway is not None
        assert goaway[0] == "bad_request"
        assert str(limit) in goaway[1]
        assert other.get("/m/a") is not None
        assert other.get("/m/large") is None


def test_a_value_over_the_limit_is_refused_alone(prepared: embed.Embedded) -> None:
    with Wire(prepared.address) as wire:
        limit = wire.welcome["limits"]["value"]
        with pytest.raises(Refused) as refused:
            wire.set("/m/large", b"x" * (limit + 1))
        assert refused.value.code == "too_large"
        assert refused.value.details["limit"] == limit
        assert wire.set("/m/large", b"x" * limit) > 0
        half = b"x" * (limit // 2 + 1)
        count = wire.welcome["limits"]["transaction"] // len(half) + 1
        with pytest.raises(Refused) as refused:
            wire.call(v.TXN, [], [[v.T_SET, f"/m/t/{n}", half] for n in range(count)])
        assert refused.value.code == "too_large"
        assert wire.call(v.LIST, "/m")[0] > 0


def test_more_operations_than_a_transaction_may_have_are_refused_alone(prepared: embed.Embedded) -> None:
    with Wire(prepared.address) as wire:
        limit = wire.welcome["limits"]["operations"]
        operations = [[v.T_SET, f"/m/o/{n}", b""] for n in range(limit + 1)]
        with pytest.raises(Refused) as refused:
            wire.call(v.TXN, [], operations)
        assert refused.value.code == "too_large"
        assert refused.value.details["limit"] == limit
        assert wire.call(v.TXN, [], operations[:limit])[1] is True
