"""The certificates of a member, which are renewed while it runs: files that have changed are read again.

    certificates = Certificates(cert, key, ca, by_host=True)
    certificates.tick()          # from time to time

What is connected stays as it is; new connections, both ways, show and ask for what was read last. Files that cannot be
used change nothing: a certificate is often there a moment before its key. A new authority is trusted beside the one of
before until the member starts again, so that certificates of both are good while they are exchanged.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeAlias

from visord import private_file
from visord.peers.errors import PeersStartError

logger = logging.getLogger("visord.peers")

FILE_BYTES: Final = 1 << 20
"""The largest file with certificates, a key or secrets."""
Stamp: TypeAlias = tuple[int, ...] | None
"""What changes with a file: when it was written, its size, its inode and who may read it; None: it is not there."""


class Certificates:
    """See the module. `by_host`: a member that is dialled must show a certificate made out to that host.

    Raises `PeersStartError` naming the file that cannot be used.
    """

    def __init__(self, cert: Path, key: Path, ca: Path, *, by_host: bool) -> None:
        self._files = cert, key, ca
        self._seen = self._stamps()
        self.accepting = _context(ssl.PROTOCOL_TLS_SERVER)
        self.dialling = _context(ssl.PROTOCOL_TLS_CLIENT)
        self.dialling.check_hostname = by_host
        self._load((self.accepting, self.dialling))

    def tick(self) -> bool:
        """Read the files again if they have changed; return whether others are in use now."""
        stamps = self._stamps()
        if stamps == self._seen:
            return False
        self._seen = stamps
        try:
            # A context of its own comes first: what cannot be used must not get half into those in use.
            self._load((_context(ssl.PROTOCOL_TLS_CLIENT), self.accepting, self.dialling))
        except PeersStartError as error:
            logger.error("changed, and not used: %s; what was read before stays in use", error)
            return False
        logger.warning(
            "certificate, key and authority were read again, for new connections: %s", self._files[0]
        )
        return True

    def _stamps(self) -> list[Stamp]:
        return [_stamp(file) for file in self._files]

    def _load(self, contexts: Iterable[ssl.SSLContext]) -> None:
        cert, key, ca = self._files
        for file in self._files:
            readable(file, private=file == key)
        for context in contexts:
            try:
                context.load_cert_chain(cert, key)
            except (OSError, ValueError) as error:
                raise PeersStartError(f"certificate {cert} and key {key} cannot be used: {error}") from error
            try:
                context.load_verify_locations(ca)
            except (OSError, ValueError) as error:
                raise PeersStartError(f"{ca}: no certificates of an authority: {error}") from error


def readable(file: Path, *, private: bool = False) -> bytes:
    """Return what is in a file, which with `private` nobody else may get at. Raises `PeersStartError` naming it."""
    try:
        return private_file.read(file, FILE_BYTES, private=private)
    except private_file.PrivateFileError as error:
        raise PeersStartError(str(error)) from error


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _stamp(file: Path) -> Stamp:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode, found.st_uid
