# Generated from visor/aio/registry/base.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""What all objects of the domain have in common: the way to the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visor._core.registry import objects
from visor.blocking.registry.access import access_of

if TYPE_CHECKING:
    from visor.blocking.registry.access import Access
    from visor.blocking.registry.snapshot import Snapshot


class Registered(objects.Registered):
    """An object at a rev that can ask, and write."""

    __slots__ = ()
    _view: Snapshot

    @property
    def snapshot(self) -> Snapshot:
        """The domain at that rev."""
        return self._view

    @property
    def _access(self) -> Access:
        """How the objects of the domain ask and write."""
        return access_of(self._view)
