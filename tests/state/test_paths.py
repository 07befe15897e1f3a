"""The path grammar and the globs, by table and against a matcher that tries everything."""

from __future__ import annotations

import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.state.naive import glob_matches
from visor.paths import Glob, below, check, components, join, name, parent, size, sort_key
from visor.protocol.limits import Limits

GOOD = [
    "/",
    "/a",
    "/a/b/c",
    "/under_score",
    "/A-Z.0-9",
    "/.hidden",
    "/...",
    "/a..b",
    "/-",
    "/~user/x@y:z+1=2,3%25!$&#",
    "/ünïcode/日本語/Ω",
    "/emoji😀",
    "/" + "c" * 255,
    "/ab" * 341,
]

BAD = {
    "": "start",
    "a": "start",
    "a/b": "start",
    "//": "two slashes",
    "/a/": "ends",
    "/a//b": "two slashes",
    "/.": '"."',
    "/..": '"."',
    "/a/../b": '"."',
    "/a/.": '"."',
    "/a b": "U+0020",
    "/a\tb": "U+0009",
    "/a\n": "U+000A",
    "/a\0": "U+0000",
    "/a\x7f": "U+007F",
    "/a\x80": "U+0080",
    "/a\xa0b": "U+00A0",
    "/a*": "U+002A",
    "/a?": "U+003F",
    "/[a]": "U+005B",
    "/a\\b": "U+005C",
    '/"': "U+0022",
    "/a;b": "U+003B",
    "/\u2028": "U+2028",
    "/\u202e": "U+202E",
    "/\u200b": "U+200B",
    "/\u3000": "U+3000",
    "/\ufeff": "U+FEFF",
    "/\ud800": "U+D800",
    "/\ue000": "U+E000",
    "/\ufdd0": "U+FDD0",
    "/\uffff": "U+FFFF",
    "/\U0001ffff": "U+1FFFF",
    "/\U000e0001": "U+E0001",
    "/\U0010fffd": "U+10FFFD",
    "/" + "c" * 256: "component of 256 bytes",
    "/" + "é" * 128: "component of 256 bytes",
    "/ab" * 342: "1026 bytes",
}


@pytest.mark.parametrize("path", GOOD)
def test_good_paths(path):
    assert check(path) is None


@pytest.mark.parametrize(("path", "why"), BAD.items())
def test_bad_paths_say_why(path, why):
    assert why in check(path)


def test_limits_count_bytes_of_utf8():
    limits = Limits(component=4, path=8)
    assert check("/éé", limits) is None
    assert "component of 5" in check("/ééa", limits)
    assert check("/abcd/ab", limits) is None
    assert "9 bytes" in check("/abcd/abc", limits)


