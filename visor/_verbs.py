"""The verbs' names, for hooks and messages."""

from __future__ import annotations

from visor.protocol import verbs

NAMES: dict[int, str] = {
    getattr(verbs, name): name.lower()
    for name in (
        "PING",
        "GET",
        "STAT",
        "LIST",
        "SCAN",
        "REV",
        "LOG",
        "DIFF",
        "AT",
        "STATUS",
        "LEASES",
        "LEASE",
        "KEEPALIVE",
        "GRANT",
        "REVOKE",
        "SET",
        "DELETE",
        "TXN",
        "REVERT",
        "NOP",
        "RETAIN",
        "MEMBERS",
        "ADMIN",
    )
}
