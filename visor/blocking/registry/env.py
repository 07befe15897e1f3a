# Generated from visor/aio/registry/env.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Immutable environments: a named set of variables that an instance is started with."""

from __future__ import annotations

from dataclasses import replace

from visor._core.public import public
from visor._core.registry import layout
from visor._core.registry.objects import BaseEnv
from visor._core.registry.records import encode
from visor.blocking.registry.base import Registered
from visor.blocking.registry.registration import register_part, unregister_part


class Env(Registered, BaseEnv):
    """An environment of an app, immutable until it is unregistered."""

    __slots__ = ()

    def register(self, *, timeout: float | None = None) -> Env:
        """Register it; Exists when the app has one of that name, NotFound without the app."""
        record = replace(self._record, registered=self._access.time())
        path = layout.env(self.app, self.ref)
        done = register_part(self, f"env {self.app} {self.ref}", path, encode(record), timeout)
        return Env(self._view.at(done), record, done)

    def unregister(self, *, timeout: float | None = None) -> Env:
        """Take it out; InUse while an instance runs with it, or is to."""
        path = layout.env(self.app, self.ref)
        what = f"env {self.app} {self.ref}"
        done = unregister_part(self, what, path, f"/*/*/{self.ref}", None, timeout)
        return Env(self._view.at(done), replace(self._record, registered=None), 0)


public("visor.registry", Env)
