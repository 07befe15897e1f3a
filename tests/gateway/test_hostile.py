"""Who means harm by HTTP: slow bodies, large heads, strange hosts, other pages. Each is refused and counted."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Iterator

import pytest

from tests.gateway.running import Caller, Running, gateway
from tests.patience import PATIENCE, eventually
from visor.testing import Server


def say(running: Running, *pieces: bytes) -> bytes:
    """Send this over a connection of its own, and return all that comes back until it is closed."""
    with socket.create_connection(running.place, PATIENCE) as connection:
        for piece in pieces:
            connection.sendall(piece)
        answer = b""
        try:
            while data := connection.recv(65536):
                answer += data
        except ConnectionResetError:
            pass
        return answer


def drip(connection: socket.socket, pieces: Iterator[bytes]) -> None:
    """Say one piece after another, until the other side ends it: it must."""
    connection.settimeout(0.001)

    def ended() -> bool:
        try:
            connection.sendall(next(pieces, b""))
            return not connection.recv(1000)
        except TimeoutError:
            return False
        except OSError:
            return True

    eventually(ended, "the end of a connection that drips")


def status_and_code(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


@pytest.fixture(scope="module")
def strict(registry: Server) -> Iterator[Running]:
    """One that waits a moment only for a request to arrive."""
    with gateway(registry.address, seconds=0.05) as one:
        yield one


HEAD = b"PUT /v1/files/slow HTTP/1.1\r\nhost: localhost\r\n"


@pytest.mark.parametrize(
    "begun", [b"", b"P", HEAD, HEAD + b"x: "], ids=["nothing", "a letter", "a head", "a header"]
)
def test_a_request_that_does_not_arrive_is_given_up(strict: Running, begun: bytes) -> None:
    assert status_and_code(say(strict, begun)) == (408, "too_slow")


def test_a_body_that_does_not_arrive_is_given_up_and_nothing_is_written(strict: Running) -> None:
    say(strict, HEAD + b"content-length: 10\r\n\r\n12345")
    with Caller(strict.url) as http:
        assert http.problem("GET", "/v1/files/slow") == (404, "not_found")
        assert 'visor_gateway_cut_total{why="too_slow"}' in http.get("/metrics").text


def test_many_bytes_that_drip_are_no_excuse(strict: Running) -> None:
    """Each byte would have moved a timer that is set anew; the deadline stands."""
    with socket.create_connection(strict.place, PATIENCE) as connection:
        connection.sendall(HEAD + b"content-length: 1000000\r\n\r\n")
        drip(connection, itertools.repeat(b"x"))


def test_a_large_head_is_refused(running: Running) -> None:
    line = b"GET /v1/files/a HTTP/1.1\r\nhost: localhost\r\n"
    assert status_and_code(say(running, line + b"x: " + b"y" * 20_000 + b"\r\n\r\n")) == (
        431,
        "head_too_large",
    )
    assert status_and_code(say(running, line + b"x: " + b"y" * 10_000, b"y" * 10_000)) == (
        431,
        "head_too_large",
    )
    many = b"".join(b"x%d: y\r\n" % number for number in range(200))
    assert status_and_code(say(running, line + many + b"\r\n")) == (431, "head_too_large")
    assert status_and_code(say(running, b"GET /" + b"a" * 20_000)) == (431, "head_too_large")


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"PUT /v1/files/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        b"PUT /v1/files/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\nx",
    ],
)
def test_what_is_no_http_is_refused(running: Running, request_: bytes) -> None:
    assert status_and_code(say(running, request_)) == (400, "usage")


def test_headers_that_two_readers_would_take_differently_are_refused(running: Running) -> None:
    for name in (b"host: localhost", b'if-match: "1"', b"authorization: Bearer vis_a"):
        twice = (
            b"GET /v1/files/a HTTP/1.1\r\nconnection: close\r\nhost: localhost\r\n"
            + (name + b"\r\n") * 2
            + b"\r\n"
        )
        assert status_and_code(say(running, twice)) == (400, "usage")


def test_a_stranger_name_is_not_this_gateway(http: Caller) -> None:
    assert http.problem("GET", "/v1/files/a", headers={"host": "evil.example"}) == (421, "wrong_host")


def test_a_page_of_another_site_writes_nothing(http: Caller) -> None:
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert http.problem("PUT", "/v1/files/csrf", content=b"x", headers=headers) == (403, "cross_origin")
    assert http.problem("GET", "/v1/files/csrf") == (404, "not_found")
    answer = http.get("/v1/files/csrf", headers={"origin": http.base_url.__str__().rstrip("/")})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_refusals_are_counted_by_their_word(http: Caller) -> None:
    http.problem("GET", "/v1/files/a", headers={"host": "evil.example"})
    assert 'visor_gateway_refused_total{code="wrong_host"}' in http.get("/metrics").text


def test_what_strangers_send_fills_no_log(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    say(running, b"\x00\x01\r\n\r\n")
    upgrade = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n"
    say(running, upgrade)
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []
