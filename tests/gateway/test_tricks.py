"""Requests that mean harm, one by one: each is refused with a problem that says what was wrong, and is counted.

A row is the request as bytes, and what has to come back. Whoever finds another trick adds a row.
"""

# ruff: noqa: E501  # a table reads better with a row in a line
from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

import visor
from tests.gateway.running import Caller, Running
from tests.gateway.test_hostile import say
from visor.gateway import problems

JSON = b"content-type: application/json"
EVIL = "<script>alert(1)</script>"


def request(
    method: str, target: bytes | str, *headers: bytes, body: bytes = b"", host: bytes = b"localhost"
) -> bytes:
    """Return a request that is the last of its connection."""
    target = target.encode() if isinstance(target, str) else target
    length = (
        [b"content-length: %d" % len(body)]
        if body and not any(row.startswith((b"transfer-encoding", b"content-length")) for row in headers)
        else []
    )
    rows = [
        b"%s %s HTTP/1.1" % (method.encode(), target),
        b"host: " + host,
        b"connection: close",
        *length,
        *headers,
    ]
    return b"\r\n".join(rows) + b"\r\n\r\n" + body


def posted(body: bytes, url: str = "/v1/txn", *headers: bytes) -> bytes:
    return request("POST", url, JSON, *headers, body=body)


def put(*headers: bytes, body: bytes = b"x") -> bytes:
    return request("PUT", "/v1/files/t/x", *headers, body=body)


@dataclass(frozen=True, slots=True)
class Trick:
    """One request, and how it is refused: status, code, and words that say what was wrong."""

    about: str
    sent: bytes
    status: int
    code: str
    words: str = ""


def path(about: str, target: bytes, words: str) -> Trick:
    return Trick(f"path: {about}", request("PUT", b"/v1/files/" + target, body=b"x"), 422, "bad_path", words)


