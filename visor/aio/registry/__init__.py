"""The domain, awaited: apps, revisions, process types, instances, tickets, services, events.

registry = await visor.aio.registry.connect("localhost:8046")
app = await registry.register_app("git://git/web", "trusty")
await app.register_revision("v1", "http://archive/web-v1.img")
await app.register_proc("worker")
await registry.scale("web", "v1", "worker", 3)
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from visor._core.registry.scaling import ScaleCount
    from visor.aio.registry.app import App
    from visor.aio.registry.env import Env
    from visor.aio.registry.events import Event, EventWatch
    from visor.aio.registry.instance import Instance
    from visor.aio.registry.lock import Lock
    from visor.aio.registry.member import Member, Runner, RunnerWatch
    from visor.aio.registry.presence import Presence
    from visor.aio.registry.proc import ProcType
    from visor.aio.registry.registry import SCHEMA, Registry, connect
    from visor.aio.registry.revision import Revision
    from visor.aio.registry.scale import Scaled
    from visor.aio.registry.service import Endpoint, Service
    from visor.aio.registry.snapshot import Snapshot
    from visor.aio.registry.ticket import Ticket, TicketWatch

_PLACES = {
    "app": ("App",),
    "env": ("Env",),
    "events": (
        "Event",
        "EventWatch",
    ),
    "instance": ("Instance",),
    "lock": ("Lock",),
    "member": (
        "Member",
        "Runner",
        "RunnerWatch",
    ),
    "presence": ("Presence",),
    "proc": ("ProcType",),
    "registry": (
        "SCHEMA",
        "Registry",
        "connect",
    ),
    "revision": ("Revision",),
    "scale": (
        "ScaleCount",
        "Scaled",
    ),
    "service": (
        "Endpoint",
        "Service",
    ),
    "snapshot": ("Snapshot",),
    "ticket": (
        "Ticket",
        "TicketWatch",
    ),
}
"""What each module here brings. All are loaded when one of the names is first asked for: a program has its modules
before it asks anything of a registry. The command line takes the modules that it needs by themselves."""
_NAMES = frozenset(name for names in _PLACES.values() for name in names)

if not TYPE_CHECKING:  # or a checker would take any misspelt name for one that is made here

    def __getattr__(name):
        if name not in _NAMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        for place, names in _PLACES.items():
            loaded = _import_module(f"{__name__}.{place}")
            globals().update({each: getattr(loaded, each) for each in names})
        return globals()[name]


__all__ = [
    "SCHEMA",
    "App",
    "Endpoint",
    "Env",
    "Event",
    "EventWatch",
    "Instance",
    "Lock",
    "Member",
    "Presence",
    "ProcType",
    "Registry",
    "Revision",
    "Runner",
    "RunnerWatch",
    "ScaleCount",
    "Scaled",
    "Service",
    "Ticket",
    "TicketWatch",
    "Snapshot",
    "connect",
]


def __dir__() -> list[str]:
    return sorted(__all__)
