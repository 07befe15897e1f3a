"""Apps: what is deployed. An app owns its revisions, process types, environments and instances."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from visor import select
from visor._core.public import public
from visor._core.registry import layout, names
from visor._core.registry.errors import AlreadyRegistered
from visor._core.registry.listed import Listed, Mapped
from visor._core.registry.model import AppRecord
from visor._core.registry.objects import BaseApp
from visor._core.registry.plan import Refused
from visor._core.registry.records import encode
from visor._core.registry.schema import text
from visor._core.registry.states import ENDED
from visor.aio.registry.access import access_of, within
from visor.aio.registry.base import Registered
from visor.errors import NotFound

if TYPE_CHECKING:
    from visor._core.registry.events import EventType
    from visor.aio.registry.env import Env
    from visor.aio.registry.events import EventWatch
    from visor.aio.registry.instance import Instance
    from visor.aio.registry.proc import ProcType
    from visor.aio.registry.revision import Revision


class App(Registered, BaseApp):
    """An app at a rev.

        app = await view.new_app("web", "git://git/web", "trusty").register()
        app = await app.set_environment_variable("DB_URL", "postgres://db")

    Methods that change something return the app at the new rev.
    """

    __slots__ = ()

    def _at(self, rev: int, record: AppRecord, mod_rev: int) -> App:
        return App(self._view.at(rev), record, mod_rev)

    # -- life -----------------------------------------------------------------------------------------
    async def register(self, *, timeout: float | None = None) -> App:
        """Register it, with the environment that it was given, and return it as registered.

        Exists when it is registered, also by others since this rev; RevMismatch when it came and went since.
        """
        from visor._core.registry import registrations

        path = layout.app(self.name)
        if self.is_registered:
            raise AlreadyRegistered(
                f"app {self.name}: is registered already", path=path, actual=self._mod_rev
            )
        record = replace(self._record, registered=self._access.time())
        plan = registrations.register_app(record, self._given, self.rev)
        done = await self._access.commit(plan, timeout)
        if isinstance(done, Refused):
            raise registrations.why(f"app {self.name}", path, self.rev, done, created=True)
        return self._at(done, record, done)

    async def unregister(
        self, *, cascade: bool = False, reason: str = "unregistered", timeout: float | None = None
    ) -> App:
        """Take it out with everything that belongs to it, in one rev, and return it as it is then.

        InUse while instances of it are pending, claimed, running or stopping, or cannot be read; with `cascade`
        they go too (their hosts see them go, and end the processes). NotFound when this object is not registered,
        RevMismatch when the app has changed since.
        """
        from visor._core.registry import registrations
        from visor.aio.registry.repair import mend_or_raise

        path = layout.app(self.name)
        if not self.is_registered:
            raise NotFound(f"app {self.name}: not registered", path=path, rev=self.rev)
        view = within(self._view, timeout)
        access = access_of(view)
        pauses = access.pauses()
        mark = access.mark(None, reason)
        while True:
            now = view.at(await access.rev())
            found = await now.instances_seen(select.tree(layout.instances(self.name)))
            if found.damaged and cascade:
                await mend_or_raise(now, found.damaged[0], pauses)
                continue
            live = sum(seen.state not in ENDED for seen in found) + len(found.damaged)
            if (live and not cascade) or len(found) > registrations.CASCADE:
                raise registrations.in_use(f"app {self.name}", live or len(found))
            procs = [proc._record for proc in await now.procs(self.name)]
            plan = registrations.unregister_app(self.name, self._mod_rev, now.rev, found, procs, mark)
            done = await access.commit(plan)
            if not isinstance(done, Refused):
                return self._at(done, replace(self._record, registered=None), 0)
            error = registrations.why(f"app {self.name}", path, self.rev, done)
            version = done.found[path]
            if version is None or version[0] != self._mod_rev or not await pauses.next():
                raise error

    async def fast_forward(self, rev: int = -1, *, timeout: float | None = None) -> App:
        """Return it at `rev`, or at the latest rev; itself when that is not newer.

        An app that is not registered by then comes back as one that can be registered.
        """
        view = await within(self._view, timeout).fast_forward(rev)
        if view.rev == self.rev:
            return self
        _, version = await access_of(view).get(layout.app(self.name), view.rev)
        if version is None:
            return App(view, replace(self._record, registered=None), 0)
        return App(view, view.decode(AppRecord, layout.app(self.name), version), version[0])

    async def set_head(self, ref: str, *, timeout: float | None = None) -> App:
        """Say which revision is the latest; RevMismatch when the app has changed since this rev."""
        from visor._core.registry import registrations

        record = replace(self._record, head=names.name("revision", ref))
        path = layout.app(self.name)
        if not self.is_registered:
            raise NotFound(f"app {self.name}: not registered", path=path, rev=self.rev)
        done = await self._access.commit(registrations.replace(path, encode(record), self._mod_rev), timeout)
        if isinstance(done, Refused):
            raise registrations.why(f"app {self.name}", path, self.rev, done)
        return self._at(done, record, done)

    # -- the environment, a variable at a time --------------------------------------------------------
    async def environment_variables(self, *, timeout: float | None = None) -> Mapped[str, str]:
        """Return the environment at this rev; empty when there is none."""
        view = within(self._view, timeout)
        if not self.is_registered:
            return Mapped(self._given)
        return await view.variables(self.name)

    async def get_environment_variable(self, key: str, *, timeout: float | None = None) -> str:
        """Return a variable's value at this rev; NotFound when there is none."""
        view = within(self._view, timeout)
        path = layout.variable(self.name, names.variable(key))
        if not self.is_registered and key in self._given:
            return self._given[key]
        _, version = await access_of(view).get(path, self.rev)
        if version is None:
            raise NotFound(f"app {self.name}: no variable {key!r}", path=path, rev=self.rev)
        return layout.variable_text(path, version[1])[1]

    async def set_environment_variable(self, key: str, value: str, *, timeout: float | None = None) -> App:
        """Set a variable, and return the app with it.

        RevMismatch when the same variable has changed since this rev; others do not matter. Of an app that is not
        registered yet, it is kept until `register`.
        """
        from visor._core.registry import registrations

        names.variable(key)
        text(f"variable {key}", value)
        if not self.is_registered:
            given = MappingProxyType({**self._given, key: value})
            return App(self._view, self._record, 0, given)
        plan = registrations.set_variable(self.name, key, value, self.rev)
        done = await self._access.commit(plan, timeout)
        if isinstance(done, Refused):
            path = layout.variable(self.name, key)
            raise registrations.variable_changed(self.name, key, path, self.rev, done)
        return self._at(done, self._record, self._mod_rev)

    async def del_environment_variable(self, key: str, *, timeout: float | None = None) -> App:
        """Delete a variable, and return the app without it; NotFound when there is none at this rev."""
        from visor._core.registry import registrations

        path = layout.variable(self.name, names.variable(key))
        if not self.is_registered:
            if key not in self._given:
                raise NotFound(f"app {self.name}: no variable {key!r}", path=path, rev=self.rev)
            rest = {name: value for name, value in self._given.items() if name != key}
            return App(self._view, self._record, 0, MappingProxyType(rest))
        access = self._access.within(timeout)
        await self.get_environment_variable(key, timeout=access.left())
        done = await access.commit(registrations.delete_variable(self.name, key, self.rev))
        if isinstance(done, Refused):
            raise registrations.variable_changed(self.name, key, path, self.rev, done)
        return self._at(done, self._record, self._mod_rev)

    # -- what belongs to it ---------------------------------------------------------------------------
    async def revisions(self, *, timeout: float | None = None) -> Listed[Revision]:
        """Return its revisions at this rev, by ref."""
        view = within(self._view, timeout)
        return await view.revisions(self.name)

    async def revision(self, ref: str, *, timeout: float | None = None) -> Revision:
        """Return one of its revisions; NotFound."""
        view = within(self._view, timeout)
        return await view.revision(self.name, ref)

    async def procs(self, *, timeout: float | None = None) -> Listed[ProcType]:
        """Return its process types at this rev, by name."""
        view = within(self._view, timeout)
        return await view.procs(self.name)

    async def proc(self, name: str, *, timeout: float | None = None) -> ProcType:
        """Return one of its process types; NotFound."""
        view = within(self._view, timeout)
        return await view.proc(self.name, name)

    async def envs(self, *, timeout: float | None = None) -> Listed[Env]:
        """Return its immutable environments at this rev, by ref."""
        view = within(self._view, timeout)
        return await view.envs(self.name)

    async def env(self, ref: str, *, timeout: float | None = None) -> Env:
        """Return one of its immutable environments; NotFound."""
        view = within(self._view, timeout)
        return await view.env(self.name, ref)

    async def instances(self, *, timeout: float | None = None) -> Listed[Instance]:
        """Return its instances at this rev, ended ones too, by revision, process type, environment and id."""
        view = within(self._view, timeout)
        return await view.instances(self.name)

    async def register_revision(
        self, ref: str, archive_url: str = "", *, timeout: float | None = None
    ) -> Revision:
        """Register a revision; Exists when there is one."""
        return await self._view.new_revision(self.name, ref, archive_url).register(timeout=timeout)

    async def unregister_revision(
        self, revision: Revision | str, *, timeout: float | None = None
    ) -> Revision:
        """Take a revision out; see `Revision.unregister`."""
        if isinstance(revision, str):
            view = within(self._view, timeout)
            revision = await view.revision(self.name, revision)
            timeout = access_of(view).left()
        return await revision.unregister(timeout=timeout)

    async def register_proc(self, name: str, *, timeout: float | None = None, **fields: Any) -> ProcType:
        """Register a process type; the fields are those of `Snapshot.new_proc`."""
        return await self._view.new_proc(self.name, name, **fields).register(timeout=timeout)

    async def register_env(self, ref: str, vars: Mapping[str, str], *, timeout: float | None = None) -> Env:
        """Register an immutable environment."""
        return await self._view.new_env(self.name, ref, vars).register(timeout=timeout)

    async def watch_event(
        self,
        rev: int | None = None,
        types: Iterable[EventType | str] | None = None,
        *,
        timeout: float | None = None,
    ) -> EventWatch:
        """Follow the events of this app and of everything below it, from the rev after this one on."""
        return await self._view.watch_event(rev, types=types, app=self.name, timeout=timeout)


public("visor.aio.registry", App)
