"""The domain's front door: what is asked of the latest state, and what needs none."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any

from visor import select
from visor._core.public import public
from visor._core.registry import layout, names
from visor._core.registry.errors import BadRecord, SchemaMismatch
from visor._core.registry.model import NOTHING
from visor._core.registry.plan import Plan, Refused
from visor._core.registry.schema import LEASE, NUMBER, fitting
from visor._drivers import clocks
from visor._drivers.environment import gather
from visor.aio.client import Client
from visor.aio.registry.access import Access, access_of
from visor.aio.registry.snapshot import Snapshot
from visor.codecs import BYTES
from visor.errors import Compacted, NotFound

if TYPE_CHECKING:
    from visor._core.registry.audit import Fault
    from visor._core.registry.events import EventType
    from visor._core.registry.listed import Listed
    from visor._core.registry.mending import Repaired
    from visor._core.registry.scaling import ScaleCount
    from visor._core.registry.states import Operation
    from visor._core.tls import TLS
    from visor.aio.registry.app import App
    from visor.aio.registry.events import EventWatch
    from visor.aio.registry.instance import Instance
    from visor.aio.registry.member import RunnerWatch
    from visor.aio.registry.presence import Presence
    from visor.aio.registry.scale import Scaled
    from visor.aio.registry.ticket import Ticket, TicketWatch

SCHEMA = 4
"""The layout of the tree that this version reads and writes."""


class Registry:
    """The domain on a client.

        registry = await connect("localhost:8046")
        app = await registry.register_app("git://git/web", "trusty")

    What is read here is the latest state; `snapshot` gives that of one rev, and everything that is read through it
    is of that rev. `clock` (seconds since 1970) dates what is registered, `random` spreads claimers.
    """

    def __init__(
        self,
        client: Client[Any],
        *,
        clock: Callable[[], float] = clocks.seconds_since_1970,
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._access = Access(client, clock, random or client.channel.settings.random)

    @property
    def client(self) -> Client[Any]:
        """The client that it works through."""
        return self._client

    async def close(self) -> None:
        """Close the client."""
        await self._client.close()

    async def __aenter__(self) -> Registry:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def snapshot(self, rev: int | None = None, *, timeout: float | None = None) -> Snapshot:
        """Return the domain at `rev`, or at the latest rev."""
        if rev is None or rev < 0:
            rev = await self._access.within(timeout).rev()
        return Snapshot(self._access, rev)

    async def _now(self, timeout: float | None) -> Snapshot:
        """Return the domain at the latest rev, for one call of several requests, which share `timeout`."""
        view = Snapshot(self._access.within(timeout), 0)
        return view.at(await access_of(view).rev())

    # -- setting up -----------------------------------------------------------------------------------
    async def init(self, *, timeout: float | None = None) -> int:
        """Write the schema's version and the first port where they are missing, and return the schema.

        Idempotent. SchemaMismatch when the tree is laid out by another version.
        """
        from visor._core.registry.registrations import FIRST_PORT

        plan = Plan(note=f"init schema {SCHEMA}")
        plan.missing(layout.SCHEMA)
        plan.put(layout.SCHEMA, b"%d" % SCHEMA)
        access = self._access.within(timeout)
        _, port = await access.get(layout.NEXT_PORT)
        if port is None:
            plan.missing(layout.NEXT_PORT)
            plan.put(layout.NEXT_PORT, b"%d" % FIRST_PORT)
        pauses = access.pauses()
        while isinstance(await access.commit(plan), Refused):
            try:
                return await _verified(access)
            except NotFound:  # somebody claimed the first port meanwhile
                if not await pauses.next():
                    raise
                return await self.init(timeout=access.left())
        return SCHEMA

    async def verify_schema(self, *, timeout: float | None = None) -> int:
        """Return the schema's version; NotFound when there is none, SchemaMismatch when it is another one."""
        return await _verified(self._access.within(timeout))

    async def watch_schema(self) -> AsyncIterator[int]:
        """Iterate over the schema's version: the present one (0 for none), then after every change.

        A watch that falls behind the history that is kept goes on with the present one, if it is another.
        """
        told: int | None = None
        while True:
            watch = await self._client.watch(select.path(layout.SCHEMA), state=True, codec=BYTES)
            async with watch:
                file = watch.state.get(layout.SCHEMA)
                present = _number(file.data if file is not None else b"0")
                if present != told:
                    yield (told := present)
                try:
                    async for commit in watch:
                        yield (told := _number(commit.changes[0].data or b"0"))
                    return
                except Compacted:
                    continue

    async def getuid(self, *, timeout: float | None = None) -> int:
        """Return a number that nobody else gets, however many ask at once; later ones are higher."""
        return await self._access.uid(timeout)

    async def reset(self, *, timeout: float | None = None) -> int:
        """Delete everything that the domain keeps, in one rev, and return that rev; other files stay.

        TooLarge where there is too much for one rev: unregister apps first.
        """
        access = self._access.within(timeout)
        while True:
            rev, rows = await access.scan(select.tree("/"), keys=True, limit=1)
            names = await self._client.names("/", timeout=access.left()) if rows else []
            plan = Plan(note="reset")
            for root in layout.ROOTS:
                if root[1:] in names:
                    plan.drop(root, recursive=True)
            if not plan.writes:
                return rev
            with contextlib.suppress(NotFound):  # somebody deletes as well: look again
                done = await access.commit(plan)
                if not isinstance(done, Refused):
                    return done

    async def verify(self, *, timeout: float | None = None) -> list[Fault]:
        """Return what is wrong with the domain: nothing may be half there or left over."""
        view = await self._now(timeout)
        return await view.verify()

    async def repair(self, path: str, *, timeout: float | None = None) -> Repaired:
        """Deal with a file of the domain that cannot be read, which `verify` and `.damaged` of lists name.

        An instance or a ticket is brought back from a copy of its record if there is one (of those that are open,
        claimed or running there is); otherwise all that is left of it is taken out. Any other file is taken out,
        and the object can be registered anew; a process type's port is not given back then. NotFound when there is
        no such file, Conflict when it can be read, or others keep changing it.
        """
        from visor.aio.registry.repair import repair

        return await repair(await self._now(timeout), path)

    # -- apps ------------------------------------------------------------------------------------------
    async def apps(self, *, timeout: float | None = None) -> Listed[App]:
        """Return all apps."""
        view = await self._now(timeout)
        return await view.apps()

    async def app(self, name: str, *, timeout: float | None = None) -> App:
        """Return an app; NotFound."""
        view = await self._now(timeout)
        return await view.app(name)

    async def register_app(
        self,
        repo_url: str,
        stack: str = "",
        name: str | None = None,
        *,
        deploy_type: str = "lxc",
        env: Mapping[str, str] = NOTHING,
        timeout: float | None = None,
    ) -> App:
        """Register an app; its name is the last part of the repository's address unless it is given. Exists."""
        chosen = name if name is not None else names.app_of_url(repo_url)
        view = await self._now(timeout)
        app = view.new_app(chosen, repo_url, stack, deploy_type=deploy_type, env=env)
        return await app.register(timeout=access_of(view).left())

    async def unregister_app(
        self, app: App | str, *, cascade: bool = False, timeout: float | None = None
    ) -> App:
        """Take an app out: see `App.unregister`. With `cascade` an app whose own record cannot be read goes, too."""
        if isinstance(app, str):
            view = await self._now(timeout)
            app = await (view.app_in_any_case(app) if cascade else view.app(app))
            timeout = access_of(view).left()
        return await app.unregister(cascade=cascade, timeout=timeout)

    # -- instances and tickets -------------------------------------------------------------------------
    async def instance(self, identity: int, *, timeout: float | None = None) -> Instance:
        """Return an instance as it is now; NotFound, Unregistered."""
        view = await self._now(timeout)
        return await view.instance(identity)

    async def instances(self, *, timeout: float | None = None) -> Listed[Instance]:
        """Return all instances, ended ones too."""
        view = await self._now(timeout)
        return await view.instances()

    async def host_instances(self, host: str, *, timeout: float | None = None) -> Listed[Instance]:
        """Return the instances that run on a host."""
        view = await self._now(timeout)
        return await view.host_instances(host)

    async def purge(
        self, app: str | None = None, *, reason: str = "purged", timeout: float | None = None
    ) -> int:
        """Unregister all instances, of an app or of all, that have ended, and return how many."""
        from visor.aio.registry.scale import purge

        return await purge(await self._now(timeout), app, reason)

    async def ticket(self, identity: int, *, timeout: float | None = None) -> Ticket:
        """Return a ticket as it is now, also a processed one; NotFound."""
        view = await self._now(timeout)
        return await view.ticket(identity)

    async def tickets(self, *, timeout: float | None = None) -> Listed[Ticket]:
        """Return all tickets that are not processed."""
        view = await self._now(timeout)
        return await view.tickets()

    async def host_tickets(self, host: str, *, timeout: float | None = None) -> Listed[Ticket]:
        """Return the tickets that a host has claimed, and its instances that should stop."""
        view = await self._now(timeout)
        return await view.host_tickets(host)

    async def create_ticket(
        self,
        op: Operation | str,
        app: str,
        revision: str,
        proc: str,
        env: str | None = None,
        *,
        timeout: float | None = None,
    ) -> Ticket:
        """Make a ticket that stands for itself: see `Snapshot.create_ticket`."""
        view = await self._now(timeout)
        return await view.create_ticket(op, app, revision, proc, env, timeout=access_of(view).left())

    async def claim_ticket(
        self,
        host: str | Presence,
        *,
        lease: int = 0,
        app: str | None = None,
        revision: str | None = None,
        proc: str | None = None,
        op: Operation | str | None = None,
        timeout: float | None = None,
    ) -> Ticket | None:
        """Claim one of the open tickets that fit; None when there is none. Each goes to exactly one claimer.

        DeadlineExceeded when others were faster with every single one.
        """
        from visor._core.registry.tickets import Wanted, operation
        from visor.aio.registry.instance import claimer
        from visor.aio.registry.ticket import claim_ticket

        name, lease = claimer(host, lease)
        wanted = Wanted(app, revision, proc, None if op is None else operation(op))
        fitting(LEASE, "lease", lease)
        return await claim_ticket(Snapshot(self._access, 0), names.host(name), lease, wanted, timeout)

    # -- scale ----------------------------------------------------------------------------------------
    async def scale(
        self,
        app: str,
        revision: str,
        proc: str,
        n: int | str,
        env: str | None = None,
        *,
        by: str | None = None,
        expected: int | None = None,
        timeout: float | None = None,
    ) -> Scaled:
        """Have `n` instances, or "+n" more, or "-n" fewer: see `Snapshot.scale`."""
        view = Snapshot(self._access, 0)
        return await view.scale(app, revision, proc, n, env, by=by, expected=expected, timeout=timeout)

    async def get_scale(
        self, app: str, revision: str, proc: str, env: str | None = None, *, timeout: float | None = None
    ) -> ScaleCount:
        """Count the instances: see `Snapshot.get_scale`."""
        view = await self._now(timeout)
        return await view.get_scale(app, revision, proc, env)

    # -- following ------------------------------------------------------------------------------------
    async def watch_event(
        self,
        rev: int | None = None,
        *,
        types: Iterable[EventType | str] | None = None,
        app: str | None = None,
        timeout: float | None = None,
    ) -> EventWatch:
        """Follow what happens, from `rev` on (default: from now on), of all apps or of one."""
        from visor.aio.registry.events import watch_event

        return await watch_event(Snapshot(self._access, rev or 0), rev, types, app, timeout)

    async def watch_ticket(
        self, rev: int | None = None, *, host: str | None = None, timeout: float | None = None
    ) -> TicketWatch:
        """Follow the tickets to work on, from `rev` on (default: from now on).

        Open ones, whether new or given back, and stop tickets, with `host` only its own.
        """
        from visor.aio.registry.ticket import watch_ticket

        return await watch_ticket(Snapshot(self._access, rev or 0), rev, host, timeout)

    async def watch_runner(
        self, host: str | None = None, rev: int | None = None, *, timeout: float | None = None
    ) -> RunnerWatch:
        """Follow the runners of a host, or of all, that start and stop, from `rev` on (default: from now on)."""
        from visor.aio.registry.member import watch_runner

        return await watch_runner(Snapshot(self._access, rev or 0), host, rev, timeout)

    # -- hosts ----------------------------------------------------------------------------------------
    async def attend(
        self, host: str, ttl: float = 10.0, *, version: str | None = None, timeout: float | None = None
    ) -> Presence:
        """Register a host that lives as long as a lease of `ttl` seconds, which is kept alive from now on.

        What it claims becomes lost by itself when it dies.
        """
        from visor.aio.registry.presence import attend

        names.host(host)
        fitting(NUMBER, "ttl", ttl)
        return await attend(access_of(await self._now(timeout)), host, ttl, version)

    def __repr__(self) -> str:
        return f"<visor registry on {self._client!r}>"


async def connect(
    addr: str | Iterable[str] | None = None,
    root: str | None = None,
    *,
    timeout: float | None = None,
    actor: str | None = None,
    token: str | None = None,
    tls: TLS | bool | None = None,
) -> Registry:
    """Connect to the registry and return the domain on it; the arguments are those of `visor.dial`."""
    client: Client[bytes] = Client(gather(addr, root, timeout, actor, token, None, None, tls=tls), BYTES)
    try:
        await client.connect()
    except BaseException:
        await client.close()
        raise
    return Registry(client)


async def _verified(access: Access) -> int:
    _, version = await access.get(layout.SCHEMA)
    if version is None:
        raise NotFound("the registry has no schema: run init", path=layout.SCHEMA, rev=None)
    return _schema(version[1])


def _schema(data: bytes) -> int:
    found = _number(data)
    if found != SCHEMA:
        raise SchemaMismatch(expected=SCHEMA, actual=found)
    return found


def _number(data: bytes) -> int:
    try:
        return int(data)
    except ValueError:
        raise BadRecord(path=layout.SCHEMA, why=f"not a number: {data!r:.40}", codec="record") from None


public("visor.aio.registry", Registry, connect)
