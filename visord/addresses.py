"""HOST:PORT, read and written in one place."""

from __future__ import annotations

import ipaddress


def split(address: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT` or `[V6]:PORT`. Raises ValueError that says what was expected."""
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ValueError(f"{address!r} is not HOST:PORT with a port from 0 to 65535")
    return host, int(port)


def join(host: str, port: int) -> str:
    """Return `HOST:PORT`, with brackets round an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
