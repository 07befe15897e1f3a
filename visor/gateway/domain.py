"""The domain, as `visor.registry` has it: `/v1/apps` and what belongs to them, what runs, and `/v1/events`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from visor._core.registry import instance_files, scaling
from visor._core.registry.listed import Listed
from visor._core.registry.scaling import Group
from visor._core.registry.states import STAYING, Move, State
from visor._core.steps import Misspelt, only, text, whole
from visor.aio import Client
from visor.aio.registry.events import EventWatch
from visor.aio.registry.registry import Registry
from visor.aio.registry.snapshot import Snapshot
from visor.errors import BadRequest
from visor.gateway import accept
from visor.gateway.documents import Document
from visor.gateway.problems import NotServed
from visor.gateway.visit import CALL_SECONDS, Answer, Streamed, Visit
from visor.gateway.watching import Flow, first_rev, resumed_rev

MOST: Final = 10_000
"""Objects in one list."""


async def _view(visit: Visit, client: Client[bytes]) -> Snapshot:
    return await Registry(client).snapshot(await visit.at(client), timeout=CALL_SECONDS)


def _list(view: Snapshot, name: str, found: Iterable[Any]) -> Answer:
    """Return a list, and beside it what could not be read."""
    rows = [each.to_dict() for each in found]
    if len(rows) > MOST:
        raise NotServed("usage", f"there are {len(rows)} {name}, over the {MOST} of one list: ask for fewer")
    damaged = (
        [{"path": bad.path, "why": str(bad)} for bad in found.damaged] if isinstance(found, Listed) else []
    )
    return Answer({"rev": view.rev, name: rows, "damaged": damaged}, rev=view.rev)


# -- apps -----------------------------------------------------------------------------------------------
async def apps(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: all apps."""
    view = await _view(visit, client)
    return _list(view, "apps", await view.apps(timeout=CALL_SECONDS))


