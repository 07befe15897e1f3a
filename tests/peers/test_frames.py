"""Frames: whatever the pieces they arrive in, whatever was done to them on the way."""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import msgpack
import pytest

from visor.protocol.frames import MAX_TOTAL_ELEMENTS
from visord.peers.frames import MESSAGE_LIMIT, MessageReader, Seal, cut, frame
from visord.peers.messages import pack
from visord.proposer import MAX_BYTES, MAX_FRAMES
from visord.raft.core.state import MAX_ENTRIES
from visord.serving.shape import WEIGHT

KEY = b"k" * 32
MESSAGES: list[list[Any]] = [
    [1],
    [2, "text", None, True],
    [3, b"x" * 300, [[1, b"y"]]],
    [4, {"a": 1}],
    [5, -7],
]


def sealed(messages: list[list[Any]], key: bytes | None) -> list[bytes]:
    seal = Seal(key) if key is not None else None
    return [frame(pack(message), seal) for message in messages]


def reader(key: bytes | None, **options: Any) -> MessageReader:
    return MessageReader(Seal(key) if key is not None else None, **options)


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 19, 20, 21, 64, 1000])
def test_messages_arrive_whole_in_whatever_pieces(key: bytes | None, size: int) -> None:
    data = b"".join(sealed(MESSAGES, key))
    to = reader(key)
    got = [message for at in range(0, len(data), size) for message in to.feed(data[at : at + size])]
    assert got == MESSAGES
    assert to.violation is None


def test_messages_arrive_whole_in_random_pieces() -> None:
    rng = random.Random(5)
    for _ in range(200):
        messages = [[n, b"z" * rng.choice((0, 1, 50, 5000))] for n in range(rng.randrange(1, 9))]
        data = b"".join(sealed(messages, KEY))
        to, got, at = reader(KEY), [], 0
        while at < len(data):
            size = rng.choice((1, 3, 4, 20, 100, 6000))
            got += to.feed(data[at : at + size])
            at += size
        assert got == messages


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda f: [f[0], f[0], f[1]], id="repeated"),
        pytest.param(lambda f: [f[0], f[2]], id="left out"),
        pytest.param(lambda f: [f[0], f[2], f[1]], id="in another order"),
        pytest.param(lambda f: [f[0], frame(pack([9])), f[1]], id="injected without a seal"),
        pytest.param(lambda f: [f[0], frame(pack([9]), Seal(b"other" * 8))], id="injected with another key"),
        pytest.param(lambda f: [f[0], f[1][:-1] + bytes([f[1][-1] ^ 1])], id="altered"),
        pytest.param(lambda f: [f[0], f[1][:10] + b"\0" + f[1][11:]], id="seal altered"),
        pytest.param(lambda f: [f[0], b"\0\0\0\x05hello"], id="shorter than a seal"),
    ],
)
def test_what_was_tampered_with_ends_the_stream_after_the_last_good_message(spoil: Any) -> None:
    to = reader(KEY)
    got = to.feed(b"".join(spoil(sealed(MESSAGES, KEY))))
    assert got == MESSAGES[:1]
    assert to.violation is not None
    assert "seal" in to.violation
    assert to.feed(sealed(MESSAGES, KEY)[0]) == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xc1", id="never used"),
        pytest.param(msgpack.packb({1: 2}), id="map"),
        pytest.param(msgpack.packb([]), id="empty array"),
        pytest.param(msgpack.packb(["x"]), id="array of text"),
        pytest.param(msgpack.packb([True]), id="array of bool"),
        pytest.param(msgpack.packb([1]) + b"\x01", id="two values"),
        pytest.param(msgpack.packb([1, b"xyz"])[:-1], id="cut"),
        pytest.param(msgpack.packb([1, msgpack.ExtType(4, b"abc")]), id="extension"),
        pytest.param(msgpack.packb([1, msgpack.Timestamp(1)]), id="timestamp"),
        pytest.param(b"\x92\x01\xa2\xff\xff", id="not UTF-8"),
        pytest.param(b"\x91" * 5000 + b"\x01", id="deep"),
        pytest.param(b"\x92\x01\xdd\xff\xff\xff\xff", id="many elements"),
        pytest.param(b"\x92\x01\xdf\xff\xff\xff\xff", id="large map"),
        pytest.param(b"\x92\x01\xc6\xff\xff\xff\xff", id="large bin"),
    ],
)
def test_what_is_no_message_ends_the_stream(content: bytes) -> None:
    to = reader(None)
    good = frame(pack([7]))
    assert to.feed(good + frame(content) + good) == [[7]]
    assert to.violation is not None
    to = reader(None)
    assert to.feed(frame(content)) == []
    assert to.violation is not None


