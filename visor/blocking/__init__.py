"""The blocking client; its names are exported by `visor` itself, and loaded when they are first asked for.

All modules here but `_driver.py`, `_opening.py` and `_signal.py` are generated from `visor/aio`.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from visor.blocking.admin import Admin
    from visor.blocking.auth import Auth
    from visor.blocking.client import Client
    from visor.blocking.lease import Lease
    from visor.blocking.recipes import Election, Lock, Party, Semaphore
    from visor.blocking.session import Session
    from visor.blocking.snapshot import File, Snapshot
    from visor.blocking.subscription import Subscription
    from visor.blocking.transaction import Transaction
    from visor.blocking.watch import Watch

_PLACE_OF = {
    "Admin": "admin",
    "Auth": "auth",
    "Client": "client",
    "File": "snapshot",
    "Lease": "lease",
    "Session": "session",
    **dict.fromkeys(("Lock", "Semaphore", "Election", "Party"), "recipes"),
    "Snapshot": "snapshot",
    "Subscription": "subscription",
    "Transaction": "transaction",
    "Watch": "watch",
}

if not TYPE_CHECKING:  # or a checker would take any misspelt name for one that is made here

    def __getattr__(name):
        if name in _PLACE_OF:
            found = getattr(_import_module(f"visor.blocking.{_PLACE_OF[name]}"), name)
            globals()[name] = found
            return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Admin",
    "Auth",
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
