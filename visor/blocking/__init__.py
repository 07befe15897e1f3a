"""The blocking client; its names are exported by `visor` itself.

All modules here but `_driver.py` and `_signal.py` are generated from `visor/aio`.
"""

from __future__ import annotations

from visor.blocking.admin import Admin
from visor.blocking.client import Client
from visor.blocking.lease import Lease
from visor.blocking.recipes import Election, Lock, Party, Semaphore
from visor.blocking.session import Session
from visor.blocking.snapshot import File, Snapshot
from visor.blocking.subscription import Subscription
from visor.blocking.transaction import Transaction
from visor.blocking.watch import Watch

__all__ = [
    "Admin",
    "Client",
    "File",
    "Lease",
    "Session",
    "Lock",
    "Semaphore",
    "Election",
    "Party",
    "Snapshot",
    "Subscription",
    "Transaction",
    "Watch",
]


def __dir__() -> list[str]:
    return sorted(__all__)
