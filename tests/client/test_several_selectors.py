"""Several selectors as one: `any_of`, braces in a glob, in every call that takes a selector."""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import visor
import visor.aio
from tests.patience import PATIENCE
from visor import errors, guard, paths, select
from visor._core.root import Root
from visor.following import Mirror
from visor.protocol.limits import SELECTORS
from visor.testing import Server

QUEUES = "/{queue,claims}/**"

# -- braces -------------------------------------------------------------------------------------------

plain = st.text("ab/*,", max_size=3)
pieces = st.recursive(
    plain.map(lambda text: (text.replace(",", ""), [text.replace(",", "")])),
    lambda inner: st.lists(st.lists(inner, min_size=1, max_size=2), min_size=1, max_size=3).map(
        lambda alternatives: (
            "{" + ",".join("".join(text for text, _ in each) for each in alternatives) + "}",
            [joined for each in alternatives for joined in all_of(each)],
        )
    ),
    max_leaves=6,
)


def all_of(each: list[tuple[str, list[str]]]) -> list[str]:
    return ["".join(some) for some in itertools.product(*(meant for _, meant in each))]


@given(st.lists(pieces, max_size=4))
def test_braces_stand_for_each_of_what_is_in_them(each: list[tuple[str, list[str]]]) -> None:
    text, meant = "".join(text for text, _ in each), all_of(each)
    if len(set(meant)) <= SELECTORS:
        assert paths.expand(text) == list(dict.fromkeys(meant))


@given(st.text("{},a/", max_size=40))
def test_any_text_is_either_spelled_out_or_refused_in_words(text: str) -> None:
    try:
        globs = paths.expand(text)
    except ValueError as error:
        assert re.search("without a|stands for more than 32|within 8 others", str(error))
    else:
        assert 1 <= len(globs) <= SELECTORS
        assert not re.search("[{}]", "".join(globs))


@pytest.mark.parametrize(
    "text", ["{" * 100_000, "{a," * 100_000, "{1,2}" * 100_000, "/{" + "a" * 40_000 + "}"]
)
def test_no_text_costs_more_than_a_glance(text: str) -> None:
    with pytest.raises(ValueError, match=r"is .* characters long, over the 32768"):
        paths.expand(text)


@pytest.mark.parametrize("again", ["{a}", "{a,a}", "{}a"])
def test_what_grows_and_grows_is_refused_when_no_glob_is_so_long(again: str) -> None:
    with pytest.raises(ValueError, match="stands for a glob of over 1024 characters"):
        paths.expand("{" + ",".join(map(str, range(32))) + "}" + again * 4000)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("/{a,b", "has a { at position 1 without a }"),
        ("/a}", "has a } at position 2 without a {"),
        ("/{a,b}" + "x" * 1100, "stands for a glob of over 1024 characters"),
        ("/{1,2}{1,2}{1,2}{1,2}{1,2}{1,2}", "stands for more than 32 globs"),
        ("/" + "{" * 9 + "}" * 9, "has a { at position 9 within 8 others, and 8 is the most"),
        ("{}", "it stands for '', which does not start with a slash"),
        ("{,/a/**}", "it stands for '', which does not start with a slash"),
        ("/a/{b,}", "it stands for '/a/', which ends with a slash"),
        ("/{a, }", "it stands for '/ ', which holds U+0020 at position 1, which is not allowed"),
        (
            "/{a,b}" + "ä" * 600,
            f"it stands for '/a{'ä' * 600}', which is 1202 bytes long, over the 1024 of a path",
        ),
    ],
)
def test_what_is_wrong_with_braces_is_told_before_anything_is_sent(text: str, why: str) -> None:
    with pytest.raises(errors.BadGlob) as caught:
        Root("/staging").selector(text)
    assert (caught.value.glob, caught.value.why) == (text, why)


@pytest.mark.parametrize(
    ("text", "globs"),
    [
        ("/{" + ",".join("a" * 40) + "}/**", ["/a/**"]),
        ("/" + "{a,a}" * 40, ["/" + "a" * 40]),
        ("/{a,aa}{a,aa}{a,aa}", ["/aaa", "/aaaa", "/aaaaa", "/aaaaaa"]),
        ("/x{" + ",".join(["{b,c}", "{c,b}"] * 30) + "}", ["/xb", "/xc"]),
        ("/{" + "a," * 1000 + "a}", ["/a"]),
    ],
)
def test_what_is_said_again_counts_once(text: str, globs: list[str]) -> None:
    assert paths.expand(text) == globs


# -- any_of -------------------------------------------------------------------------------------------


def test_selectors_flatten_and_say_what_they_are() -> None:
    some = select.any_of("/a/*", select.any_of(select.path("/b"), select.range("/c", "/d")))
    assert repr(some) == "select.any_of(select.glob('/a/*'), select.path('/b'), select.range('/c', '/d'))"
    assert Root("/r").selector(some) == [5, [[3, "/r/a/*"], [0, "/r/b"], [4, "/r/c", "/r/d"]]]
    assert Root("/r").selector(select.any_of("/a/*")) == [3, "/r/a/*"]
    assert Root("/r").selector(select.any_of("/{a,b}", select.path("/c"))) == [
        5,
        [[3, "/r/a"], [3, "/r/b"], [0, "/r/c"]],
    ]


