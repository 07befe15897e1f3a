"""Whose a connection is, for all that is counted by owner: its address's host, or the user of a Unix socket.

10.0.0.7:50112               "10.0.0.7"
[2001:db8:1:2:3::4]:50112    "2001:db8:1:2::/64": one machine may have any address of its network
a Unix socket                "unix:1000", as the kernel tells; "unix" where it does not
"""

from __future__ import annotations

import asyncio
import socket
import struct
from sys import intern
from typing import Any, Final

from visor._core.hosts import counted_as
from visord.state.command import MAX_OWNER

_CREDENTIALS: Final = struct.Struct("3i")
"""Process, user and group, as SO_PEERCRED gives them."""


def owner_of(transport: asyncio.BaseTransport) -> str:
    """Return the owner of a connection; text of at most `MAX_OWNER` characters."""
    peer: Any = transport.get_extra_info("peername")
    if isinstance(peer, tuple):
        return intern(counted_as(str(peer[0]))[:MAX_OWNER])  # one text for all connections of a host
    return _user(transport.get_extra_info("socket"))


def _user(sock: Any) -> str:
    option = getattr(socket, "SO_PEERCRED", None)
    if sock is None or option is None:
        return "unix"
    try:
        _, user, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    except (OSError, struct.error):
        return "unix"
    return f"unix:{user}"