def test_nothing_invisible_is_allowed():
    """The fixed ranges hold at least what the Unicode tables of this Python call invisible."""
    allowed = [chr(c) for c in range(0x80, sys.maxunicode + 1) if check("/" + chr(c)) is None]
    doubtful = [c for c in allowed if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp")]
    assert doubtful == []
    assert len(allowed) > 900_000


def test_every_assigned_letter_and_number_is_allowed():
    fillers = "\u115f\u1160\u3164\uffa0"
    refused = [
        chr(c)
        for c in range(0xA1, 0x30000)
        if unicodedata.category(chr(c)) in ("Ll", "Lu", "Lo", "Lt", "Nd", "Sm", "Sc") and check("/" + chr(c))
    ]
    assert set(refused) <= set(fillers)


def test_walking_along_a_path():
    assert parent("/a/b") == "/a"
    assert parent("/a") == "/"
    assert parent("/") == "/"
    assert name("/a/b") == "b"
    assert join("/", "a") == "/a"
    assert join("/a", "b/c", "d") == "/a/b/c/d"
    assert join("/a") == "/a"
    assert components("/") == []
    assert components("/a/b") == ["a", "b"]
    assert below("/a/b", "/a") and below("/a", "/a") and below("/a", "/")
    assert not below("/ab", "/a") and not below("/a", "/a/b")
    assert size("/é") == 3


def test_path_order_is_by_component():
    ordered = ["/", "/!", "/a", "/a/!", "/a/b", "/a/b/c", "/a!", "/a-b", "/a.b", "/ab", "/é"]
    assert sorted(set(ordered), key=sort_key) == ordered


COMPONENT = st.text("ab.-é", min_size=1, max_size=4).filter(lambda c: c not in (".", ".."))
PATH = st.lists(COMPONENT, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(PATH, PATH)
def test_sort_key_orders_like_components(one, two):
    assert (sort_key(one) < sort_key(two)) == (components(one) < components(two))


# -- globs ---------------------------------------------------------------------------------------------

MATCHES = [
    ("/a", ["/a"], ["/b", "/a/b", "/"]),
    ("/?", ["/a", "/é"], ["/ab", "/", "/a/b"]),
    ("/*", ["/a", "/abc", "/a.b"], ["/a/b"]),
    ("/a*", ["/a", "/ab"], ["/a/b", "/ba"]),
    ("/*/b", ["/a/b"], ["/a/c", "/b", "/a/b/b"]),
    ("/**", ["/", "/a", "/a/b/c"], []),
    ("/a**", ["/a", "/ab", "/a/b", "/a/b/c"], ["/b", "/"]),
    ("/a/**", ["/a/b", "/a/b/c"], ["/a", "/ab"]),
    ("/**/c", ["/a/c", "/a/b/c"], ["/c/d", "/c"]),
    ("/a/*-*/x", ["/a/b-c/x", "/a/-/x"], ["/a/b/x", "/a/b-/c/x"]),
    ("/a***b", ["/ab", "/a/b", "/axxb"], ["/b"]),
    ("/a*b*c", ["/abc", "/abbc", "/abcbc"], ["/ab/c", "/acb"]),
    ("/x.y", ["/x.y"], ["/xzy"]),
    ("/$1+(2".replace("(", "="), ["/$1+=2"], ["/1"]),
]


@pytest.mark.parametrize(("text", "good", "bad"), MATCHES)
def test_globs(text, good, bad):
    glob = Glob(text)
    assert [path for path in good if not glob.matches(path)] == []
    assert [path for path in bad if glob.matches(path)] == []


@pytest.mark.parametrize(
    "text",
    ["", "a", "*", "/a/", "//", "/a//**", "/[a]", "/a b", "/..", "/{a,b}", "/" + "?" * 65, "/" + "a" * 2000],
)
def test_bad_globs_raise(text):
    with pytest.raises(ValueError, match=r"\w"):
        Glob(text)


@given(
    st.lists(st.sampled_from(["a", "b", "?", "*", "**", "/", "/a", "/*", "/**"]), min_size=1, max_size=9).map(
        lambda parts: "/" + "".join(parts)
    ),
    st.text("ab/", max_size=9).map(lambda text: "/" + text),
)
def test_globs_agree_with_trying_everything(text, path):
    try:
        glob = Glob(text)
    except ValueError:
        return
    assert bool(glob.matches(path)) == glob_matches(text.replace("***", "**").replace("***", "**"), path)


@pytest.mark.parametrize(
    "text",
    ["/" + "*a" * 30 + "*b", "/" + "**a" * 30 + "**b", "/**" + "*a?" * 15 + "b", "/" + "*a**a" * 15 + "b"],
)
def test_hostile_globs_take_no_time(text):
    glob = Glob(text)
    start = time.process_time()
    for path in ["/" + "a" * 255, ("/" + "a" * 200) * 5, "/" + "a/" * 500 + "a"]:
        assert not glob.matches(path)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("text", "directory", "depth", "exact"),
    [
        ("/a/b", "/a/b", 2, True),
        ("/a/b*", "/a", 2, False),
        ("/a**", "/", None, False),
        ("/a/b/**", "/a/b", None, False),
        ("/*/x", "/", 2, False),
        ("/**", "/", None, False),
    ],
)
def test_what_a_walk_may_skip(text, directory, depth, exact):
    glob = Glob(text)
    assert (glob.literal_prefix, glob.depth, glob.exact) == (directory, depth, exact)
