"""TLS in front of the gateway: who never ends its handshake goes after a time, and keeps nobody out meanwhile."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.gateway import siege
from tests.gateway.running import Running, gateway
from tests.gateway.test_hostile import drip
from tests.patience import PATIENCE, eventually
from visor.gateway.certificate import LOOK_SECONDS, Certificate, UnusableTlsError, context_of
from visor.gateway.counts import Counts
from visor.gateway.handshakes import Handshakes
from visor.testing import Server
from visor.testing.authority import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def files(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("gateway", hosts=("127.0.0.1",))


@pytest.fixture(scope="module")
def secure(registry: Server, files: tuple[Path, Path]) -> Iterator[Running]:
    with gateway(registry.address, tls=files) as one:
        yield one


@pytest.fixture(scope="module")
def strict(registry: Server, files: tuple[Path, Path]) -> Iterator[Running]:
    """One that waits a moment only."""
    with gateway(registry.address, tls=files, seconds=0.05) as one:
        yield one


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.certificate))


def caller(running: Running, authority: Authority) -> httpx.Client:
    verify = trusting(authority)
    return httpx.Client(base_url=running.url, verify=verify, timeout=PATIENCE, trust_env=False)


def connect(running: Running) -> socket.socket:
    return socket.create_connection(running.place, PATIENCE)


def ends(one: socket.socket) -> bytes:
    """Return all that comes until it is closed."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while data := one.recv(65536):
            answer += data
    return answer


def cut(running: Running, why: str) -> int:
    return running.server._gateway.counts.cut[why]


@pytest.mark.parametrize(
    "begun", [b"", siege.first_words()[:1], siege.first_words()], ids=["nothing", "a byte", "a hello"]
)
def test_a_handshake_that_does_not_end_is_given_up_and_counted(strict: Running, begun: bytes) -> None:
    before = cut(strict, "slow_handshake")
    with connect(strict) as one:
        one.sendall(begun)
        ends(one)
    eventually(lambda: cut(strict, "slow_handshake") > before, "it is counted")


def test_a_handshake_that_drips_is_no_longer_for_it(strict: Running) -> None:
    """Each byte is one; the deadline stands."""
    before, whole = cut(strict, "slow_handshake"), siege.first_words()
    with connect(strict) as one:
        drip(one, (whole[place : place + 1] for place in range(len(whole) - 1)))
    eventually(lambda: cut(strict, "slow_handshake") > before, "it is counted")


