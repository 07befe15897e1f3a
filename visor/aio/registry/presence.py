"""A host that lives as long as a lease: what it has claimed becomes lost by itself when it dies."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
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
    from visor.aio.lease import Lease
    from visor.aio.registry.snapshot import Snapshot


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

    async def leave(self, *, timeout: float | None = None) -> None:
        """Give the lease up: what the host still has is lost at once. Idempotent."""
        await self._lease.close(timeout=timeout)

    async def __aenter__(self) -> Presence:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    def __repr__(self) -> str:
        return f"<visor presence of {self.host}, lease {self.lease}>"


async def attend(
    view: Snapshot, host: str, ttl: float, version: str | None, timeout: float | None
) -> Presence:
    """Take a lease, and register the host and its process manager on it."""
    access = view._access
    member = encode(
        MemberRecord("pm", host, None, version, access.time())
    )  # before there is a lease to give back
    lease = await access.client.lease(ttl, timeout=timeout)
    plan = Plan(note=f"attend {host}")
    plan.put(layout.lease(lease.id), encode(LeaseRecord(lease.id, host, access.time())), lease.id)
    plan.put(layout.pm(host), member, lease.id)
    try:
        done = await access.commit(plan, timeout)
        assert not isinstance(done, Refused)  # it guards nothing
    except VisorError:
        await lease.close()
        raise
    return Presence(host, lease)


public("visor.aio.registry", Presence)
