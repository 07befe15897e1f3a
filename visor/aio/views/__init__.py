"""The view registry under asyncio: the names of `visor.views`, awaited."""

from __future__ import annotations

from visor._drivers.aio.probing import Probe, grpc_health, http, tcp
from visor.aio.views.announcing import Announcement, announce
from visor.aio.views.locator import Locator, RegistryLocator, StaticLocator, get_nonempty, locator
from visor.aio.views.registry import Registry

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
