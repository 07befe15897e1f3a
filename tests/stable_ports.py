"""Ports that stay free while whoever listened there is away.

The system gives outgoing connections, and those that listen on port 0, a port of its own range. A member that stops and
comes back would find its port taken, even by the connection of another member that tries to reach it. These lie below.
"""

from __future__ import annotations

import random
import socket

_FIRST = 12_000
_LAST = 32_000
_RANDOM = random.SystemRandom()


def stable_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens now, and that the system gives to nobody."""
    while True:
        port = _RANDOM.randrange(_FIRST, _LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
