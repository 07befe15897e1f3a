"""The domain: apps, revisions, process types, instances, tickets, services, and what happens to them.

    import visor

    with visor.registry.connect("localhost:8046") as registry:
        app = registry.register_app("git://git/web", "trusty")
        app.register_revision("v1", "http://archive/web-v1.img")
        app.register_proc("worker", command="bin/worker")
        registry.scale("web", "v1", "worker", 3)               # three pending instances, in one rev
        ticket = registry.claim_ticket("10.0.0.1")              # one of them
        instance = ticket.instance.started(port=8001)
        for event in registry.watch_event(rev=1): ...

`visor.aio.registry` has the same names for asyncio. `visor/docs/domain.md` says how it is kept and what each
operation promises; `errors` what is refused. The modules here are the pure part that both sides share.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from visor._core.registry import errors
    from visor._core.registry.audit import Fault
    from visor._core.registry.events import EventPath, EventType
    from visor._core.registry.listed import Listed, Mapped
    from visor._core.registry.mending import Repaired
    from visor._core.registry.model import Heartbeat, Limits, Mark
    from visor._core.registry.scaling import Group
    from visor._core.registry.states import ENDED, MOVES, TERMINAL, Move, Operation, State, Status
    from visor.blocking.registry import (
        SCHEMA,
        App,
        Endpoint,
        Env,
        Event,
        EventWatch,
        Instance,
        Lock,
        Member,
        Presence,
        ProcType,
        Registry,
        Revision,
        Runner,
        RunnerWatch,
        ScaleCount,
        Scaled,
        Service,
        Snapshot,
        Ticket,
        TicketWatch,
        connect,
    )

_PLACES = {
    "visor.blocking.registry": (
        "SCHEMA", "App", "Endpoint", "Env", "Event", "EventWatch", "Instance", "Lock", "Member", "Presence",
        "ProcType", "Registry", "Revision", "Runner", "RunnerWatch", "ScaleCount", "Scaled", "Service", "Snapshot",
        "Ticket", "TicketWatch", "connect",
    ),
    "visor._core.registry.audit": ("Fault",),
    "visor._core.registry.events": ("EventPath", "EventType"),
    "visor._core.registry.listed": ("Listed", "Mapped"),
    "visor._core.registry.mending": ("Repaired",),
    "visor._core.registry.model": ("Heartbeat", "Limits", "Mark"),
    "visor._core.registry.scaling": ("Group",),
    "visor._core.registry.states": ("ENDED", "MOVES", "TERMINAL", "Move", "Operation", "State", "Status"),
}  # fmt: skip
"""What each module brings. It is loaded when one of its names is first asked for, as those of `visor`."""
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}

if not TYPE_CHECKING:  # or a checker would take any misspelt name for one that is made here

    def __getattr__(name):
        if name == "errors":
            return _import_module("visor.registry.errors")
        if name not in _PLACE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(_import_module(_PLACE_OF[name]), name)
        globals()[name] = value
        return value


__all__ = [
    "connect",
    "Registry",
    "Snapshot",
    "App",
    "Revision",
    "ProcType",
    "Env",
    "Instance",
    "Ticket",
    "TicketWatch",
    "Service",
    "Endpoint",
    "Runner",
    "RunnerWatch",
    "Member",
    "Presence",
    "Lock",
    "Event",
    "EventWatch",
    "EventType",
    "EventPath",
    "Scaled",
    "ScaleCount",
    "Group",
    "Fault",
    "Listed",
    "Mapped",
    "Repaired",
    "State",
    "Move",
    "MOVES",
    "ENDED",
    "TERMINAL",
    "Operation",
    "Status",
    "Limits",
    "Heartbeat",
    "Mark",
    "SCHEMA",
    "errors",
]


def __dir__() -> list[str]:
    return sorted(__all__)
