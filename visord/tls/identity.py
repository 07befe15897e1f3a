"""Who a client is by its certificate: pure, and the only place that reads a name out of one.

    URI:visor:user/ci                                    the user ci
    URI:visor:user/ci, URI:visor:user/root               nobody: two names are none
    URI:visor:user/ci, URI:visor://7f3a/member/5f2c      nobody: a member's certificate is no user's
    CN=root                                              nobody: common names are anybody's text

The name is compared whole, with capitals and small letters as they stand, and what is no name is none: no part of it is
looked for, nothing is decoded. That the certificate is good (authority, time, key) TLS has found before.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

OURS: Final = "visor:"
"""With what names begin that mean something here, of users and of members."""
USER: Final = "visor:user/"
_MEMBER: Final = re.compile(r"visor://([0-9A-Za-z]{1,64})/member/([0-9A-Za-z]{1,64})")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class Certified(NamedTuple):
    """A certificate that a client has proven to be its own."""

    user: str | None
    """Whose it is; None: no user's."""
    fingerprint: str
    """SHA-256 of it, 64 hexadecimal digits in small letters."""
    serial: int
    """Its number, which its authority gave it."""
    ends: float
    """Until when it is valid: seconds since 1970."""


def user_of(certificate: Mapping[str, Any]) -> str | None:
    """Return the user that a certificate (as `getpeercert` gives it) is made out to; None when it is nobody's."""
    ours = marks_of(certificate)
    if len(ours) != 1 or not ours[0].startswith(USER):
        return None
    user = ours[0].removeprefix(USER)
    return user if _NAME.fullmatch(user) else None


def marks_of(certificate: Mapping[str, Any]) -> list[str]:
    """Return all names of a certificate that mean something here, whether they are well formed or not."""
    names = [str(name) for kind, name in certificate.get("subjectAltName", ()) if kind == "URI"]
    return [name for name in names if name.lower().startswith(OURS)]


def not_of_member(certificate: Mapping[str, Any], cluster: str | None, member: str | None) -> str | None:
    """Return why a certificate is not that of a member; None when it is, or when it says nothing of users or members.

    `cluster`, `member`: which one, as far as that is known.
    """
    ours = marks_of(certificate)
    if not ours:
        return None
    found = _MEMBER.fullmatch(ours[0]) if len(ours) == 1 else None
    if found is not None and cluster in (None, found[1]) and member in (None, found[2]):
        return None
    shown = ", ".join(ours)
    return f"the certificate is that of {shown:.200}, not of the member {member or 'there'}"


def is_of_member(certificate: Mapping[str, Any], cluster: str, member: str) -> bool:
    """Tell whether a certificate says itself that it is that of a member."""
    return bool(marks_of(certificate)) and not_of_member(certificate, cluster, member) is None


def fingerprint_of(encoded: bytes) -> str:
    """Return the fingerprint of a certificate in DER."""
    return hashlib.sha256(encoded).hexdigest()


def identity_of(certificate: Mapping[str, Any], encoded: bytes) -> Certified:
    """Return who shows a certificate: as `getpeercert()` and `getpeercert(binary_form=True)` give it."""
    return Certified(
        user_of(certificate),
        fingerprint_of(encoded),
        int(str(certificate.get("serialNumber", "0")), 16),
        float(ssl.cert_time_to_seconds(str(certificate["notAfter"]))),
    )
