"""Endpoints as SRV records mean them (RFC 2782): priorities first, then shares by weight."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from visor._core.registry.errors import BadName
from visor._core.registry.model import EndpointRecord
from visor._core.registry.schema import LAST_PORT
from visor._core.unfit import shown


def address(addr: str) -> tuple[str, int]:
    """Split HOST:PORT, or [V6]:PORT; BadName, saying why."""
    if not isinstance(addr, str):
        raise BadName(f"address: expected HOST:PORT, not {shown(addr)}", name=shown(addr), what="address")
    host, colon, port = addr.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not _is_port(port):
        raise BadName(f"address {addr!r}: expected HOST:PORT", name=addr, what="address")
    if host[0] == "[" and host[-1] == "]":
        host = host[1:-1]
    elif ":" in host:
        raise BadName(f"address {addr!r}: write [V6]:PORT", name=addr, what="address")
    if host.split() != [host] or not host.isprintable() or len(addr) > 200:
        raise BadName(f"address {addr!r}: expected HOST:PORT", name=addr, what="address")
    return host, int(port)


def _is_port(digits: str) -> bool:
    return len(digits) < 10 and 0 < int(digits) <= LAST_PORT


def pick(endpoints: Sequence[EndpointRecord], random: Random) -> int:
    """Return the position of the endpoint to use; ValueError without any.

    Of those with the lowest priority one is drawn by weight. Weight 0 means "hardly ever", as long as there are
    others; where all have it they are drawn evenly.
    """
    if not endpoints:
        raise ValueError("there is no endpoint to pick")
    best = min(each.priority for each in endpoints)
    rivals = [position for position, each in enumerate(endpoints) if each.priority == best]
    weights = [max(endpoints[position].weight, 0) for position in rivals]
    if not any(weights):
        return random.choice(rivals)
    return random.choices(rivals, [weight or 0.01 for weight in weights])[0]
