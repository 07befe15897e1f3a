"""File descriptors: how many this process may have, and how many of them clients may take.

The log, checkpoints, members and probes need some at any moment; what clients may take is what is left. Sockets that
wait in the kernel's queue become descriptors all at once, before anybody can count them: they are left room for, too.
"""

from __future__ import annotations

import resource
from typing import Final, NamedTuple

OWN: Final = 384
"""Kept for the node itself: log segments and checkpoints (about 30), members and those who ask to join (up to 64
strangers and as many askers), probes (64), the Unix socket (64), and what the interpreter opens now and then."""
LEAST: Final = 64
"""Connections below which there is no use in starting."""


class ClientShare(NamedTuple):
    """What clients get."""

    connections: int
    backlog: int
    """Sockets that may wait to be accepted."""


def raise_limit() -> int:
    """Raise the soft limit of open files to the hard one; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):  # a hard limit above what the system allows
        return soft
    return hard


def plan(limit: int, wanted: int) -> ClientShare:
    """Return how many of `wanted` connections fit under `limit` open files.

    Raises ValueError, which says what is needed, when hardly any do.

        plan(65536, 10000) -> ClientShare(10000, 1024)     plan(1024, 10000) -> ClientShare(512, 128)
    """
    if limit == resource.RLIM_INFINITY or limit >= wanted + OWN + 1024:
        return ClientShare(wanted, 1024)
    backlog = max(16, limit // 8)
    connections = min(wanted, limit - OWN - min(backlog, 1024))
    if connections < min(LEAST, wanted):
        raise ValueError(
            f"only {limit} files may be open (ulimit -n, LimitNOFILE): {OWN} are the node's own, so at least "
            f"{OWN + LEAST + backlog} are needed"
        )
    return ClientShare(connections, min(backlog, 1024))
