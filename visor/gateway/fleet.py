"""`/v1/fleet` and `/v1/happenings`: the whole domain at one rev in one answer, and what led there, for who draws it.

    what runs       apps, revisions, procs, groups (what `scale` was told), instances, hosts
    what is to do   tickets
    who is reached  services, endpoints, views: each with the instance that has its address, and that one's state

A part that the caller may not read is empty, and named in `denied`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, Final

from visor import select
from visor._core.registry import layout, names
from visor._core.registry.events import EventType, smallest
from visor._core.registry.states import Operation, Status
from visor._core.views.endpoint import decode
from visor.aio import Client
from visor.aio.registry.access import access_of
from visor.aio.registry.events import Event, events_of
from visor.aio.registry.instance import Instance
from visor.aio.registry.registry import Registry
from visor.aio.registry.snapshot import Snapshot
from visor.aio.registry.ticket import Ticket
from visor.codecs import BYTES
from visor.errors import Compacted, Denied
from visor.gateway.documents import Document, time_of
from visor.gateway.problems import NotServed
from visor.gateway.visit import CALL_SECONDS, Answer, Visit, first_of
from visor.protocol import verbs
from visor.select import Selector
from visor.values import commit_from_wire

MOST: Final = 10_000
"""Rows of one part; how many more there are is told in `left_out`."""
LOOKED: Final = 20
"""Pages of the log that one list of events reads."""
VIEWS: Final = select.tree("/views")


async def fleet(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: apps, instances, hosts, tickets, services and views, all at one rev."""
    view = await Registry(client).snapshot(await visit.at(client), timeout=CALL_SECONDS)
    denied: list[str] = []
    left_out: Document = {}

    async def part(name: str, rows: Awaitable[Iterable[Document]]) -> list[Document]:
        try:
            found = list(await rows)
        except Denied:
            denied.append(name)
            return []
        if len(found) > MOST:
            left_out[name] = len(found) - MOST
        return found[:MOST]

    told = {name: await part(name, read(view)) for name, read in _PARTS.items()}
    told["views"] = await part("views", _views(client, view.rev))
    at = {each["addr"]: each for each in told["instances"] if "addr" in each}
    for each in (*told["endpoints"], *told["views"]):
        served = at.get(each.pop("at"))
        each |= {"instance": served and served["id"], "state": served and served["state"]}
    time = await _time_of(client, view.rev)
    document = {"rev": view.rev, "time": time, **told, "denied": sorted(denied), "left_out": left_out}
    return Answer(document, rev=view.rev, lasting=visit.lasting)


async def _time_of(client: Client[bytes], rev: int) -> str | None:
    """Return when a rev was made; None where history does not go back so far, or may not be read."""
    try:
        commits = client.history(first=rev, last=rev, keys=True, timeout=CALL_SECONDS)
        commit = await anext(commits, None)
    except (Compacted, Denied):
        return None
    return None if commit is None else time_of(commit.time)


# -- parts ----------------------------------------------------------------------------------------------
async def _apps(view: Snapshot) -> list[Document]:
    return [_bare(each) for each in await view.apps(timeout=CALL_SECONDS)]


async def _revisions(view: Snapshot) -> list[Document]:
    return [_bare(each) for each in await view.revisions(timeout=CALL_SECONDS)]


async def _procs(view: Snapshot) -> list[Document]:
    found = await view.procs(timeout=CALL_SECONDS)
    return [
        {"app": each.app, "name": each.name, "port": each.port, "command": each.command} for each in found
    ]


async def _groups(view: Snapshot) -> list[Document]:
    found = await view.targets(timeout=CALL_SECONDS)
    return [
        {
            "app": group.app,
            "revision": group.revision,
            "proc": group.proc,
            "env": group.env,
            "target": told.target,
            "by": told.by,
            "time": told.time,
        }
        for group, told in found.items()
    ]


async def _instances(view: Snapshot) -> list[Document]:
    return [_instance(each) for each in await view.instances(timeout=CALL_SECONDS)]


def _instance(each: Instance) -> Document:
    """Return what a cell of a grid says; `/v1/instances/{instance}` has the rest."""
    found: Document = {"id": each.id, "app": each.app, "revision": each.revision, "proc": each.proc}
    found |= {"state": each.state.value, "mod_rev": each.mod_rev}
    more = {"env": each.env, "host": each.host, "addr": each.addr, "locked": each.is_locked}
    return found | {name: value for name, value in more.items() if value}


