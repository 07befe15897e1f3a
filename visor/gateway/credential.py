"""What a caller proves itself by: a token, said as `Bearer`, as the password of `Basic`, or by a session in two halves.

`Basic` is for programs that know no other way, sessions are for browsers. What a header says goes before a session.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

from visor._core.dataclass import dataclass
from visor.gateway import seal
from visor.gateway.problems import NotServed

MOST: Final = 1024
MOST_ACTOR: Final = 200
ACTOR: Final = "http"
"""Who is in history where a caller says nothing of itself."""
NOTHING: Final = "nothing"
HEADER: Final = "header"
SESSION: Final = "session"


@dataclass(frozen=True, slots=True)
class Credential:
    """A token, or none; and what the caller says of itself, which proves nothing."""

    token: str | None
    actor: str
    by: str = NOTHING
    """What says the token: `nothing`, `header` or `session`."""

    def __repr__(self) -> str:
        return f"Credential({'a token' if self.token else 'nothing'}, {self.actor!r})"

    @property
    def key(self) -> bytes:
        """What stands for it where it is counted: no token lies about in tables."""
        return hashlib.blake2b((self.token or "").encode(), digest_size=16).digest()


def read(authorization: str | None, actor: str | None, halves: tuple[str, str] | None = None) -> Credential:
    """Return the credential of a request; NotServed for what cannot be read, without showing it.

    `halves`: the cookie and the key of a session, where there are both and a cookie may be taken.
    """
    said = (actor or ACTOR).strip()
    if len(said) > MOST_ACTOR or not said.isprintable():
        raise NotServed("usage", f"Visor-Actor must be {MOST_ACTOR} printable characters at most")
    if authorization is None and halves is not None:
        return Credential(_of_session(*halves), said, SESSION)
    if authorization is None:
        return Credential(None, said)
    scheme, _, rest = authorization.strip().partition(" ")
    rest = rest.strip()
    if len(rest) > MOST or not rest.isascii():
        raise NotServed("bad_token", "Authorization is longer than any token, or no text")
    if scheme.lower() == "bearer" and rest:
        return Credential(rest, said, HEADER)
    if scheme.lower() == "basic":
        return Credential(_basic(rest), said, HEADER)
    raise NotServed(
        "bad_token", "Authorization must be `Bearer vis_...`, or Basic with a token for a password"
    )


def _of_session(cookie: str, key: str) -> str:
    token = seal.unseal(cookie, key)
    if token is None:
        raise NotServed("bad_token", "the two halves of this session do not belong together: sign in again")
    return token


def _basic(text: str) -> str:
    try:
        _, colon, token = base64.b64decode(text, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        raise NotServed("bad_token", "what follows Basic is not base64 of NAME:TOKEN") from None
    if not colon or not token.startswith("vis_"):
        raise NotServed(
            "bad_token", "Basic takes a token for a password (vis_...): `visor login` makes one of a password"
        )
    return token
