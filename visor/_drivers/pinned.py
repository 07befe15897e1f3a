"""Which certificates somebody shows, before any of them is trusted: to compare one with a digest from elsewhere.

    shown = chain(address, 5.0)              the certificates (DER), the node's own first; nothing but TLS is said
    find(shown, "sha256:9f2c...")            the one of that digest, or None
    pem(found)                               as a file of authorities has it: from here on it is verified by that

Whoever is at the other end can show any certificate: what this returns proves nothing. It is worth something once its
digest is the one that `visord init` has told, and another connection was verified by it.
"""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any

from visor._core.address import Address
from visor._drivers.tls_files import problem

MOST = 16
"""Certificates of a chain that are looked at."""
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_DER = 2
"""What `ssl` calls the binary form (`ENCODING_DER`)."""


def is_digest(text: str) -> bool:
    """Tell whether a text is written like the digest of a certificate: `sha256:` and 64 small hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def digest(certificate: bytes) -> str:
    """Return the digest of a certificate (DER)."""
    return f"sha256:{hashlib.sha256(certificate).hexdigest()}"


def find(shown: Iterable[bytes], wanted: str) -> bytes | None:
    """Return the certificate of a digest."""
    return next((each for each in shown if digest(each) == wanted), None)


def pem(certificate: bytes) -> str:
    """Return a certificate as text."""
    return ssl.DER_cert_to_PEM_cert(certificate)


def chain(address: Address, seconds: float) -> list[bytes]:
    """Return what is shown at an address within a time: at most `MOST` certificates (DER), the node's own first.

    ConnectionError when TLS is not spoken there, OSError when nobody is there. No token and no name is said.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    end = time.monotonic() + seconds
    with socket.create_connection((address.host, address.port), max(0.001, seconds)) as plain:
        plain.settimeout(max(0.001, end - time.monotonic()))
        try:
            with context.wrap_socket(plain, server_hostname=address.host.partition("%")[0]) as secured:
                return _shown(secured)
        except ssl.SSLError as error:
            raise ConnectionError(problem(error)) from error


def _shown(secured: ssl.SSLSocket) -> list[bytes]:
    """Return the chain as it came; older versions of Python can only tell it behind their public face."""
    whole: Any = getattr(secured, "get_unverified_chain", None) or getattr(
        getattr(secured, "_sslobj", None), "get_unverified_chain", None
    )
    found = list(whole() or ())[:MOST] if whole is not None else []
    if not found:
        own = secured.getpeercert(binary_form=True)
        return [] if own is None else [own]
    return [each if isinstance(each, bytes) else each.public_bytes(_DER) for each in found]
