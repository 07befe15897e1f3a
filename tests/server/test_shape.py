"""How deep and how large a message is, before anybody looks at what it says."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from visor.protocol.frames import Decoder, encode
from visord.serving.shape import elements, transaction
from visord.state import command
from visord.state.command import MAX_DEPTH

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


def nested(levels: int) -> list[Any]:
    """Return a message of so many levels around an empty list."""
    inner: list[Any] = []
    for _ in range(levels - 1):
        inner = [inner]
    return [30, 1, 0, *inner]


def count(value: Any) -> int:
    if type(value) is dict:
        value = list(value.values())
    return len(value) + sum(map(count, value)) if type(value) is list else 0


def depth(value: Any) -> int:
    if type(value) is dict:
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if type(value) is list else 0


@given(st.lists(VALUES, max_size=6))
def test_elements_of_all_levels_are_counted(fields: list[Any]) -> None:
    message = [1, 2, *fields]
    assert elements(message) == (count(message) if depth(message) <= MAX_DEPTH else None)


@given(st.lists(VALUES, max_size=6))
def test_a_transaction_is_judged_like_everything(fields: list[Any]) -> None:
    message = [32, 2, *fields]
    assert transaction(message) == elements(message)


def test_what_is_nested_too_deeply_is_told() -> None:
    assert elements(nested(MAX_DEPTH)) is not None
    assert elements(nested(MAX_DEPTH + 1)) is None
    assert elements(nested(1000)) is None


@given(st.lists(VALUES, max_size=6))
def test_whatever_passes_is_the_same_after_it_was_packed_into_a_command(fields: list[Any]) -> None:
    """So that all members apply what the first one does."""
    for message in Decoder(1 << 20).feed(encode([30, 1, *fields])):
        if elements(message) is not None:
            written = command.encode(5, [[None, "a", [message], ""]])
            assert command.read(bytes(written)) == (5, [[None, "a", [message], ""]])
