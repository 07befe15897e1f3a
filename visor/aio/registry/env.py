"""Immutable environments: a named set of variables that an instance is started with."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from dataclasses import replace

from visor._core.public import public
from visor._core.registry import layout
from visor._core.registry.objects import BaseEnv
from visor._core.registry.records import encode
from visor.aio.registry.base import Registered
from visor.aio.registry.registration import register_part, unregister_part


class Env(Registered, BaseEnv):
    """An environment of an app, immutable until it is unregistered."""

    __slots__ = ()

    async def register(self, *, timeout: float | None = None) -> Env:
        """Register it; Exists when the app has one of that name, NotFound without the app."""
        record = replace(self._record, registered=self._access.time())
        path = layout.env(self.app, self.ref)
        done = await register_part(self, f"env {self.app} {self.ref}", path, encode(record), timeout)
        return Env(self._view.at(done), record, done)

    async def unregister(self, *, timeout: float | None = None) -> Env:
        """Take it out; InUse while an instance runs with it, or is to."""
        path = layout.env(self.app, self.ref)
        what = f"env {self.app} {self.ref}"
        done = await unregister_part(self, what, path, f"/*/*/{self.ref}", None, timeout)
        return Env(self._view.at(done), replace(self._record, registered=None), 0)


public("visor.aio.registry", Env)