TRICKS = [
    # -- paths ------------------------------------------------------------------------------------------
    path("an encoded slash", b"t%2Fx", "encoded slash"),
    path("an encoded slash in small letters", b"t%2fx", "encoded slash"),
    path("two slashes", b"t//x", ""),
    path("a slash at the end", b"t/", ""),
    path("a slash in the beginning", b"/t", ""),
    path("a dot", b"t/./x", ""),
    path("two dots", b"t/../x", ""),
    path("two encoded dots", b"t/%2e%2e/x", ""),
    path("a dot that is half encoded", b"t/.%2e/x", ""),
    path("an encoded NUL", b"t%00x", ""),
    path("a backslash", b"t%5cx", ""),
    path("a bare backslash", b"t\\x", ""),
    path("an overlong slash", b"t%c0%afx", "UTF-8"),
    path("an overlong dot", b"%c0%ae%c0%ae/x", "UTF-8"),
    path("an overlong slash of three bytes", b"t%e0%80%afx", "UTF-8"),
    path("half of a character", b"t%ed%a0%80", "UTF-8"),
    path("beyond Unicode", b"t%f4%90%80%80", "UTF-8"),
    path("a line end", b"t%0d%0aset-cookie:%20a=b", ""),
    path("a percent sign alone", b"t%", "hexadecimal"),
    path("a percent sign and no number", b"t%zz", "hexadecimal"),
    path("an old spelling of Unicode", b"t%u002fx", "hexadecimal"),
    path("a right-to-left override", b"t%e2%80%aex", ""),
    path("a space that does not break", b"t%c2%a0x", ""),
    path("a semicolon", b"t;x", ""),
    path("longer than a path may be", b"t" * 1100, ""),
    path("deeper than a tree may be", b"t/" * 600 + b"x", ""),
    # -- what is asked for --------------------------------------------------------------------------------
    Trick("target: of another host", request("GET", "http://evil.example/v1/files/t/x"), 400, "ambiguous", "begins with /"),
    Trick("target: without a slash", request("GET", "v1/files/t/x"), 400, "usage"),
    Trick("target: a fragment", request("GET", "/v1/files/t#x"), 400, "ambiguous", "percent-encoded"),
    Trick("target: bytes that are no ASCII", request("GET", b"/v1/files/t\xc3\xa9"), 400, "usage", "no HTTP"),
    Trick("target: another host behind two slashes", request("GET", "//evil.example/v1/files/t"), 404, "no_route"),
    Trick("target: a tunnel", request("CONNECT", "evil.example:443"), 400, "ambiguous"),
    Trick("target: a NUL", request("GET", b"/v1/files/t\0x"), 400, "usage"),
    Trick("method: none that there is", request("BREW", "/v1/files/t/x"), 400, "usage"),
    Trick("method: not here", request("TRACE", "/v1/files/t/x"), 405, "method", "TRACE"),
    Trick("method: asked for leave by another site", request("OPTIONS", "/v1/txn", b"origin: http://evil.example",
          b"access-control-request-method: POST"), 403, "cross_origin", "evil.example"),
    # -- hosts ------------------------------------------------------------------------------------------
    *[
        Trick(f"host: {host.decode()}", request("GET", "/v1/files/t/x", host=host), 421, "wrong_host")
        for host in (b"evil.example", b"localhost.evil.example", b"127.0.0.1.evil.example", b"evil.example:8048",
                     b"localhost@evil.example", b"2130706433", b"0x7f.1", b"[::1", b"", b"a b", b"localhost/../evil")
    ],
    Trick("host: none", b"GET /v1/files/t/x HTTP/1.1\r\nconnection: close\r\n\r\n", 421, "wrong_host", "no host"),
    Trick("host: two", request("GET", "/v1/files/t/x", b"host: evil.example"), 400, "usage", "host"),
    # -- pages of other sites ---------------------------------------------------------------------------------
    Trick("site: a form", request("POST", "/v1/txn", b"content-type: application/x-www-form-urlencoded",
          b"origin: http://evil.example", body=b"then=1"), 403, "cross_origin"),
    Trick("site: a form of an old browser", request("POST", "/v1/txn", b"content-type: application/x-www-form-urlencoded",
          body=b"then=1"), 415, "media_type", "application/json"),
    Trick("site: a form with files", request("POST", "/v1/txn", b"content-type: multipart/form-data; boundary=x",
          body=b"--x--"), 415, "media_type", "application/json"),
    Trick("site: JSON as text", request("POST", "/v1/txn", b"content-type: text/plain", body=b"{}"), 415, "media_type", "text/plain"),
    Trick("site: JSON without a type", request("POST", "/v1/txn", body=b"{}"), 415, "media_type", "no type"),
    Trick("site: fetched without CORS", request("GET", "/v1/files/t/x", b"sec-fetch-site: cross-site",
          b"sec-fetch-mode: no-cors"), 403, "cross_origin"),
    Trick("site: fetched as a script", request("GET", "/v1/tree/", b"sec-fetch-site: cross-site", b"sec-fetch-mode: no-cors",
          b"sec-fetch-dest: script"), 403, "cross_origin"),
    Trick("site: a sibling", request("PUT", "/v1/files/t/x", b"sec-fetch-site: same-site", body=b"x"), 403, "cross_origin"),
    Trick("site: sandboxed", request("PUT", "/v1/files/t/x", b"origin: null", body=b"x"), 403, "cross_origin"),
    Trick("site: a page of another port", request("GET", "/metrics", b"origin: http://localhost:1"), 403, "cross_origin"),
    Trick("site: a navigation that writes", request("DELETE", "/v1/files/t/x", b"sec-fetch-site: cross-site",
          b"sec-fetch-mode: navigate"), 403, "cross_origin"),
    # -- one request that two readers take for two -----------------------------------------------------------------
    Trick("smuggled: length and chunks", put(b"content-length: 6", b"transfer-encoding: chunked", body=b"0\r\n\r\nG"), 400, "usage"),
    Trick("smuggled: two lengths", put(b"content-length: 1", b"content-length: 2"), 400, "usage"),
    Trick("smuggled: a length twice", put(b"content-length: 1", b"content-length: 1"), 400, "usage"),
    Trick("smuggled: a length of two numbers", put(b"content-length: 1, 1"), 400, "usage"),
    Trick("smuggled: a length below nothing", put(b"content-length: -1"), 400, "usage"),
    Trick("smuggled: a length with a sign", put(b"content-length: +1"), 400, "usage"),
    Trick("smuggled: a length of letters", put(b"content-length: 0x1"), 400, "usage"),
    Trick("smuggled: a length beyond all numbers", put(b"content-length: 99999999999999999999"), 400, "usage"),
    Trick("smuggled: another coding", put(b"transfer-encoding: xchunked", body=b"1\r\nx\r\n0\r\n\r\n"), 400, "ambiguous"),
    Trick("smuggled: chunks, and then another coding", put(b"transfer-encoding: chunked, identity", body=b"0\r\n\r\n"), 400, "usage"),
    Trick("smuggled: packed, then in chunks", put(b"transfer-encoding: gzip, chunked", body=b"1\r\nx\r\n0\r\n\r\n"), 400, "ambiguous"),
    Trick("smuggled: chunks said twice", put(b"transfer-encoding: chunked", b"transfer-encoding: chunked",
          body=b"1\r\nx\r\n0\r\n\r\n"), 400, "usage"),
    Trick("smuggled: chunks in HTTP/1.0", put(b"transfer-encoding: chunked", body=b"1\r\nx\r\n0\r\n\r\n")
          .replace(b"HTTP/1.1", b"HTTP/1.0"), 400, "ambiguous"),
    Trick("smuggled: a space before the colon", put(b"transfer-encoding : chunked", body=b"0\r\n\r\n"), 400, "usage"),
    Trick("smuggled: a header that goes on in another line", request("GET", "/v1/files/t/x", b"x: a\r\n b"), 400, "usage"),
    Trick("smuggled: a length that goes on in another line", put(b"content-length:\r\n 1"), 400, "usage"),
    Trick("smuggled: bare line feeds", b"GET /v1/files/t HTTP/1.1\nhost: localhost\n\n", 400, "usage"),
    Trick("smuggled: a bare line feed in the head", request("GET", "/v1/files/t/x", b"x: a\ny: b"), 400, "usage"),
    Trick("smuggled: a bare carriage return", request("GET", "/v1/files/t/x", b"x: a\ry: b"), 400, "usage"),
    Trick("smuggled: a NUL in a header", request("GET", "/v1/files/t/x", b"x: a\0b"), 400, "usage"),
    Trick("smuggled: a header without a name", request("GET", "/v1/files/t/x", b": a"), 400, "usage"),
    Trick("smuggled: a chunk of no size", put(b"transfer-encoding: chunked", body=b"x\r\nx\r\n0\r\n\r\n"), 400, "usage"),
    Trick("smuggled: a chunk beyond all numbers", put(b"transfer-encoding: chunked", body=b"fffffffffffffffff\r\n"), 400, "usage"),
    Trick("smuggled: a chunk longer than it says", put(b"transfer-encoding: chunked", body=b"1\r\nxyz\r\n0\r\n\r\n"), 400, "usage"),
    Trick("smuggled: a header behind the body", put(b"transfer-encoding: chunked", b"trailer: visor-actor",
          body=b"1\r\nx\r\n0\r\nvisor-actor: root\r\n\r\n"), 400, "ambiguous", "behind the body"),
    Trick("smuggled: a space before the first header", b"GET /v1/files/t HTTP/1.1\r\n x: y\r\nhost: localhost\r\n\r\n", 400, "usage"),
    *[
        Trick(f"twice: {name.decode()}", put(*[name + b": 1"] * 2), 400, "usage", name.decode())
        for name in (b"if-match", b"visor-note", b"visor-actor", b"visor-lease", b"idempotency-key", b"authorization", b"content-type")
    ],
    # -- other protocols and forms -------------------------------------------------------------------------------
    Trick("protocol: a WebSocket", request("GET", "/v1/watch", b"connection: upgrade", b"upgrade: websocket",
          b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", b"sec-websocket-version: 13"), 400, "upgrade", "/v1/watch"),
    Trick("protocol: HTTP/2 without asking", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 400, "usage"),
    Trick("protocol: HTTP/0.9", b"GET /v1/files/t\r\n\r\n", 400, "ambiguous", "HTTP/1.1"),
    Trick("protocol: HTTP of another world", b"GET /v1/files/t HTTP/3.7\r\n\r\n", 400, "usage"),
    Trick("protocol: TLS in the clear", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64, 400, "usage"),
    Trick("packed: a value", put(b"content-encoding: gzip"), 415, "media_type", "Content-Encoding"),
    Trick("packed: a transaction", posted(b"{}", "/v1/txn", b"content-encoding: deflate"), 415, "media_type", "Content-Encoding"),
    Trick("packed: brotli", put(b"content-encoding: br"), 415, "media_type", "Content-Encoding"),
    Trick("part: of a value", put(b"content-range: bytes 0-0/2"), 415, "media_type", "Content-Range"),
    # -- bodies -----------------------------------------------------------------------------------------
    Trick("json: deep", posted(b'{"then":' * 20_000), 400, "usage", "not JSON"),
    Trick("json: deep lists", posted(b'{"a":' + b"[" * 1_000_000), 413, "body_too_large", "elements"),
    Trick("json: many small things", posted(b'{"then":[' + b"{}," * 150_000 + b"{}]}"), 413, "body_too_large", "elements"),
    Trick("json: a key twice", posted(b'{"note":"a","note":"b"}'), 400, "usage", "'note' is there twice"),
    Trick("json: a key twice within", posted(b'{"then":[{"set":"/t/x","value":"a","value":"b"}]}'), 400, "usage", "twice"),
    Trick("json: no number", posted(b'{"then":[{"set":"/t/x","value":"a","lease":NaN}]}'), 400, "usage", "NaN"),
    Trick("json: beyond all numbers", posted(b'{"ttl":-Infinity}', "/v1/leases"), 400, "usage", "Infinity"),
    Trick("json: a number of 65 bits", posted(b'{"if":[{"kind":"rev","path":"/t","rev":18446744073709551616}]}'), 400, "usage", "9223372036854775807"),
    Trick("json: a number of 64 bits", posted(b'{"if":[{"kind":"rev","path":"/t","rev":9223372036854775808}]}'), 400, "usage", "9223372036854775807"),
    Trick("json: a number of a million digits", posted(b'{"ttl":' + b"9" * 1_000_000 + b"}", "/v1/leases"), 400, "usage", "not JSON"),
    Trick("json: a large power", posted(b'{"ttl":1e999}', "/v1/leases"), 400, "usage", "ttl"),
    Trick("json: a whole number with a dot", posted(b'{"if":[{"kind":"rev","path":"/t","rev":1.0}]}'), 400, "usage", "whole number"),
    Trick("json: half of a character in a path", posted(b'{"then":[{"set":"/t/\\ud800","value":""}]}'), 400, "unsendable"),
    Trick("json: half of a character in a value", posted(b'{"then":[{"set":"/t/x","value":"\\ud800"}]}'), 400, "usage", "half of a character"),
    Trick("json: no UTF-8", posted(b'{"note":"\xff"}'), 400, "usage", "not JSON"),
    Trick("json: a mark of the byte order", posted(b"\xef\xbb\xbf{}"), 400, "usage", "not JSON"),
    Trick("json: UTF-16", posted('{"then":[{"get":"/t"}]}'.encode("utf-16")), 400, "usage", "utf-8"),
    Trick("json: more behind it", posted(b"{}{}"), 400, "usage", "not JSON"),
    Trick("json: what other languages have", posted(b'{"__proto__":{"admin":true}}'), 400, "usage", "__proto__"),
    Trick("body: more than is taken", put(body=b"x" * (4 << 20) + b"x"), 413, "body_too_large", "4194304"),
    Trick("body: announced, and more than is ever read", put(b"content-length: 99999999999"), 413, "body_too_large", "99999999999"),
    # -- queries and streams ------------------------------------------------------------------------------------
    Trick("query: large", request("GET", "/v1/scan?glob=/" + "a" * 9000), 400, "usage", "8192"),
    Trick("query: many", request("GET", "/v1/scan?" + "&".join(["glob=/a"] * 65)), 400, "usage", "64"),
    Trick("query: many globs", request("GET", "/v1/scan?" + "&".join(["glob=/a"] * 33)), 400, "usage", "32"),
    Trick("query: unknown", request("GET", "/v1/scan?globb=/a"), 400, "usage", "globb"),
    Trick("query: twice", request("GET", "/v1/scan?limit=1&limit=2"), 400, "usage", "twice"),
    Trick("query: no UTF-8", request("GET", "/v1/scan?glob=/%ff"), 400, "usage", "UTF-8"),
    Trick("query: markup", request("GET", f"/v1/scan?{EVIL.replace(' ', '')}=1"), 400, "usage", "not known"),
    Trick("glob: braces that make thousands", request("GET", "/v1/scan?glob=/" + "{a,b}" * 14), 422, "bad_glob"),
    Trick("glob: braces within braces", request("GET", "/v1/watch?glob=/" + "{a," * 40 + "b" + "}" * 40), 422, "bad_glob"),
    Trick("glob: more wildcards than there may be", request("GET", "/v1/scan?glob=/" + "*a" * 100), 422, "bad_glob"),
    Trick("glob: of dots", request("GET", "/v1/scan?glob=/../**"), 422, "bad_glob"),
    Trick("stream: more names than there may be",
          posted(json.dumps({f"n{number}": "/a" for number in range(33)}).encode(), "/v1/watch"), 400, "usage", "32"),
    Trick("stream: more globs than there may be", posted(json.dumps({"a": "/{" + ",".join(map(str, range(33))) + "}"}).encode(),
          "/v1/watch"), 400, "usage", "32"),
    Trick("stream: a name that is large", posted(json.dumps({"n" * 100_000: "/a"}).encode(), "/v1/watch"), 400, "usage", "100000"),
    Trick("stream: an id with a line end", request("GET", "/v1/watch", b"last-event-id: a:1 data: x"), 400, "usage", "Last-Event-ID"),
    Trick("stream: an id beyond all numbers", request("GET", "/v1/watch", b"last-event-id: a:9999999999999999999"), 400, "usage"),
    Trick("cursor: made up", request("GET", "/v1/scan?cursor=AAAA"), 400, "usage", "cursor"),
    Trick("cursor: a bomb", request("GET", "/v1/scan?cursor=3f____8"), 400, "usage", "cursor"),
    # -- credentials, headers ------------------------------------------------------------------------------------
    Trick("token: none that there is", request("GET", "/v1/rev", b"authorization: Bearer vis_nothing"), 401, "bad_token"),
    Trick("token: large", request("GET", "/v1/rev", b"authorization: Bearer " + b"v" * 5000), 401, "bad_token", "longer"),
    Trick("token: another scheme", request("GET", "/v1/rev", b"authorization: Negotiate YII="), 401, "bad_token"),
    Trick("actor: a line end", request("PUT", "/v1/files/t/x", b"visor-actor: a\x0bb", body=b"x"), 400, "usage"),
    Trick("actor: long", request("PUT", "/v1/files/t/x", b"visor-actor: " + b"a" * 300, body=b"x"), 400, "usage", "200"),
    Trick("lease: no number", put(b"visor-lease: 1e3"), 400, "usage", "Visor-Lease"),
    Trick("lease: in the URL, no number", request("GET", "/v1/leases/" + "9" * 100), 404, "lease_not_found"),
    Trick("tag: endless", put(b"if-match: " + b'"' * 8000), 400, "usage", "If-Match"),
    Trick("accept: nothing that there is", request("GET", "/v1/rev", b"accept: text/html"), 406, "not_acceptable"),
]  # fmt: skip


def told(answer: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return status, headers and problem of the last answer of a connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, json.loads(body)


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.about)
def test_it_is_refused_in_words(trick: Trick, running: Running) -> None:
    answer = say(running, trick.sent)
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    status, headers, problem = told(answer)
    assert (status, problem["code"]) == (trick.status, trick.code), problem
    assert trick.words in problem["detail"], problem
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-content-type-options"] == "nosniff"
    assert not [name for name in headers if name.startswith("access-control")]
    assert len(re.findall(rb"HTTP/1\.1 \d{3} ", answer)) == 1, "one request, one answer"


def test_all_of_them_are_counted_by_their_reason_and_change_nothing(
    running: Running, http: Caller, client: visor.Client[bytes]
) -> None:
    def counted() -> dict[str, int]:
        found = re.findall(
            r'visor_gateway_(?:refused|cut)_total\{(?:code|why)="(\w+)"\} (\d+)', http.get("/metrics").text
        )
        return {code: sum(int(count) for name, count in found if name == code) for code, _ in found}

    rev, before = client.rev(), counted()
    for trick in TRICKS:
        say(running, trick.sent)
    after = counted()
    for code in {trick.code for trick in TRICKS}:
        least = sum(trick.code == code for trick in TRICKS)
        assert after[code] - before.get(code, 0) >= least, code
    assert client.rev() == rev
    assert after.keys() <= problems.pages().keys(), "no reason that a stranger made up"


MARKUP = f'{EVIL}<img src=x onerror="alert(2)">'


def test_no_answer_can_be_run_as_a_page(http: Caller, client: visor.Client[bytes]) -> None:
    """Values, names, notes and actors that are markup: in every kind of answer they are data of a type that is none."""
    value = f"<!doctype html><html>{MARKUP}</html>".encode()
    name = "%3Cscript%3Ealert(1)%3C%2Fscript%3E"
    rev = client.set("/x/page.html", value, note=MARKUP)
    client.set("/x/a&b", value)
    urls = [
        "/v1/files/x/page.html", "/v1/files/x/a&b", f"/v1/files/x/page.html?at={rev}", "/v1/tree/x?values=1",
        "/v1/scan?glob=/x/**&values=1", "/v1/commits?glob=/x/**&values=1", "/v1/history/x?values=1", "/v1/blame/x",
        f"/v1/diff?a={rev - 1}&glob=/x/**", f"/v1/watch?glob=/x/**&after={rev - 1}", "/v1/stat/x/page.html",
        f"/v1/files/{name}", f"/{name}", f"/docs/{name}", f"/v1/scan?glob={name}", f"/v1/scan?{name}=1",
        f"/v1/apps/{name}", f"/v1/leases/{name}", f"/v1/files/x?at={name}", "/metrics", "/openapi.json",
    ]  # fmt: skip
    for accept in ("*/*", "text/html", "application/json", "application/jsonl"):
        for url in urls:
            answer = http.get(url, headers={"accept": accept})
            kind = answer.headers["content-type"]
            assert kind.partition(";")[0] in (
                "application/octet-stream", "application/json", "application/jsonl", "application/problem+json", "text/plain",
            ), (url, kind)  # fmt: skip
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            if kind == "application/octet-stream":
                assert answer.headers["content-disposition"].startswith("attachment")
                assert answer.headers["content-security-policy"].startswith("sandbox")
    for page in ("/docs", "/docs/problems", "/docs/problems/usage"):
        assert EVIL not in http.get(page).text


def test_what_is_sent_behind_a_request_is_no_request_of_its_own(
    running: Running, client: visor.Client[bytes]
) -> None:
    """A body that is a request, whatever it is announced as, is a value or nothing."""
    inner = request("PUT", "/v1/files/t/smuggled", body=b"x")
    for outer in (
        put(b"content-length: %d" % len(inner), body=inner),
        put(b"transfer-encoding: chunked", body=b"%x\r\n" % len(inner) + inner + b"\r\n0\r\n\r\n"),
        put(b"content-length: 0", b"transfer-encoding: chunked", body=b"0\r\n\r\n" + inner),
        request("GET", "/v1/rev", b"content-length: %d" % len(inner), body=inner),
        request("GET", "/v1/rev", b"connection: upgrade", b"upgrade: h2c", body=inner),
    ):
        say(running, outer)
    assert not client.exists("/t/smuggled")


def test_an_upgrade_that_is_not_asked_of_us_is_passed_over(running: Running) -> None:
    """As curl asks with --http2: the answer comes as it would have, and the connection ends."""
    asked = request("GET", "/v1/rev", b"upgrade: h2c", b"http2-settings: AAMAAABkAAQCAAAAAAIAAAAA")
    answer = say(running, asked.replace(b"connection: close", b"connection: upgrade, http2-settings"))
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert b"connection: close" in answer
