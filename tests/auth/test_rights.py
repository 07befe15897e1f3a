"""A union of grants: one path, and whole selectors; compared with trying every path of a small world."""

from __future__ import annotations

import gc
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visor.protocol import verbs
from visor.protocol.limits import DEFAULT
from visord.state.auth import rights as module
from visord.state.auth.effort import MESSAGE, Effort
from visord.state.auth.grant import READ, WRITE, Grant, parse_grant
from visord.state.auth.needs import Needs, needs
from visord.state.auth.rights import Rights
from visord.state.refusal import Refusal
from visord.state.selector import Selector, parse


def selector(kind: int, *texts: Any) -> Selector:
    found = parse([kind, *texts], DEFAULT)
    assert isinstance(found, Selector)
    return found


def rights(*rows: tuple[str, int, str]) -> Rights:
    grants = [parse_grant([right, [kind, text]], DEFAULT) for right, kind, text in rows]
    return Rights(grant for grant in grants if isinstance(grant, Grant))


NAMES: Final = ("a", "b", "ab", "a-b")
PATHS: Final = [
    *(f"/{one}" for one in NAMES),
    *(f"/{one}/{two}" for one in NAMES for two in NAMES),
    *(f"/{one}/{two}/{three}" for one in NAMES for two in NAMES for three in NAMES),
]

texts = st.sampled_from(PATHS)
globs = st.lists(st.sampled_from((*NAMES, "*", "a*", "?", "**")), min_size=1, max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)
granted = st.one_of(
    st.tuples(st.just(READ), st.sampled_from((verbs.SEL_PATH, verbs.SEL_TREE)), texts),
    st.tuples(st.just(READ), st.just(verbs.SEL_GLOB), globs),
)
simple = st.one_of(
    st.tuples(st.sampled_from((verbs.SEL_PATH, verbs.SEL_TREE, verbs.SEL_CHILDREN)), texts),
    st.tuples(st.just(verbs.SEL_GLOB), globs),
    st.tuples(st.just(verbs.SEL_RANGE), texts, st.one_of(st.none(), texts, st.just("/a!"), st.just("/a/b!"))),
)
asked = st.one_of(
    simple.map(list),
    st.lists(simple.map(list), min_size=1, max_size=3).map(lambda rows: [verbs.SEL_ANY, rows]),
)


@settings(max_examples=500)
@given(st.lists(granted, max_size=4), asked)
def test_nothing_is_covered_that_holds_a_path_which_is_not_granted(
    rows: list[tuple[str, int, str]], wanted: list[Any]
) -> None:
    found = parse(wanted, DEFAULT)
    assert isinstance(found, Selector)
    given_, grants = rights(*rows), [selector(kind, text) for _, kind, text in rows]
    left = [path for path in PATHS if found.matches(path) and not any(one.matches(path) for one in grants)]
    if given_.covers(READ, found, Effort(MESSAGE)):
        assert not left
    assert not given_.covers(WRITE, found, Effort(MESSAGE))
    for path in PATHS:
        assert given_.may(READ, path) == any(one.matches(path) for one in grants)


@pytest.mark.parametrize(
    ("grant", "wanted"),
    [
        ((verbs.SEL_TREE, "/a"), [verbs.SEL_TREE, "/a"]),
        ((verbs.SEL_TREE, "/a"), [verbs.SEL_TREE, "/a/b"]),
        ((verbs.SEL_TREE, "/a"), [verbs.SEL_CHILDREN, "/a"]),
        ((verbs.SEL_TREE, "/a"), [verbs.SEL_GLOB, "/a/**"]),
        ((verbs.SEL_TREE, "/a"), [verbs.SEL_RANGE, "/a", "/a!"]),
        ((verbs.SEL_TREE, "/a"), [verbs.SEL_RANGE, "/a/b", "/a/c"]),
        ((verbs.SEL_GLOB, "/a**"), [verbs.SEL_TREE, "/a"]),
        ((verbs.SEL_GLOB, "/a/*"), [verbs.SEL_CHILDREN, "/a"]),
        ((verbs.SEL_TREE, "/"), [verbs.SEL_RANGE, "/a", None]),
        ((verbs.SEL_TREE, "/a"), [verbs.SEL_ANY, [[verbs.SEL_PATH, "/a/x"], [verbs.SEL_CHILDREN, "/a/y"]]]),
    ],
    ids=str,
)
def test_what_lies_within_a_grant_is_covered(grant: tuple[int, str], wanted: list[Any]) -> None:
    found = parse(wanted, DEFAULT)
    assert isinstance(found, Selector)
    assert rights((READ, *grant)).covers(READ, found, Effort(MESSAGE))


@pytest.mark.parametrize(
    ("grant", "wanted"),
    [
        ((verbs.SEL_TREE, "/a"), [verbs.SEL_RANGE, "/a", None]),
        ((verbs.SEL_TREE, "/a"), [verbs.SEL_RANGE, "/a", "/a-b"]),
        ((verbs.SEL_PATH, "/a"), [verbs.SEL_TREE, "/a"]),
        ((verbs.SEL_TREE, "/a"), [verbs.SEL_CHILDREN, "/"]),
        ((verbs.SEL_TREE, "/a"), [verbs.SEL_ANY, [[verbs.SEL_PATH, "/a/x"], [verbs.SEL_PATH, "/b"]]]),
    ],
    ids=str,
)
def test_what_goes_beyond_it_is_not(grant: tuple[int, str], wanted: list[Any]) -> None:
    found = parse(wanted, DEFAULT)
    assert isinstance(found, Selector)
    assert not rights((READ, *grant)).covers(READ, found, Effort(MESSAGE))


def test_the_missing_grant_is_named() -> None:
    wanted = needs([verbs.SET, 1, 1, "/b", b"", verbs.G_EXISTS], DEFAULT)
    assert isinstance(wanted, Needs)
    missing = rights((WRITE, verbs.SEL_TREE, "/b")).missing(wanted.grants, Effort(MESSAGE))
    assert str(missing) == "read on /b"
    assert (
        rights((WRITE, verbs.SEL_TREE, "/b"), (READ, verbs.SEL_PATH, "/b")).missing(
            wanted.grants, Effort(MESSAGE)
        )
        is None
    )


@pytest.mark.parametrize(
    "row",
    [
        5,
        [],
        ["read"],
        ["eat", [1, "/"]],
        ["read", [2, "/a"]],
        ["read", [5, [[1, "/"]]]],
        ["read", [4, "/a", None]],
    ],
    ids=str,
)
def test_what_is_no_grant_is_refused(row: Any) -> None:
    answer = parse_grant(row, DEFAULT)
    assert isinstance(answer, Refusal) or answer.selector.kind == verbs.SEL_TREE
    assert row == ["read", [5, [[1, "/"]]]] or isinstance(answer, Refusal)


def test_what_is_remembered_is_bounded_over_all_and_given_back() -> None:
    """Programs ask for the same paths again: those are remembered, of everybody together no more than so many."""
    gc.collect()
    before = module.Extent.remembered
    made = [rights(("read", verbs.SEL_TREE, f"/t{number}")) for number in range(20)]
    for one in made:
        assert not any(one.may("read", f"/other/{number}") for number in range(module.KNOWN + 100))
    assert all(len(one.read) <= module.KNOWN for one in made)
    assert module.Extent.remembered <= module.KNOWN_TOGETHER
    assert module.Extent.remembered - before == sum(len(one.read) for one in made)
    del one
    made.clear()
    gc.collect()
    assert module.Extent.remembered == before
