"""Tokens: they come back as they were written, and nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visor.protocol import tokens

NUMBER, SECRET = b"number", bytes(range(32))
TEXT = tokens.write(NUMBER, SECRET)


@given(st.binary(min_size=6, max_size=6), st.binary(min_size=32, max_size=32))
def test_a_token_comes_back_as_it_was_written(number: bytes, secret: bytes) -> None:
    text = tokens.write(number, secret)
    assert len(text) == tokens.LENGTH
    found = tokens.read(text)
    assert found is not None
    assert found.secret == secret
    assert text.startswith(f"vis_{found.id}_")


@given(st.integers(0, tokens.LENGTH - 1), st.characters(codec="ascii"))
def test_one_character_that_is_wrong_is_noticed(place: int, letter: str) -> None:
    text = TEXT[:place] + letter + TEXT[place + 1 :]
    assert text == TEXT or tokens.read(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "vis_",
        TEXT[:-1],
        f"{TEXT}a",
        TEXT.upper(),
        f" {TEXT}",
        f"{TEXT}\n",
        TEXT.replace("_", "-"),
        "é" * 74,
    ],
)
def test_what_is_no_token_is_none(text: str) -> None:
    assert tokens.read(text) is None


def test_its_secret_is_not_shown() -> None:
    found = tokens.read(TEXT)
    assert found is not None
    assert repr(found) == f"<token {found.id}>"
    assert found.secret.hex() not in repr(found)


@pytest.mark.parametrize(("number", "secret"), [(b"", SECRET), (NUMBER, b"short")])
def test_other_lengths_are_refused(number: bytes, secret: bytes) -> None:
    with pytest.raises(ValueError, match="32 of secret"):
        tokens.write(number, secret)
