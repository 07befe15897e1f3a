"""`/v1/sd`: what runs and what is announced, as Prometheus asks for it (`http_sd_configs`): targets with labels.

Prometheus drops every target when it is told `[]`, and keeps what it had when it is told of a problem. So a list is
whole and of the latest rev, or it is a problem: also for an app or a service that is not there, whose name may be
misspelt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Final

from visor._core.registry.states import State
from visor.aio import Client
from visor.aio.registry.instance import Instance
from visor.aio.registry.registry import Registry
from visor.aio.registry.service import Endpoint
from visor.gateway.documents import Document
from visor.gateway.domain import MOST
from visor.gateway.problems import NotServed
from visor.gateway.visit import CALL_SECONDS, Answer, Visit

META: Final = "__meta_visor_"
TELEMETRY: Final = "telemetry"
PORTS: Final = ("main", TELEMETRY)
THERE: Final = (State.RUNNING, State.STOPPING, State.LOST)
"""States of an instance that may still answer."""


async def instances(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: the instances that have an address and the port that is asked for; with `healthy` those that run."""
    registry, app = Registry(client), visit["app"]
    view = await registry.snapshot(timeout=CALL_SECONDS)
    if app is not None:
        await view.app(app, timeout=CALL_SECONDS)
    found = await view.instances(app, timeout=CALL_SECONDS)
    groups = [
        _group(each.ip, port, _of_instance(each))
        for each in found
        if each.ip is not None
        and (port := each.tele_port if visit["port"] == TELEMETRY else each.port) is not None
        and _wanted(each, visit)
    ]
    return _listed(groups, view.rev, found.damaged)


def _wanted(each: Instance, visit: Visit) -> bool:
    named = all(visit[name] in (None, getattr(each, name)) for name in ("revision", "proc", "env", "host"))
    return named and each.state in ((State.RUNNING,) if visit["healthy"] else THERE)


def _of_instance(each: Instance) -> dict[str, object]:
    return {
        "app": each.app,
        "revision": each.revision,
        "proc": each.proc,
        "env": each.env,
        "host": each.host,
        "hostname": each.hostname,
        "instance": each.id,
        "state": each.state.value,
    }


async def services(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: the endpoints of a service, or of all, as they are registered."""
    view, name = await Registry(client).snapshot(timeout=CALL_SECONDS), visit["service"]
    if name is None:
        among = await view.services(timeout=CALL_SECONDS)
        names, damaged = {each.name for each in among}, list(among.damaged)
    else:
        names, damaged = {(await view.service(name, timeout=CALL_SECONDS)).name}, []
    found = await view.endpoints(name, timeout=CALL_SECONDS)
    groups = [_group(each.host, each.port, _of_endpoint(each)) for each in found if each.service in names]
    return _listed(groups, view.rev, [*damaged, *found.damaged])


def _of_endpoint(each: Endpoint) -> dict[str, object]:
    return {"service": each.service, "host": each.host, "priority": each.priority, "weight": each.weight}


def _group(host: str, port: int, labels: Mapping[str, object]) -> Document:
    """Return one target with its labels; what is not known has none."""
    told = {META + name: str(value) for name, value in labels.items() if value not in (None, "")}
    return {"targets": [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"], "labels": told}


def _listed(groups: list[Document], rev: int, damaged: Sized) -> Answer:
    """Answer them; how many records could not be read stops nobody, and stands in a header: a list has no place."""
    if len(groups) > MOST:
        raise NotServed(
            "usage", f"there are {len(groups)} targets, over the {MOST} of one list: ask for fewer"
        )
    return Answer(groups, rev=rev, headers={"visor-damaged": str(len(damaged))} if len(damaged) else None)
