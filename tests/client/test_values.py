"""Codecs, addresses, settings, backoff, roots: the small values that everything is made of."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visor import codecs, errors, paths, select
from visor._core.address import parse
from visor._core.backoff import Backoff
from visor._core.root import Root
from visor._drivers.environment import gather
from visor.protocol import verbs
from visor.values import decode, instant, milliseconds

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.binary())
def test_bytes_come_back(value: bytes) -> None:
    assert codecs.BYTES.decode(codecs.BYTES.encode(value)) == value


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_comes_back(value: str) -> None:
    assert codecs.TEXT.decode(codecs.TEXT.encode(value)) == value


@given(st.integers(), st.lists(st.integers()))
def test_numbers_come_back(value: int, values: list[int]) -> None:
    assert codecs.INT.decode(codecs.INT.encode(value)) == value
    assert codecs.INTS.decode(codecs.INTS.encode(values)) == values


@given(json_values)
def test_documents_come_back(value: codecs.Json) -> None:
    assert codecs.JSON.decode(codecs.JSON.encode(value)) == value


@given(json_values)
def test_packed_values_come_back(value: codecs.Json) -> None:
    assert codecs.MSGPACK.decode(codecs.MSGPACK.encode(value)) == value  # type: ignore[arg-type]


def test_lists_of_words_are_space_separated_and_empty_is_empty() -> None:
    assert codecs.LIST.encode(["a", "b"]) == b"a b"
    assert codecs.LIST.decode(b"") == []
    assert codecs.LIST.decode(b" a  b\n") == ["a", "b"]
    for word in ("", "a b", " a", "a\u00a0b"):
        with pytest.raises(ValueError, match="a word of a list"):
            codecs.LIST.encode([word])


def test_what_is_not_bytes_is_refused_with_the_way_out() -> None:
    with pytest.raises(TypeError, match="pass a codec"):
        codecs.BYTES.encode("text")  # type: ignore[arg-type]
    assert codecs.BYTES.encode(bytearray(b"ab")) == b"ab"  # type: ignore[arg-type]


@pytest.mark.parametrize("codec", [codecs.TEXT, codecs.INT, codecs.JSON, codecs.MSGPACK, codecs.INTS])
def test_a_value_that_a_codec_cannot_read_names_path_and_codec(codec: codecs.Codec[object]) -> None:
    with pytest.raises(errors.DecodeError) as caught:
        decode(codec, b"\xff\xc1", "/a")
    assert caught.value.path == "/a"
    assert caught.value.codec in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost", ["localhost:8046"]),
        ("h:1", ["h:1"]),
        ("[::1]:99", ["[::1]:99"]),
        ("[::1]", ["[::1]:8046"]),
        ("::1", ["[::1]:8046"]),
        ("unix:/run/v.sock", ["unix:/run/v.sock"]),
        (" a:1, b:2 ,a:1", ["a:1", "b:2"]),
        (["a:1", "b:2,c"], ["a:1", "b:2", "c:8046"]),
        ("doozer:?ca=a:1&ca=b:2&cn=x", ["a:1", "b:2"]),
    ],
)
def test_addresses(text: str | list[str], expected: list[str]) -> None:
    assert [str(address) for address in parse(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "", ",", ":1", "a:b", "a:0", "a:70000", "unix:", "[::1", "[::1]x", "doozer:?cn=x", "[]:1",
        "http://a:1", "https://a", "tcp://a:1", "a/b", "a:1/x", "a b:1", "me@a:1", "a?x=1", "\udcff:1", "a\0:1",
        "{a}:1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|port"):
        parse(text)


def test_a_url_is_told_how_an_address_is_written() -> None:
    with pytest.raises(ValueError, match=r"'http://host:1'; write HOST:PORT, without http://"):
        parse("b:2,http://host:1")


@given(st.text())
def test_any_text_is_an_address_or_refused_by_name(text: str) -> None:
    try:
        addresses = parse(text)
    except ValueError as error:
        assert str(error).encode()  # it can be shown anywhere
    else:
        assert parse([str(address) for address in addresses]) == addresses


def test_settings_come_from_arguments_then_the_environment_then_defaults(tmp_path: Path) -> None:
    env = {"VISOR_ADDR": "a:1,b:2", "VISOR_ROOT": "/env", "VISOR_TIMEOUT": "3", "VISOR_ACTOR": "me"}
    settings = gather(None, None, None, None, None, None, None, env)
    assert [str(address) for address in settings.addresses] == ["a:1", "b:2"]
    assert (settings.root.text, settings.timeout, settings.actor) == ("/env", 3.0, "me")
    settings = gather("unix:/c", "/arg", 1, "you", "t", None, None, env)
    assert (str(settings.addresses[0]), settings.root.text, settings.timeout) == ("unix:/c", "/arg", 1)
    assert (settings.actor, settings.token) == ("you", "t")
    plain = gather(None, None, None, None, None, None, None, {})
    assert (str(plain.addresses[0]), plain.root.text, plain.timeout) == ("localhost:8046", "/", 10.0)
    assert "@" in plain.actor
    for bad in ("0", "-1", "soon"):
        with pytest.raises(ValueError, match=r"timeout|TIMEOUT"):
            gather(None, None, None, None, None, None, None, {"VISOR_TIMEOUT": bad})


def test_a_token_file_must_be_private(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    env = {"VISOR_TOKEN_FILE": str(file), "VISOR_ADDR": "unix:/a"}
    file.chmod(0o644)
    with pytest.raises(ValueError, match="chmod 600"):
        gather(None, None, None, None, None, None, None, env)
    file.chmod(0o600)
    assert gather(None, None, None, None, None, None, None, env).token == "secret"
    file.unlink()
    os.mkfifo(file, 0o600)
    with pytest.raises(ValueError, match="not a plain file"):
        gather(None, None, None, None, None, None, None, env)


def test_backoff_is_spread_over_the_whole_pause_and_bounded() -> None:
    backoff = Backoff(base=0.1, factor=2, most=1)
    dice = random.Random(1)
    for attempt, longest in ((0, 0.1), (1, 0.2), (3, 0.8), (4, 1.0), (10_000, 1.0)):
        pauses = [backoff.pause(attempt, dice) for _ in range(200)]
        assert 0 <= min(pauses) < longest / 4
        assert longest * 3 / 4 < max(pauses) <= longest


def test_times_are_milliseconds_of_utc() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    assert instant(milliseconds(moment)) == moment
    assert milliseconds(1.5) == 1500
    with pytest.raises(ValueError, match="time zone"):
        milliseconds(datetime(2026, 1, 1))


class TestRoot:
    def test_it_prefixes_and_strips(self) -> None:
        root = Root("/staging/")
        assert root.text == "/staging"
        assert root.path("/") == "/staging"
        assert root.path("/a/b") == "/staging/a/b"
        assert root.relative("/staging/a/b") == "/a/b"
        assert root.relative("/staging") == "/"
        assert Root("/").path("/a") == "/a"
        assert Root("/").relative("/a") == "/a"

    def test_a_path_that_begins_like_the_root_is_prefixed_as_well(self) -> None:
        root = Root("/a")
        assert root.path("/a/b") == "/a/a/b"
        assert root.relative("/a/a/b") == "/a/b"

    def test_selectors_stay_inside(self) -> None:
        root = Root("/r")
        assert root.selector("/**") == [verbs.SEL_GLOB, "/r/**"]
        assert root.selector(select.path("/a")) == [verbs.SEL_PATH, "/r/a"]
        assert root.selector(select.tree("/")) == [verbs.SEL_TREE, "/r"]
        assert root.selector(select.children("/a")) == [verbs.SEL_CHILDREN, "/r/a"]
        assert root.selector(select.range("/a", "/b")) == [verbs.SEL_RANGE, "/r/a", "/r/b"]

    @pytest.mark.parametrize("path", ["", "a", "../x", "x/../../y"])
    def test_what_does_not_begin_with_a_slash_cannot_leave_it(self, path: str) -> None:
        with pytest.raises(errors.BadPath):
            Root("/r").path(path)
        with pytest.raises(errors.BadGlob):
            Root("/r").selector(path)

    @pytest.mark.parametrize("text", ["", "r", "/..", "/a/../b", "/a//b", "/a/*", "/a?", "/a b"])
    def test_what_is_no_root_is_refused(self, text: str) -> None:
        with pytest.raises(errors.BadPath):
            Root(text)

    def test_details_lose_the_root_and_what_lies_above_it(self) -> None:
        root = Root("/r/s")
        assert root.details({"path": "/r/s/a", "rev": 1}) == {"path": "/a", "rev": 1}
        assert root.details({"path": "/r"}) == {"path": "/"}
        assert root.details({"glob": "/r/s/**", "why": "x"}) == {"glob": "/**", "why": "x"}


class TestRanges:
    @pytest.mark.parametrize(
        ("start", "end"),
        [("/z", "/a"), ("/a", "/a"), ("/a/b", "/a"), ("/a-b", "/a/b"), ("/a", ""), ("/a", "/")],
    )
    def test_one_in_which_nothing_can_lie_is_refused(self, start: str, end: str) -> None:
        with pytest.raises(ValueError, match="is empty: the end must come after the start"):
            select.range(start, end)

    def test_one_without_an_end_goes_to_the_last_file_of_the_root(self) -> None:
        assert Root().selector(select.range("/b")) == [verbs.SEL_RANGE, "/b", None]
        assert Root("/r").selector(select.range("/b")) == [verbs.SEL_RANGE, "/r/b", "/r!"]

    @given(st.text("ab-!~\U000dfffd/", min_size=1, max_size=8).map(lambda text: f"/{text}"))
    def test_its_end_lies_right_behind_the_root(self, path: str) -> None:
        if paths.check(path) is None:
            end = paths.sort_key(str(Root("/r").selector(select.range("/"))[2]))
            assert paths.sort_key(f"/r{path}") < end
            assert paths.sort_key(f"/r!{path[1:]}") >= end
            assert paths.check("/r!") is None
