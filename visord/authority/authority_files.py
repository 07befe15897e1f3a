"""The authority's files in a data directory, all of mode 0600 and read and written as everything in it is (`opening`).

    authority/ca.pem        the authority's certificate
    authority/ca-key.pem    its key; with voters only, and in no state, log, checkpoint or backup
    authority/member.pem    this member's certificate, the authority's, which is shown with it to who knows its digest
                            alone, and its key: one file, so that a renewal is one rename

What is written takes the place of what was there wholly or not at all, and is durable on return.
"""

from __future__ import annotations

from typing import Final

from visord.authority.issuing import MAX_PEM, Authority, CertificateError, pem_of, read_certificate
from visord.storage.disk import Disk, join, read_all, write_atomic
from visord.storage.errors import DamageError

DIRECTORY: Final = "authority"
CERTIFICATE: Final = "ca.pem"
KEY: Final = "ca-key.pem"
MEMBER: Final = "member.pem"
ADVICE: Final = (
    "Restore this file from a backup; or remove the member, and let it join again with an empty directory."
)


class AuthorityFiles:
    """Those of one data directory, which need not be there."""

    def __init__(self, disk: Disk, data_dir: str) -> None:
        self._disk = disk
        self._data_dir = data_dir
        self.directory = join(data_dir, DIRECTORY)

    @property
    def certificate(self) -> str:
        """The file with the authority's certificate."""
        return join(self.directory, CERTIFICATE)

    @property
    def member(self) -> str:
        """The file with this member's certificate and key."""
        return join(self.directory, MEMBER)

    @property
    def exists(self) -> bool:
        """Whether this directory has the certificate of an authority."""
        return self._disk.exists(self.certificate)

    def make(self) -> None:
        """Make the directory for them."""
        self._disk.mkdir(self.directory)
        self._disk.sync_dir(self._data_dir)

    def read(self) -> Authority | None:
        """Return the authority, with its key where that is here; None without one. Raises `DamageError`, `OSError`."""
        if not self.exists:
            return None
        key = join(self.directory, KEY)
        pem = read_all(self._disk, self.certificate, MAX_PEM)
        try:
            authority = Authority.read(pem)
        except CertificateError as error:
            raise _damaged(self.certificate, error) from error
        if not self._disk.exists(key):
            return authority
        try:
            return Authority.read(pem, read_all(self._disk, key, MAX_PEM))
        except CertificateError as error:
            raise _damaged(key, error) from error

    def keep_authority(self, certificate: bytes) -> None:
        """Put the authority's certificate there."""
        self._write(CERTIFICATE, certificate)

    def keep_key(self, key: bytes) -> None:
        """Put the authority's key there."""
        self._write(KEY, key)

    def keep_member(self, certificate: bytes, authority: bytes, key: bytes) -> None:
        """Put this member's certificate and key there, and between them the authority's certificate."""
        self._write(MEMBER, certificate + authority + key)

    def read_member(self) -> bytes | None:
        """Return this member's certificate (PEM) without its key, or None. Raises `DamageError`, `OSError`."""
        if not self._disk.exists(self.member):
            return None
        try:
            return pem_of(read_certificate(read_all(self._disk, self.member, MAX_PEM)))
        except CertificateError as error:
            raise _damaged(self.member, error) from error

    def _write(self, name: str, data: bytes) -> None:
        write_atomic(self._disk, self.directory, name, (data,))


def _damaged(file: str, error: CertificateError) -> DamageError:
    return DamageError(file, None, "a file of the cluster's authority", str(error), ADVICE)
