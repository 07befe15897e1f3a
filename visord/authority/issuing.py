"""What the authority makes for whom: certificates and requests as values. No file, no clock, no randomness of its own.

    authority = Authority.found(cluster, new_key(), now, serial)
    request = request_of(key)                                 what a node sends: its public key, signed by the other
    authority.issue(read_request(request), MemberNames("5f2c..", ("n2.example", "10.0.0.2")), now, serial)

    the authority     CN=visor CLUSTER, ten years, signs nothing but ends (path length 0)
    a member          URI:visor://CLUSTER/member/ID and its hosts, 90 days, for servers and clients

A certificate is valid from an hour before it was made, as clocks differ, and never longer than its authority. What is
asked for besides the key, a request is not read for: names come from who decides.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

# `cryptography` is loaded where it is needed: a node that has no authority never does.

MEMBER_DAYS: Final = 90
AUTHORITY_DAYS: Final = 3650
SKEW: Final = datetime.timedelta(hours=1)
"""By how much a certificate is dated back."""
SERIAL_BITS: Final = 159
"""Bits of a certificate's number, which is positive and has at most 20 bytes (RFC 5280)."""
MAX_HOSTS: Final = 16
MAX_REQUEST: Final = 2048
"""Bytes of a request: one of our key has about 200."""
MAX_PEM: Final = 16 << 10
"""Bytes of a certificate or key as a file."""
_CLUSTER: Final = re.compile(r"visor ([0-9A-Za-z]{1,64})")
_MEMBER: Final = re.compile(r"visor://([0-9A-Za-z]{1,64})/member/([0-9A-Za-z]{1,64})")
_HOST: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
)


class CertificateError(ValueError):
    """What was given is no certificate, key or request that can be used; the text says why."""


class MemberNames(NamedTuple):
    """Whom a member's certificate is made out to."""

    member: str
    """The member's id."""
    hosts: tuple[str, ...]
    """MemberNames and addresses at which others reach it."""


def not_a_host(text: str) -> str | None:
    """Return why a certificate cannot carry this as a host; None when it can."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if _HOST.fullmatch(text.lower()) and not re.fullmatch(r"[0-9.]+", text):
            return None
        return f"{text!r:.100} is no name of a host and no address"
    return None


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a new key (P-256), from the system's randomness."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as it is written to a file."""
    from cryptography.hazmat.primitives import serialization

    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def request_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the request (DER) for a certificate: the public key, signed by the private one, and no name."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def read_request(data: bytes) -> ec.EllipticCurvePublicKey:
    """Return the key that a request is for. Raises `CertificateError`."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec

    if len(data) > MAX_REQUEST:
        raise CertificateError(
            f"a request for a certificate has at most {MAX_REQUEST} bytes, not {len(data)}"
        )
    try:
        request = x509.load_der_x509_csr(data)
        key, signed = request.public_key(), request.is_signature_valid
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise CertificateError("a request for a certificate (PKCS #10, DER) was expected") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateError("a key on the curve P-256 was expected")
    if not signed:
        raise CertificateError("the request is not signed by the key that it is for")
    return key


def key_digest(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return what a public key is known by (SHA-256)."""
    from cryptography.hazmat.primitives import serialization

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(serialization.Encoding.DER, form)).digest()


def read_certificate(pem: bytes) -> x509.Certificate:
    """Return the first certificate in a file. Raises `CertificateError`."""
    from cryptography import x509

    if len(pem) > MAX_PEM:
        raise CertificateError(f"a certificate has at most {MAX_PEM} bytes, not {len(pem)}")
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise CertificateError("a certificate (PEM) was expected") from error


def digest_of(certificate: x509.Certificate) -> bytes:
    """Return what an authority is known by: the SHA-256 of its certificate (DER)."""
    from cryptography.hazmat.primitives import serialization

    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest()


def shown_digest(digest: bytes) -> str:
    """Return a digest as people compare it: `sha256:4b7a...`."""
    return f"sha256:{digest.hex()}"


def cluster_of(certificate: x509.Certificate) -> str:
    """Return the cluster whose authority this is the certificate of. Raises `CertificateError`."""
    from cryptography.x509.oid import NameOID

    names = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    found = _CLUSTER.fullmatch(names[0]) if len(names) == 1 else None
    if found is None:
        raise CertificateError("the certificate is not that of a cluster's own authority")
    return found[1]