async def _hosts(view: Snapshot) -> list[Document]:
    """Return the hosts that said they are there: those that live as long as a lease, and process managers."""
    found: dict[str, Document] = {}
    for lease in await view.leases(timeout=CALL_SECONDS):
        found.setdefault(lease.host, {"host": lease.host})["lease"] = lease.lease
    for manager in await view.process_managers(timeout=CALL_SECONDS):
        found.setdefault(manager.host, {"host": manager.host})["pm"] = manager.version or ""
    return [found[host] for host in sorted(found)]


async def _tickets(view: Snapshot) -> list[Document]:
    return [_ticket(each) for each in await view.tickets(timeout=CALL_SECONDS)]


def _ticket(each: Ticket) -> Document:
    claimed = each.claims[-1][1] if each.status is Status.CLAIMED and each.claims else None
    since: datetime | None = each.registered if claimed is None else claimed
    if each.op is Operation.STOP and each.instance is not None:
        since = None  # of an instance that stops it is not written down since when
    return {
        "id": each.id,
        "op": each.op.value,
        "status": each.status.value,
        "app": each.app,
        "revision": each.revision,
        "proc": each.proc,
        "env": each.env,
        "host": each.host,
        "since": None if since is None else time_of(since),
        "instance": each.instance is not None,
    }


async def _services(view: Snapshot) -> list[Document]:
    return [{"name": each.name} for each in await view.services(timeout=CALL_SECONDS)]


async def _endpoints(view: Snapshot) -> list[Document]:
    return [
        {
            "service": each.service,
            "addr": each.addr,
            "priority": each.priority,
            "weight": each.weight,
            "at": f"{each.ip or each.host}:{each.port}",
        }
        for each in await view.endpoints(timeout=CALL_SECONDS)
    ]


async def _views(client: Client[bytes], rev: int) -> list[Document]:
    """Return what is announced; whatever lies there and is no announcement says why."""
    found: list[Document] = []
    async for file in client.scan(VIEWS, codec=BYTES, at=rev, timeout=CALL_SECONDS):
        row: Document = {
            "path": file.path,
            "lease": file.lease,
            "name": file.path.rpartition("/")[2],
            "at": "",
        }
        try:
            told = decode(file.data)
            row |= {"name": told.id, "network": told.network, "features": told.features, "at": told.id}
            row["annotations"] = dict(told.annotations)
        except ValueError as error:
            row["problem"] = str(error)
        found.append(row)
    return found


_PARTS: Final[dict[str, Callable[[Snapshot], Awaitable[list[Document]]]]] = {
    "apps": _apps,
    "revisions": _revisions,
    "procs": _procs,
    "groups": _groups,
    "instances": _instances,
    "hosts": _hosts,
    "tickets": _tickets,
    "services": _services,
    "endpoints": _endpoints,
}


def _bare(each: Any) -> Document:
    """Return an object without the rev that it was read at: the list has one for all."""
    found: Document = each.to_dict()
    return {name: value for name, value in found.items() if name != "rev"}


# -- what happened --------------------------------------------------------------------------------------
async def happenings(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: what happened in the domain, the newest first, by whole commits, until there are enough."""
    view = await Registry(client).snapshot(await visit.at(client), timeout=CALL_SECONDS)
    types = _types(visit["type"])
    app: str | None = visit["app"]
    what = smallest(types) if app is None else select.tree(layout.app_directory(names.name("app", app)))
    first = await first_of(visit["from"], client)
    found, following = await _before(view, what, types, first, visit["limit"])
    told = [each.to_dict() for each in found]
    return Answer({"rev": view.rev, "events": told, "next": following}, rev=view.rev, lasting=visit.lasting)


async def _before(
    view: Snapshot, what: Selector, types: frozenset[EventType] | None, first: int | None, limit: int
) -> tuple[list[Event], int | None]:
    """Return the events from `first` to the view's rev, newest first, and up to which rev to look for more of them."""
    client, last = access_of(view).client, view.rev
    selector, options = client.channel.root.selector(what), {"previous": True, "reverse": True}
    found: list[Event] = []
    for _ in range(LOOKED):
        if (first or 1) > last:
            return found, None
        message = [verbs.LOG, 0, selector, first, last, limit, options]
        _, rows, cursor = await client.channel.call(message, False, CALL_SECONDS)
        for row in rows:
            commit = commit_from_wire(row, client.channel.root.relative, BYTES)
            found += reversed(await events_of(view, commit, types, CALL_SECONDS))
            if len(found) >= limit:
                return found, commit.rev - 1 or None
        if cursor is None:
            return found, None
        last = cursor
    return found, last


def _types(words: list[str] | None) -> frozenset[EventType] | None:
    try:
        return None if words is None else frozenset(map(EventType, words))
    except ValueError as error:
        known = ", ".join(EventType)
        raise NotServed("usage", f"type: {error}; one of {known} is expected", field="type") from None
