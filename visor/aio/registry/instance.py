"""Instances: processes, from the wish for one to its tombstone."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from typing import TYPE_CHECKING

from visor import select
from visor._core.public import public
from visor._core.registry import instance_files, layout, transitions
from visor._core.registry.errors import Unregistered
from visor._core.registry.instance import BaseInstance
from visor._core.registry.model import InstanceRecord
from visor._core.registry.plan import Refused
from visor._core.registry.schema import bad_value
from visor._core.registry.states import TERMINAL, Move, State
from visor._core.registry.transitions import Seen, Step
from visor._core.unfit import Unfit
from visor.aio.registry.access import access_of, within
from visor.aio.registry.base import Registered
from visor.aio.registry.waiting import wait_until

if TYPE_CHECKING:
    from visor.aio.registry.presence import Presence
    from visor.aio.registry.snapshot import Snapshot


class Instance(Registered, BaseInstance):
    """An instance at a rev. The moves that are legal are in `visor._core.registry.states.MOVES`.

        instance = await instance.claim("10.0.0.1")
        instance = await instance.started(port=8001)
        instance = await instance.exited()

    Each move is fenced by this object's rev: it is refused when the instance has changed since.
    IllegalMove names the state and the one that was wanted, NotClaimer the claimer, AlreadyClaimed who was first,
    Unregistered who took it out; RevMismatch means that it changed otherwise, and can be tried again after
    `fast_forward`.
    """

    __slots__ = ()
    # -- what it is -----------------------------------------------------------------------------------

    # -- moves ----------------------------------------------------------------------------------------
    async def claim(
        self,
        host: str | Presence,
        *,
        lease: int = 0,
        timeout: float | None = None,
    ) -> Instance:
        """Take it on, for `host`: one of many claimers wins.

        With a lease (or a `Presence`, which has one) it becomes lost by itself when that ends.
        """
        name, lease = claimer(host, lease)
        step = transitions.claim(self.seen, name, lease=lease, time=self._access.time())
        return await self._make(step, timeout)

    async def unclaim(self, host: str | None = None, *, timeout: float | None = None) -> Instance:
        """Give it back; it is pending again, and its claims are remembered."""
        return await self._make(transitions.unclaim(self.seen, host), timeout)

    async def started(
        self,
        host: str | None = None,
        *,
        port: int | None = None,
        hostname: str | None = None,
        tele_port: int | None = None,
        ip: str | None = None,
        timeout: float | None = None,
    ) -> Instance:
        """Report that it runs, on `ip` (default: the claimer). Running already: nothing happens."""
        if self.state is State.RUNNING and (host is None or host == self.host):
            return self
        step = transitions.started(self.seen, host, port=port, hostname=hostname, tele_port=tele_port, ip=ip)
        return await self._make(step, timeout)

    async def restarted(
        self, reason: str, count: int = 1, host: str | None = None, *, timeout: float | None = None
    ) -> Instance:
        """Report that it was started again `count` times, for "fail" or "oom". Only while it runs."""
        return await self._make(transitions.restarted(self.seen, host, reason, count), timeout)

    async def stop(self, *, timeout: float | None = None) -> Instance:
        """Ask its host to end it."""
        return await self._make(transitions.stop(self.seen), timeout)

    async def exited(
        self, host: str | None = None, reason: str = "exited", *, timeout: float | None = None
    ) -> Instance:
        """Report that it ended as it should."""
        return await self._end(Move.EXITED, host, self.host, reason, timeout)

    async def failed(
        self, host: str | None = None, reason: str = "failed", *, timeout: float | None = None
    ) -> Instance:
        """Report that it failed, and why."""
        return await self._end(Move.FAILED, host, self.host, reason, timeout)

    async def lost(
        self, by: str | None = None, reason: str = "lost", *, timeout: float | None = None
    ) -> Instance:
        """Say that nobody knows it any more: anybody may."""
        return await self._end(Move.LOST, None, by, reason, timeout)

    async def lock(
        self, by: str | None = None, reason: str = "", *, timeout: float | None = None
    ) -> Instance:
        """Mark it as one's own; Locked when it is marked already."""
        mark = self._access.mark(by, reason)
        return await self._make(transitions.lock(self.seen, mark), timeout)

    async def unlock(self, *, timeout: float | None = None) -> Instance:
        """Take the mark away, also another's."""
        return await self._make(transitions.unlock(self.seen), timeout) if self.is_locked else self

    async def unregister(
        self, by: str | None = None, reason: str = "unregistered", *, timeout: float | None = None
    ) -> Instance:
        """Take it out for ever; its tombstone tells who did, why and when. Returns it as done."""
        mark = self._access.mark(by, reason)
        return await self._make(transitions.unregister(self.seen, mark), timeout)

    async def _end(
        self, move: Move, host: str | None, by: str | None, reason: str, timeout: float | None
    ) -> Instance:
        mark = self._access.mark(by, reason)
        return await self._make(transitions.ended(self.seen, move, host, mark), timeout)

    async def _make(self, step: Step, timeout: float | None) -> Instance:
        done = await self._access.commit(step.plan, timeout)
        if isinstance(done, Refused):
            raise step.refused(self.rev, done)
        view = self._view.at(done)
        if step.record is None:
            return Instance(view, Seen(self._record, 0))
        return Instance(view, Seen(step.record, done))

    # -- later ----------------------------------------------------------------------------------------
    async def fast_forward(self, rev: int = -1, *, timeout: float | None = None) -> Instance:
        """Return it at `rev`, or at the latest rev; itself when that is not newer. Unregistered when it is done."""
        view = await within(self._view, timeout).fast_forward(rev)
        if view.rev == self.rev:
            return self
        return await look(view, self._record)

    async def wait(self, *states: State | str, timeout: float | None = None) -> Instance:
        """Wait until it is in one of `states`, or in one that ends it, and return it as it is then.

        A state that ends it (exited, failed, lost, done) ends every wait: look at `.state`. Without `states`,
        wait for its end. DeadlineExceeded after `timeout` seconds; None waits for ever.
        """
        return await watch_until(self, {State(state) for state in states}, timeout)

    async def wait_claimed(self, *, timeout: float | None = None) -> Instance:
        """Wait until it is claimed, or further."""
        return await self.wait(State.CLAIMED, State.RUNNING, State.STOPPING, timeout=timeout)

    async def wait_started(self, *, timeout: float | None = None) -> Instance:
        """Wait until it runs, or has ended."""
        return await self.wait(State.RUNNING, State.STOPPING, timeout=timeout)

    async def wait_stop(self, *, timeout: float | None = None) -> Instance:
        """Wait until it should stop, or has ended."""
        return await self.wait(State.STOPPING, timeout=timeout)

    async def wait_exited(self, *, timeout: float | None = None) -> Instance:
        """Wait for its end, whichever it is: `.state` says whether it exited, failed or was lost."""
        return await self.wait(timeout=timeout)


