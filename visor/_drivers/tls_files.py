"""Files of a client's TLS, and what is made of them; loaded by those who speak it, as `ssl` is.

context_of(tls)                  for the next connection: files that have changed are read again
name_of(tls, address)            whose certificate the node has to show
problem(error, "...")            what went wrong, in words
"""

from __future__ import annotations

import os
import ssl
import stat
import threading
import time

from visor._core.address import Address
from visor._core.log import log
from visor._core.tls import TLS
from visor._core.tls_faults import told

MOST = 16
"""Different settings of which the context is kept."""
_FILES = ("ca", "cert", "key")
_HINTS = {
    "ca": "the authority (VISOR_CACERT, the context's cacert)",
    "cert": "the certificate (VISOR_CERT, the context's cert)",
    "key": "the key (VISOR_KEY, the context's key)",
}

Stamp = tuple[int, ...]
_made: dict[TLS, tuple[list[Stamp | None], ssl.SSLContext]] = {}
_lock = threading.Lock()


def context_of(tls: TLS) -> ssl.SSLContext:
    """Return what the next connection needs. OSError, ValueError name the file that cannot be used.

    Files that have changed and cannot be used change nothing: what was read before stays in use, and the log says so.
    """
    stamps = [stamp(getattr(tls, name)) for name in _FILES]
    with _lock:
        known = _made.get(tls)
    if known is not None and known[0] == stamps:
        return known[1]
    try:
        context = _make(tls)
    except (OSError, ValueError) as error:
        if known is None:
            raise
        log.warning("changed, and not used: %s; what was read before stays in use", error)
        context = known[1]
    with _lock:
        if len(_made) >= MOST and tls not in _made:
            _made.pop(next(iter(_made)))
        _made[tls] = stamps, context
    return context


def _make(tls: TLS) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if tls.ca is None:
        context.load_default_certs()
    else:
        _readable("ca", tls.ca)
        try:
            context.load_verify_locations(tls.ca)
        except ssl.SSLError as error:
            raise ValueError(f"{_HINTS['ca']} {tls.ca}: there are no certificates (PEM) in it") from error
    if tls.cert is not None:
        _show(context, tls.cert, tls.key)
    return context


def _show(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    _readable("cert", cert, private=key is None)
    if key is not None:
        _readable("key", key, private=True)
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        if "MISMATCH" in str(error.reason):
            raise ValueError(f"the key {key or cert} does not belong to the certificate {cert}") from error
        raise ValueError(f"certificate {cert} and key {key or cert} cannot be used: {error}") from error


def _no_password() -> str:
    raise ValueError("the key has a passphrase, and nobody is here to type it: store it without one")


def _readable(what: str, file: str, *, private: bool = False) -> None:
    """Raise OSError or ValueError, which name the file, unless it can be read, and with `private` by nobody else."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise type(error)(error.errno, f"{_HINTS[what]} {file} cannot be read: {error.strerror}") from None
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{_HINTS[what]} {file} is not a plain file")
    if not private or os.name != "posix":
        return
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid not in (os.geteuid(), 0):
        raise ValueError(f"{_HINTS[what]} {file} belongs to user {found.st_uid}, not to you")
    if mode & (0o077 if found.st_uid == os.geteuid() else 0o027):
        raise ValueError(
            f"{_HINTS[what]} {file} has mode {mode:04o}, so others may use it; make it 0600: chmod 600 {file}"
        )


def stamp(file: str | None) -> Stamp | None:
    """Return what changes when a file does; None where there is none."""
    try:
        found = os.stat(file) if file is not None else None  # noqa: PTH116 - pathlib is not loaded for it
    except OSError:
        found = None
    return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode)


def name_of(tls: TLS, address: Address) -> str:
    """Return the name that the node's certificate has to carry: never one that the other side tells."""
    return tls.server_name or address.host.partition("%")[0]


def problem(error: BaseException, other: str = "the node") -> str:
    """Return what an error of `ssl` means."""
    clock = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return told(error, other, clock, " (VISOR_CACERT, the context's cacert, or tls=)")
