"""What TLS is made of: certificate, key and authorities, read from files and judged before they are used.

    context = server_context(cert, key)
    trust(context, ca)

A key that other users of the machine can get at is refused, one with a passphrase, too: nobody is there to type it.
Contexts speak TLS 1.2 (with forward secrecy and authenticated encryption alone) and 1.3, never compress, never
renegotiate, and give no tickets: each connection shows its certificate anew.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final, TypeAlias

from visord import private_file

FILE_BYTES: Final = 1 << 20
"""The largest file with certificates, a key, secrets or what was revoked."""
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; those of 1.3 are all good."""
Stamp: TypeAlias = tuple[int, ...] | None
"""What changes with a file: when it was written, its size, its inode and who may read it; None: it is not there."""


class TlsFileError(Exception):
    """A file that TLS needs cannot be used; the text names it and says why."""


def readable(file: Path, *, private: bool = False) -> bytes:
    """Return what is in a file, which with `private` nobody else may get at. Raises `TlsFileError` naming it."""
    try:
        return private_file.read(file, FILE_BYTES, private=private)
    except private_file.PrivateFileError as error:
        raise TlsFileError(str(error)) from error


def stamp(file: Path) -> Stamp:
    """Return what changes when a file does."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode, found.st_uid


def context_of(protocol: int) -> ssl.SSLContext:
    """Return an empty context: `ssl.PROTOCOL_TLS_SERVER` or `ssl.PROTOCOL_TLS_CLIENT`."""
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    return context


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """Return a context that shows this certificate and asks for none. Raises `TlsFileError`."""
    context = context_of(ssl.PROTOCOL_TLS_SERVER)
    show(context, cert, key)
    return context


def show(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    """Have a context show a certificate. Raises `TlsFileError` naming what is wrong with which file."""
    chain, secret = readable(cert), readable(key, private=True)
    if b"-----BEGIN CERTIFICATE-----" not in chain:
        raise TlsFileError(f"{cert}: there is no certificate (PEM) in it")
    if b"PRIVATE KEY-----" not in secret:
        raise TlsFileError(f"{key}: there is no private key (PEM) in it")
    if b"ENCRYPTED" in secret:
        raise TlsFileError(
            f"{key}: the key has a passphrase, and nobody is here to type it: store it without one"
        )
    try:
        context.load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        if "KEY_VALUES_MISMATCH" in str(error.reason) or "KEY_TYPE_MISMATCH" in str(error.reason):
            raise TlsFileError(f"the key {key} does not belong to the certificate {cert}") from error
        raise TlsFileError(f"certificate {cert} and key {key} cannot be used: {error}") from error
    except (OSError, ValueError) as error:
        raise TlsFileError(f"certificate {cert} and key {key} cannot be read: {error}") from error


def trust(context: ssl.SSLContext, ca: Path) -> None:
    """Have a context trust the authorities in a file. Raises `TlsFileError` naming it."""
    readable(ca)
    try:
        context.load_verify_locations(ca)
    except (OSError, ValueError) as error:
        raise TlsFileError(f"{ca}: no certificates of an authority: {error}") from error
