"""An authority for tests, and the certificates that it makes: good ones, and each kind of bad one.

    authority = Authority(folder)
    cert, key = authority.issue("server", hosts=("127.0.0.1", "localhost"))
    cert, key = authority.issue("ci", user="ci")                     # a client's: URI:visor:user/ci
    cert, key = authority.issue("old", hosts=("127.0.0.1",), begins=-20, ends=-10)      # days from now

Needs `cryptography`, which comes with the server.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec


class Authority:
    """Makes certificates, as files in a folder. `certificate` is the file with its own."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        from cryptography import x509

        self.folder = folder
        self.name = name
        self.certificate = folder / f"{name}.pem"
        self._key = _new_key()
        builder = _builder(name, name, self._key, -1.0, 30.0)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate.write_bytes(_pem(builder, self._key))

    def issue(
        self,
        name: str,
        *,
        hosts: Iterable[str] = (),
        user: str | None = None,
        uris: Iterable[str] = (),
        begins: float = -1.0,
        ends: float = 30.0,
    ) -> tuple[Path, Path]:
        """Return certificate and key for `name`: of a server at `hosts` (names, addresses), of a `user`, of `uris`.

        It is valid from `begins` until `ends`, in days from now.
        """
        from cryptography import x509

        key = _new_key()
        names: list[x509.GeneralName] = [_host(host) for host in hosts]
        if user is not None:
            names.append(x509.UniformResourceIdentifier(f"visor:user/{user}"))
        names += [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = _builder(name, self.name, key, begins, ends)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        files = self.folder / f"{self.name}-{name}.pem", self.folder / f"{self.name}-{name}.key"
        files[0].write_bytes(_pem(builder, self._key))
        files[1].touch(mode=0o600)
        files[1].write_bytes(_key_pem(key))
        return files


def _host(host: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _new_key() -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _builder(
    name: str, issuer: str, key: ec.EllipticCurvePrivateKey, begins: float, ends: float
) -> x509.CertificateBuilder:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)
    subject, made_by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, issuer))
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(made_by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=begins))
        .not_valid_after(now + datetime.timedelta(days=ends))
    )


def _pem(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import hashes, serialization

    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
