"""The port of clients, and of health and metrics, within TLS."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE, eventually
from tests.tls.conftest import Dial, Files, SecureWire, client_context, secure_node
from tests.wire import Closed, Wire
from visor.protocol import verbs
from visor.protocol.frames import encode
from visor.testing.authority import Authority
from visord import embed
from visord.serving import door, listener, secure_transport


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), PATIENCE)


def told(caplog: pytest.LogCaptureFixture, text: str) -> None:
    eventually(lambda: text in caplog.text, f"the log says {text!r}; it says {caplog.text!r}:")


# -- what works -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_and_large_answers_go_through(
    node: embed.Embedded, authority: Authority, version: ssl.TLSVersion
) -> None:
    context = client_context(authority)
    context.minimum_version = context.maximum_version = version
    with SecureWire(node.address, context) as wire:
        assert isinstance(wire.sock, ssl.SSLSocket)
        assert wire.sock.version() == version.name.replace("v1_", "v1.")
        value = os.urandom(700_000)
        path = f"/{version.name.lower()}"
        rev = wire.set(path, value)
        for request in [
            wire.ask(verbs.GET, path) for _ in range(20)
        ]:  # 14 MB: the node has to wait for this reader
            got, version_ = wire.answer(request)
            assert got >= rev and version_[1] == value


def test_nothing_older_or_weaker_is_spoken(node: embed.Embedded, authority: Authority) -> None:
    context = client_context(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        SecureWire(node.address, context)


def test_bytes_may_come_one_by_one(node: embed.Embedded, authority: Authority) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(authority).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with connect(node.address) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def send() -> None:
            for byte in outgoing.read():
                sock.sendall(bytes([byte]))

        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                send()
                incoming.write(sock.recv(65536))
        tls.write(encode([verbs.HELLO, 1, {"versions": [1], "client": "tests"}]))
        send()
        incoming.write(sock.recv(65536))
        assert tls.read(65536)[:3] == encode([verbs.OK, 1, None])[:3]


# -- what is wrong, told on both sides --------------------------------------------------------------------


def test_a_client_in_clear_is_told_so_in_its_own_words(
    node: embed.Embedded, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Closed) as closed:
        Wire(node.address)
    assert closed.value.goaway == ("unsupported", secure_transport.IN_CLEAR)
    told(caplog, "it does not speak TLS")


def test_a_browser_in_clear_is_told_so_in_its_own_words(node: embed.Embedded) -> None:
    with connect(node.address) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        answer = b""
        while data := sock.recv(4096):
            answer += data
    assert answer.startswith(b"HTTP/1.1 400 ") and b"https://" in answer


def test_a_client_with_tls_at_a_port_in_clear_is_told_in_the_log(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with embed.start() as running, pytest.raises(ssl.SSLError):
        SecureWire(running.address, client_context(authority))
    told(caplog, "not the first byte of TLS, which is not spoken here")


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({}, "unable to get local issuer|self-signed certificate in certificate chain"),
        ({"begins": -20.0, "ends": -10.0}, "certificate has expired"),
        ({"begins": 10.0, "ends": 20.0}, "certificate is not yet valid"),
        ({"hosts": ("other.example",)}, "IP address mismatch"),
    ],
    ids=["authority", "expired", "not yet", "name"],
)
def test_a_node_with_a_wrong_certificate_is_left_and_its_log_says_why(
    authority: Authority,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    made: dict[str, object],
    says: str,
) -> None:
    maker = authority if made else Authority(tmp_path, "stranger")
    files = maker.issue("bad", **{"hosts": ("127.0.0.1",), **made})  # type: ignore[arg-type]
    with secure_node(files) as running, pytest.raises(ssl.SSLCertVerificationError, match=says):
        SecureWire(running.address, client_context(authority))
    told(caplog, "no TLS: the client ")


def test_a_demanded_certificate_that_is_not_shown_ends_the_connection_and_is_told(
    authority: Authority, server_files: Files, caplog: pytest.LogCaptureFixture, dial: Dial
) -> None:
    with secure_node(server_files, client_ca=authority.certificate, client_cert="required") as running:
        with pytest.raises((ssl.SSLError, Closed)):
            dial(running.address)
        told(caplog, "the client shows no certificate, which is asked for here")
        dial(running.address, authority.issue("known", user="ci")).set("/a", b"1")


@pytest.mark.parametrize("demand", ["optional", "required"])
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("expired", "the client's certificate has expired, unless this machine's clock ("),
        ("not yet", "the client's certificate is not valid yet: the clock of this machine ("),
        ("stranger", "the client's certificate was not made by an authority that is trusted here"),
    ],
)
def test_a_wrong_certificate_is_refused_also_where_none_is_demanded(
    authority: Authority,
    server_files: Files,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    dial: Dial,
    demand: str,
    kind: str,
    says: str,
) -> None:
    days = {"expired": (-20.0, -10.0), "not yet": (10.0, 20.0)}.get(kind, (-1.0, 10.0))
    maker = Authority(tmp_path, "stranger") if kind == "stranger" else authority
    files = maker.issue("client", user="ci", begins=days[0], ends=days[1])
    with secure_node(server_files, client_ca=authority.certificate, client_cert=demand) as running:
        with pytest.raises((ssl.SSLError, ConnectionError, Closed)):
            dial(running.address, files)
        told(caplog, says)


# -- who is there ---------------------------------------------------------------------------------------


def connections(running: embed.Embedded) -> list[listener.Connection]:
    server = running._server
    assert server is not None and server._door is not None
    return list(server._door)


def test_the_connection_knows_the_users_name_that_was_proven(
    authority: Authority, server_files: Files, dial: Dial
) -> None:
    with secure_node(server_files, client_ca=authority.certificate, client_cert="optional") as running:
        files = authority.issue("someone", user="ci")
        dial(running.address, files)
        [connection] = connections(running)
        assert connection.certificate is not None
        assert connection.certificate.user == "ci"
        encoded = ssl.PEM_cert_to_DER_cert(files[0].read_text())
        assert (
            connection.certificate.fingerprint
            == secure_transport.identity_of({"notAfter": "Jan  2 00:00:00 1970 GMT"}, encoded).fingerprint
        )
        dial(running.address)
        assert {one.certificate is None for one in connections(running)} == {True, False}


# -- taken back, exchanged ------------------------------------------------------------------------------


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The node looks at its files again and again."""
    monkeypatch.setattr(door, "LOOK_SECONDS", 0.01)


