"""`/v1/session`: a browser signs in and out.

    POST    {"token"} -> who that is, one half of the token as a cookie, the other as `key`
    GET     who the caller is, and by what
    DELETE  the cookie goes; the registry is not asked, so it goes also where that is away

The gateway keeps nothing of it. A request is the session's that comes with the cookie, and with the key in
`Visor-Session`, which only a page of this gateway can say: a cookie goes to whatever listens on that host, on any port,
and alone it is noise.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from visor.aio import Client
from visor.gateway import credential, seal
from visor.gateway.cluster import identity_of
from visor.gateway.problems import NotServed
from visor.gateway.visit import CALL_SECONDS, Answer, Visit

COOKIE: Final = "__Host-visor"
KEY: Final = "Visor-Session"
MOST_SECONDS: Final = 12 * 3600
"""A cookie lasts a working day at most, whatever its token does."""
GONE: Final = 0


async def sign_in(visit: Visit, client: Client[bytes]) -> Answer:
    """POST: the token of the body proves somebody; it comes back in two halves."""
    token = token_of(visit)
    who = await client.auth.whoami(timeout=CALL_SECONDS)
    cookie, key = seal.seal(token, secrets.token_bytes(seal.KEY_BYTES))
    seconds = seconds_left(who.expires, visit.now)
    told = {**identity_of(who), "by": credential.SESSION, "key": key, "seconds": seconds}
    return Answer(told, headers={"set-cookie": set_cookie(visit.headers.get("host", ""), cookie, seconds)})


async def show(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: who the caller is, and whether the session says so, a header, or nothing."""
    who = await client.auth.whoami(timeout=CALL_SECONDS)
    return Answer({**identity_of(who), "by": visit.credential.by})


async def out(visit: Visit, client: Client[bytes]) -> Answer:
    """DELETE, as a row of the table has it."""
    return sign_out(visit)


def sign_out(visit: Visit) -> Answer:
    """Have the browser forget its half. Who has taken both, or the token, has it until that is taken back."""
    return Answer(status=204, headers={"set-cookie": forgotten(visit.headers.get("host", ""))})


def forgotten(host: str) -> str:
    """Return the header that has a browser forget its half."""
    return set_cookie(host, "", GONE)


def token_of(visit: Visit) -> str:
    """Return the token that the body says; NotServed for none, without showing what came."""
    token = visit.json().get("token")
    if not isinstance(token, str) or not 0 < len(token) <= credential.MOST or not token.isascii():
        raise NotServed("usage", 'the body must be {"token": "vis_..."}', field="token")
    return token


def seconds_left(expires: datetime | None, now: datetime) -> int:
    """Return how long a cookie lasts: as long as what it proves, a working day at most."""
    if expires is None:
        return MOST_SECONDS
    return max(GONE, min(MOST_SECONDS, int((expires - now).total_seconds())))


def cookie_name(host: str) -> str:
    """Return the cookie of a gateway: browsers keep cookies by host alone, and there may be one on each port.

    >>> cookie_name("127.0.0.1:8048"), cookie_name("registry.example")
    ('__Host-visor-8048', '__Host-visor')
    """
    port = host.rpartition("]")[2].rpartition(":")[2] if ":" in host.rpartition("]")[2] else ""
    return f"{COOKIE}-{port}" if port.isdigit() else COOKIE


def set_cookie(host: str, value: str, seconds: int) -> str:
    """Return the header: of this host alone, never in the clear, never for a script, never from another site."""
    return f"{cookie_name(host)}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict"


def halves(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Return cookie and key of a request; None unless it has both: alone neither is anybody's."""
    key = headers.get(KEY.lower())
    if key is None:
        return None
    name = cookie_name(headers.get("host", ""))
    found = [value for each, value in _cookies(headers.get("cookie", "")) if each == name]
    return (found[0], key.strip()) if len(found) == 1 else None


def _cookies(text: str) -> list[tuple[str, str]]:
    pairs: list[Any] = [each.strip().partition("=") for each in text.split(";")[:64]]
    return [(name, value) for name, equals, value in pairs if equals]
