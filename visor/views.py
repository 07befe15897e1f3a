"""The view registry: services announce what they provide, programs find out who is there and healthy.

    with announce(client, "10.0.0.7", 9980, features=Feature.HASH_SP, partition=Partition("sp", HashRange(0, 99))):
        ...                                                          # announced as long as this process lives

    with Registry(RegistryLocator(client), features=Feature, probe=tcp()) as registry:
        registry.wait_for_stable(5.0)
        registry.healthy_views(Feature.HASH_SP)

`visor.aio.views` has the same names for asyncio; `visor/docs/following.md` says what each promises.
"""

from __future__ import annotations

from visor._core.views.catalog import Health, Metrics, Reported, Summary, View
from visor._core.views.endpoint import Endpoint, Found
from visor._core.views.partition import WHOLE, HashRange, Partition, cover, covers
from visor.blocking.views import (
    Announcement,
    Locator,
    Probe,
    Registry,
    RegistryLocator,
    StaticLocator,
    announce,
    get_nonempty,
    grpc_health,
    http,
    locator,
    tcp,
)

__all__ = [
    "announce",
    "Announcement",
    "Registry",
    "View",
    "Health",
    "Summary",
    "Metrics",
    "Endpoint",
    "Partition",
    "HashRange",
    "WHOLE",
    "cover",
    "covers",
    "Locator",
    "StaticLocator",
    "RegistryLocator",
    "Found",
    "get_nonempty",
    "locator",
    "Probe",
    "Reported",
    "tcp",
    "http",
    "grpc_health",
]


def __dir__() -> list[str]:
    return sorted(__all__)