def test_none_and_too_many_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 32 selectors make one, not 0"):
        select.any_of()
    with pytest.raises(ValueError, match="1 to 32 selectors make one, not 33"):
        select.any_of(*(["/a"] * 33))
    with pytest.raises(ValueError, match="34 selectors, braces spelled out, are over the 32"):
        Root("/").selector(select.any_of(*(["/{a,b}"] * 17)))
    with pytest.raises(TypeError, match=r"a glob or a selector .* is expected, not 5"):
        select.any_of("/a", 5)  # type: ignore[arg-type]


@pytest.fixture
def filled(visor_client: visor.Client[bytes]) -> visor.Client[bytes]:
    for path in ("/queue/1", "/claims/1", "/other/1", "/queue/2"):
        visor_client.set(path, path.encode())
    visor_client.set("/queue/1", b"again")
    visor_client.delete("/claims/1")
    return visor_client


def test_every_call_that_takes_a_selector_takes_several(filled: visor.Client[bytes]) -> None:
    both = select.any_of(select.tree("/queue"), "/claims/*", "/queue/*")
    for what in (QUEUES, both):
        assert [file.path for file in filled.scan(what)] == ["/queue/1", "/queue/2"]
        assert [file.path for file in filled.scan(what, at=4, reverse=True)] == [
            "/queue/2",
            "/queue/1",
            "/claims/1",
        ]
        assert filled.count(what, at=4) == 3
        assert [commit.rev for commit in filled.history(what)] == [1, 2, 4, 5, 6]
        assert {change.path for change in filled.diff(1, 6, what)} == {"/queue/1", "/queue/2"}
        assert len(filled.blame(what)) == 2
        with filled.watch(what, rev=1) as watch:
            assert [watch.next(timeout=PATIENCE).rev for _ in range(5)] == [1, 2, 4, 5, 6]
        assert filled.wait(what, rev=2, timeout=PATIENCE).rev == 2


def test_a_commit_of_what_two_of_them_mean_comes_once(filled: visor.Client[bytes]) -> None:
    with filled.watch(select.any_of("/queue/*", select.tree("/queue"), select.range("/q", "/r"))) as watch:
        filled.txn([], [visor.op.set("/queue/3", b"x"), visor.op.set("/other/3", b"y")])
        assert [change.path for change in watch.next(timeout=PATIENCE).changes] == ["/queue/3"]
        filled.set("/queue/4", b"z")
        assert [change.path for change in watch.next(timeout=PATIENCE).changes] == ["/queue/4"]


def test_a_mirror_of_several(filled: visor.Client[bytes]) -> None:
    with Mirror(filled, QUEUES) as mirror:
        assert sorted(mirror) == ["/queue/1", "/queue/2"]
        rev = filled.set("/claims/7", b"mine")
        filled.set("/other/7", b"not mine")
        mirror.wait_for(rev, timeout=PATIENCE)
        assert sorted(mirror) == ["/claims/7", "/queue/1", "/queue/2"]


def test_a_transaction_is_guarded_by_what_each_covers(filled: visor.Client[bytes]) -> None:
    def collect(disturbed: str | None) -> list[str]:
        seen = []
        with filled.transaction() as tx:
            seen = [file.path for file in tx.scan(QUEUES)]
            if disturbed is not None:
                filled.set(disturbed, b"meanwhile")
            tx.set("/result", str(len(seen)).encode())
        return seen

    assert collect("/other/9") == ["/queue/1", "/queue/2"]
    for disturbed in ("/queue/9", "/claims/9"):
        with pytest.raises(errors.Conflict):
            collect(disturbed)


@pytest.mark.parametrize(
    ("what", "written", "named"),
    [
        ("/{queue,claims}/*", ["/claims/9"], "/claims"),
        ("/{queue,claims}/*", ["/queue/9"], "/queue"),
        ("/{queue,claims}/*", ["/queue/9", "/claims/9"], "/claims"),
        ("/{claims,queue}/*", ["/queue/1"], "/queue"),
        (select.any_of("/queue/**", "/queue/deep/*", "/claims/*"), ["/queue/deep/x"], "/queue/deep"),
        (select.any_of("/claims/1", "/queue/1"), ["/queue/1"], "/queue/1"),
        (select.any_of(select.range("/other", "/other0"), select.tree("/queue")), ["/other/9"], "/"),
        ("/queue/*", ["/queue/1"], "/queue"),
    ],
)
def test_a_conflict_names_the_part_of_a_scan_that_changed(
    filled: visor.Client[bytes], what: str | select.Selector, written: list[str], named: str
) -> None:
    with pytest.raises(errors.Conflict) as caught, filled.transaction() as tx:
        tx.scan(what)
        for path in written:
            filled.set(path, b"meanwhile")
        tx.set("/result", b"")
    assert caught.value.path == named
    assert str(caught.value).startswith(f"{named}: changed")


def test_the_same_under_asyncio(visor_server: Server) -> None:
    async def program() -> list[Any]:
        async with await visor.aio.dial(visor_server.address) as client:
            await client.set("/queue/1", b"1", guard=guard.missing())
            await client.set("/claims/1", b"1")
            found = [file.path async for file in client.scan("/{queue,claims}/*")]
            async with client.watch(select.any_of("/queue/*", select.path("/claims/1")), rev=1) as watch:
                return [
                    found,
                    (await watch.next(timeout=PATIENCE)).rev,
                    (await watch.next(timeout=PATIENCE)).rev,
                ]

    found, *revs = asyncio.run(program())
    assert found == ["/claims/1", "/queue/1"]
    assert len(revs) == 2