def serial_of(certificate: Path) -> str:
    from cryptography import x509

    return f"{x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number:X}"


def sent_away(wire: SecureWire) -> tuple[str, str]:
    """Return why the node ends a connection, when it does."""
    with pytest.raises(Closed) as closed:
        while True:
            wire.read()
    assert closed.value.goaway is not None
    return closed.value.goaway


@pytest.mark.usefixtures("hurried")
def test_a_certificate_that_is_taken_back_is_refused_and_who_is_connected_with_it_goes(
    authority: Authority, server_files: Files, dial: Dial, tmp_path: Path
) -> None:
    ours, others = (authority.issue(name, user=name) for name in ("gone", "stays"))
    revoked = tmp_path / "revoked"
    revoked.write_text("# nobody yet\n")
    settings = {"client_ca": authority.certificate, "client_cert": "required", "revoked": revoked}
    with secure_node(server_files, **settings) as running:
        wire, other = dial(running.address, ours), dial(running.address, others)
        revoked.write_text(f"serial={serial_of(ours[0])}  # its laptop was lost\n")
        code, text = sent_away(wire)
        assert code == "denied" and "was revoked" in text
        with pytest.raises(Closed) as closed:
            dial(running.address, ours)
        assert closed.value.goaway is not None and closed.value.goaway[0] == "denied"
        other.set("/a", b"1")


@pytest.mark.usefixtures("hurried")
def test_what_was_taken_back_by_other_means_counts_too(
    authority: Authority, server_files: Files, dial: Dial
) -> None:
    files = authority.issue("ci", user="ci")
    with secure_node(server_files, client_ca=authority.certificate, client_cert="required") as running:
        wire = dial(running.address, files)
        server = running._server
        assert server is not None and server._factory.credentials is not None
        server._factory.credentials.is_revoked = lambda fingerprint: len(fingerprint) == 64
        assert sent_away(wire)[0] == "denied"
        with pytest.raises(Closed):
            dial(running.address, files)


@pytest.mark.usefixtures("hurried")
def test_a_renewed_certificate_is_shown_to_new_connections_and_a_broken_one_is_not(
    authority: Authority, tmp_path: Path, dial: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (authority.issue(name, hosts=("127.0.0.1",)) for name in ("first", "second"))
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(first[0].read_bytes())
    key.touch(mode=0o600)
    key.write_bytes(first[1].read_bytes())

    def shown(wire: SecureWire) -> str:
        assert isinstance(wire.sock, ssl.SSLSocket)
        certificate: object = wire.sock.getpeercert()
        assert isinstance(certificate, dict)
        return str(dict(part[0] for part in certificate["subject"])["commonName"])

    with secure_node((cert, key)) as running:
        before = dial(running.address)
        assert shown(before) == "first"
        node = running._server.node if running._server is not None else None
        assert node is not None
        cert.write_bytes(second[0].read_bytes())  # its key is not there yet
        told(caplog, "does not belong to the certificate")
        assert shown(dial(running.address)) == "first"
        [alarm] = [one for one in before.call(verbs.STATUS)["alarms"] if one.startswith("certificate")]
        assert alarm.startswith("certificate not read: listen.tls_cert: ") and str(key) in alarm
        key.write_bytes(second[1].read_bytes())
        told(caplog, "were read again")
        assert shown(dial(running.address)) == "second"
        assert [one for one in before.call(verbs.STATUS)["alarms"] if one.startswith("certificate")] == []
        before.set("/a", b"1")  # what is connected stays
    caplog.clear()


# -- those who are slow, and many -----------------------------------------------------------------------


def begin_handshake(address: str) -> socket.socket:
    """Connect, say the first of TLS, and stop."""
    outgoing = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="x")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    sock = connect(address)
    sock.sendall(outgoing.read())
    assert sock.recv(1)  # it is under way
    return sock


