"""Who is let in at all, before anything is looked up: the host that is asked for, where it comes from, its path.

A browser sends what any page makes it send, with whatever cookies it has, also to this machine. So a request that
another site's page has made is refused, and so is one for a name that is not the gateway's: a stranger's name may lead
to any address (DNS rebinding), a number cannot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from visor import paths
from visor.errors import BadPath
from visor.gateway.problems import NotServed

LOCAL: Final = "localhost"
_HOST: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_IPV4: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
PLAIN: Final = "identity"
SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))


def check_host(text: str | None, names: frozenset[str]) -> None:
    """Raise NotServed unless a request for this host is for the gateway: `names`, this machine, or a number."""
    match = _HOST.fullmatch(text or "")
    if match is None:
        raise NotServed(
            "wrong_host", "the request names no host: a Host header with a name or a number is expected"
        )
    name = match["name"].lower().rstrip(".")
    number = name.startswith("[") or _IPV4.fullmatch(name) is not None
    if not (number or name == LOCAL or name.endswith("." + LOCAL) or name in names):
        raise NotServed(
            "wrong_host",
            f"this gateway is not called {name!r}: ask for it by its address, or start it with --host {name}",
        )


def check_origin(method: str, headers: Mapping[str, str]) -> None:
    """Raise NotServed for a request that a page of another site has a browser make.

    Browsers say so in Sec-Fetch-Site, older ones in Origin. A link that somebody follows is let in for reading.
    """
    site = headers.get("sec-fetch-site")
    followed = method in SAFE and headers.get("sec-fetch-mode") == "navigate"
    if site is not None and site not in ("same-origin", "none") and not followed:
        raise NotServed("cross_origin", "a page of another site has made this request: that is not served")
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        raise NotServed(
            "cross_origin", f"the request comes from {origin!r}: only this gateway's own pages are served"
        )


def takes_cookie(method: str, headers: Mapping[str, str]) -> bool:
    """Say whether a cookie counts for a request that was let in: one that a page of this gateway has made.

    Browsers say so in Sec-Fetch-Site, older ones in Origin, which `check_origin` has compared. Who says neither may
    read at most. NotServed for a change that nothing tells of where it comes from.
    """
    site = headers.get("sec-fetch-site")
    own = site == "same-origin" or (site is None and "origin" in headers)
    if not own and method not in SAFE:
        raise NotServed(
            "cross_origin",
            "a change by a session must come from a page of this gateway: no header says that it does",
        )
    return own or site is None


def check_form(headers: Mapping[str, str]) -> None:
    """Raise NotServed for a request in a form that there is not: another protocol, a body that is packed or a part."""
    if "websocket" in headers.get("upgrade", "").lower():
        raise NotServed("upgrade")
    if headers.get("content-encoding", PLAIN).strip().lower() != PLAIN:
        raise NotServed("media_type", "a body is sent as it is, without Content-Encoding")
    if "content-range" in headers:
        raise NotServed("media_type", "a body is sent whole, without Content-Range")


def registry_path(raw: bytes) -> str:
    """Return the path in the registry that the rest of a URL's path spells, without its first slash.

    BadPath for what is not canonical: it is refused as it came, and never repaired.

    >>> registry_path(b"apps/web"), registry_path(b""), registry_path(b"a%40b")
    ('/apps/web', '/', '/a@b')
    """
    shown = "/" + raw.decode("ascii", "replace")
    if _PERCENT.search(raw):
        raise BadPath(path=shown, why="has a % that is not followed by two hexadecimal digits")
    if b"%2f" in raw.lower():
        raise BadPath(path=shown, why="has an encoded slash")
    try:
        path = "/" + unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise BadPath(path=shown, why="is not UTF-8") from None
    why = paths.check(path)
    if why is not None:
        raise BadPath(path=path, why=why)
    return path
