"""Looking a host's name up, without holding up the loop."""

from __future__ import annotations

import asyncio
import socket


async def resolve(host: str) -> str | None:
    """Return an address of the host, IPv4 before IPv6; None when it has none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return None
    ordered = sorted(found, key=lambda each: each[0] != socket.AF_INET)
    return str(ordered[0][4][0]) if ordered else None