def names_of(certificate: x509.Certificate) -> tuple[str, MemberNames]:
    """Return the cluster and the names in a member's certificate. Raises `CertificateError` for another one."""
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise CertificateError("the certificate is not that of a member: it has no names") from error
    uris = extension.get_values_for_type(x509.UniformResourceIdentifier)
    found = _MEMBER.fullmatch(uris[0]) if len(uris) == 1 else None
    if found is None:
        raise CertificateError("the certificate is not that of a member")
    hosts = [*extension.get_values_for_type(x509.DNSName)]
    hosts += map(str, extension.get_values_for_type(x509.IPAddress))
    return found[1], MemberNames(found[2], tuple(hosts))


class Authority:
    """A cluster's authority: its certificate, and its key where this node holds it."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | None = None) -> None:
        self.certificate = certificate
        self._key = key
        self.cluster = cluster_of(certificate)
        self.digest = digest_of(certificate)

    @classmethod
    def found(
        cls, cluster: str, key: ec.EllipticCurvePrivateKey, now: datetime.datetime, serial: int
    ) -> Authority:
        """Return the authority of a new cluster."""
        from cryptography import x509

        name = _name(f"visor {cluster}")
        builder = _builder(
            name, name, key.public_key(), now, now + datetime.timedelta(days=AUTHORITY_DAYS), serial
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(authority=True), critical=True)
        return cls(_sign(builder, key), key)

    @classmethod
    def read(cls, certificate: bytes, key: bytes | None = None) -> Authority:
        """Return the authority with this certificate and key, both PEM. Raises `CertificateError`."""
        found = read_certificate(certificate)
        return cls(found, None if key is None else _read_key(key, found))

    @property
    def pem(self) -> bytes:
        """Its certificate as a file."""
        return pem_of(self.certificate)

    @property
    def key_pem(self) -> bytes | None:
        """Its key as a file; None where this node does not hold it."""
        return None if self._key is None else key_pem(self._key)

    @property
    def signs(self) -> bool:
        """Whether this node holds its key."""
        return self._key is not None

    def __repr__(self) -> str:
        return f"<authority of {self.cluster}, {'with' if self.signs else 'without'} its key>"

    def issue(
        self,
        key: ec.EllipticCurvePublicKey,
        names: MemberNames,
        now: datetime.datetime,
        serial: int,
        days: int = MEMBER_DAYS,
        cluster: str | None = None,
    ) -> bytes:
        """Return the certificate (PEM) of a member; of another `cluster` than it was founded for after a recovery."""
        from cryptography import x509
        from cryptography.x509.oid import ExtendedKeyUsageOID

        assert self._key is not None
        ends = min(now + datetime.timedelta(days=days), self.certificate.not_valid_after_utc)
        uri = x509.UniformResourceIdentifier(f"visor://{cluster or self.cluster}/member/{names.member}")
        given = x509.SubjectAlternativeName([*map(_host, names.hosts), uri])
        uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        subject = _name(f"visor member {names.member}")
        builder = (
            _builder(subject, self.certificate.subject, key, now, ends, serial)
            .add_extension(given, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(uses, critical=False)
        )
        return pem_of(_sign(builder, self._key))

    def made(self, certificate: x509.Certificate) -> bool:
        """Tell whether this authority has made a certificate; whether it is still valid, that does not say."""
        from cryptography.exceptions import InvalidSignature

        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def pem_of(certificate: x509.Certificate) -> bytes:
    """Return a certificate as a file."""
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)


def _read_key(pem: bytes, certificate: x509.Certificate) -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise CertificateError("a private key (PEM, without a passphrase) was expected") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError("a key on an elliptic curve was expected")
    if key.public_key() != certificate.public_key():
        raise CertificateError("the key does not belong to the authority's certificate")
    return key


def _name(common: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host.lower())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    ends: datetime.datetime,
    serial: int,
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial | 1)
        .not_valid_before(now - SKEW)
        .not_valid_after(ends)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _sign(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    from cryptography.hazmat.primitives import hashes

    return builder.sign(key, hashes.SHA256())


def spelled(host: str) -> str:
    """Return a host in the one spelling by which it is compared: an address has many, a certificate one."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return host.lower()


def all_hosts(hosts: Iterable[str]) -> tuple[str, ...]:
    """Return hosts, each `spelled`, without what is there twice. Raises `CertificateError` naming what is none."""
    found = tuple(dict.fromkeys(map(spelled, hosts)))
    for host in found:
        wrong = not_a_host(host)
        if wrong is not None:
            raise CertificateError(wrong)
    if not 0 < len(found) <= MAX_HOSTS:
        raise CertificateError(f"a certificate is made out to 1 to {MAX_HOSTS} hosts, not to {len(found)}")
    return found
