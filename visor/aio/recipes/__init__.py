"""What programs build on leases: locks, semaphores, elections, parties. All are made by a `Session`."""

from __future__ import annotations

from visor.aio.recipes.election import Election
from visor.aio.recipes.lock import Lock
from visor.aio.recipes.party import Party
from visor.aio.recipes.semaphore import Semaphore

__all__ = ["Election", "Lock", "Party", "Semaphore"]


def __dir__() -> list[str]:
    return sorted(__all__)
