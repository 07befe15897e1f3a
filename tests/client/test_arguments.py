"""Whatever a call is given: it is answered, or refused before anything knows of it. Both colours, every method.

What cannot be sent must not wait in the client for the next connection, and what no server reads must not end this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from itertools import islice
from types import NoneType
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import visor
import visor.aio
import visor.testing
from visor import codecs, errors, guard, op, select
from visor._core.backoff import in_milliseconds, in_seconds
from visor._core.sendable import ELEMENTS, check_shape
from visor._drivers.environment import gather
from visor.protocol.frames import MAX_TOTAL_ELEMENTS, Decoder, encode

TIMEOUT = 0.05
"""Seconds of each call: what waits for a rev to come, or for a commit, ends then."""

LEFT_OUT = {
    "connect", "close", "reopen", "on_change", "on_state", "off_state", "transaction", "attempts", "update",
}  # fmt: skip
"""What begins and ends clients, and what takes a function of the user's."""
METHODS = sorted(
    name
    for name, method in vars(visor.aio.Client).items()
    if not name.startswith("_") and inspect.isfunction(method) and name not in LEFT_OUT
)

REFUSALS = (errors.VisorError, ValueError, TypeError, ArithmeticError)
"""How a call may end that was given nonsense."""


def nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


class Odd:
    """Something of the user's own, that nobody can even show."""

    def __repr__(self) -> str:
        raise RuntimeError("mine")


ODD = [
    "\udcff", "/\ud800", "", "/a b", "/" * 3000, "x" * 5000, "/{", "/[a]",
    2**63, 2**64, -(2**63) - 1, -1, 10**5000, 2.5, math.nan, math.inf, -math.inf, True, None,
    Decimal(1), datetime(2020, 1, 1), b"", b"\xff", bytearray(b"x"), memoryview(b"x"),
    msgpack.Timestamp(1, 0), msgpack.ExtType(5, b"x"), object(), set(), len, Ellipsis,
    nested(17), nested(600), [None] * (ELEMENTS + 1), [[None] * ELEMENTS] * 17, {1: 2}, {"a": {None: 1}}, {"/a": 5},
    select.tree("/\udcff"), guard.rev(2**70), guard.since(-1), [op.set("/a", b"", lease=2**80)], [5], ["\udcff"],
]  # fmt: skip

FITTING: dict[str, list[Any]] = {
    "path": ["/a", "/d/b", "/d", "/"],
    "what": ["/**", "/a", select.tree("/d"), select.range("/a", "/d")],
    "value": [b"x"],
    "default": [None],
    "guard": [None, guard.missing(), guard.above(0)],
    "guards": [{}, {"/a": guard.exists()}],
    "then": [[], [op.set("/a", b"1")], [op.get("/a")]],
    "orelse": [[], [op.ls("/")]],
    "codec": [codecs.MSGPACK, codecs.BYTES],
    "ttl": [5.0],
    "leases": [[1], []],
    "lease": [None, 1],
    "moment": [0.0],
    "kinds": [None, ["create"]],
    "recursive": [False, True],
    "timeout": [TIMEOUT, 0, -1, Decimal("0.01"), math.nan, "5", [], object()],  # none that is a long time
}
PLAIN = [0, 1, 3]
"""What fits the parameters that are not named: revs, limits, flags."""


