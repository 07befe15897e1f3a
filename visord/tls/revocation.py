"""Certificates that are not good any more: a file of numbers or fingerprints, one a line.

    # ci's old laptop
    serial=5A1E77D0                                  as `openssl x509 -noout -serial -in FILE` prints it
    sha256 Fingerprint=4B:7A:...                     as `openssl x509 -noout -fingerprint -sha256 -in FILE` does
    4b7a...                                          the 64 digits alone

What stands before `=` says nothing: 64 digits are a fingerprint, at most 40 a number. A line that is neither makes the
file one that cannot be used, so that a slip revokes nothing in silence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from visord.tls.material import TlsFileError, readable

FINGERPRINT_DIGITS: Final = 64
SERIAL_DIGITS: Final = 40
"""A number has at most 20 bytes (RFC 5280)."""


class Revoked(NamedTuple):
    """What was taken back."""

    fingerprints: frozenset[str] = frozenset()
    serials: frozenset[int] = frozenset()

    def has(self, fingerprint: str, serial: int) -> bool:
        """Tell whether a certificate is among them."""
        return fingerprint in self.fingerprints or serial in self.serials


def read(file: Path | None) -> Revoked:
    """Return what a file says was revoked; nothing without one. Raises `TlsFileError` naming the line."""
    if file is None:
        return Revoked()
    fingerprints, serials = set[str](), set[int]()
    for number, line in enumerate(readable(file).decode("utf-8", "replace").splitlines(), 1):
        said = line.partition("#")[0].strip()
        if not said:
            continue
        digits = said.rpartition("=")[2].strip().replace(":", "").lower()
        if not digits or not set(digits) <= set("0123456789abcdef"):
            raise TlsFileError(
                f"{file}, line {number}: {said!r:.100} is no serial number or SHA-256 fingerprint (hex)"
            )
        if len(digits) == FINGERPRINT_DIGITS:
            fingerprints.add(digits)
        elif len(digits) <= SERIAL_DIGITS:
            serials.add(int(digits, 16))
        else:
            raise TlsFileError(
                f"{file}, line {number}: {len(digits)} digits are no serial number (up to {SERIAL_DIGITS}) and no "
                f"SHA-256 fingerprint ({FINGERPRINT_DIGITS})"
            )
    return Revoked(frozenset(fingerprints), frozenset(serials))
