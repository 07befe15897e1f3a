"""Registering and unregistering what belongs to an app: revisions, process types, environments."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from visor import select
from visor._core.registry import layout, registrations
from visor._core.registry.errors import AlreadyRegistered
from visor._core.registry.model import ProcRecord
from visor._core.registry.plan import Refused
from visor.aio.registry.access import access_of
from visor.errors import NotFound
from visor.paths import components

if TYPE_CHECKING:
    from visor.aio.registry.access import Access


class Part(Protocol):
    """Something that belongs to an app, at a rev."""

    @property
    def rev(self) -> int:
        """The rev that it was read or written at."""

    @property
    def mod_rev(self) -> int:
        """The rev that last wrote it; 0 when it is not registered."""

    @property
    def is_registered(self) -> bool:
        """Whether it is registered at its rev."""

    @property
    def _access(self) -> Access:
        """How it asks and writes."""


async def register_part(part: Part, what: str, path: str, data: bytes, timeout: float | None) -> int:
    """Register a part of an app and return the rev of that.

    Exists when it is registered, NotFound without its app, RevMismatch when it came and went since.
    """
    if part.is_registered:
        raise AlreadyRegistered(f"{what}: is registered already", path=path, actual=part.mod_rev)
    plan = registrations.create(path, data, part.rev, needs=[layout.app(components(path)[1])])
    plan.note = f"register {what}"
    done = await access_of(part).commit(plan, timeout)
    if isinstance(done, Refused):
        raise registrations.why(what, path, part.rev, done, created=True)
    return done


async def unregister_part(
    part: Part,
    what: str,
    path: str,
    group: str,
    proc: ProcRecord | None,
    timeout: float | None,
) -> int:
    """Take a part of an app out, provided that no instance uses it, and return the rev of that.

    `group` is the glob, below `live` and the like, of the groups that use it; with `proc` its port is given back.
    """
    if not part.is_registered:
        raise NotFound(f"{what}: not registered", path=path, rev=part.rev)
    app = components(path)[1]
    access = access_of(part).within(timeout)
    pauses = access.pauses()
    while True:
        rev, scales = await access.scan(_glob(app, "scale", group), keys=True)
        count = 0
        for kind in ("live", "stopping"):
            count += (await access.count(_glob(app, kind, f"{group}/*"), rev))[1]
        if count:
            raise registrations.in_use(what, count)
        plan = registrations.unregister_part(app, path, part.mod_rev, rev, [each for each, _ in scales])
        plan.note = f"unregister {what}"
        if proc is not None:
            registrations.give_back(plan, proc)
        done = await access.commit(plan)
        if not isinstance(done, Refused):
            return done
        version = done.found[path]
        if version is None or version[0] != part.mod_rev or not await pauses.next():
            raise registrations.why(what, path, part.rev, done)


def _glob(app: str, kind: str, group: str) -> select.Selector:
    return select.glob(f"{layout.app_directory(app)}/{kind}{group}")
