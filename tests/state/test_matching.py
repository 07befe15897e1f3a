"""Globs: all ways to match agree, and what a match costs at most is known and small for what people write."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.state.naive import glob_matches
from visor._core.matching import FEW, LONG, SHORT, _steps, _translate, compiled
from visor.paths import Glob

PIECES = ["a", "b", "?", "*", "**", "/", "/a", "/*", "/**", "ab", "é", "/a*", "?a"]
GLOBS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=14).map(lambda parts: "/" + "".join(parts))
PATHS = st.text("aab/é", max_size=100).map(lambda text: "/" + text)


def segments(text: str) -> list[list[str]]:
    return [segment.split("*") for segment in re.split(r"\*{2,}", text)]


@given(GLOBS, PATHS)
@example("/**a*b**", "/a/a/ab")
@example("/**a*/b*a**c", "/aa/ba/bac")
@example("/**?*", "/")
@example("/a*a", "/a")
@example("/a**a", "/a")
@example("/**/a*/b**", "/a/a/b")
def test_steps_and_expressions_agree(text: str, path: str) -> None:
    """The expression tries what the definition says; steps skip what cannot be."""
    expected = re.compile(_translate(text), re.DOTALL).fullmatch(path) is not None
    assert _steps(segments(text))(path) == expected
    assert bool(compiled(text).matches(path)) == expected


@given(GLOBS, st.text("ab/", max_size=9).map(lambda text: "/" + text))
def test_steps_agree_with_trying_everything(text: str, path: str) -> None:
    assert _steps(segments(text))(path) == glob_matches(re.sub(r"\*{2,}", "**", text), path)


@given(GLOBS, PATHS)
def test_the_rest_is_what_beginning_and_end_leave_open(text: str, path: str) -> None:
    """An index that finds globs by their prefix and suffix needs to ask for the rest only."""
    matcher = compiled(text)
    fits = (
        path.startswith(matcher.prefix)
        and path.endswith(matcher.suffix)
        and len(path) >= len(matcher.prefix) + len(matcher.suffix)
    )
    rest = matcher.short if len(path) <= SHORT else matcher.rest
    assert bool(matcher.matches(path)) == (fits and (rest is None or bool(rest(path))))


@given(GLOBS, st.integers(1, 1024))
def test_a_longer_path_costs_no_less(text: str, length: int) -> None:
    glob = Glob(text) if not text.endswith("/") and "//" not in text else Glob("/a")
    assert 1 <= glob.cost(length - 1) <= glob.cost(length)


@pytest.mark.parametrize("text", ["/", "/a", "/a/*", "/a/**", "/**.conf", "/a/**/b", "/**/port", "/a-*-b"])
def test_what_its_ends_decide_costs_next_to_nothing(text: str) -> None:
    assert compiled(text).rest is None or "*" not in text.replace("**", "", 1).replace("*", "", 1)
    assert Glob(text).cost(1024) <= 5


@pytest.mark.parametrize(
    "text", ["/app/*/live/*", "/*/*/*/port", "/**/live/*", "/**/live/**", "/**/web-?/**", "/**/web-*/live/**"]
)
def test_what_people_write_costs_little(text: str) -> None:
    assert Glob(text).cost(60) <= 20
    assert Glob(text).cost(1024) <= 200


HOSTILE = [
    "/**a*a*a*a*b**x**",
    "/**" + "a*" * 60 + "b**x**",
    "/**" + "/a*" * 60 + "/b**x**",
    "/**" + "a" * 500 + "?" + "a" * 400 + "b**",
    "/**a*/" + "a/" * 400 + "c**",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_takes_long_says_so(text: str) -> None:
    """These take from 0.3 ms to about 1 ms against the worst path there is."""
    assert Glob(text).cost(1024) >= 300


@pytest.mark.parametrize(
    "text", ["/" + "*a" * 30 + "*b", "/**" + "a*" * 60 + "b", "/**a*a*a*b", "/**" + "*a?" * 15 + "b"]
)
def test_what_was_quadratic_is_linear(text: str) -> None:
    """Tied to the end it is matched from the end: nothing begins again."""
    assert Glob(text).cost(1024) <= 150
    assert Glob(text).cost(2048) <= 2 * Glob(text).cost(1024)


@pytest.mark.parametrize("text", [f"/**{'a*' * (FEW // 2)}b", f"/**{'a*' * FEW}b", "/" + "a" * LONG + "*b*c"])
@pytest.mark.parametrize("length", [SHORT - 1, SHORT, SHORT + 1, LONG])
def test_the_way_that_is_taken_makes_no_difference(text: str, length: int) -> None:
    for end in ("a", "b"):
        path = "/" + "a" * (length - 2) + end
        expected = re.compile(_translate(text), re.DOTALL).fullmatch(path) is not None
        assert bool(compiled(text).matches(path)) == expected
