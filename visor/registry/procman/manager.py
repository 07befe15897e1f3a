"""The process manager of one host.

    tickets --claim--> start the process --> started --> ... exited, failed
       '---- stop tickets --> end the process --> exited

Everything that it claims is on its lease. While it cannot be sure of that lease, it must assume that its instances are
lost and replaced: then it ends all of its processes and begins anew with another lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from visor._core.log import named
from visor._core.registry.errors import IllegalMove, NotClaimer, Unregistered
from visor.aio.registry import Instance, Presence, Registry, Ticket
from visor.errors import RevMismatch, VisorError
from visor.registry import Operation, State
from visor.registry.procman.child import Child

log = named("visor.procman")

PAUSE = 0.5
"""Seconds between attempts when the registry cannot be had."""
REASON = 1000
"""Characters of a reason that are kept."""


class Manager:
    """Runs up to `capacity` processes on `host`. `run` ends when it is cancelled or `stop` was called."""

    def __init__(
        self, registry: Registry, host: str, *, capacity: int = 16, ttl: float = 10.0, grace: float = 5.0
    ) -> None:
        self._registry = registry
        self._host = host
        self._capacity = capacity
        self._ttl = ttl
        self._grace = grace
        self._children: dict[int, Child] = {}
        self._instances: dict[int, Instance] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._over = asyncio.Event()
        self._attended = asyncio.Event()

    @property
    def running(self) -> dict[int, int]:
        """The process ids of the instances that run here."""
        return {identity: child.pid for identity, child in self._children.items()}

    async def attended(self) -> None:
        """Wait until it is registered and takes tickets."""
        await self._attended.wait()

    def stop(self) -> None:
        """Take no more tickets, end everything, and leave."""
        self._over.set()
        self._wake.set()

    async def run(self) -> None:
        """Work until `stop` is called."""
        while not self._over.is_set():
            try:
                async with await self._registry.attend(self._host, self._ttl, version="procman") as presence:
                    log.info("%s attends with lease %d", self._host, presence.lease)
                    await self._attend(presence)
            except VisorError as error:
                log.warning("%s: %s", self._host, error)
                await asyncio.sleep(PAUSE)
            finally:
                await self._drop_all()

    async def _attend(self, presence: Presence) -> None:
        """Work on one lease until it is over or everything is."""
        await self._bury_former_ones(presence)
        async with (
            await self._registry.watch_ticket(host=self._host) as tickets,
            await self._registry.watch_event(types=["instance-unregister", "instance-lost"]) as events,
        ):
            work = [
                asyncio.create_task(each)
                for each in (
                    self._follow(tickets, self._on_ticket),
                    self._follow(events, self._on_event),
                    self._claim(presence),
                    _until_over(presence),
                    _wait_for(self._over),
                )
            ]
            self._wake.set()
            self._attended.set()
            try:
                done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)
            if self._over.is_set():
                await self._end_all()

    async def _bury_former_ones(self, presence: Presence) -> None:
        """Say of what an earlier run left on another lease that it is lost: its processes died with it."""
        for instance in await self._registry.host_instances(self._host):
            if instance.lease != presence.lease:
                with contextlib.suppress(IllegalMove, RevMismatch, Unregistered):
                    await instance.lost(self._host, "the manager was started again")

    async def _follow(self, items: Any, handle: Callable[[Any], None]) -> None:
        async for item in items:
            handle(item)

    def _on_ticket(self, ticket: Ticket) -> None:
        if ticket.op is Operation.STOP and ticket.instance is not None:
            self._spawn(self._end(ticket.instance))
        else:
            self._wake.set()

    def _on_event(self, event: Any) -> None:
        child = self._children.get(event.path.instance)
        if child is not None:
            log.info("instance %d is gone from the registry: its process goes too", event.path.instance)
            child.kill()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of this manager failed: %s", error, exc_info=error)

    # -- starting -------------------------------------------------------------------------------------
    async def _claim(self, presence: Presence) -> None:
        """Claim tickets while there are some and there is room."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while len(self._instances) < self._capacity and not self._over.is_set():
                ticket = await self._registry.claim_ticket(presence)
                if ticket is None:
                    break
                if ticket.instance is None:
                    await self._order(ticket)
                else:
                    self._instances[ticket.id] = ticket.instance
                    self._spawn(self._live(ticket.instance))

    async def _order(self, ticket: Ticket) -> None:
        """Do what a ticket asks for that stands for itself: one instance more, or one fewer."""
        step = "+1" if ticket.op is Operation.START else "-1"
        try:
            await self._registry.scale(
                ticket.app, ticket.revision, ticket.proc, step, ticket.env, by=self._host
            )
            await ticket.done()
        except VisorError as error:
            await ticket.dead(reason=str(error))

    async def _live(self, instance: Instance) -> None:
        """Accompany one instance from its claim to its end. Whatever goes wrong here, its record says that it ended."""
        try:
            child = await self._start(instance)
            if child is not None:
                reason = await child.wait()
                await self._ended(instance.id, reason)
        except Exception as error:
            log.warning(
                "instance %d: %s",
                instance.id,
                error,
                exc_info=None if isinstance(error, VisorError) else error,
            )
            await self._give_up(instance.id, error)
        finally:
            child = self._children.pop(instance.id, None)
            if child is not None:
                child.kill()
            self._instances.pop(instance.id, None)
            self._wake.set()

    async def _give_up(self, identity: int, error: Exception) -> None:
        """End an instance that this manager failed to accompany, and report that: nobody else would.

        While the registry cannot be had it tries for as long as the lease lives: after that, the instance is lost.
        """
        child = self._children.get(identity)
        if child is not None:
            child.kill()
            with contextlib.suppress(Exception):
                await child.wait()
        reason = _plain(f"its manager failed: {type(error).__name__}: {error}")
        loop = asyncio.get_running_loop()
        until = loop.time() + self._ttl
        while True:
            try:
                await self._report(identity, lambda each: each.failed(reason=reason))
                return
            except VisorError as again:
                log.warning("instance %d: %s", identity, again)
            if loop.time() > until:
                return
            await asyncio.sleep(PAUSE)

    async def _start(self, instance: Instance) -> Child | None:
        try:
            child = await Child.start(*await self._command(instance))
        except (OSError, ValueError, VisorError) as error:
            why = _plain(str(error))
            await self._report(instance.id, lambda each: each.failed(reason=why))
            return None
        self._children[instance.id] = child
        hostname = socket.gethostname()
        await self._report(instance.id, lambda each: each.started(port=child.port, hostname=hostname))
        stopped = self._instances[instance.id].state is State.STOPPING
        if stopped or self._over.is_set():  # before it ran: nobody else ends it
            self._spawn(self._end_child(instance.id))
        return child

    async def _command(self, instance: Instance) -> tuple[str, dict[str, str]]:
        """Return the command of an instance and its variables."""
        view = await self._registry.snapshot()
        proc = await view.proc(instance.app, instance.proc)
        if instance.env:
            variables = dict((await view.env(instance.app, instance.env)).vars)
        else:
            variables = dict(await view.variables(instance.app))
        variables |= {
            "VISOR_APP": instance.app,
            "VISOR_REVISION": instance.revision,
            "VISOR_PROC": instance.proc,
            "VISOR_ENV": instance.env,
            "VISOR_INSTANCE": str(instance.id),
        }
        return proc.command or "", variables

    # -- ending ---------------------------------------------------------------------------------------
    async def _ended(self, identity: int, reason: str | None) -> None:
        """Report the end of a process: as wished, by itself, or badly."""
        instance = await self._now(identity)
        if instance is None:
            return
        if instance.state is State.STOPPING or reason is None:
            await self._report(identity, lambda each: each.exited(reason=reason or "exited"))
        else:
            await self._report(identity, lambda each: each.failed(reason=reason))

    async def _end(self, instance: Instance) -> None:
        """End the process of an instance that should stop."""
        if instance.id in self._children:
            await self._end_child(instance.id)
        elif instance.id not in self._instances:
            with contextlib.suppress(VisorError):
                await instance.exited(reason="there is no such process")

    async def _end_child(self, identity: int) -> None:
        """End one process with patience, or else at once; `_live` reports it."""
        child = self._children.get(identity)
        if child is None:
            return
        try:
            await child.end(self._grace)
        except Exception as error:
            log.error("instance %d: %s", identity, error, exc_info=error)
            child.kill()

    async def _end_all(self) -> None:
        """End all instances with patience. One that cannot be ended keeps none of the others from it."""
        for identity in list(self._children):
            self._spawn(self._end_child(identity))
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _drop_all(self) -> None:
        """End everything at once and forget it: whatever ran here is lost."""
        children = dict(self._children)
        for identity, child in children.items():
            try:
                child.kill()
            except Exception as error:  # the others have to go all the same
                log.error("instance %d: %s", identity, error, exc_info=error)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(child.wait() for child in children.values()), return_exceptions=True)
        self._children.clear()
        self._instances.clear()

    # -- reporting ------------------------------------------------------------------------------------
    async def _report(self, identity: int, move: Callable[[Instance], Coroutine[Any, Any, Instance]]) -> None:
        """Make a move of an instance, on what it is now if it has changed; give up when it forbids the move."""
        while True:
            instance = self._instances.get(identity)
            if instance is None:
                return
            try:
                self._instances[identity] = await move(instance)
                return
            except RevMismatch:
                await self._now(identity)
            except (IllegalMove, NotClaimer, Unregistered) as error:
                log.info("instance %d: %s", identity, error)
                await self._now(identity)
                return

    async def _now(self, identity: int) -> Instance | None:
        """Return an instance as it is now; None when it is gone."""
        instance = self._instances.get(identity)
        if instance is None:
            return None
        try:
            self._instances[identity] = instance = await instance.fast_forward()
        except Unregistered:
            return None
        return instance


async def _until_over(presence: Presence) -> None:
    await presence.held.wait_over()
    log.warning("the lease of %s is over: everything here is lost", presence.host)


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()


def _plain(text: str) -> str:
    """Return a reason as a record can hold it: of some length, and in UTF-8."""
    return text[:REASON].encode(errors="backslashreplace").decode()
