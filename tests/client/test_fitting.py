"""What does not fit is refused where it is given, and the error says what would have fitted."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

import visor
import visor.aio
from tests.patience import PATIENCE
from visor import codecs, errors, op

UNFIT: dict[str, list[Any]] = {
    "BYTES": [5, "x", None, ["x"]],
    "TEXT": [5, b"x", None, ["x"]],
    "INT": ["5", b"x", None, 2.5, [1]],
    "LIST": [5, "words", b"x", None, [5], [b"x"], [None]],
    "INTS": [5, "12", b"x", None, ["1"], [2.5], [None]],
    "JSON": [{1, 2}, b"x", object(), {"a": {1}}, {1: 1, "a": 2}],
    "MSGPACK": [{1, 2}, object(), {"a": object()}],
}


def test_every_codec_is_tried() -> None:
    assert set(UNFIT) == {name for name in codecs.__all__ if name.isupper()}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in UNFIT for value in UNFIT[name]])
def test_a_value_that_does_not_fit_a_codec_is_told_what_would(name: str, value: Any) -> None:
    with pytest.raises(
        TypeError, match=r"^a value must be .*, not .*: pass (a|another) codec for anything else$"
    ):
        getattr(codecs, name).encode(value)


def test_a_value_out_of_range_is_a_value_error() -> None:
    out = [("JSON", math.nan), ("MSGPACK", 2**70), ("INT", 10**5000), ("TEXT", "\udcff"), ("LIST", ["a b"])]
    for name, value in out:
        with pytest.raises(ValueError, match=r"\w"):
            getattr(codecs, name).encode(value)


def test_what_is_no_codec_is_refused_where_it_is_given(client: visor.Client[bytes]) -> None:
    for wrong in ("text", 5, object()):
        with pytest.raises(TypeError, match="a codec is expected"):
            visor.dial("localhost:1", codec=wrong, timeout=1)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="a codec is expected"):
            client.get("/a", codec=wrong)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="a codec is expected"):
            client.set("/a", "x", codec=wrong)  # type: ignore[call-overload]


@pytest.mark.parametrize("wrong", [["localhost:8046", 5], 5, [None], [b"x"]])
def test_what_is_no_address_is_refused(wrong: Any) -> None:
    async def other() -> None:
        await visor.aio.dial(wrong)

    with pytest.raises(TypeError, match="an address must be text, HOST:PORT, not"):
        visor.dial(wrong)
    with pytest.raises(TypeError, match="an address must be text, HOST:PORT, not"):
        asyncio.run(other())


def test_less_than_no_files_is_refused(client: visor.Client[bytes]) -> None:
    for call in (client.scan, client.history, client.ls):
        with pytest.raises(ValueError, match="limit must be 0 or more, not -1"):
            list(call("/", limit=-1))


def test_a_session_that_was_revoked_elsewhere_is_lost_as_soon_as_an_answer_tells(
    client: visor.Client[bytes],
) -> None:
    writes = (
        lambda session: client.set("/a", b"", lease=session),
        lambda session: client.set("/a", b"", lease=session, guard=visor.guard.value(b"x")),
        lambda session: client.txn(then=[op.set("/a", b"", lease=session)]),
        lambda session: session.lock("/lock").acquire(timeout=PATIENCE),
    )
    client.set("/a", b"x")
    for write in writes:
        with client.session(30) as session:
            client.revoke(session.id)
            with pytest.raises(errors.LeaseLost):
                write(session)
            assert session.time_left() == 0
    with pytest.raises(errors.LeaseNotFound):
        client.set("/a", b"", lease=12345)  # whose that is nobody knows here
