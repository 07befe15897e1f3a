# Generated from visor/aio/registry/presence.py by tests/hygiene/unasync.py.
"""A host that lives as long as a lease: what it has claimed becomes lost by itself when it dies."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from visor._public import public
from visor.errors import VisorError
from visor.registry import layout
from visor.registry.model import LeaseRecord, MemberRecord
from visor.registry.plan import Plan, Refused
from visor.registry.stored import encode

if TYPE_CHECKING:
    from visor.blocking.lease import Lease
    from visor.blocking.registry.snapshot import Snapshot


class Presence:
    """A host and its lease; made by `Registry.attend`. Leaving the block, or `leave`, gives both up."""

    def __init__(self, host: str, lease: Lease) -> None:
        self.host = host
        self._lease = lease

    @property
    def lease(self) -> int:
        """The number of its lease."""
        return self._lease.id

    @property
    def held(self) -> Lease:
        """The lease itself: whether it is still held, and how long surely."""
        return self._lease

    def leave(self, *, timeout: float | None = None) -> None:
        """Give the lease up: what the host still has is lost at once. Idempotent."""
        self._lease.close(timeout=timeout)

    def __enter__(self) -> Presence:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def __repr__(self) -> str:
        return f"<visor presence of {self.host}, lease {self.lease}>"


def attend(view: Snapshot, host: str, ttl: float, version: str | None, timeout: float | None) -> Presence:
    """Take a lease, and register the host and its process manager on it."""
    access = view._access
    member = encode(
        MemberRecord("pm", host, None, version, access.time())
    )  # before there is a lease to give back
    lease = access.client.lease(ttl, timeout=timeout)
    plan = Plan(note=f"attend {host}")
    plan.put(layout.lease(lease.id), encode(LeaseRecord(lease.id, host, access.time())), lease.id)
    plan.put(layout.pm(host), member, lease.id)
    try:
        done = access.commit(plan, timeout)
        assert not isinstance(done, Refused)  # it guards nothing
    except VisorError:
        lease.close()
        raise
    return Presence(host, lease)


public("visor.registry", Presence)
