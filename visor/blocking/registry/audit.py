# Generated from visor/aio/registry/audit.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Reading everything that the domain keeps, for the checker."""

from __future__ import annotations

from visor import select
from visor._core.registry import layout
from visor._core.registry.audit import Fault, faults
from visor.blocking.registry.access import Access


def verify(access: Access, rev: int) -> list[Fault]:
    """Return what is wrong with the domain at a rev."""
    stored: dict[str, tuple[bytes, int]] = {}
    for root in layout.ROOTS:
        _, rows = access.scan(select.tree(root), rev)
        stored.update({path: (version[1], version[4]) for path, version in rows})
    return faults(stored)
