"""Services and their endpoints: SRV data."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from dataclasses import replace

from visor._core.public import public
from visor._core.registry import layout, registrations, srv
from visor._core.registry.errors import AlreadyRegistered
from visor._core.registry.listed import Listed
from visor._core.registry.model import EndpointRecord, ServiceRecord
from visor._core.registry.objects import BaseEndpoint, BaseService
from visor._core.registry.plan import Plan, Refused
from visor._core.registry.records import check, encode
from visor._drivers.aio.resolve import resolve
from visor.aio.registry.access import access_of, within
from visor.aio.registry.base import Registered
from visor.errors import NotFound


class Service(Registered, BaseService):
    """A service at a rev: a name for endpoints."""

    __slots__ = ()

    async def register(self, *, timeout: float | None = None) -> Service:
        """Register it; Exists when it is."""
        what = f"service {self.name}"
        if self.is_registered:
            raise AlreadyRegistered(f"{what}: is registered already", path=self._path, actual=self._mod_rev)
        record = replace(self._record, registered=self._access.time())
        done = await self._access.commit(registrations.create(self._path, encode(record), self.rev), timeout)
        if isinstance(done, Refused):
            raise registrations.why(what, self._path, self.rev, done, created=True)
        return Service(self._view.at(done), record, done)

    async def unregister(self, *, timeout: float | None = None) -> Service:
        """Take it out with all its endpoints; NotFound when it is not registered."""
        what = f"service {self.name}"
        if not self.is_registered:
            raise NotFound(f"{what}: not registered", path=self._path, rev=self.rev)
        plan = Plan(note=f"unregister {what}")
        plan.unchanged(self._path, self._mod_rev)
        plan.look_at([self._path])
        plan.drop(layout.service_directory(self.name), recursive=True)
        done = await self._access.commit(plan, timeout)
        if isinstance(done, Refused):
            raise registrations.why(what, self._path, self.rev, done)
        return Service(self._view.at(done), replace(self._record, registered=None), 0)

    async def endpoints(self, *, timeout: float | None = None) -> Listed[Endpoint]:
        """Return its endpoints at this rev, as a client should try them: lower priorities first, then heavier ones."""
        view = within(self._view, timeout)
        found = await view.endpoints(self.name)
        in_order = sorted(found, key=lambda each: (each.priority, -each.weight, each.addr))
        return Listed(in_order, found.damaged)

    async def endpoint(self, addr: str, *, timeout: float | None = None) -> Endpoint:
        """Return the endpoint at HOST:PORT; NotFound."""
        view = within(self._view, timeout)
        return await view.endpoint(self.name, addr)

    async def pick(self, *, timeout: float | None = None) -> Endpoint:
        """Return an endpoint to use, by priority and weight as SRV records mean them; NotFound without any."""
        view = within(self._view, timeout)
        found = await view.endpoints(self.name)
        if not found:
            raise NotFound(
                f"service {self.name}: no endpoint", path=layout.endpoints(self.name), rev=self.rev
            )
        chosen = srv.pick([each._record for each in found], self._access.random)
        return found[chosen]

    async def register_endpoint(
        self,
        addr: str,
        *,
        priority: int = 0,
        weight: int = 0,
        ip: str | None = None,
        timeout: float | None = None,
    ) -> Endpoint:
        """Register an endpoint at HOST:PORT; its name is looked up now, unless `ip` says it. Exists, NotFound."""
        host, port = srv.address(addr)
        record = EndpointRecord(self.name, addr, host, port, ip, priority, weight, self._access.time())
        if check(record).ip is None:
            record = replace(record, ip=await resolve(host))
        path = layout.endpoint(self.name, addr)
        plan = registrations.create(path, encode(record), self.rev, needs=[self._path])
        done = await self._access.commit(plan, timeout)
        if isinstance(done, Refused):
            raise registrations.why(f"endpoint {addr} of {self.name}", path, self.rev, done, created=True)
        return Endpoint(self._view.at(done), record, done)

    async def unregister_endpoint(self, addr: str, *, timeout: float | None = None) -> Endpoint:
        """Take out the endpoint at HOST:PORT; NotFound."""
        view = within(self._view, timeout)
        endpoint = await view.endpoint(self.name, addr)
        return await endpoint.unregister(timeout=access_of(view).left())

    async def fast_forward(self, rev: int = -1, *, timeout: float | None = None) -> Service:
        """Return it at `rev`, or at the latest rev; itself when that is not newer."""
        view = await within(self._view, timeout).fast_forward(rev)
        if view.rev == self.rev:
            return self
        _, version = await access_of(view).get(self._path, view.rev)
        if version is None:
            return Service(view, replace(self._record, registered=None), 0)
        return Service(view, view.decode(ServiceRecord, self._path, version), version[0])


class Endpoint(Registered, BaseEndpoint):
    """An endpoint of a service at a rev."""

    __slots__ = ()

    async def unregister(self, *, timeout: float | None = None) -> Endpoint:
        """Take it out; NotFound when it is not registered any more."""
        path = layout.endpoint(self.service, self.addr)
        what = f"endpoint {self.addr} of {self.service}"
        if not self.is_registered:
            raise NotFound(f"{what}: not registered", path=path, rev=self.rev)
        done = await self._access.commit(registrations.remove(path, self._mod_rev), timeout)
        if isinstance(done, Refused):
            raise registrations.why(what, path, self.rev, done)
        return Endpoint(self._view.at(done), replace(self._record, registered=None), 0)


public("visor.aio.registry", Endpoint, Service)
