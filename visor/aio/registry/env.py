"""Immutable environments: a named set of variables that an instance is started with."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from visor._core.public import public
from visor._core.registry import layout
from visor._core.registry.model import EnvRecord
from visor._core.registry.records import encode
from visor.aio.registry.base import Registered
from visor.aio.registry.registration import register_part, unregister_part


class Env(Registered):
    """An environment of an app, immutable until it is unregistered."""

    __slots__ = ()
    _record: EnvRecord

    @property
    def app(self) -> str:
        """The name of its app."""
        return self._record.app

    @property
    def ref(self) -> str:
        """Its name."""
        return self._record.ref

    @property
    def vars(self) -> Mapping[str, str]:
        """The variables."""
        return self._record.vars

    async def register(self, *, timeout: float | None = None) -> Env:
        """Register it; Exists when the app has one of that name, NotFound without the app."""
        record = replace(self._record, registered=self.access.time())
        path = layout.env(self.app, self.ref)
        done = await register_part(self, f"env {self.app} {self.ref}", path, encode(record), timeout)
        return Env(self._view.at(done), record, done)

    async def unregister(self, *, timeout: float | None = None) -> Env:
        """Take it out; InUse while an instance runs with it, or is to."""
        path = layout.env(self.app, self.ref)
        what = f"env {self.app} {self.ref}"
        done = await unregister_part(self, what, path, f"/*/*/{self.ref}", None, timeout)
        return Env(self._view.at(done), replace(self._record, registered=None), 0)

    def __repr__(self) -> str:
        return f"Env({self.app} {self.ref} at rev {self.rev})"


public("visor.aio.registry", Env)
