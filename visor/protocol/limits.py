"""The limits of the registry, in one place. The server tells its own in the answer to HELLO."""

from __future__ import annotations

from typing import Final

from visor._core.dataclass import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, one connection and one path may be at most.

    The tree limits (`component`, `path`, `value`, `operations`, `transaction`, `note`, `lease...`) are part of the
    replicated machine: all nodes of a cluster use the same ones. Sizes are in bytes of UTF-8 or of
    the value.
    """

    component: int = 255
    path: int = 1024
    value: int = 1 * MIB
    note: int = 4 * KIB
    operations: int = 4096
    """Guards, then-operations and else-operations of one transaction, each."""
    transaction: int = 4 * MIB
    """Sum of path and value bytes of one transaction."""
    frame: int = 8 * MIB
    """One message on the wire, encoded."""
    in_flight: int = 1024
    """Requests of one connection that are not answered yet."""
    watches: int = 4096
    """Watches of one connection."""
    glob_cost: int = 4000
    """Microseconds that matching one changed path may cost at most, with the globs of all watches of a node."""
    glob_cost_connection: int = 1000
    """The same for the watches of one connection."""
    connections: int = 10_000
    leases: int = 100_000
    owner_leases: int = 20_000
    """Leases of one owner: the host that clients come from, or the user of a Unix socket."""
    anonymous_leases: int = 1_000
    """Leases of one owner that were asked for without a session."""
    lease_files: int = 4096
    """Files attached to one lease: they go in one rev, as the operations of one transaction."""
    lease_ttl_least: int = 1_000
    """Milliseconds. A keep-alive takes a round of the cluster and a slow disk or an election takes a good part of a
    second: what lives shorter than that would be lost by clients that are well."""
    lease_ttl_most: int = 366 * 86_400_000
    page: int = 10_000
    """Rows of one LIST, SCAN, LOG or DIFF answer."""
    page_bytes: int = 4 * MIB
    """Bytes of values in one answer; a page ends after the row that passes it."""
    watch_window: int = 1 * MIB
    """Bytes of a watch that may be under way, not yet credited by its reader (upper bound)."""


DEFAULT = Limits()

SELECTORS: Final = 32
"""Selectors in one SEL_ANY. Each costs a changed path, and a visited one, as much as if it came alone."""
