# Generated from visor/aio/registry/presence.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""A host that lives as long as a lease: what it has claimed becomes lost by itself when it dies."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from visor._core.public import public
from visor._core.registry import layout
from visor._core.registry.model import LeaseRecord, MemberRecord
from visor._core.registry.plan import Plan, Refused
from visor._core.registry.records import encode
from visor.errors import VisorError

if TYPE_CHECKING:
    from visor.blocking.lease import Lease
    from visor.blocking.registry.access import Access
    from visor.blocking.session import Session


class Presence:
    """A host and its lease; made by `Registry.attend`. Leaving the block, or `leave`, gives both up.

    While the lease lives, what says that the host is there comes back by itself when somebody deletes it. When the
    lease is lost, so is all that was claimed with it, and that is final: attend again.
    """

    def __init__(self, access: Access, host: str, session: Session, files: Mapping[str, bytes]) -> None:
        self.host = host
        self._access = access
        self._lease = session
        self._files = files
        """What says that the host is there."""
        for path in files:
            session._hold(path, self)

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

    def _taken_away(self, path: str) -> None:
        """The file at `path` is not attached to the lease any more."""

    def _restore(self, path: str, timeout: float) -> None:
        """Write the file again, unless another one is there."""
        plan = Plan(note=f"attend {self.host} again")
        plan.missing(path)
        plan.put(path, self._files[path], self.lease)
        self._access.commit(plan, timeout)

    def __enter__(self) -> Presence:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def __repr__(self) -> str:
        return f"<visor presence of {self.host}, lease {self.lease}>"


def attend(access: Access, host: str, ttl: float, version: str | None) -> Presence:
    """Take a lease, and register the host and its process manager on it."""
    # Made before there is a lease to give back.
    member = encode(MemberRecord("pm", host, None, version, access.time()))
    session = access.client.session(ttl, timeout=access.left())
    files = {
        layout.lease(session.id): encode(LeaseRecord(session.id, host, access.time())),
        layout.pm(host): member,
    }
    plan = Plan(note=f"attend {host}")
    for path, data in files.items():
        plan.put(path, data, session.id)
    try:
        done = access.commit(plan)
        assert not isinstance(done, Refused)  # it guards nothing
    except VisorError:
        session.close()
        raise
    return Presence(access.unhurried, host, session, files)


public("visor.registry", Presence)
