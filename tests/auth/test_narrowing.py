"""What of a selector is granted: never more, and all of it unless that is said."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import visor
from tests.cli.cli_harness import Visor
from tests.cli.conftest import bare
from visor.auth import Grant
from visor.errors import Denied
from visor.protocol import verbs
from visor.protocol.limits import DEFAULT
from visor.testing import server
from visord.state.auth.effort import MESSAGE, NARROWING, Effort
from visord.state.auth.grant import parse_grant
from visord.state.auth.narrowing import Narrowed, narrow
from visord.state.auth.rights import Rights
from visord.state.refusal import Refusal
from visord.state.selector import Selector, parse

__all__ = ["bare"]
NAMES = ("a", "b", "ab", "ba", "abc")
WORLD = ["/" + "/".join(names) for depth in (1, 2, 3) for names in itertools.product(NAMES, repeat=depth)]


def selector(raw: list[Any]) -> Selector:
    found = parse(raw, DEFAULT)
    assert isinstance(found, Selector), found
    return found


def narrowed(granted: dict[str, list[list[Any]]], asked: list[Any], *wanted: str) -> Narrowed:
    grants = [parse_grant([right, raw], DEFAULT) for right, raws in granted.items() for raw in raws]
    rights = Rights(grant for grant in grants if not isinstance(grant, Refusal))
    return narrow(rights, wanted or ("read",), selector(asked), Effort(MESSAGE))


@pytest.mark.parametrize("rights", [1, 4])
@pytest.mark.parametrize("granted", [40, 256])
def test_what_is_asked_of_many_globs_is_bounded(granted: int, rights: int) -> None:
    """Each of some thousand pairs has something in common, and none covers another: 40 grants held a node for 11 s."""
    grants = [parse_grant(["read", [GLOB, f"/g{number}/*/*"]], DEFAULT) for number in range(granted)]
    asked = [verbs.SEL_ANY, [[GLOB, f"/*/b{number}/*"] for number in range(32)]]
    effort = Effort(NARROWING)
    known = Rights(grant for grant in grants if not isinstance(grant, Refusal))
    narrow(known, ["read"] * rights, selector(asked), effort)
    assert effort.left > -NARROWING, "it stops where it is over"


TREE, GLOB, PATH = verbs.SEL_TREE, verbs.SEL_GLOB, verbs.SEL_PATH


@pytest.mark.parametrize(
    ("granted", "asked", "parts", "left_out"),
    [
        (
            [[TREE, "/apps"], [GLOB, "/hosts/*/info"]],
            [TREE, "/"],
            [[TREE, "/apps"], [GLOB, "/hosts/*/info"]],
            False,
        ),
        ([[TREE, "/"]], [TREE, "/apps"], [[TREE, "/apps"]], False),
        (
            [[TREE, "/apps"], [PATH, "/hosts/config"]],
            [GLOB, "/*/config"],
            [[PATH, "/apps/config"], [PATH, "/hosts/config"]],
            False,
        ),
        ([[GLOB, "/*/a"]], [TREE, "/x"], [[PATH, "/x/a"]], False),
        ([[GLOB, "/*/**"]], [TREE, "/x"], [[GLOB, "/x/**"]], False),
        ([[TREE, "/a"]], [TREE, "/b"], [], False),
        ([[GLOB, "/a*/x"]], [GLOB, "/*b/x"], [], True),
        ([[GLOB, "/**/x"]], [GLOB, "/a/*"], [[PATH, "/a/x"]], False),
        ([[TREE, "/a"], [PATH, "/a/b"]], [TREE, "/"], [[TREE, "/a"]], False),
        ([[TREE, "/a"]], [verbs.SEL_RANGE, "/a/b", "/a/c"], [[verbs.SEL_RANGE, "/a/b", "/a/c"]], False),
        ([[TREE, "/a"]], [verbs.SEL_RANGE, "/a/b", "/b"], [], True),
        ([[TREE, "/a"]], [verbs.SEL_CHILDREN, "/"], [[PATH, "/a"]], False),
        ([[TREE, "/a"]], [verbs.SEL_ANY, [[PATH, "/a/x"], [PATH, "/b/x"]]], [[PATH, "/a/x"]], False),
        ([], [TREE, "/"], [], False),
    ],
)
def test_by_example(
    granted: list[list[Any]], asked: list[Any], parts: list[list[Any]], left_out: bool
) -> None:
    found = narrowed({"read": granted}, asked)
    # What no glob says exactly may be left out where it is said that it is.
    assert found.parts == parts or (found.left_out and found.parts == [])
    assert found.left_out >= left_out


def test_all_rights_that_are_wanted_are_needed() -> None:
    granted = {"read": [[TREE, "/a"], [TREE, "/b"]], "history": [[TREE, "/b/x"], [PATH, "/a"]]}
    assert narrowed(granted, [TREE, "/"], "read", "history").parts == [[PATH, "/a"], [TREE, "/b/x"]]
    assert narrowed(granted, [TREE, "/b/x"], "read", "history").whole


NAME = st.sampled_from([*NAMES, "*", "a*", "?", "*b", "a?", "??"])
TEXTS = st.lists(NAME, min_size=1, max_size=3).map(lambda names: "/" + "/".join(names))
RAW = st.one_of(
    st.tuples(TEXTS, st.booleans()).map(lambda row: [GLOB, row[0] + ("/**" if row[1] else "")]),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(lambda names: [TREE, "/" + "/".join(names)]),
    st.sampled_from(WORLD).map(lambda path: [PATH, path]),
    st.just([TREE, "/"]),
    st.just([GLOB, "/**/b"]),
)


@settings(deadline=None)
@given(st.lists(RAW, max_size=4), st.lists(RAW, max_size=3), RAW, st.booleans())
def test_it_is_what_both_mean(
    read: list[list[Any]], history: list[list[Any]], asked: list[Any], both: bool
) -> None:
    wanted = ("read", "history") if both else ("read",)
    granted = {"read": read, "history": history}
    found = narrowed(granted, asked, *wanted)

    def means(raws: list[list[Any]]) -> set[str]:
        return {path for path in WORLD for raw in raws if selector(raw).matches(path)}

    expected = means([asked])
    for right in wanted:
        expected &= means(granted[right])
    got = means(found.parts)
    assert got <= expected
    assert got == expected or found.left_out
    if found.whole:
        assert got == means([asked])


# -- as it is used -----------------------------------------------------------------------------------------


@pytest.fixture
def closed() -> Iterator[tuple[str, str]]:
    """A registry whose user ci may read parts of it; its address, and ci's token."""
    with server() as found, found.dial() as boss:
        for path in ("/s/apps/web", "/s/apps/db", "/s/hosts/h1/info", "/s/hosts/h1/secret", "/s/other"):
            boss.set(path, b"1")
        parts = [
            Grant("read", "/s/apps/**"),
            Grant("read", "/s/hosts/*/info"),
            Grant("history", "/s/apps/**"),
        ]
        boss.auth.set_role("part", parts)
        boss.auth.set_user("boss", ["root"])
        boss.auth.set_user("ci", ["part"])
        token = boss.auth.add_token("ci")
        boss.auth.set_user("anonymous", [])
        yield found.address, token