def test_a_frame_over_the_limit_is_refused_when_its_length_is_known() -> None:
    to = reader(None, limit=100)
    assert to.feed(frame(pack([1, b"x" * 96]))[:-1] + b"x") == [[1, b"x" * 96]]
    assert to.feed((101).to_bytes(4, "big")) == []
    assert to.violation is not None
    assert "101" in to.violation


def test_memory_follows_what_arrived_not_what_was_announced() -> None:
    tracemalloc.start()
    try:
        to = reader(None)
        to.feed(MESSAGE_LIMIT.to_bytes(4, "big") + b"\xdd\x00\x0f\xff\xff")
        for _ in range(10):
            to.feed(b"x" * 1000)
        assert tracemalloc.get_traced_memory()[1] < 100_000
        nested = b"".join(b"\xdd" + (2000).to_bytes(4, "big") for _ in range(400)) + b"\xc0" * 2000
        assert reader(None).feed(frame(b"\x92\x01" + nested)) == []
        assert tracemalloc.get_traced_memory()[1] < 16_000_000
    finally:
        tracemalloc.stop()


def test_random_bytes_do_no_harm() -> None:
    rng = random.Random(1)
    for _ in range(3000):
        to = reader(None, limit=1 << 16)
        for _ in range(3):
            body = rng.randbytes(rng.randrange(40))
            to.feed(frame(body) if rng.random() < 0.8 else body)


def test_a_handshake_frame_is_cut_off_the_buffer() -> None:
    buffer = bytearray(frame(b"abc")[:-1])
    assert cut(buffer) is None
    buffer += b"c" + frame(b"de") + b"\0"
    assert [cut(buffer), cut(buffer), cut(buffer)] == [b"abc", b"de", None]
    with pytest.raises(ValueError, match="1195725856"):
        cut(bytearray(b"GET / HTTP/1.1\r\n"))
    with pytest.raises(ValueError, match="0 bytes"):
        cut(bytearray(4))


@pytest.mark.parametrize(
    "content",
    [
        b"\x93\x01" + b"\xdc\x20\x00" * 1000,  # headers within headers
        b"\x93\x01" + b"\xdd\x00\x0f\xff\xff" * 900,
        b"\x93\x01" + b"\xdc\x04\x00" * 1000,  # as much as is decoded at once
        b"\x92\x01" + b"\xdd\x00\x20\x00\x00" + b"\x90" * (2 << 20),  # elements that are there, and too many
        b"\x92\x01" + (b"\x9f" + b"\x90" * 15) * 100_000,
    ],
)
def test_what_a_message_costs_is_bounded_by_its_bytes_and_its_elements(content: bytes) -> None:
    to = MessageReader()
    tracemalloc.start()
    try:
        assert to.feed(frame(content)) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert to.violation is not None
    assert peak < 2 * len(content) + (110 << 20 if len(content) > 1 << 20 else 9 << 20)


@pytest.mark.parametrize(
    "message",
    [
        [1, 5, 5, 5, 5, 5, [[5, b"entry"]] * MAX_ENTRIES],
        [
            20,
            [
                [number, b"s" * 16, "actor", [[30, 1, 0, "/path", b"v", 0, 0]], ""]
                for number in range(2 * MAX_FRAMES)
            ],
        ],
        # What goes together, by its weight, and one that is as large as the door lets in.
        [
            20,
            [
                [
                    1,
                    None,
                    "",
                    [
                        [
                            32,
                            1,
                            0,
                            [],
                            [[0, "/p", b""]] * ((MAX_TOTAL_ELEMENTS + MAX_BYTES // WEIGHT) // 4),
                            [],
                        ]
                    ],
                    "",
                ]
            ],
        ],
    ],
    ids=["entries", "writes", "transactions"],
)
def test_a_message_with_as_many_elements_as_are_ever_needed_is_taken(message: list[Any]) -> None:
    to = MessageReader()
    assert to.feed(frame(pack(message))) == [message]
