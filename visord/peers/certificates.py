"""The certificates of a member, which are renewed while it runs: files that have changed are read again.

    certificates = Certificates(cert, key, ca, by_host=True)
    certificates.tick()          # from time to time

What is connected stays as it is, unless it was revoked; new connections, both ways, show and ask for what was read
last. Files that cannot be used change nothing: a certificate is often there a moment before its key. A new authority is
trusted beside the one of before until the member starts again, so that certificates of both are good meanwhile.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from visord.tls import revocation
from visord.tls.identity import fingerprint_of
from visord.tls.material import context_of, readable, show, trust
from visord.tls.upkeep import Upkeep


class Certificates:
    """See the module. `by_host`: a member that is dialled must show a certificate made out to that host.

    Raises `TlsFileError` naming the file that cannot be used.
    """

    def __init__(
        self, cert: Path, key: Path, ca: Path, *, by_host: bool, revoked: Path | None = None
    ) -> None:
        self._files = cert, key, ca
        self._revoked_file = revoked
        self.is_revoked: Callable[[str], bool] = lambda fingerprint: False
        """Tells whether a certificate (by its SHA-256 fingerprint, hex) was taken back in the registry itself."""
        self.accepting = _context(ssl.PROTOCOL_TLS_SERVER)
        self.dialling = _context(ssl.PROTOCOL_TLS_CLIENT)
        self.dialling.check_hostname = by_host
        files = self._files if revoked is None else (*self._files, revoked)
        self.upkeep = Upkeep("peers.tls_cert", cert, files, self._load)

    def tick(self) -> bool:
        """Read the files again if they have changed; return whether others are in use now."""
        return self.upkeep.tick()

    def _load(self) -> None:
        cert, key, ca = self._files
        for file in self._files:
            readable(file, private=file == key)
        revoked = revocation.read(self._revoked_file)
        # A context of its own comes first: what cannot be used must not get half into those in use.
        for context in (_context(ssl.PROTOCOL_TLS_CLIENT), self.accepting, self.dialling):
            show(context, cert, key)
            trust(context, ca)
        self._revoked = revoked

    def refusal(self, shown: ssl.SSLObject | None) -> str | None:
        """Return why the certificate at the other end of a connection is not good any more; None when it is."""
        encoded = None if shown is None else shown.getpeercert(binary_form=True)
        told = None if shown is None else shown.getpeercert()
        if encoded is None or not told:
            return "no certificate is shown"
        fingerprint = fingerprint_of(encoded)
        if self._revoked.has(fingerprint, int(str(told.get("serialNumber", "0")), 16)):
            return "the certificate was revoked (peers.tls_revoked)"
        if self.is_revoked(fingerprint):
            return "the certificate was revoked (visor certificate revoke)"
        return None


def _context(protocol: int) -> ssl.SSLContext:
    context = context_of(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    return context