def ends(sock: socket.socket) -> None:
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        pass
    finally:
        sock.close()


def test_who_stops_in_the_middle_of_a_handshake_has_as_long_as_a_greeting_may_take(
    server_files: Files, monkeypatch: pytest.MonkeyPatch, dial: Dial
) -> None:
    monkeypatch.setattr(listener, "HELLO_SECONDS", 0.05)
    monkeypatch.setattr(listener, "LINGER_SECONDS", 0.05)
    with secure_node(server_files) as running:
        ends(begin_handshake(running.address))
        ends(connect(running.address))


def test_the_oldest_of_too_many_handshakes_gives_way_and_others_get_in(
    server_files: Files, monkeypatch: pytest.MonkeyPatch, dial: Dial
) -> None:
    monkeypatch.setattr(secure_transport, "HANDSHAKES", 8)
    monkeypatch.setattr(secure_transport, "HANDSHAKES_EACH", 4)
    with secure_node(server_files) as running:
        socks = [begin_handshake(running.address) for _ in range(6)]
        for sock in socks[:2]:
            ends(sock)
        server = running._server
        assert server is not None
        assert len(server._factory.shaking) <= 4
        dial(running.address).set("/a", b"1")
        for sock in socks[2:]:
            sock.close()


def mutants(whole: bytes, chance: random.Random) -> Iterator[bytes]:
    """Yield what is nearly the beginning of TLS, or not at all."""
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        yield bytes(data)
        yield bytes([0x16]) + chance.randbytes(chance.randint(1, 600))
        yield whole[: chance.randint(1, len(whole) - 1)]
        yield chance.randbytes(chance.randint(1, 40))


def test_whatever_is_sent_ends_one_connection_and_nothing_else(
    node: embed.Embedded, authority: Authority, caplog: pytest.LogCaptureFixture, dial: Dial
) -> None:
    chance, outgoing = random.Random(14), ssl.MemoryBIO()
    tls = client_context(authority).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    good = dial(node.address)
    for data in mutants(outgoing.read(), chance):
        with connect(node.address) as sock, contextlib.suppress(OSError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
    for number in range(20):  # records that were changed on their way
        wire = dial(node.address)
        assert isinstance(wire.sock, ssl.SSLSocket)
        with socket.socket(fileno=os.dup(wire.sock.fileno())) as below, contextlib.suppress(OSError):
            below.sendall(b"\x17\x03\x03\x00\x40" + chance.randbytes(64) * (1 + number % 2))
            below.shutdown(socket.SHUT_WR)
            while below.recv(65536):
                pass
    good.set("/a", b"1")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info] == []


# -- health and metrics ---------------------------------------------------------------------------------


def asked(address: str, path: str, context: ssl.SSLContext) -> bytes:
    with context.wrap_socket(connect(address), server_hostname="127.0.0.1") as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        answer = b""
        while data := sock.recv(65536):
            answer += data
    return answer


def test_a_certificate_that_ends_soon_is_an_alarm_and_a_figure(authority: Authority) -> None:
    cert, key = authority.issue("soon", hosts=("127.0.0.1",), ends=4.9)
    settings = {"tls_cert": cert, "tls_key": key, "http": "127.0.0.1:0"}
    context = client_context(authority)
    with embed.start(settings=settings) as running, SecureWire(running.address, context) as wire:
        [alarm] = wire.call(verbs.STATUS)["alarms"]
        assert alarm.startswith(f"certificate: listen.tls_cert ({cert}) expires in 5 days")
        server = running._server
        assert server is not None
        figures = asked(server.http_address, "/metrics", context)
        assert b'visord_alarms{alarm="certificate"} 1' in figures
        assert b'visord_certificate_not_read{use="listen.tls_cert"} 0' in figures


def test_health_and_metrics_are_told_within_tls(authority: Authority, server_files: Files) -> None:
    settings = {"tls_cert": server_files[0], "tls_key": server_files[1], "http": "127.0.0.1:0"}
    with embed.start(settings=settings) as running:
        server = running._server
        assert server is not None
        answer = asked(server.http_address, "/metrics", client_context(authority))
        assert answer.startswith(b"HTTP/1.1 200 ")
        [left] = [
            line
            for line in answer.decode().splitlines()
            if line.startswith("visord_certificate_left_seconds{")
        ]
        assert 28 * 86400 < float(left.rpartition(" ")[2]) < 31 * 86400
        with connect(server.http_address) as sock:
            sock.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
            assert b"https://" in sock.recv(4096)