async def app(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: an app with its revisions, process types, environments, and how many instances there are of each group."""
    view = await _view(visit, client)
    found = await view.app(visit.names["app"], timeout=CALL_SECONDS)
    groups: list[Document] = []
    for group in await view.targets(found.name):
        count = await view.get_scale(found.name, group.revision, group.proc, group.env, timeout=CALL_SECONDS)
        named = {"revision": group.revision, "proc": group.proc, "env": group.env}
        groups.append({**named, "count": count.count, "stopping": count.stopping})
    return Answer(
        {
            **found.to_dict(),
            "revisions": [each.to_dict() for each in await found.revisions()],
            "procs": [each.to_dict() for each in await found.procs()],
            "envs": [each.ref for each in await found.envs()],
            "variables": dict(await found.environment_variables()),
            "groups": groups,
        },
        rev=view.rev,
    )


async def register_app(visit: Visit, client: Client[bytes]) -> Answer:
    """PUT: register an app."""
    said = visit.json()
    only(said, "the body", ("repo_url", "stack", "deploy_type", "env"))
    env = said.get("env", {})
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        raise Misspelt("the body.env must be an object of texts")
    made = await Registry(client).register_app(
        _text(said, "repo_url"),
        _text(said, "stack"),
        visit.names["app"],
        deploy_type=_text(said, "deploy_type", "lxc"),
        env=env,
        timeout=CALL_SECONDS,
    )
    return Answer({"app": made.name, "rev": made.rev}, 201, made.rev)


def _text(said: dict[str, Any], key: str, default: str = "") -> str:
    return text(said, key, "the body") if key in said else default


async def unregister_app(visit: Visit, client: Client[bytes]) -> Answer:
    """DELETE: take an app out, with all that belongs to it; with `cascade` also while instances of it run."""
    name = visit.names["app"]
    gone = await Registry(client).unregister_app(name, cascade=visit["cascade"], timeout=CALL_SECONDS)
    return Answer({"app": name, "rev": gone.rev}, rev=gone.rev)


async def register_revision(visit: Visit, client: Client[bytes]) -> Answer:
    """PUT: register a revision of an app."""
    said = visit.json()
    only(said, "the body", ("archive_url",))
    found = await Registry(client).app(visit.names["app"], timeout=CALL_SECONDS)
    made = await found.register_revision(
        visit.names["revision"], _text(said, "archive_url"), timeout=CALL_SECONDS
    )
    return Answer({"app": found.name, "revision": made.ref, "rev": made.rev}, 201, made.rev)


async def register_proc(visit: Visit, client: Client[bytes]) -> Answer:
    """PUT: register a process type of an app."""
    said = visit.json()
    only(said, "the body", ("command",))
    found = await Registry(client).app(visit.names["app"], timeout=CALL_SECONDS)
    fields = {"command": _text(said, "command")} if "command" in said else {}
    made = await found.register_proc(visit.names["proc"], timeout=CALL_SECONDS, **fields)
    told = {"app": found.name, "proc": made.name, "port": made.port, "rev": made.rev}
    return Answer(told, 201, made.rev)


# -- scale ----------------------------------------------------------------------------------------------
async def get_scale(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: how many instances there are of a revision and process type."""
    view = await _view(visit, client)
    found = await view.get_scale(
        visit.names["app"], visit["revision"], visit["proc"], visit["env"], timeout=CALL_SECONDS
    )
    told = {"count": found.count, "stopping": found.stopping, "by_env": dict(found.by_env), "rev": found.rev}
    return Answer(told, rev=found.rev)


async def scale(visit: Visit, client: Client[bytes]) -> Answer:
    """POST: have `count` instances, or with `by` so many more or fewer; with `expect` only where there are so many."""
    said = visit.json()
    only(said, "the body", ("revision", "proc", "env", "count", "by", "expect"))
    revision, proc = text(said, "revision", "the body"), text(said, "proc", "the body")
    env = None if said.get("env") is None else text(said, "env", "the body")
    expect = whole(said, "expect", "the body") if "expect" in said else None
    group = Group.of(visit.names["app"], revision, proc, env)
    amount = _amount(said)
    if visit["dry_run"]:
        return await _foreseen(client, group, amount, expect)
    done = await Registry(client).scale(
        group.app, revision, proc, amount, group.env, expected=expect, timeout=CALL_SECONDS
    )
    told = {"previous": done.previous, "count": done.count, "rev": done.rev}
    return Answer({**told, "instances": [each.id for each in done.instances]}, rev=done.rev)


def _amount(said: dict[str, Any]) -> int | str:
    if ("count" in said) == ("by" in said):
        raise Misspelt("the body must have either count or by")
    if "count" in said:
        return whole(said, "count", "the body")
    by = said["by"]
    if not isinstance(by, int) or isinstance(by, bool) or not -MOST <= by <= MOST:
        raise Misspelt(f"the body.by must be a whole number from -{MOST} to {MOST}")
    return f"{by:+d}"


async def _foreseen(client: Client[bytes], group: Group, amount: int | str, expect: int | None) -> Answer:
    """Answer what `scale` would do now, and do nothing."""
    view = await Registry(client).snapshot(timeout=CALL_SECONDS)
    await view.app(group.app, timeout=CALL_SECONDS)
    await view.revision(group.app, group.revision, timeout=CALL_SECONDS)
    await view.proc(group.app, group.proc, timeout=CALL_SECONDS)
    if group.env:
        await view.env(group.app, group.env, timeout=CALL_SECONDS)
    found = await view.instances(*group.names, timeout=CALL_SECONDS)
    there = [each for each in found if each.state in STAYING]
    if expect is not None and len(there) != expect:
        raise scaling.unexpected(group, expect, len(there))
    change = scaling.parse(amount).change(len(there))
    going = [
        {
            "id": each.id,
            "state": each.state.value,
            "host": each.host,
            "move": (Move.UNREGISTER if each.state is State.PENDING else Move.STOP).value,
        }
        for each in there[: max(0, -change)]  # the oldest first, as `scale` does
    ]
    told = {"previous": len(there), "count": len(there) + change, "register": max(0, change), "going": going}
    return Answer({"dry_run": True, **told, "rev": view.rev}, rev=view.rev)


# -- what runs ------------------------------------------------------------------------------------------
async def instances(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: instances, of all apps, of one, or on one host."""
    view = await _view(visit, client)
    if visit["host"] is not None:
        found = await view.host_instances(visit["host"], timeout=CALL_SECONDS)
    else:
        found = await view.instances(visit["app"], timeout=CALL_SECONDS)
    return _list(view, "instances", found)


async def instance(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: one instance, and the files that it is."""
    view = await _view(visit, client)
    text = visit.names["instance"]
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise BadRequest(field="instance", expected="a number", actual=text[:40])
    found = await view.instance(int(text), timeout=CALL_SECONDS)
    seen = found.seen
    files = instance_files.files_once_lost(seen.record) if seen.lost else instance_files.files(seen.record)
    told = {**found.to_dict(), "mod_rev": found.mod_rev, "files": sorted(files)}
    end = found.status_info  # also of one whose lease has ended, which no record says
    if end is not None:
        told["end"] = [end.by, end.reason, end.time]
    return Answer(told, rev=view.rev, lasting=visit.lasting)


async def tickets(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: the tickets that are not processed, or those of a host."""
    view = await _view(visit, client)
    if visit["host"] is not None:
        return _list(view, "tickets", await view.host_tickets(visit["host"], timeout=CALL_SECONDS))
    return _list(view, "tickets", await view.tickets(timeout=CALL_SECONDS))


async def services(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: all services."""
    view = await _view(visit, client)
    return _list(view, "services", await view.services(timeout=CALL_SECONDS))


async def service(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: a service and its endpoints."""
    view = await _view(visit, client)
    found = await view.service(visit.names["service"], timeout=CALL_SECONDS)
    answer = _list(view, "endpoints", await view.endpoints(found.name, timeout=CALL_SECONDS))
    return Answer({**found.to_dict(), **answer.document}, rev=view.rev)


async def runners(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: runners, of all hosts or of one."""
    view = await _view(visit, client)
    return _list(view, "runners", await view.runners(visit["host"], timeout=CALL_SECONDS))


# -- events ---------------------------------------------------------------------------------------------
class _Events(Flow):
    """Events of the domain, those of a commit together."""

    def __init__(self, form: str, client: Client[bytes], watch: EventWatch) -> None:
        super().__init__(form, client, watch, name="events")
        self._watch = watch

    async def _take(self, seconds: float) -> tuple[int, Document]:
        found = await self._watch.next_commit(timeout=seconds)
        return found[0].rev, {"events": [each.to_dict() for each in found]}


async def events(visit: Visit, client: Client[bytes]) -> Streamed:
    """GET: what happens, as a stream."""
    form = visit.form(accept.EVENTS, accept.LINES)
    last = visit.headers.get("last-event-id")
    first = await first_rev(visit["from"], client) if last is None else await resumed_rev(last, client) + 1
    types: list[str] | None = visit["type"]
    opened = await Registry(client).watch_event(first, types=types, app=visit["app"], timeout=CALL_SECONDS)
    flow = _Events(form, client, opened)
    return Streamed(form, flow.pieces(), opened.rev, opened.close)
