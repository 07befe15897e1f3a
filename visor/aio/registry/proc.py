"""Process types: what an app consists of, each with a port of its own."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from visor import select
from visor._core.public import public
from visor._core.registry import layout, registrations
from visor._core.registry.errors import AlreadyRegistered
from visor._core.registry.listed import Listed
from visor._core.registry.model import Heartbeat, Limits, ProcRecord
from visor._core.registry.objects import BaseProcType
from visor._core.registry.plan import Plan, Refused
from visor._core.registry.records import check, encode
from visor._core.registry.schema import texts
from visor._core.registry.states import State
from visor.aio.registry.access import Access, access_of, within
from visor.aio.registry.base import Registered
from visor.aio.registry.registration import unregister_part
from visor.errors import Conflict

if TYPE_CHECKING:
    from visor.aio.registry.instance import Instance


FREE_LOOKED_AT = 64


class ProcType(Registered, BaseProcType):
    """A process type of an app."""

    __slots__ = ()

    async def register(self, *, timeout: float | None = None) -> ProcType:
        """Register it and claim its port, in one rev.

        Exists when the app has one of that name, NotFound without the app. A race for the port is run again with the
        next one until the deadline; a port is never lost, for claim and registration are one.
        """
        if self.is_registered:
            raise AlreadyRegistered(
                f"{self._what}: is registered already", path=self._path, actual=self._mod_rev
            )
        access = self._access.within(timeout)
        pauses = access.pauses()
        while True:
            record, plan = await self._claim_port(access)
            done = await access.commit(plan)
            if not isinstance(done, Refused):
                return ProcType(self._view.at(done), record, done)
            error = registrations.why(self._what, self._path, self.rev, done, created=True)
            needs = (layout.app(self.app), done.found[layout.app(self.app)])
            if (
                needs[1] is None
                or done.found[self._path] is not None
                or await self._came_and_went(done.rev, access)
            ):
                raise error
            if not await pauses.next():
                raise Conflict(f"{self._what}: others kept claiming the port", path=layout.NEXT_PORT)

    async def _claim_port(self, access: Access) -> tuple[ProcRecord, Plan]:
        record = check(replace(self._record, registered=access.time()))
        if record.port is None:
            return record, registrations.register_proc(record, self.rev, None, given_back=False)
        rev, following = await access.get(layout.NEXT_PORT)
        free: list[int] = []
        if not registrations.fresh_port_left(following):
            _, rows = await access.scan(
                select.children(layout.FREE_PORTS), rev, keys=True, limit=FREE_LOOKED_AT
            )
            free = [int(name) for path, _ in rows if (name := path.rsplit("/", 1)[1]).isdecimal()]
            access.random.shuffle(free)
        port, given_back = registrations.pick_port(following, free)
        record = replace(record, port=port)
        return record, registrations.register_proc(record, self.rev, following, given_back=given_back)

    async def _came_and_went(self, rev: int, access: Access) -> bool:
        """Whether it was registered and unregistered by somebody since this object's rev."""
        stat = await access.client.stat(self._path, at=rev, timeout=access.left())
        return stat.mod_rev > self.rev

    async def unregister(self, *, timeout: float | None = None) -> ProcType:
        """Take it out and give its port back; InUse while instances of it are there."""
        group = f"/*/{self.name}/*"
        done = await unregister_part(self, self._what, self._path, group, self._record, timeout)
        return ProcType(self._view.at(done), replace(self._record, registered=None), 0)

    async def store_attrs(
        self,
        attrs: Mapping[str, str] | None = None,
        *,
        limits: Limits | None = None,
        heartbeat: Heartbeat | None = None,
        max_restarts: int | None = None,
        command: str | None = None,
        timeout: float | None = None,
    ) -> ProcType:
        """Change what is given; RevMismatch when the process type has changed since this rev."""
        given: dict[str, Any] = {
            "attrs": attrs,
            "limits": limits,
            "heartbeat": heartbeat,
            "max_restarts": max_restarts,
            "command": command,
        }
        record = replace(self._record, **{name: value for name, value in given.items() if value is not None})
        if attrs is not None:
            record = replace(record, attrs=texts("attrs", attrs))
        done = await self._access.commit(
            registrations.replace(self._path, encode(record), self._mod_rev), timeout
        )
        if isinstance(done, Refused):
            raise registrations.why(self._what, self._path, self.rev, done)
        return ProcType(self._view.at(done), record, done)

    async def fast_forward(self, rev: int = -1, *, timeout: float | None = None) -> ProcType:
        """Return it at `rev`, or at the latest rev; itself when that is not newer."""
        view = await within(self._view, timeout).fast_forward(rev)
        if view.rev == self.rev:
            return self
        _, version = await access_of(view).get(self._path, view.rev)
        if version is None:
            return ProcType(view, replace(self._record, registered=None), 0)
        return ProcType(view, view.decode(ProcRecord, self._path, version), version[0])

    async def instances(
        self, revision: str | None = None, *, timeout: float | None = None
    ) -> Listed[Instance]:
        """Return its instances at this rev, of all revisions or of one, ended ones too."""
        view = within(self._view, timeout)
        return await view.instances(self.app, revision, self.name)

    async def failed_instances(self, *, timeout: float | None = None) -> Listed[Instance]:
        """Return those that failed."""
        return (await self.instances(timeout=timeout)).where(lambda each: each.state is State.FAILED)

    async def lost_instances(self, *, timeout: float | None = None) -> Listed[Instance]:
        """Return those that are lost."""
        return (await self.instances(timeout=timeout)).where(lambda each: each.state is State.LOST)

    async def num_instances(self, *, timeout: float | None = None) -> int:
        """Return how many are pending, claimed or running at this rev, of all revisions."""
        view = within(self._view, timeout)
        live = select.glob(f"/apps/{self.app}/live/*/{self.name}/**")
        return (await access_of(view).count(live, self.rev))[1]

    async def running_revs(self, *, timeout: float | None = None) -> list[str]:
        """Return the revisions that have pending, claimed or running instances of it."""
        view = within(self._view, timeout)
        refs = await access_of(view).sizes(f"/apps/{self.app}/live", self.rev)
        found = []
        for ref in sorted(refs):
            if self.name in await access_of(view).sizes(layout.group(self.app, "live", ref), self.rev):
                found.append(ref)
        return found


public("visor.aio.registry", ProcType)