def claimer(host: str | Presence, lease: int) -> tuple[str, int]:
    """Return the name and the lease of who claims."""
    if isinstance(host, str):
        return host, lease
    if not hasattr(host, "lease"):
        raise bad_value(None, Unfit("the name of a host, or a Presence", host, "host"))
    return host.host, host.lease


async def look(view: Snapshot, record: InstanceRecord) -> Instance:
    """Return the instance of a record as it is at the view's rev. Unregistered when it is gone by then."""
    path = instance_files.record_path(record)
    _, version = await access_of(view).get(path, view.rev)
    if version is None:
        identity = await view.identity(record.id)
        raise transitions.unregistered(identity, record.id, path)
    found = view.decode(InstanceRecord, path, version)
    lost = instance_files.is_lost(found, await view.leases_of([found]))
    return Instance(view, Seen(found, version[0], lost))


async def watch_until(instance: Instance, wanted: set[State], timeout: float | None) -> Instance:
    """Follow an instance until its state is wanted or ends it, from the latest rev on."""
    record = instance._record
    # The record, its entry in `live` and that in `stopping`, which go when the lease does.
    group = layout.group(record.app, "*", *record.key[1:])
    return await wait_until(
        instance._view,
        select.glob(f"{group}/{layout.number(record.id)}"),
        lambda view: _state(view, instance),
        lambda now: now.state in wanted or now.state in TERMINAL,
        lambda now: _too_late(now, wanted, timeout),
        timeout,
    )


async def _state(view: Snapshot, instance: Instance) -> Instance:
    try:
        return await look(view, instance._record)
    except Unregistered:
        return Instance(view, Seen(instance._record, 0))


def _too_late(now: Instance, wanted: set[State], timeout: float | None) -> str:
    names = ", ".join(sorted(state.value for state in wanted)) or "its end"
    return f"instance {now.id} is {now.state} after {timeout or 0:g} s, waited for {names}"


public("visor.aio.registry", Instance)
