"""Transactions of what is registered once and seldom changes: apps, revisions, process types, environments, and the
registrations of services, runners and members.

All follow one rule: a write compares with what the object that asks has seen. It was not there, so it must not have
come since; it was there, so it must be the one that was seen. `why` tells afterwards what somebody else did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from visor._core.registry import layout
from visor._core.registry.errors import AlreadyRegistered, BadRecord, InUse
from visor._core.registry.instance_files import tombstone
from visor._core.registry.model import AppRecord, Mark, ProcRecord
from visor._core.registry.plan import Plan, Refused, Version
from visor._core.registry.records import encode
from visor._core.registry.schema import LAST_PORT, text
from visor._core.registry.transitions import Seen
from visor.errors import Conflict, NotFound, RevMismatch, VisorError

FIRST_PORT: Final = 8000
CASCADE: Final = 800
"""Instances, ended ones too, that the unregistration of an app takes along; more are to be purged first."""


def create(path: str, data: bytes, rev: int, *, needs: Iterable[str] = (), lease: int = 0) -> Plan:
    """Plan a file that was not there at `rev` and has not come since; `needs` must be there."""
    plan = Plan()
    plan.missing(path)
    plan.since(path, rev)
    for each in needs:
        plan.exists(each)
    plan.put(path, data, lease)
    plan.look_at([path, *needs])
    return plan


def replace(path: str, data: bytes, mod_rev: int) -> Plan:
    """Plan another value for the file that was written at `mod_rev`."""
    plan = Plan()
    plan.unchanged(path, mod_rev)
    plan.put(path, data)
    plan.look_at([path])
    return plan


def remove(path: str, mod_rev: int) -> Plan:
    """Plan the end of the file that was written at `mod_rev`."""
    plan = Plan()
    plan.unchanged(path, mod_rev)
    plan.drop(path)
    plan.look_at([path])
    return plan


def overwrite(path: str, data: bytes, rev: int, *, lease: int = 0) -> Plan:
    """Plan a file that was there or not, but has not changed since `rev`."""
    plan = Plan()
    plan.since(path, rev)
    plan.put(path, data, lease)
    plan.look_at([path])
    return plan


def why(what: str, path: str, rev: int, refusal: Refused, *, created: bool = False) -> VisorError:
    """Return why a write to `path` by an object of `rev` was refused; `what` names it: "app web".

    NotFound for something else that it needs, Exists, NotFound or RevMismatch for itself.
    """
    for other, version in refusal.found.items():
        if other != path and version is None:
            return NotFound(f"{what}: {other} is not registered", path=other, rev=refusal.rev)
    version = refusal.found.get(path)
    if version is None:
        if created:
            return RevMismatch(
                f"{what}: registered and unregistered again since rev {rev}: fast_forward first",
                path=path,
                expected=rev,
                actual=refusal.rev,
            )
        return NotFound(f"{what}: unregistered since rev {rev}", path=path, rev=refusal.rev)
    if created:
        return AlreadyRegistered(
            f"{what}: is registered already (rev {version[0]})", path=path, actual=version[0]
        )
    return RevMismatch(
        f"{what}: changed since rev {rev} (rev {version[0]}): fast_forward first",
        path=path,
        expected=rev,
        actual=version[0],
    )


# -- apps ---------------------------------------------------------------------------------------------
def register_app(record: AppRecord, variables: Mapping[str, str], rev: int) -> Plan:
    """Plan the registration of an app with its environment."""
    plan = create(layout.app(record.name), encode(record), rev)
    plan.note = f"register app {record.name}"
    for key, value in variables.items():
        plan.put(layout.variable(record.name, key), text(f"variable {key}", value).encode())
    return plan


def unregister_app(
    app: str, mod_rev: int, rev: int, instances: Iterable[Seen], procs: Iterable[ProcRecord], mark: Mark
) -> Plan:
    """Plan the end of an app and everything below it, where these were all its instances and procs at `rev`."""
    plan = Plan(note=mark.reason)
    plan.unchanged(layout.app(app), mod_rev)
    plan.since(f"{layout.app_directory(app)}/epoch", rev)
    plan.since(layout.procs(app), rev)
    plan.look_at([layout.app(app)])
    inside = layout.app_directory(app) + "/"
    for seen in instances:
        files = seen.files()
        plan.unchanged(next(path for path in files if path.startswith(inside)), seen.mod_rev)
        after = tombstone(seen.record, mark)
        plan.turn({path: each for path, each in files.items() if not path.startswith(inside)}, after)
    for proc in procs:
        give_back(plan, proc)
    plan.drop(layout.app_directory(app), recursive=True)
    return plan


def unregister_part(app: str, path: str, mod_rev: int, rev: int, scales: Iterable[str]) -> Plan:
    """Plan the end of a revision, process type or environment that no instance of `rev` uses."""
    plan = remove(path, mod_rev)
    plan.since(f"{layout.app_directory(app)}/epoch", rev)
    for each in scales:
        plan.exists(each)
        plan.drop(each)
    return plan


def in_use(what: str, count: int) -> InUse:
    """Return the error for something that instances use."""
    return InUse(what=what, count=count)


# -- environment variables ----------------------------------------------------------------------------
def set_variable(app: str, key: str, value: str, rev: int) -> Plan:
    """Plan one variable: not changed since `rev`, of an app that is there."""
    plan = overwrite(layout.variable(app, key), text(f"variable {key}", value).encode(), rev)
    plan.exists(layout.app(app))
    return plan


def delete_variable(app: str, key: str, rev: int) -> Plan:
    """Plan the end of a variable that has not changed since `rev`."""
    path = layout.variable(app, key)
    plan = Plan()
    plan.exists(path)
    plan.since(path, rev)
    plan.drop(path)
    plan.look_at([path])
    return plan


# -- process types and their ports --------------------------------------------------------------------
def pick_port(next_port: Version | None, free: list[int]) -> tuple[int, bool]:
    """Return the port to claim, and whether it is one that was given back.

    The ancestors never gave a port back. Fresh ones go first, so that one that was used rests as long as possible.
    Conflict when there is none left.
    """
    port = FIRST_PORT if next_port is None else _port(next_port)
    if port <= LAST_PORT:
        return port, False
    if not free:
        raise Conflict(f"no port is left between {FIRST_PORT} and {LAST_PORT}", path=layout.NEXT_PORT)
    return free[0], True


def _port(version: Version) -> int:
    data: bytes = version[1]
    if not data.isdigit():
        raise BadRecord(path=layout.NEXT_PORT, why=f"not a port: {data!r:.40}", codec="record")
    return int(data)


def fresh_port_left(next_port: Version | None) -> bool:
    """Whether there is a port that nobody had. BadRecord."""
    return next_port is None or _port(next_port) <= LAST_PORT


def register_proc(record: ProcRecord, rev: int, next_port: Version | None, *, given_back: bool) -> Plan:
    """Plan the registration of a process type together with the claim of its port."""
    path = layout.proc(record.app, record.name)
    plan = create(path, encode(record), rev, needs=[layout.app(record.app)])
    plan.note = f"register proc {record.app} {record.name}"
    if record.port is None:
        return plan
    if given_back:
        plan.exists(layout.free_port(record.port))
        plan.drop(layout.free_port(record.port))
        return plan
    if next_port is None:
        plan.missing(layout.NEXT_PORT)
    else:
        plan.unchanged(layout.NEXT_PORT, next_port[0])
    plan.put(layout.NEXT_PORT, b"%d" % (record.port + 1))
    return plan


def give_back(plan: Plan, record: ProcRecord) -> Plan:
    """Add to the end of a process type that its port is free."""
    if record.port is not None:
        plan.put(layout.free_port(record.port), b"")
    return plan


def variable_changed(app: str, key: str, path: str, rev: int, refusal: Refused) -> Conflict | NotFound:
    version = refusal.found.get(path)
    if version is None:
        return NotFound(
            f"app {app}: variable {key!r} or the app itself is gone since rev {rev}",
            path=path,
            rev=refusal.rev,
        )
    return RevMismatch(
        f"app {app}: variable {key!r} has changed since rev {rev} (rev {version[0]}): fast_forward first",
        path=path,
        expected=rev,
        actual=version[0],
    )
