"""What all objects of the domain have in common: the way to the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from visor._core.registry import objects

if TYPE_CHECKING:
    from visor.aio.registry.access import Access
    from visor.aio.registry.snapshot import Snapshot


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


class Asking(Protocol):
    """What knows the way to the registry: the registry itself, the domain at a rev, its objects."""

    @property
    def _access(self) -> Access: ...


def access_of(part: Asking) -> Access:
    """Return how a part of the domain asks and writes. It is no name of the part: users see those."""
    return part._access


def within(view: Snapshot, timeout: float | None) -> Snapshot:
    """Return the domain at that rev, for a call that may take `timeout` seconds (None: each request its own)."""
    return view._within(timeout)
