"""Who may speak as a member: mutual TLS, a shared secret, both, or nothing on a network that is trusted.

- **TLS** (`certificates`): both sides show one of the cluster's own authority (`ca`). Everything is encrypted. With
  `names`, the certificate must also carry one of them; without, the dialler checks that it was made out to the host
  it dialled.
- **Secret**: both sides prove that they know it, and every message is sealed. Nothing is encrypted: who listens can
  read. The file may hold several, one a line: the first is used when dialling, any is accepted, so that it can be
  exchanged node by node.
- Files with a secret or a key that other users of the machine can get at are refused.
- **Neither**: on loopback only, unless `insecure` says that the network is trusted.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from visord import addresses
from visord.peers.certificates import Certificates
from visord.peers.errors import PeersStartError
from visord.settings import PeerSettings
from visord.tls.material import TlsFileError, readable

logger = logging.getLogger("visord.peers")

SECRET_BYTES: Final = 16
"""A shorter secret could be guessed by trying."""


@dataclass(frozen=True, slots=True)
class Security:
    """What one node shows and asks for. `NOTHING` has neither TLS nor a secret."""

    secrets: tuple[bytes, ...] = ()
    certificates: Certificates | None = None
    names: frozenset[str] = frozenset()
    insecure: bool = False
    """Allow an address other than loopback although members are not authenticated."""

    @property
    def secret(self) -> bytes | None:
        """The secret that is used when dialling."""
        return self.secrets[0] if self.secrets else None

    @property
    def accepting(self) -> ssl.SSLContext | None:
        """For connections that others make; None without TLS."""
        return None if self.certificates is None else self.certificates.accepting

    @property
    def dialling(self) -> ssl.SSLContext | None:
        """For connections to others; None without TLS."""
        return None if self.certificates is None else self.certificates.dialling

    def check_listen(self, address: str) -> None:
        """Raise `PeersStartError` when listening on `address` would let strangers in."""
        if addresses.is_loopback(addresses.split(address)[0]) or self.certificates is not None:
            return
        if self.secrets:
            logger.warning("%s is open to its network: members are authenticated, not encrypted", address)
        elif self.insecure:
            logger.warning("insecure: whoever reaches %s can act as a member of the cluster", address)
        else:
            raise PeersStartError(
                f"peers.listen is {address}: whoever reaches it could act as a member of the cluster; set "
                "peers.tls_cert, tls_key and tls_ca, or peers.secret_file, or accept it with peers.insecure"
            )

    def wrong_certificate(self, shown: ssl.SSLObject | None) -> str | None:
        """Return why the certificate that a peer shows is revoked, or is not one of `names`; None when it is good.

        `shown`: the `ssl_object` of the connection, None without TLS.
        """
        refusal = None if self.certificates is None else self.certificates.refusal(shown)
        if refusal is not None or not self.names:
            return refusal
        certificate: Any = None if shown is None else shown.getpeercert()
        carried = _names_of(certificate or {})
        if self.names & carried:
            return None
        told = ", ".join(sorted(carried)[:5]) or "no name"
        return f"the certificate is made out to {told:.200}, which is not among peers.tls_names"


NOTHING: Final = Security()


def from_settings(settings: PeerSettings) -> Security:
    """Read the files that the settings name. Raises `PeersStartError` naming the file that cannot be used."""
    names = frozenset(settings.tls_names)
    certificates = None
    try:
        secrets = () if settings.secret_file is None else _secrets(settings.secret_file)
        if settings.tls_cert is not None and settings.tls_key is not None and settings.tls_ca is not None:
            files = settings.tls_cert, settings.tls_key, settings.tls_ca
            certificates = Certificates(*files, by_host=not names, revoked=settings.tls_revoked)
    except TlsFileError as error:
        raise PeersStartError(str(error)) from error
    return Security(secrets, certificates, names, settings.insecure)


def _secrets(file: Path) -> tuple[bytes, ...]:
    secrets = tuple(line.strip() for line in readable(file, private=True).splitlines() if line.strip())
    if not secrets:
        raise PeersStartError(f"{file}: there is no secret in it")
    if min(map(len, secrets)) < SECRET_BYTES:
        raise PeersStartError(f"{file}: a secret needs at least {SECRET_BYTES} characters")
    return secrets


def _names_of(certificate: dict[str, Any]) -> frozenset[str]:
    """Names that a certificate carries: of hosts, addresses and URIs, and its common name."""
    alternative: Iterable[Any] = certificate.get("subjectAltName", ())
    subject: Iterable[Any] = certificate.get("subject", ())
    found = [str(name) for _, name in alternative]
    found += [str(value) for part in subject for key, value in part if key == "commonName"]
    return frozenset(found)
