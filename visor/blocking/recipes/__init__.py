# Generated from visor/aio/recipes/__init__.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""What programs build on leases: locks, semaphores, elections, parties. All are made by a `Session`."""

from __future__ import annotations

from visor.blocking.recipes.election import Election
from visor.blocking.recipes.lock import Lock
from visor.blocking.recipes.party import Party
from visor.blocking.recipes.semaphore import Semaphore

__all__ = ["Election", "Lock", "Party", "Semaphore"]


def __dir__() -> list[str]:
    return sorted(__all__)
