"""What the authority makes: checked with the standard `ssl`, which clients and members judge it by."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest

from visord.authority.issuing import (
    Authority,
    CertificateError,
    MemberNames,
    all_hosts,
    cluster_of,
    key_pem,
    names_of,
    new_key,
    not_a_host,
    read_certificate,
    read_request,
    request_of,
    shown_digest,
)

NOW = datetime.datetime.now(datetime.UTC)
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)
CLUSTER, MEMBER = "7f" * 16, "5f2c" * 4


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.found(CLUSTER, new_key(), NOW, serial=4)


def issue(
    authority: Authority, *hosts: str, member: str = MEMBER, now: datetime.datetime = NOW, days: int = 90
) -> tuple[bytes, bytes]:
    """Return certificate and key as a node gets them."""
    key = new_key()
    names = MemberNames(member, hosts or ("127.0.0.1", "n2.example"))
    return authority.issue(read_request(request_of(key)), names, now, 6, days), key_pem(key)


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, host: str
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Return both ends of a TLS connection in memory. Raises what a handshake does."""
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (server.wrap_bio(one, other, server_side=True), client.wrap_bio(other, one, server_hostname=host))
    done = set[ssl.SSLObject]()
    for _ in range(10):
        for end in ends:
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                pass
    assert len(done) == 2
    return ends


def context(protocol: int, authority: Authority, given: tuple[bytes, bytes], folder: Path) -> ssl.SSLContext:
    found = ssl.SSLContext(protocol)
    file = folder / f"{protocol}.pem"
    file.write_bytes(b"".join(given))
    found.load_cert_chain(file)
    found.load_verify_locations(cadata=authority.pem.decode())
    found.verify_mode = ssl.CERT_REQUIRED
    return found


def test_two_members_prove_themselves_to_each_other(authority: Authority, tmp_path: Path) -> None:
    server = context(ssl.PROTOCOL_TLS_SERVER, authority, issue(authority), tmp_path)
    client = context(ssl.PROTOCOL_TLS_CLIENT, authority, issue(authority, "n3", member="3" * 16), tmp_path)
    for host in ("127.0.0.1", "n2.example"):
        accepted, dialled = shake_hands(server, client, host)
        assert ("URI", f"visor://{CLUSTER}/member/{MEMBER}") in (dialled.getpeercert() or {})[
            "subjectAltName"
        ]  # type: ignore[operator]
        assert ("URI", f"visor://{CLUSTER}/member/{'3' * 16}") in (accepted.getpeercert() or {})[
            "subjectAltName"
        ]  # type: ignore[operator]
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(server, client, "n4.example")


def test_another_cluster_s_authority_proves_nothing(authority: Authority, tmp_path: Path) -> None:
    other = Authority.found("0" * 32, new_key(), NOW, serial=9)
    server = context(ssl.PROTOCOL_TLS_SERVER, authority, issue(other), tmp_path)
    client = context(ssl.PROTOCOL_TLS_CLIENT, authority, issue(authority), tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, client, "127.0.0.1")
    assert not authority.made(read_certificate(issue(other)[0]))
    assert authority.made(read_certificate(issue(authority)[0]))


def test_a_member_cannot_make_certificates(authority: Authority, tmp_path: Path) -> None:
    found = read_certificate(issue(authority)[0])
    with pytest.raises(CertificateError, match="not that of a cluster's own authority"):
        cluster_of(found)
    from cryptography import x509

    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    own = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (own.ca, own.path_length) == (True, 0)


def test_a_certificate_is_dated_back_an_hour_and_never_outlives_its_authority(authority: Authority) -> None:
    made = read_certificate(issue(authority)[0])
    assert abs(made.not_valid_before_utc - (NOW - HOUR)) < HOUR / 60
    assert abs(made.not_valid_after_utc - (NOW + 90 * DAY)) < HOUR / 60
    late = read_certificate(issue(authority, now=NOW + 3640 * DAY)[0])
    assert late.not_valid_after_utc == authority.certificate.not_valid_after_utc


def test_names_are_read_back(authority: Authority) -> None:
    made = read_certificate(issue(authority, "n2.example", "10.0.0.2", "fd00::2")[0])
    assert names_of(made) == (CLUSTER, MemberNames(MEMBER, ("n2.example", "10.0.0.2", "fd00::2")))
    with pytest.raises(CertificateError, match="not that of a member"):
        names_of(authority.certificate)


def test_an_authority_is_read_back_with_its_key_and_with_no_other(authority: Authority) -> None:
    key = authority.key_pem
    assert key is not None
    assert Authority.read(authority.pem, key).signs
    assert not Authority.read(authority.pem).signs
    assert Authority.read(authority.pem).digest == authority.digest
    assert shown_digest(authority.digest).startswith("sha256:")
    with pytest.raises(CertificateError, match="does not belong"):
        Authority.read(authority.pem, key_pem(new_key()))
    assert "PRIVATE" not in repr(authority)


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"x" * 5000])
def test_what_is_no_request_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(CertificateError, match="request"):
        read_request(data)


def test_a_request_of_another_kind_of_key_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    with pytest.raises(CertificateError, match="P-256"):
        read_request(request_of(ec.generate_private_key(ec.SECP384R1())))


def test_a_request_that_was_changed_on_the_way_is_refused() -> None:
    request = bytearray(request_of(new_key()))
    other = request_of(new_key())
    at = bytes(request).index(b"\x03\x42\x00\x04") + 4
    request[at : at + 64] = other[at : at + 64]
    with pytest.raises(CertificateError, match="not signed"):
        read_request(bytes(request))


@pytest.mark.parametrize("host", ["n1", "n1.example", "10.0.0.1", "fd00::1", "xn--bcher-kva.example"])
def test_what_is_a_host(host: str) -> None:
    assert not_a_host(host) is None


@pytest.mark.parametrize(
    "host", ["", "*", "*.example", "a b", "a/b", "visor:user/root", "300.1.1.1", "a" * 64, "-a", "é"]
)
def test_what_is_no_host(host: str) -> None:
    assert not_a_host(host) is not None
    with pytest.raises(CertificateError):
        all_hosts([host])


def test_hosts_are_bounded() -> None:
    assert all_hosts(["N1", "n1", "n2"]) == ("n1", "n2")
    for hosts in ([], [f"n{number}" for number in range(17)]):
        with pytest.raises(CertificateError, match="1 to 16"):
            all_hosts(hosts)
