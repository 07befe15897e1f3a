"""How the addresses of nodes are written.

"localhost"  "10.0.0.1:8046"  "[::1]:8046"  "::1"  "unix:/run/visord/visord.sock"
"a:8046,b:8046,c:8046"        ["a:8046", "b:8046"]
"doozer:?ca=a:8046&ca=b:8046"
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from visor._core.dataclass import dataclass
from visor._core.shown import shown

DEFAULT_PORT = 8046
DEFAULT = f"localhost:{DEFAULT_PORT}"
NO_HOST = frozenset(" ,/\\?#@\"'<>|^`{}[]")
"""What no name and no number of a host has in it: it must mean something else."""
MAX_LEARNED = 64
"""Addresses that a node may tell of."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where one node listens: a host (a name or a number) and a port, or the path of a Unix socket."""

    host: str
    port: int
    unix: str | None = None

    def __str__(self) -> str:
        if self.unix is not None:
            return f"unix:{self.unix}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str | Iterable[str]) -> tuple[Address, ...]:
    """Return the addresses in the order given, each once; ValueError, TypeError names what cannot be read."""
    items = [text] if isinstance(text, str) else list(text) if isinstance(text, Iterable) else [text]
    for item in items:
        if not isinstance(item, str):
            raise TypeError(f"an address must be text, HOST:PORT, not {shown(item)}")
    pieces = [piece for item in items for piece in _split(item)]
    addresses = tuple(dict.fromkeys(_one(piece) for piece in pieces))
    if not addresses:
        raise ValueError(f"no address in {text!r}")
    return addresses


def learned(texts: object) -> tuple[Address, ...]:
    """Return the addresses that a node told of, as far as they can be read."""
    found: list[Address] = []
    for text in texts[:MAX_LEARNED] if isinstance(texts, list) else []:
        with contextlib.suppress(ValueError):
            found.append(_one(text if isinstance(text, str) and not text.startswith("unix:") else ""))
    return tuple(dict.fromkeys(found))


def _split(text: str) -> list[str]:
    text = text.strip()
    if text.startswith("doozer:"):
        from urllib.parse import parse_qs

        asked = parse_qs(text.removeprefix("doozer:").lstrip("?"))
        if not asked.get("ca"):
            raise ValueError(f"a doozer address needs ca=HOST:PORT: {text!r}")
        return asked["ca"]
    return [piece for piece in (part.strip() for part in text.split(",")) if piece]


def _one(text: str) -> Address:
    if "://" in text:
        scheme = text.partition("://")[0]
        raise ValueError(
            f"not an address: {text!r}; write HOST:PORT, without {scheme}://: the protocol is Visor's own"
        )
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path:
            raise ValueError("a unix address needs the path of the socket: unix:/path")
        return Address("", 0, path)
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"not an address: {text!a}; write [HOST]:PORT")
        return Address(_host(host, text), _port(rest[1:] if rest else "", text))
    if text.count(":") > 1:  # a bare IPv6 number
        return Address(_host(text, text), DEFAULT_PORT)
    host, _, port = text.partition(":")
    return Address(_host(host, text), _port(port, text))


def _host(text: str, whole: str) -> str:
    if not text or not text.isprintable() or any(character in NO_HOST for character in text):
        raise ValueError(f"not an address: {whole!a}; write HOST:PORT")
    return text


def _port(text: str, whole: str) -> int:
    if not text:
        return DEFAULT_PORT
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise ValueError(f"not a port: {text!a} in {whole!a}; write HOST:PORT, with a port from 1 to 65535")
    return int(text)
