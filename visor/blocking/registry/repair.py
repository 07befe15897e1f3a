# Generated from visor/aio/registry/repair.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Dealing with files of the domain that cannot be read: looking at what belongs together, and one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from visor import select
from visor._core.registry import layout, mending
from visor._core.registry.errors import BadRecord
from visor._core.registry.mending import Repaired
from visor._core.registry.objects import BaseProcType
from visor._core.registry.plan import Plan, Refused, Version
from visor.blocking.registry.access import Sight, access_of
from visor.errors import Conflict, NotFound

if TYPE_CHECKING:
    from visor._drivers.blocking.driver import Pauses


class Ports(Sight, Protocol):
    """The domain at a rev, as far as it is repaired."""

    def procs(self) -> Sequence[BaseProcType]:
        """Return all process types: they have the ports."""


def repair(view: Ports, path: str) -> Repaired:
    """Bring back from its copies, or take out, what a file that cannot be read belongs to.

    NotFound, Conflict when it can be read, or others keep changing it.
    """
    access = access_of(view)
    pauses = access.pauses()
    rev, version = access.get(path)
    if version is None:
        raise NotFound(path=path, rev=rev)
    if mending.trouble(path, version[1]) is None:
        raise Conflict(
            f"{path}: nothing is to be repaired here, it can be read", path=path, actual=version[0]
        )
    while True:
        plan, restored = _plan(view.at(rev), path, version)
        done = access.commit(plan)
        if not isinstance(done, Refused):
            return Repaired(path, restored, done)
        if not pauses.next():
            raise Conflict(f"{path}: others kept changing what belongs to it", path=path, actual=done.rev)
        rev, version = access.get(path)
        if version is None or mending.trouble(path, version[1]) is None:
            return Repaired(path, version is not None, rev)  # somebody else was at it


def _plan(view: Ports, path: str, version: Version) -> tuple[Plan, bool]:
    mark = access_of(view).mark(None, mending.UNREADABLE)
    if path == layout.NEXT_PORT:
        return mending.count_ports(version[0], [proc._record.port for proc in view.procs()], mark), True
    number = mending.number_of(path)
    found: dict[str, Version] = {}
    for what in mending.files_of(number) if number is not None else ():
        found.update((access_of(view).scan(what, view.rev))[1])
    if path not in found:
        return mending.take_out(path, version[0], mark), False
    _, rows = access_of(view).scan(select.children(layout.LEASES), view.rev, keys=True)
    return mending.mend(found, layout.lease_numbers(each for each, _ in rows), mark)


def mend_or_raise(view: Ports, bad: BadRecord, pauses: Pauses) -> None:
    """Repair what stands in the caller's way, who then looks again; raise `bad` when there is no time left."""
    try:
        repair(view, bad.path)
    except (NotFound, Conflict):  # somebody else has dealt with it
        if not pauses.next():
            raise bad from None
