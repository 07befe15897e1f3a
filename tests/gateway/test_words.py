"""What is pure: entity tags, forms, moments, cursors, paths, hosts. Whatever is typed is read, or refused in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visor import guard, paths
from visor.errors import BadPath
from visor.gateway import accept, credential, cursors, entrance, etags, params
from visor.gateway.problems import NotServed

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
COMPONENT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@given(st.integers(0, (1 << 63) - 1))
def test_a_tag_is_the_guard_of_the_rev_that_it_names(rev: int) -> None:
    assert etags.guard_of(etags.of_rev(rev), None) == guard.rev(rev)
    assert etags.holds(etags.of_rev(rev), f'"x", {etags.of_rev(rev)}')
    assert not etags.holds(etags.of_rev(rev), f"W/{etags.of_rev(rev)}")
    assert etags.fresh(etags.of_rev(rev), f"W/{etags.of_rev(rev)}")


@given(st.text(max_size=30))
def test_any_text_is_tags_or_refused(text: str) -> None:
    try:
        found = etags.parse(text, "If-Match")
    except NotServed as refused:
        assert refused.code == "usage"
        return
    assert found
    assert all('"' not in tag for _, tag in found)


@pytest.mark.parametrize("text", ['"7', "7", '"7" "8"', '"7",, "8"', "", '"a\x7f"'])
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(NotServed):
        etags.parse(text, "If-Match")


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        (None, accept.RAW),
        ("*/*", accept.RAW),
        ("application/json", accept.JSON),
        ("application/vnd.msgpack", accept.MSGPACK),
        ("text/html, application/*;q=0.5", accept.RAW),
        ("application/octet-stream;q=0.1, application/json;q=0.9", accept.JSON),
        ("application/octet-stream;q=0, */*;q=0.1", accept.JSON),
    ],
)
def test_the_form_that_is_liked_best(text: str | None, chosen: str) -> None:
    assert accept.choose(text, (accept.RAW, accept.JSON, accept.MSGPACK)) == chosen


@given(st.text(max_size=60))
def test_any_accept_chooses_one_or_is_refused(text: str) -> None:
    try:
        assert accept.choose(text, (accept.JSON, accept.EVENTS)) in (accept.JSON, accept.EVENTS)
    except NotServed as refused:
        assert refused.code == "not_acceptable"


def test_moments() -> None:
    assert params.read_at("12345", NOW) == params.At(rev=12345)
    assert params.read_at("-15m", NOW) == params.At(time=NOW - timedelta(minutes=15))
    assert params.read_at("2026-03-01T13:00:00+01:00", NOW) == params.At(time=NOW)
    for wrong in ("", "-", "-5", "15m", "now", "2026-03-01T12:00:00", "9" * 20, "-1x", "1.5"):
        with pytest.raises(ValueError, match=r"."):
            params.read_at(wrong, NOW)


@given(st.text(max_size=20))
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    try:
        at = params.read_at(text, NOW)
    except ValueError:
        return
    assert (at.rev is None) != (at.time is None)


MARK = st.recursive(
    st.none() | st.integers(0, 1 << 40) | st.binary(max_size=20) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(st.integers(0, (1 << 63) - 1), MARK)
def test_a_cursor_says_what_was_put_into_it(rev: int, mark: Any) -> None:
    assert cursors.read(cursors.write(rev, mark)) == (rev, mark)


@given(st.text(max_size=80) | st.text("ABCDwxyz0189-_", max_size=80))
def test_any_other_text_is_no_cursor(text: str) -> None:
    try:
        rev, _ = cursors.read(text)
    except NotServed as refused:
        assert refused.code == "usage"
    else:
        assert 0 <= rev < 1 << 63


@given(st.lists(COMPONENT, max_size=4).map(lambda names: "/" + "/".join(names)))
def test_a_path_that_is_spelled_comes_out_as_it_is_or_is_refused(path: str) -> None:
    from urllib.parse import quote

    raw = quote(path[1:]).encode()
    if paths.check(path) is None:
        assert entrance.registry_path(raw) == path
    else:
        with pytest.raises(BadPath):
            entrance.registry_path(raw)


@given(st.binary(max_size=30))
def test_whatever_stands_in_a_url_is_a_path_or_refused(raw: bytes) -> None:
    try:
        path = entrance.registry_path(raw)
    except BadPath:
        return
    assert paths.check(path) is None


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:80", "a.localhost", "127.0.0.1:8048", "[::1]:1", "10.0.0.1", "Gate.Example:443"],
)
def test_hosts_that_are_this_gateway(host: str) -> None:
    entrance.check_host(host, frozenset({"gate.example"}))


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "localhost.evil.example",
        "gate.example.evil",
        "a b",
        "127.0.0.1.evil.example",
        "[::1",
    ],
)
def test_hosts_that_are_not(host: str | None) -> None:
    with pytest.raises(NotServed) as caught:
        entrance.check_host(host, frozenset({"gate.example"}))
    assert caught.value.code == "wrong_host"


OWN = {"host": "127.0.0.1:8048"}


@pytest.mark.parametrize(
    ("method", "headers", "served"),
    [
        ("GET", {}, True),
        ("PUT", {}, True),
        ("PUT", {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8048"}, True),
        ("GET", {"sec-fetch-site": "none"}, True),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, True),
        ("POST", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, False),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, False),
        ("PUT", {"sec-fetch-site": "same-site"}, False),
        ("PUT", {"origin": "http://evil.example"}, False),
        ("PUT", {"origin": "http://127.0.0.1:9999"}, False),
        ("PUT", {"origin": "null"}, False),
    ],
)
def test_a_page_of_another_site_is_not_served(method: str, headers: dict[str, str], served: bool) -> None:
    try:
        entrance.check_origin(method, {**OWN, **headers})
    except NotServed as refused:
        assert (refused.code, served) == ("cross_origin", False)
    else:
        assert served


def test_credentials() -> None:
    assert credential.read(None, None).token is None
    assert credential.read("bearer vis_a", "ada").token == "vis_a"
    assert credential.read("Basic cHJvbTp2aXNfYQ==", None).token == "vis_a"
    assert "vis_a" not in repr(credential.read("Bearer vis_a", None))
    for wrong in (
        "vis_a",
        "Bearer",
        "Digest x",
        "Basic ???",
        "Basic cHJvbTpzZWNyZXQ=",
        "Bearer " + "x" * 2000,
    ):
        with pytest.raises(NotServed) as caught:
            credential.read(wrong, None)
        assert caught.value.code == "bad_token"
    with pytest.raises(NotServed):
        credential.read(None, "a\nb")


def test_queries_are_bounded_and_strict() -> None:
    known = (
        params.Param("limit", params.whole(1, 1000), "", 100),
        params.Param("glob", params.TEXTS, "", []),
    )
    assert params.read(params.split(b"glob=/a+b&glob=%2F%C3%A9"), known, NOW) == {
        "limit": 100,
        "glob": ["/a+b", "/é"],
    }
    for wrong in (
        b"limit=0",
        b"limit=1001",
        b"limit=x",
        b"other=1",
        b"limit=1&limit=2",
        b"glob=%ff",
        b"&".join([b"glob=/"] * 33),
        b"limit=" + b"0" * 9000,
    ):
        with pytest.raises(NotServed) as caught:
            params.read(params.split(wrong), known, NOW)
        assert caught.value.code == "usage"
