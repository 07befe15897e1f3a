"""What a node shows its clients, and what it asks of them; the same for HTTP.

    credentials = Credentials(TlsFiles(cert, key, client_ca, "required", revoked), clock)
    credentials.context                     # for the next connection
    credentials.upkeep.tick()               # from time to time: files that have changed are read again
    credentials.refusal(identity)           # why a certificate that TLS found good is refused; "" when it is not

Files that cannot be used change nothing. A new authority takes the place of the old one at once, so while certificates
are exchanged the file has both. `is_revoked` says what was taken back beside the file; set by whoever knows.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from visord.tls import revocation
from visord.tls.identity import Certified
from visord.tls.material import server_context, trust
from visord.tls.upkeep import Upkeep

Demand: TypeAlias = Literal["none", "optional", "required"]
"""Whether a client has to show a certificate."""
VERIFY: Final = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class TlsFiles(NamedTuple):
    """Which files, and what is asked for."""

    cert: Path
    key: Path
    client_ca: Path | None = None
    demand: Demand = "none"
    revoked: Path | None = None


class Credentials:
    """See the module. `clock()`: seconds since 1970. Raises `TlsFileError` naming the file that cannot be used."""

    context: ssl.SSLContext

    def __init__(self, files: TlsFiles, clock: Callable[[], float]) -> None:
        self._files = files
        self.clock = clock
        self.is_revoked: Callable[[str], bool] = lambda fingerprint: False
        """Tells whether a certificate (by its SHA-256 fingerprint, hex) was taken back by other means."""
        given = [files.cert, files.key, files.client_ca, files.revoked]
        self.upkeep = Upkeep(
            "listen.tls_cert", files.cert, [file for file in given if file is not None], self._load
        )

    @property
    def demand(self) -> Demand:
        """Whether a client has to show a certificate."""
        return self._files.demand

    def _load(self) -> None:
        files = self._files
        context = server_context(files.cert, files.key)
        if files.client_ca is not None:
            trust(context, files.client_ca)
        context.verify_mode = VERIFY[files.demand]
        self._revoked = revocation.read(files.revoked)
        self.context = context

    def refusal(self, identity: Certified) -> str:
        """Return why a client must not come in, or stay, with its certificate; "" when it may."""
        if self._revoked.has(identity.fingerprint, identity.serial) or self.is_revoked(identity.fingerprint):
            return "the certificate that you show was revoked: ask for another one"
        if identity.ends <= self.clock():
            return "the certificate that you show has expired: ask for another one"
        return ""
