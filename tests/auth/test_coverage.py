"""Coverage of selectors by grants: examples, and a comparison with trying out all paths of a small world."""

from __future__ import annotations

import itertools
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visor.paths import Glob, check
from visord.state.auth.coverage import left_out
from visord.state.auth.effort import MESSAGE, Effort

COVERED: Final = [
    ("/a", ["/a"]),
    ("/a", ["/*"]),
    ("/a/*", ["/a/?*"]),  # no component is empty
    ("/a/*/b", ["/a/**"]),
    ("/a/**", ["/**"]),
    ("/a/**/c", ["/a/**"]),
    ("/a?", ["/a*"]),
    ("/a/*", ["/a/x*", "/a/*"]),
    ("/a*", ["/a", "/a?", "/a??*"]),  # only together
    ("/*/x", ["/a*/x", "/*/*"]),
    ("/**", ["/*", "/*/**"]),
]
LEFT_OUT: Final = [
    ("/a", []),
    ("/a", ["/b"]),
    ("/a/*", ["/a/x*"]),
    ("/a/*/b", ["/a/*", "/a/x/**"]),
    ("/a/**", ["/a/*"]),
    ("/**", ["/a/**"]),
    ("/a**", ["/a/**", "/a"]),  # /ab
    ("/*", ["/a*", "/b*"]),
    ("/a*", ["/a", "/a?", "/a???*"]),
]


@pytest.mark.parametrize(("asked", "granted"), COVERED)
def test_what_lies_within_the_grants_is_covered(asked: str, granted: list[str]) -> None:
    assert left_out(asked, granted, Effort(MESSAGE)) is None


@pytest.mark.parametrize(("asked", "granted"), LEFT_OUT)
def test_what_goes_beyond_them_is_not(asked: str, granted: list[str]) -> None:
    assert left_out(asked, granted, Effort(MESSAGE)) is not None


NAMES: Final = [
    "".join(letters) for length in (1, 2, 3) for letters in itertools.product("abc", repeat=length)
]
WORLD: Final = [
    *(f"/{one}" for one in NAMES),
    *(f"/{one}/{two}" for one in NAMES[:12] for two in NAMES[:12]),
    *("/a/b/c", "/a/a/a", "/b/c/ab", "/c/c/c/c", "/a/b/a/b"),
]

components = st.text("ab?*", min_size=1, max_size=4).filter(lambda text: "***" not in text)
globs = st.lists(components, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))


@settings(max_examples=400)
@given(globs, st.lists(globs, max_size=3))
def test_it_agrees_with_trying_all_paths_and_shows_what_is_left_out(asked: str, granted: list[str]) -> None:
    wanted, allowed = Glob(asked), [Glob(text) for text in granted]
    path = left_out(asked, granted, Effort(MESSAGE))
    if path is None:
        assert not [
            path for path in WORLD if wanted.matches(path) and not any(one.matches(path) for one in allowed)
        ]
    else:
        assert check(path) is None
        assert wanted.matches(path)
        assert not any(one.matches(path) for one in allowed)


def test_a_question_that_takes_too_long_is_answered_with_nobody_knows() -> None:
    asked = "/" + "*a" * 30
    granted = ["/" + "*a" * number + "*b" * (30 - number) + "*" for number in range(30)]
    assert left_out(asked, granted, Effort(MESSAGE)) == ""
