"""Ports that stay free: a member must come back at the address that others know."""

from __future__ import annotations

import random
import socket
from pathlib import Path

HOST = "127.0.0.1"
LOWEST = 12_000
RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")

_given: set[int] = set()


def address() -> str:
    """Return HOST:PORT that nobody uses, outside the range from which outgoing connections get theirs."""
    highest = _lowest_of_outgoing() - 1
    for _ in range(1000):
        port = random.randint(LOWEST, highest)
        if port not in _given and _is_free(port):
            _given.add(port)
            return f"{HOST}:{port}"
    raise RuntimeError(f"no free port from {LOWEST} to {highest}")


def split(text: str) -> tuple[str, int]:
    """Return the parts of HOST:PORT."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def _lowest_of_outgoing() -> int:
    try:
        lowest = int(RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        lowest = 32_768
    return lowest if lowest > LOWEST + 1000 else 65_536


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