def test_what_comes_back_can_be_asked_for(closed: tuple[str, str]) -> None:
    address, token = closed
    with visor.dial(address, "/s", token=token) as ci:
        with pytest.raises(Denied):
            list(ci.scan("/**"))
        mine = ci.auth.granted("/**")
        assert mine and not mine.whole and not mine.left_out and mine.selector is not None
        assert [file.path for file in ci.scan(mine.selector)] == ["/apps/db", "/apps/web", "/hosts/h1/info"]
        past = ci.auth.granted("/**", "read", "history")
        assert past.selector is not None
        assert {change.path for commit in ci.history(past.selector) for change in commit.changes} == {
            "/apps/db",
            "/apps/web",
        }
        assert not ci.auth.granted("/other")
        assert ci.auth.granted("/apps/**").whole
        with pytest.raises(ValueError, match="a right is one of"):
            ci.auth.granted("/**", "everything")


def test_the_command_says_what_it_left_out(bare: Visor, closed: tuple[str, str], tmp_path: Path) -> None:
    address, token = closed
    environment = {"VISOR_ADDR": address, "VISOR_TOKEN": token}
    assert bare("scan", "/s/**", **environment).code == 5
    answer = bare("scan", "--granted", "/s/**", terminal="e", **environment)
    assert answer.lines == ["/s/apps/db", "/s/apps/web", "/s/hosts/h1/info"]
    assert "only what is granted: /s/apps/**, /s/hosts/*/info" in answer.err
    assert bare("scan", "--granted", "/s/**", "--count", **environment).text == "3\n"
    assert bare("scan", "--granted", "/s/other", **environment).code == 5
    watched = bare("watch", "--granted", "/s/**", "--rev", "1", "--count", "2", "--keys", **environment)
    assert watched.code == 0 and len(watched.text.split("\n\n")) == 3
