"""Whose a batch, a session or a lease is: the author of a batch, and the owner that counts.

    author                     owner            the user that it stands for
    "user:ci/k3x9q2mv7a"       "user:ci"        ci, proven by the token k3x9q2mv7a
    "user:ci/cert:03ab...9f"   "user:ci"        ci, proven by a certificate
    "user:ci/pass:77f0...21"   "user:ci"        ci, proven by its password, as it was then
    "user:ci/"                 "user:ci"        ci, as the node's own kernel tells (a Unix socket)
    "10.0.0.7"                 "10.0.0.7"       anonymous, from that host; "unix:1000" alike
    ""                         ""               the cluster itself: a leader ends leases, and nobody else can say so

The author stands in the log: whether what has proven it still holds is judged at that very entry. What is counted, and
what sessions and leases belong to, is the owner: however many tokens a user has, it is one.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

USER: Final = "user:"
CERTIFICATE: Final = "cert:"
CERTIFICATE_DIGITS: Final = 16
"""Of its fingerprint: they tell certificates of one user apart. That TLS has proven it is the door's to know."""
PASSWORD: Final = "pass:"
NOBODY: Final = ""
"""The author that the cluster itself is."""
ANONYMOUS: Final = "anonymous"
"""The user that everybody is who proves nothing."""


MAX_NAME: Final = 36
"""Characters of a user's name: with its credential it fits into what the log keeps as the author."""
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@-]{0,34}[A-Za-z0-9])?")


def is_name(text: str) -> bool:
    """Tell whether a text can name a user or a role."""
    return _NAME.fullmatch(text) is not None


def author_of(user: str, credential: str) -> str:
    """Return the author of what a user does who has proven it by a credential: a token's id, a certificate, or ""."""
    return f"{USER}{user}/{credential}"


def certified_by(fingerprint: str) -> str:
    """Return the credential that a certificate with this fingerprint (hexadecimal) is."""
    return CERTIFICATE + fingerprint[:CERTIFICATE_DIGITS]


def password_of(digest: str) -> str:
    """Return the credential that a password with this digest is: another one once the password is changed."""
    return PASSWORD + hashlib.sha256(digest.encode()).hexdigest()[:CERTIFICATE_DIGITS]


def owner_of(author: str) -> str:
    """Return what counts as the owner of what an author does."""
    return author.partition("/")[0] if author.startswith(USER) else author


def user_of(author: str) -> str | None:
    """Return the user that an author or owner stands for; None: the cluster itself."""
    if not author:
        return None
    return owner_of(author).removeprefix(USER) if author.startswith(USER) else ANONYMOUS


def credential_of(author: str) -> str:
    """Return what has proven it; "" where nothing that could be taken back has."""
    return author.partition("/")[2] if author.startswith(USER) else ""


def is_of(thing: str, owner: str) -> bool:
    """Tell whether what belongs to the owner `thing` is also `owner`'s.

    What a user has is its own. What nobody has proven to be is anybody's who knows its number, as it always was: hosts
    change their addresses.
    """
    return thing == owner or not thing.startswith(USER)
