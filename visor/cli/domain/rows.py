"""How each kind of object looks: as JSON, as plain lines, as cells of a table. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from visor._core.harmless import harmless
from visor.cli.moment import age
from visor.cli.views import View, line
from visor.values import milliseconds

if TYPE_CHECKING:
    from visor.registry import (
        App,
        Endpoint,
        Env,
        Event,
        Instance,
        Member,
        ProcType,
        Revision,
        Runner,
        Service,
        Ticket,
    )


def _ago(moment: datetime | None, now: datetime) -> str:
    return "" if moment is None else age(milliseconds(moment), now)


def _text(value: object) -> str:
    return "" if value is None else harmless(str(value))


def shape(each: Any) -> dict[str, Any]:
    """Return the JSON of any object."""
    found: dict[str, Any] = each.to_dict()
    return found


def apps(now: datetime) -> View[App]:
    """Rows of `app ls`."""
    return View(
        shape,
        lambda each: line(each.name, each.stack, each.head or "", each.repo_url),
        ("app", "stack", "head", "repository", "registered"),
        lambda each: [
            (each.name, _text(each.stack), _text(each.head), _text(each.repo_url), _ago(each.registered, now))
        ],
    )


def revisions(now: datetime) -> View[Revision]:
    """Rows of `rev ls`."""
    return View(
        shape,
        lambda each: line(each.app, each.ref, each.archive_url),
        ("app", "revision", "archive", "registered"),
        lambda each: [(each.app, each.ref, _text(each.archive_url), _ago(each.registered, now))],
    )


def procs(now: datetime) -> View[ProcType]:
    """Rows of `proc ls`."""
    return View(
        shape,
        lambda each: line(each.app, each.name, each.port or "-", each.command or ""),
        ("app", "proc", "port", "command", "registered"),
        lambda each: [
            (each.app, each.name, _text(each.port), _text(each.command), _ago(each.registered, now))
        ],
    )


def envs(now: datetime) -> View[Env]:
    """Rows of `env ls`."""
    return View(
        shape,
        lambda each: line(each.app, each.ref, len(each.vars)),
        ("app", "env", "variables", "registered"),
        lambda each: [(each.app, each.ref, str(len(each.vars)), _ago(each.registered, now))],
    )


def variables() -> View[tuple[str, str]]:
    """Rows of `env get`: the variables."""
    return View(
        lambda each: {"key": each[0], "value": each[1]},
        lambda each: line(f"{each[0]}={each[1]}"),
        ("variable", "value"),
        lambda each: [(harmless(each[0]), harmless(each[1]))],
    )


def instances(now: datetime) -> View[Instance]:
    """Rows of `instance ls`."""
    return View(
        shape,
        lambda each: line(
            each.id,
            each.state,
            each.app,
            each.revision,
            each.proc,
            each.env or "-",
            each.host or "-",
            each.addr or "-",
        ),
        ("id", "state", "app", "revision", "proc", "env", "host", "address", "restarts", "age", "remark"),
        lambda each: [_instance_cells(each, now)],
    )


def _instance_cells(each: Instance, now: datetime) -> tuple[str, ...]:
    restarts = sum(each.restarts.values())
    remark = each.status_info.reason if each.status_info is not None else ""
    if each.lock_info is not None:
        remark = f"locked by {each.lock_info.by}{f': {remark}' if remark else ''}"
    return (
        str(each.id),
        each.state.value,
        each.app,
        each.revision,
        each.proc,
        each.env,
        _text(each.host),
        _text(each.addr),
        str(restarts) if restarts else "",
        _ago(each.registered, now),
        harmless(remark),
    )


def tickets(now: datetime) -> View[Ticket]:
    """Rows of `ticket ls`."""
    return View(
        lambda each: {**shape(each), "instance": each.instance.id if each.instance is not None else None},
        lambda each: line(
            each.id,
            each.op,
            each.status,
            each.app,
            each.revision,
            each.proc,
            each.env or "-",
            each.host or "-",
        ),
        ("id", "what", "status", "app", "revision", "proc", "env", "host", "age"),
        lambda each: [
            (
                str(each.id),
                each.op.value,
                each.status.value,
                each.app,
                each.revision,
                each.proc,
                each.env,
                _text(each.host),
                _ago(each.registered, now),
            )
        ],
    )


def services(now: datetime) -> View[Service]:
    """Rows of `service ls`."""
    return View(
        shape,
        lambda each: line(each.name),
        ("service", "registered"),
        lambda each: [(each.name, _ago(each.registered, now))],
    )


def endpoints(now: datetime) -> View[Endpoint]:
    """Rows of `service show`: as SRV records, priority, weight, port, target."""
    return View(
        shape,
        lambda each: line(each.priority, each.weight, each.port, each.ip or each.host, each.addr),
        ("endpoint", "ip", "port", "priority", "weight", "registered"),
        lambda each: [
            (
                _text(each.addr),
                _text(each.ip),
                str(each.port),
                str(each.priority),
                str(each.weight),
                _ago(each.registered, now),
            )
        ],
    )


def runners(now: datetime) -> View[Runner]:
    """Rows of `runner ls`."""
    return View(
        shape,
        lambda each: line(each.addr, each.instance),
        ("runner", "instance", "registered"),
        lambda each: [(_text(each.addr), str(each.instance), _ago(each.registered, now))],
    )


def members(now: datetime) -> View[Member]:
    """Rows of loggers, proxies and process managers."""
    return View(
        shape,
        lambda each: line(each.kind, each.addr, each.version or "-"),
        ("kind", "address", "version", "registered"),
        lambda each: [(each.kind, _text(each.addr), _text(each.version), _ago(each.registered, now))],
    )


def events() -> View[Event]:
    """Rows of `event tail` and `event ls`."""
    return View(
        shape,
        lambda each: line(str(each)),
        ("event",),
        lambda each: [(harmless(str(each)),)],
    )
