"""The certificate that a gateway shows: read again when its files have changed, for connections that come then.

Members' certificates renew themselves, and so do those of most tools: a gateway that went on with what it had read
would be refused by everybody when that expires. Who writes certificate and key one after the other is met between the
two now and then: what cannot be used is tried again when it changes again, and what was read before stays in use.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from visor._core.log import log
from visor._drivers.tls_files import Stamp, stamp
from visor.gateway.counts import Counts

LOOK_SECONDS: Final = 10.0
"""Between two looks at the files, at least; nobody looks while nobody comes."""
PASSPHRASE: Final = "has a passphrase, and nobody is here to type it: store it without one"


class UnusableTlsError(Exception):
    """Certificate or key cannot be used; the text names the file and says why."""


class Certificate:
    """See the module. `now()`: seconds that never go back. Raises UnusableTlsError for what cannot be used at first."""

    def __init__(self, certificate: str, key: str, now: Callable[[], float], counts: Counts) -> None:
        self._files = certificate, key
        self._now, self._counts = now, counts
        self._seen = self._stamps()
        self._context = context_of(certificate, key)
        self._next = now() + LOOK_SECONDS

    def context(self) -> ssl.SSLContext:
        """Return what the next connection is shown."""
        if self._now() >= self._next:
            self._next = self._now() + LOOK_SECONDS
            self._look()
        return self._context

    def _look(self) -> None:
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            self._context = context_of(*self._files)
        except UnusableTlsError as error:
            self._counts.certificate["unusable"] += 1
            log.warning("changed, and not used: %s; what was read before stays in use", error)
            return
        self._counts.certificate["used"] += 1

    def _stamps(self) -> list[Stamp | None]:
        """Return what changes when the files do."""
        return [stamp(file) for file in self._files]


def context_of(certificate: str, key: str) -> ssl.SSLContext:
    """Return a context that shows this certificate; UnusableTlsError where that cannot be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    for file, what in ((certificate, b"CERTIFICATE-----"), (key, b"PRIVATE KEY-----")):
        try:
            text = Path(file).read_bytes()
        except OSError as error:
            raise UnusableTlsError(f"{file} cannot be read: {error.strerror}") from None
        if what not in text:
            raise UnusableTlsError(f"{file} has no {what.decode().strip('-').lower()} in it (PEM)")
        if b"ENCRYPTED" in text:
            raise UnusableTlsError(f"{file} {PASSPHRASE}")
    try:
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        why = "the key does not belong to the certificate" if "MISMATCH" in str(error.reason) else error
        raise UnusableTlsError(f"{certificate} and {key} cannot be used: {why}") from None
    return context
