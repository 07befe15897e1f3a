"""Leases are never early: no lease expires before its TTL has passed since it was last renewed.

What counts is when the renewal was *sent*: the answer says that the lease lives for a TTL from then on, at least.
"""

from __future__ import annotations

from tests.checkers.history import History, Violation

NAME = "leases never early"


def check(history: History) -> None:
    """Raise `Violation` for a lease that expired while its holder could rely on it."""
    for lease in history.leases:
        if lease.expired_at is None:
            continue
        sound = [sent for sent in lease.renewed if sent < lease.expired_at]
        if sound and lease.expired_at < max(sound) + lease.ttl:
            raise Violation(
                NAME,
                f"lease {lease.lease} (ttl {lease.ttl:g}) was renewed at {max(sound):.6f} and expired at "
                f"{lease.expired_at:.6f}, {max(sound) + lease.ttl - lease.expired_at:.6f} s early",
            )