def test_what_is_no_tls_ends_and_is_counted(
    secure: Running, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    for said in (
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"\0" * 300,
        b"\x16\x03\x01\xff\xff" + b"x" * 70_000,
    ):
        before = cut(secure, "no_tls")
        with connect(secure) as one:
            with contextlib.suppress(OSError):
                one.sendall(said)
            ends(one)
        eventually(lambda before=before: cut(secure, "no_tls") > before, "it is counted")
    with connect(secure) as one, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(one, server_hostname="127.0.0.1")
    with caller(secure, authority) as http:
        assert 'visor_gateway_cut_total{why="no_tls"}' in http.get("/metrics").text
    assert caplog.records == [], "whoever comes decides how often"


def test_who_begins_many_handshakes_keeps_nobody_out(secure: Running, authority: Authority) -> None:
    acceptor = secure.server.acceptor
    assert acceptor is not None
    before = cut(secure, "crowded")
    with caller(secure, authority) as known, ExitStack() as held:
        assert known.get("/healthz").text == "ok\n"
        acceptor.handshakes.each = 4
        silent = [held.enter_context(connect(secure)) for _ in range(12)]
        ends(silent[0])
        with caller(secure, authority) as another:
            assert another.get("/healthz").text == "ok\n"
        assert known.get("/healthz").text == "ok\n", "who has shaken hands has another place"
        assert len(acceptor.handshakes) <= 4
    assert cut(secure, "crowded") >= before + 8
    eventually(lambda: not len(acceptor.handshakes), "the end of those that have gone")


def test_what_is_under_way_ends_with_the_gateway(registry: Server, files: tuple[Path, Path]) -> None:
    with gateway(registry.address, tls=files) as running:
        acceptor = running.server.acceptor
        assert acceptor is not None
        one = connect(running)
        eventually(lambda: len(acceptor.handshakes), "it is under way")
    with one:
        ends(one)


def test_the_oldest_of_an_address_goes_and_of_all_where_no_address_has_too_many() -> None:
    shaking: Handshakes[str] = Handshakes(most=4, each=2)
    assert [shaking.begin(one, one[0]) for one in ("a1", "b1", "b2")] == [None, None, None]
    assert shaking.begin("b3", "b") == "b1"
    shaking.end("b1")
    assert shaking.begin("c1", "c") is None
    assert shaking.begin("d1", "d") == "a1"
    for one in ("a1", "a1", "b2", "b3", "c1", "d1"):
        shaking.end(one)
    assert len(shaking) == 0
    assert shaking.begin("b4", "b") is None


@pytest.mark.parametrize(
    ("cert", "key", "told"),
    [
        ("nowhere.pem", "good.key", "nowhere.pem cannot be read"),
        ("good.key", "good.key", "has no certificate in it"),
        ("good.pem", "good.pem", "has no private key in it"),
        ("good.pem", "other.key", "the key does not belong to the certificate"),
        ("good.pem", "typed.key", "has a passphrase"),
    ],
)
def test_files_that_cannot_be_used_are_named(authority: Authority, cert: str, key: str, told: str) -> None:
    """Before anybody listens, and without a question to a terminal that is not there."""
    folder = authority.folder
    for name in ("good", "other"):
        for made in authority.issue(name):
            made.rename(folder / made.name.removeprefix(f"{authority.name}-"))
    (folder / "typed.key").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    with pytest.raises(UnusableTlsError, match=told):
        context_of(str(folder / cert), str(folder / key))


def shown(certificate: Certificate) -> ssl.SSLContext:
    return certificate.context()


def test_a_certificate_that_was_renewed_is_shown_to_who_comes_then(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Certificate and key are written one after the other: between the two, what was there before stays in use."""
    old, new = authority.issue("before", hosts=("127.0.0.1",)), authority.issue("after", hosts=("127.0.0.1",))
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    for file, content in zip((cert, key), old, strict=True):
        file.write_bytes(content.read_bytes())
    now, counts = [0.0], Counts()
    certificate = Certificate(str(cert), str(key), lambda: now[0], counts)
    first = shown(certificate)
    now[0] += LOOK_SECONDS
    assert shown(certificate) is first, "nothing has changed"
    cert.write_bytes(new[0].read_bytes())
    now[0] += LOOK_SECONDS
    assert shown(certificate) is first
    assert counts.certificate == {"unusable": 1}
    key.write_bytes(new[1].read_bytes())
    assert shown(certificate) is first, "it is not looked for each of them"
    now[0] += LOOK_SECONDS
    assert shown(certificate) is not first
    assert b'certificate_changes_total{outcome="used"} 1' in counts.text(0)
    key.unlink()
    now[0] += LOOK_SECONDS
    assert shown(certificate) is shown(certificate)
    assert counts.certificate == {"unusable": 2, "used": 1}
    assert f"{key} cannot be read" in caplog.text, "an operator is told which file, and why"


def test_a_gateway_goes_on_with_a_renewed_certificate(
    registry: Server, authority: Authority, tmp_path: Path
) -> None:
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    for file, content in zip(files, authority.issue("first", hosts=("127.0.0.1",)), strict=True):
        file.write_bytes(content.read_bytes())

    def number(running: Running) -> str:
        with (
            connect(running) as one,
            trusting(authority).wrap_socket(one, server_hostname="127.0.0.1") as wrapped,
        ):
            told = wrapped.getpeercert()
            assert told is not None
            return str(told["serialNumber"])

    with gateway(registry.address, tls=files) as running:
        before = number(running)
        for file, content in zip(files, authority.issue("second", hosts=("127.0.0.1",)), strict=True):
            file.write_bytes(content.read_bytes())
        certificate = running.server.certificate
        assert certificate is not None
        certificate._next = 0.0
        assert number(running) != before
