"""Bytes to messages: any bytes at all lead to messages or to one clean violation."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visor.protocol.frames import MAX_TOTAL_ELEMENTS, SMALL, WINDOW, Decoder, Encoder, encode

LIMIT = 4096

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text()
    | st.binary()
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
messages = st.lists(values, max_size=6).map(lambda fields: [7, *fields])


@given(st.lists(messages, max_size=6), st.randoms(use_true_random=False))
def test_however_the_bytes_are_cut_the_messages_are_the_same(sent: list, rng: object) -> None:
    data = b"".join(encode(message) for message in sent)
    decoder = Decoder(1 << 20)
    received: list = []
    position = 0
    while position < len(data):
        step = rng.randint(1, 40)  # type: ignore[attr-defined]
        received += decoder.feed(data[position : position + step])
        position += step
    assert received == sent
    assert decoder.violation is None


@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_bytes_give_messages_or_one_violation(data: bytes, step: int) -> None:
    decoder = Decoder(LIMIT)
    seen_violation = False
    for position in range(0, len(data), step):
        got = decoder.feed(data[position : position + step])
        assert not (seen_violation and got)
        assert all(type(message) is list and type(message[0]) is int for message in got)
        seen_violation = decoder.violation is not None


@given(st.lists(messages, max_size=3), st.binary(min_size=1, max_size=60))
def test_messages_before_the_first_bad_byte_are_kept(sent: list, tail: bytes) -> None:
    decoder = Decoder(1 << 20)
    got = decoder.feed(b"".join(encode(message) for message in sent) + b"\xc1" + tail)
    assert got == sent
    assert decoder.violation is not None
    assert decoder.feed(encode([1, 2])) == []


def test_byte_by_byte_equals_all_at_once() -> None:
    data = encode([10, 1, "/a"]) + encode([30, 2, 1, "/b", b"x" * 300]) + encode([1, 3])
    one = Decoder(LIMIT)
    single = [message for byte in data for message in one.feed(bytes([byte]))]
    assert single == Decoder(LIMIT).feed(data)


@pytest.mark.parametrize(
    "hostile",
    [
        b"\xdd\xff\xff\xff\xff",  # an array that announces four billion elements
        b"\xdf\xff\xff\xff\xff",  # a map
        b"\xc9\xff\xff\xff\xff\x01",  # an extension
        b"\x91" * 100_000,  # arrays in arrays
        b"\x81\xa1a" * 100_000,  # maps in maps
        b"\x93\x01\x02\xa2\xff\xfe",  # text that is not UTF-8
        b"\x92\x01\x81\x90\x01",  # a map with a list as its key
        b"\xd6\xff\x00\x00\x00\x00",  # a timestamp extension
        b"\x07",  # an integer alone
        b"\x90",  # an empty array
        b"\x91\xa1a",  # an array that starts with text
        b"\x91\xc3",  # an array that starts with a bool
    ],
)
def test_hostile_bytes_are_one_violation(hostile: bytes) -> None:
    decoder = Decoder(LIMIT)
    assert decoder.feed(hostile) == []
    # What announces much is only waited for until more than a message may have has come.
    assert decoder.feed(b"\x00" * (LIMIT + 1)) == []
    assert decoder.violation


@pytest.mark.parametrize(
    "head",
    [
        encode([30, 1, 1, "/a", b"x" * (LIMIT * 10)]),
        b"\x92\x01\xdb\xff\xff\xff\xff" + b"x" * LIMIT * 10,  # text that announces 4 GiB
        b"\x92\x01\xc6\xff\xff\xff\xff" + b"x" * LIMIT * 10,  # bytes that announce 4 GiB
    ],
)
def test_a_message_over_the_limit_is_refused_before_it_is_whole(head: bytes) -> None:
    decoder = Decoder(LIMIT)
    fed = 0
    while decoder.violation is None:
        assert fed <= LIMIT + 100
        decoder.feed(head[fed : fed + 100])
        fed += 100


@given(st.lists(messages, max_size=30), st.integers(1, 5), st.integers(1, 60))
def test_messages_that_are_taken_a_few_at_a_time_are_the_same(sent: list, most: int, step: int) -> None:
    data = b"".join(encode(message) for message in sent)
    decoder = Decoder(1 << 20)
    received: list = []
    for position in range(0, len(data), step):
        decoder.push(data[position : position + step])
        while got := decoder.take(most):
            assert len(got) <= most
            received += got
    assert received == sent
    assert decoder.held == 0


@pytest.mark.parametrize("size", [10, SMALL, WINDOW - 20, WINDOW + 20, 10 * WINDOW, 300 * WINDOW])
def test_a_message_of_any_size_and_what_surrounds_it(size: int) -> None:
    large = [30, 2, 1, "/b", b"x" * size]
    data = encode([1, 1]) + encode(large) + encode([1, 3]) + encode(large) + encode([1, 4])
    for step in (len(data), 1 << 16, 1 << 12):
        decoder = Decoder(8 << 20)
        received: list = []
        for position in range(0, len(data), step):
            received += decoder.feed(data[position : position + step])
        assert received == [[1, 1], large, [1, 3], large, [1, 4]]
        assert decoder.held == 0


def bytes_held(run: Callable[[], object]) -> int:
    """Return how many bytes the most was that `run` had allocated at one time."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


NESTED = b"\xdc\x20\x00" * 1000
EMPTY_LISTS = b"\xdc\x04\x00" + (b"\xdc\x20\x00" + b"\x90" * 8192) * 900


@pytest.mark.parametrize("data", [NESTED, EMPTY_LISTS], ids=["nested headers", "empty lists"])
def test_an_unfinished_message_costs_what_has_arrived_of_it(data: bytes) -> None:
    decoder = Decoder(8 << 20)
    pieces = [data[position : position + (1 << 16)] for position in range(0, len(data), 1 << 16)]
    assert bytes_held(lambda: [decoder.feed(piece) for piece in pieces]) < 4 * len(data) + (1 << 20)
    assert decoder.violation is None
    assert decoder.held == len(data)


def test_a_message_of_too_many_elements_is_refused_before_it_is_built() -> None:
    data = encode([1, *[[[]] * 8000] * 1000])
    decoder = Decoder(16 << 20)
    assert bytes_held(lambda: decoder.feed(data)) < 5 * len(data)
    assert decoder.violation is not None
    assert str(MAX_TOTAL_ELEMENTS) in decoder.violation


def test_a_full_transaction_is_within_the_elements() -> None:
    operations = [[0, f"/d/{n}", b"", 7] for n in range(4096)]
    message = [32, 1, 0, [[1, "/d", 0]] * 4096, operations, operations, "note"]
    assert Decoder(8 << 20).feed(encode(message)) == [message]


@pytest.mark.parametrize("limit", [100, LIMIT, WINDOW, 5 * WINDOW])
@pytest.mark.parametrize("pieces", [1, 2, 50])
@pytest.mark.parametrize("fields", [lambda size: [b"x" * size], lambda size: [[[]] * 10, b"x" * size]])
def test_the_limit_is_exact(limit: int, pieces: int, fields: Callable[[int], list]) -> None:
    def message(size: int) -> list:
        return next(m for n in range(size) if len(encode(m := [1, *fields(size - n)])) == size)

    for size, taken in ((limit, True), (limit + 1, False)):
        decoder, data, received = Decoder(limit), encode(message(size)) + encode([1, 2]), []
        step = -(-len(data) // pieces)
        for position in range(0, len(data), step):
            received += decoder.feed(data[position : position + step])
        assert (len(received) == 2) is taken
        assert (decoder.violation is None) is taken


@pytest.mark.parametrize("limit", [100, LIMIT, WINDOW, 5 * WINDOW])
@pytest.mark.parametrize("step", [1 << 10, 1 << 16, 1 << 18])
@pytest.mark.parametrize(
    "data", [NESTED, EMPTY_LISTS, b"\x92\x01" + b"\x91" * 1000, b"\x92\x01\xc6\x7f\xff\xff\xff"]
)
def test_pieces_of_any_size_end_at_any_limit(limit: int, step: int, data: bytes) -> None:
    data += b"\x00" * (1 << 19)
    decoder = Decoder(limit)
    for position in range(0, len(data), step):
        decoder.feed(data[position : position + step])
        assert decoder.held <= limit
        if decoder.violation is not None:
            return
    raise AssertionError("it was read to the end")


def test_many_small_messages_are_never_over_the_limit() -> None:
    decoder = Decoder(LIMIT)
    piece = encode([10, 1, "/a"]) * 100
    for _ in range(200):
        assert len(decoder.feed(piece)) == 100
    assert decoder.violation is None


def test_the_encoder_joins_messages_and_starts_anew() -> None:
    encoder = Encoder()
    encoder.pack([1, 2])
    encoder.pack((3, "x"))
    assert encoder.take() == msgpack.packb([1, 2]) + msgpack.packb([3, "x"])
    assert encoder.take() == b""


def test_an_encoder_tells_when_its_buffer_has_grown_and_gives_it_back() -> None:
    encoder = Encoder()
    encoder.pack([1, b"x" * 100])
    assert encoder.size == len(encoder.take())
    assert not encoder.spent
    encoder.pack([1, b"x" * (2 << 20)])
    assert len(encoder.take()) > 2 << 20
    assert encoder.spent
    encoder.renew()
    assert not encoder.spent
    encoder.pack([1, 2])
    assert encoder.take() == encode([1, 2])