def arguments_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Draw arguments of a method: mostly such as fit, and odd ones among them."""
    drawn: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for parameter in list(inspect.signature(getattr(visor.aio.Client, name)).parameters.values())[1:]:
        fitting = FITTING.get(parameter.name, PLAIN)
        choice = st.sampled_from(fitting)
        if parameter.name not in ("codec", "timeout"):
            choice = choice | st.sampled_from(ODD) | st.text(max_size=5) | st.integers()
        where = drawn if parameter.default is parameter.empty else optional
        where[parameter.name] = choice
    return st.fixed_dictionaries(drawn, optional=optional)


calls = st.sampled_from(METHODS).flatmap(lambda name: st.tuples(st.just(name), arguments_of(name)))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with visor.testing.server() as server:
        with server.dial() as client:
            client.set("/a", b"1")
            client.set("/d/b", b"2")
        yield server.address


def check_clean(client: Any, what: str) -> None:
    """Nothing is left of a call, and it has not cost the connection."""
    session = client._driver._session
    assert not session.pending, what
    assert not session._writes, what
    assert not session._backlog, what
    assert not session.delayed, what
    assert not session.feeds, what
    assert session.broken is None, what
    assert client._driver._connections == 1, f"{what}: the connection was lost"


@settings(max_examples=200)
@given(call=calls)
def test_no_argument_of_a_blocking_call_leaves_anything_behind(address: str, call: tuple[str, Any]) -> None:
    name, arguments = call
    with visor.dial(address, timeout=30, actor="me", discover=False) as client:
        client._driver._timeout = TIMEOUT
        with contextlib.suppress(*REFUSALS):
            result = getattr(client, name)(**arguments)
            if isinstance(result, Iterator) and not isinstance(result, visor.Watch):
                list(islice(result, 3))
            if hasattr(result, "close"):
                result.close()
        client.ping(timeout=30)
        check_clean(client, f"{name}({list(arguments)})")


@settings(max_examples=200)
@given(call=calls)
def test_no_argument_of_an_asyncio_call_leaves_anything_behind(address: str, call: tuple[str, Any]) -> None:
    async def scenario() -> None:
        name, arguments = call
        async with visor.aio.dial(address, timeout=30, actor="me", discover=False) as client:
            client._driver._timeout = TIMEOUT
            with contextlib.suppress(*REFUSALS):
                result = getattr(client, name)(**arguments)
                if inspect.isasyncgen(result):
                    try:
                        for _ in range(3):
                            await anext(result, None)
                    finally:
                        await result.aclose()
                else:
                    result = await result
                    if hasattr(result, "close"):
                        await result.close()
            await client.ping(timeout=30)
            check_clean(client, f"{name}({list(arguments)})")

    asyncio.run(scenario())


def test_every_public_method_is_tried_or_left_out_on_purpose() -> None:
    assert len(METHODS) > 25
    assert all(hasattr(visor.aio.Client, name) for name in LEFT_OUT)


# -- what the choke point says ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("\udcff", r"^'\\udcff' cannot be sent: U\+DCFF at position 0 is half of a character"),
        (2**70, r"^1180591620717411303424 cannot be sent: whole numbers go from -2\*\*63 to 2\*\*64 - 1"),
        (Decimal("1.5"), r"^Decimal\('1.5'\) cannot be sent: it is of type Decimal, not text, bytes"),
        (Odd(), "^<Odd instance at .* cannot be sent"),
        (msgpack.Timestamp(1, 0), "extension types"),
        ({1: 2}, r"a key must be text or bytes, not 1"),
        (nested(600), "nested deeper than 16 levels"),
        (nested(17), "nested deeper than 16 levels"),
    ],
    ids=["text", "number", "type", "unshowable", "extension", "key", "deep", "deeper"],
)
def test_the_error_names_the_value_and_what_is_wrong_with_it(address: str, value: Any, says: str) -> None:
    with visor.dial(address) as client, pytest.raises(errors.Unsendable, match=says) as caught:
        client.get("/a", at=value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, errors.Rejected)


def test_a_list_that_no_server_reads_is_told_by_its_length(address: str) -> None:
    with visor.dial(address) as client:
        with pytest.raises(errors.TooLarge, match=f"9000, at most {ELEMENTS}"):
            client.keep_alive(range(9000))
        with pytest.raises(errors.TooLarge):
            client.txn(then=[op.get("/a")] * (ELEMENTS + 1))
        assert client.exists("/")
        assert client._driver._connections == 1


shapes = st.recursive(
    st.sampled_from([None, 1, "a", b"b", 2.5, True, msgpack.Timestamp(1, 0)]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["k", 1, b"k", None]), inner),
    max_leaves=20,
)


@given(st.lists(shapes, min_size=1, max_size=5))
def test_what_passes_is_what_a_server_can_read(fields: list[Any]) -> None:
    message = [1, *fields]
    decoder = Decoder(1 << 20, elements=ELEMENTS)
    try:
        check_shape(message)
    except errors.Unsendable:
        decoder.feed(encode(message))
        assert decoder.violation is not None
    else:
        assert len(decoder.feed(encode(message))) == 1
        assert decoder.violation is None


def test_the_bound_on_all_elements_is_that_of_the_server() -> None:
    rows = [[None] * 1000] * (MAX_TOTAL_ELEMENTS // 1000 - 1)
    check_shape([32, rows])
    with pytest.raises(errors.TooLarge, match="all lists of a message together"):
        check_shape([32, [*rows, *rows]])


# -- other ways in ------------------------------------------------------------------------------------
@pytest.mark.parametrize("actor", ["\udcff", "x" * 257, 5])
def test_an_actor_that_no_server_takes_is_refused_before_anybody_dials(actor: Any) -> None:
    with pytest.raises(ValueError, match="actor must be text of at most 256 characters"):
        gather("x:1", "/", 1, actor, None, None, None, {})
    if isinstance(actor, str):
        with pytest.raises(ValueError, match="VISOR_ACTOR must be text"):
            gather("x:1", "/", 1, None, None, None, None, {"VISOR_ACTOR": actor})


def test_the_actor_that_is_made_up_can_always_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "\udcff" * 300)
    assert gather("x:1", "/", 1, None, None, None, None, {}).actor == "?" * 256


@given(st.floats() | st.integers() | st.sampled_from([None, "5", b"5", [], Decimal(3), Odd(), 10**400, True]))
def test_a_timeout_is_seconds_or_refused(timeout: Any) -> None:
    try:
        seconds = in_seconds(timeout)
    except (TypeError, ValueError) as error:
        assert "a timeout must be a number of seconds" in str(error)
        assert isinstance(timeout, str | bytes | list | NoneType | Odd | int) or not timeout >= 0
    else:
        assert seconds >= 0
        assert type(seconds) is float


@pytest.mark.parametrize("timeout", ["5", math.nan, -1, [], Odd()])
def test_a_call_with_an_odd_timeout_is_not_made(address: str, timeout: Any) -> None:
    with visor.dial(address) as client:
        before = client.rev()
        with pytest.raises((TypeError, ValueError), match="a timeout must be"):
            client.set("/timeouts", b"1", timeout=timeout)
        assert client.rev() == before
        assert client._driver._connections == 1


@pytest.mark.parametrize("seconds", [math.nan, math.inf, "5", None, []])
def test_seconds_that_are_none_are_named(seconds: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^ttl must be a"):
        in_milliseconds(seconds, "ttl")


@pytest.mark.parametrize("ttl", [0.5, 0, -1, 1e9])
def test_a_ttl_out_of_range_is_told_in_seconds(address: str, ttl: float) -> None:
    with (
        visor.dial(address) as client,
        pytest.raises(errors.BadRequest, match="ttl must be from 1 to 31622400 seconds, not"),
    ):
        client.lease(ttl)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.scan(5),
        lambda client: client.count(5),
        lambda client: client.watch(5),
        lambda client: client.set("/a", b"", guard=5),
        lambda client: client.set("/a", b"", lease="x"),
        lambda client: client.delete("/a", guard=5),
        lambda client: client.txn({"/a": 5}),
        lambda client: client.txn(then=[5]),
    ],
)
def test_what_is_no_selector_guard_operation_or_lease_is_said_to_be_none(address: str, call: Any) -> None:
    with visor.dial(address) as client, pytest.raises(TypeError, match="is expected, not"):
        result = call(client)
        if isinstance(result, Iterator):
            next(result)
