"""Bugs that hostile bytes found, one test each."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import msgpack
import pytest

from tests.wire import Refused, Wire
from visor.protocol import verbs
from visor.protocol.frames import encode
from visord import embed


@pytest.fixture(scope="module")
def node() -> Iterator[embed.Embedded]:
    with embed.start() as running:
        yield running


@pytest.fixture(autouse=True)
def _a_clean_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    records = [record for phase in ("setup", "call") for record in caplog.get_records(phase)]
    assert not [record.getMessage() for record in records if record.levelno >= logging.ERROR]


def pack(value: object) -> bytes:
    """Encode one value, not a whole message."""
    data: bytes = msgpack.packb(value)
    return data


def nested(depth: int) -> bytes:
    """The encoding of `[[[...0...]]]`."""
    return b"\x91" * depth + b"\x00"


@pytest.mark.parametrize("depth", [500, 1000, 1019, 1020, 1021, 1022])
def test_a_write_nested_too_deeply_is_refused_alone(node: embed.Embedded, depth: int) -> None:
    """It could be decoded but not packed into a command: nobody's writes of that turn were ever answered."""
    with Wire(node.address) as good, Wire(node.address) as bad:
        before, after = good.next_id(), good.next_id()
        deep, plain = bad.next_id(), bad.next_id()
        good.send([verbs.SET, before, before, "/good", b"1"])
        bad.send_bytes(
            b"\x95\x1e" + pack(deep) + pack(deep) + pack("/deep") + nested(depth)
            + encode([verbs.SET, plain, plain, "/plain", b"2"])
        )  # fmt: skip
        good.send([verbs.SET, after, after, "/good", b"2"])
        assert good.answer(before) < good.answer(after)
        with pytest.raises(Refused) as refused:
            bad.answer(deep)
        assert refused.value.code == "bad_request"
        assert bad.answer(plain) > 0
        assert good.get("/deep") is None


@pytest.mark.parametrize("depth", [900, 1000, 1021])
def test_an_id_nested_deeply_is_one_violation(node: embed.Embedded, depth: int) -> None:
    """Its text for GOAWAY was made by repr, which gives up at such a depth."""
    with Wire(node.address) as wire:
        wire.send_bytes(b"\x92\x0a" + nested(depth))
        goaway = wire.end()
        assert goaway is not None
        assert goaway[0] == "bad_request"


@pytest.mark.parametrize(
    "message",
    [
        b"\x93\x00" + nested(1000) + b"\x80",
        b"\x93\x00\x01" + nested(1000),
        b"\x93\x00\x01\x81" + pack("versions") + nested(1000),
        b"\x93\x00\x01\x82" + pack("versions") + b"\x91\x01" + pack("cluster") + nested(1000),
        b"\x93\x00\x01\x82" + pack("versions") + b"\x91\x01" + pack("actor") + nested(1000),
        b"\x93\x00\x01\x82" + pack("versions") + b"\x91\x01" + pack("session") + nested(1000),
        b"\x93\x00\x01\x82" + pack("versions") + b"\x91\x01" + pack("min_rev") + nested(1000),
    ],
)
def test_a_hello_nested_deeply_is_refused(node: embed.Embedded, message: bytes) -> None:
    with Wire(node.address, hello=None) as wire:
        wire.send_bytes(message)
        goaway = wire.end()
        assert goaway is not None
        assert goaway[0] in ("bad_request", "unsupported", "wrong_cluster")


def test_messages_before_a_bad_one_that_looks_the_same_are_answered(node: embed.Embedded) -> None:
    """`[True, 5]` equals `[1, 5]` in Python: the first of them was taken for the bad one."""
    with Wire(node.address) as wire:
        wire.send_bytes(encode([verbs.PING, 5]) + encode([True, 5]))
        assert wire.read() == [verbs.OK, 5, None]
        goaway = wire.end()
        assert goaway is not None
        assert goaway[0] == "bad_request"


def test_a_watch_with_too_many_fields_is_refused(node: embed.Embedded) -> None:
    """It ended the connection with an exception."""
    with Wire(node.address) as wire:
        for more in range(1, 9):
            with pytest.raises(Refused) as refused:
                wire.call(verbs.WATCH, [verbs.SEL_TREE, "/"], None, 0, 30, 0, *range(more))
            assert refused.value.code == "bad_request"
        with pytest.raises(Refused):
            wire.call(verbs.WATCH)
        assert wire.call(verbs.PING) is None
