# Generated from visor/aio/registry/revision.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Revisions: builds of an app, which are scaled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from visor import select
from visor._core.public import public
from visor._core.registry import layout, registrations
from visor._core.registry.listed import Listed
from visor._core.registry.model import RevisionRecord
from visor._core.registry.objects import BaseRevision
from visor._core.registry.plan import Refused
from visor._core.registry.records import check, encode
from visor.blocking.registry.access import access_of, within
from visor.blocking.registry.base import Registered
from visor.blocking.registry.registration import register_part, unregister_part
from visor.errors import NotFound

if TYPE_CHECKING:
    from visor.blocking.registry.instance import Instance
    from visor.blocking.registry.scale import Scaled


class Revision(Registered, BaseRevision):
    """A registered build of an app: complete in one rev, its archive's address included."""

    __slots__ = ()

    def register(self, *, timeout: float | None = None) -> Revision:
        """Register it; Exists when the app has one of that name, NotFound without the app."""
        record = replace(self._record, registered=self._access.time())
        done = register_part(self, self._what, self._path, encode(record), timeout)
        return Revision(self._view.at(done), record, done)

    def unregister(self, *, timeout: float | None = None) -> Revision:
        """Take it out; InUse while instances of it are pending, claimed, running or stopping."""
        done = unregister_part(self, self._what, self._path, f"/{self.ref}/*/*", None, timeout)
        return Revision(self._view.at(done), replace(self._record, registered=None), 0)

    def set_archive_url(self, url: str, *, timeout: float | None = None) -> Revision:
        """Say where its build is; RevMismatch when the revision has changed since this rev."""
        if not self.is_registered:
            return Revision(self._view, check(replace(self._record, archive_url=url)), 0)
        record = replace(self._record, archive_url=url)
        done = self._access.commit(registrations.replace(self._path, encode(record), self._mod_rev), timeout)
        if isinstance(done, Refused):
            raise registrations.why(self._what, self._path, self.rev, done)
        return Revision(self._view.at(done), record, done)

    def fast_forward(self, rev: int = -1, *, timeout: float | None = None) -> Revision:
        """Return it at `rev`, or at the latest rev; itself when that is not newer."""
        view = within(self._view, timeout).fast_forward(rev)
        if view.rev == self.rev:
            return self
        _, version = access_of(view).get(self._path, view.rev)
        if version is None:
            return Revision(view, replace(self._record, registered=None), 0)
        return Revision(view, view.decode(RevisionRecord, self._path, version), version[0])

    def scale(
        self, proc: str, n: int | str, env: str | None = None, *, timeout: float | None = None
    ) -> Scaled:
        """Have `n` instances of a process type: see `Snapshot.scale`."""
        return self._view.scale(self.app, self.ref, proc, n, env, timeout=timeout)

    def instances(self, *, timeout: float | None = None) -> Listed[Instance]:
        """Return its instances at this rev, ended ones too."""
        view = within(self._view, timeout)
        return view.instances(self.app, self.ref)

    def register_instance(
        self,
        proc: str,
        addr: str | None = None,
        env: str | None = None,
        *,
        timeout: float | None = None,
    ) -> Instance:
        """Register one instance: pending, or with `addr` (HOST:PORT) as one that runs there already."""
        return self._view.register_instance(self.app, self.ref, proc, addr, env, timeout=timeout)

    def unregister_instance(
        self, instance: Instance, *, reason: str = "unregistered", timeout: float | None = None
    ) -> Instance:
        """Take an instance of it out; NotFound when it is of another revision."""
        if (instance.app, instance.revision) != (self.app, self.ref):
            raise NotFound(
                f"instance {instance.id} is of {instance.app} {instance.revision}, not of {self.app} {self.ref}",
                path=self._path,
                rev=self.rev,
            )
        return instance.unregister(reason=reason, timeout=timeout)

    def procs_running(self, *, timeout: float | None = None) -> list[str]:
        """Return the process types that it has instances of."""
        view = within(self._view, timeout)
        sizes = access_of(view).sizes(layout.group(self.app, "live", self.ref), self.rev)
        return sorted(sizes)

    def count(self, *, timeout: float | None = None) -> int:
        """Return how many instances of it are pending, claimed or running at this rev."""
        view = within(self._view, timeout)
        live = select.tree(layout.group(self.app, "live", self.ref))
        return (access_of(view).count(live, self.rev))[1]


public("visor.registry", Revision)
