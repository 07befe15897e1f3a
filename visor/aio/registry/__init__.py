"""The domain, awaited: apps, revisions, process types, instances, tickets, services, events.

registry = await visor.aio.registry.connect("localhost:8046")
app = await registry.register_app("git://git/web", "trusty")
await app.register_revision("v1", "http://archive/web-v1.img")
await app.register_proc("worker")
await registry.scale("web", "v1", "worker", 3)
"""

from __future__ import annotations

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
from visor.aio.registry.scale import ScaleCount, Scaled
from visor.aio.registry.service import Endpoint, Service
from visor.aio.registry.snapshot import Snapshot
from visor.aio.registry.ticket import Ticket, TicketWatch

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
