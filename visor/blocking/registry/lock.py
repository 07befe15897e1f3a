# Generated from visor/aio/registry/lock.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Locks that programs agree on: a file that one of them may write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visor._core.public import public
from visor._core.registry import layout, registrations
from visor._core.registry.errors import Locked
from visor._core.registry.model import LockRecord, Mark
from visor._core.registry.objects import BaseLock
from visor._core.registry.plan import Plan, Refused
from visor._core.registry.records import check, decode, encode
from visor.blocking.registry.access import access_of
from visor.blocking.registry.base import Registered
from visor.errors import RevMismatch

if TYPE_CHECKING:
    from visor.blocking.registry.snapshot import Snapshot


class Lock(Registered, BaseLock):
    """A lock that is held, at a rev."""

    __slots__ = ()

    def unlock(self, *, timeout: float | None = None) -> Snapshot:
        """Give it up, and return the snapshot of that; RevMismatch when it is another's by now, or nobody's."""
        path = layout.lock(self.key)
        done = self._access.commit(registrations.remove(path, self._mod_rev), timeout)
        if isinstance(done, Refused):
            raise RevMismatch(
                f"lock {self.key}: not the one that was taken at rev {self._mod_rev}",
                path=path,
                expected=self._mod_rev,
                actual=done.rev,
            )
        return self._view.at(done)


def take(view: Snapshot, key: str, value: str, lease: int, timeout: float | None) -> Lock:
    """Take a lock that is free now, and was not taken and given up since the view's rev. Locked when it is taken."""
    access = access_of(view)
    record = check(LockRecord(key, value, Mark(access.actor, value, access.time())))
    path = layout.lock(key)
    plan: Plan = registrations.create(path, encode(record), view.rev, lease=lease)
    done = access.commit(plan, timeout)
    if not isinstance(done, Refused):
        return Lock(view.at(done), record, done)
    version = done.found[path]
    if version is None:
        raise registrations.why(f"lock {key}", path, view.rev, done, created=True)
    holder = decode(LockRecord, version[1], path)
    raise Locked(what=f"lock {key}", by=holder.mark.by, reason=holder.value)


public("visor.registry", Lock)
