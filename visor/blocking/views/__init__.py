# Generated from visor/aio/views/__init__.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""The view registry under asyncio: the names of `visor.views`, awaited."""

from __future__ import annotations

from visor._drivers.blocking.probing import Probe, grpc_health, http, tcp
from visor.blocking.views.announcing import Announcement, announce
from visor.blocking.views.locator import Locator, RegistryLocator, StaticLocator, get_nonempty, locator
from visor.blocking.views.registry import Registry

__all__ = [
    "Announcement",
    "Locator",
    "Probe",
    "Registry",
    "RegistryLocator",
    "StaticLocator",
    "announce",
    "get_nonempty",
    "grpc_health",
    "http",
    "locator",
    "tcp",
]


def __dir__() -> list[str]:
    return sorted(__all__)
