"""As what a host is counted, wherever something is bounded by address."""

from __future__ import annotations

import ipaddress


def counted_as(host: str) -> str:
    """Return as what an address is counted: itself, and with IPv6 its /64, of which one machine may have any."""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"
