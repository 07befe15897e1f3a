# Generated from visor/aio/registry/snapshot.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""The domain at one rev: everything is read as it was then, and new objects begin there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

from visor import select
from visor._core.public import public
from visor._core.registry import layout, names
from visor._core.registry.errors import BadRecord
from visor._core.registry.listed import Listed, Mapped, told
from visor._core.registry.model import (
    NOTHING,
    AppRecord,
    EndpointRecord,
    EnvRecord,
    Heartbeat,
    IdRecord,
    InstanceRecord,
    LeaseRecord,
    Limits,
    MemberRecord,
    ProcRecord,
    RevisionRecord,
    RunnerRecord,
    ScaleRecord,
    ServiceRecord,
)
from visor._core.registry.records import check, decode
from visor._core.registry.schema import WHOLE, fitting, texts
from visor._core.registry.states import TAKEN
from visor.blocking.registry.access import Access, Row, access_of
from visor.errors import NotFound
from visor.select import Selector

if TYPE_CHECKING:
    from visor._core.registry.audit import Fault
    from visor._core.registry.events import EventType
    from visor._core.registry.plan import Version
    from visor._core.registry.scaling import Group, ScaleCount
    from visor._core.registry.states import Operation
    from visor._core.registry.transitions import Seen
    from visor.blocking.registry.app import App
    from visor.blocking.registry.env import Env
    from visor.blocking.registry.events import EventWatch
    from visor.blocking.registry.instance import Instance
    from visor.blocking.registry.lock import Lock
    from visor.blocking.registry.member import Member, Runner
    from visor.blocking.registry.proc import ProcType
    from visor.blocking.registry.revision import Revision
    from visor.blocking.registry.scale import Scaled
    from visor.blocking.registry.service import Endpoint, Service
    from visor.blocking.registry.ticket import Ticket

T = TypeVar("T")


class Snapshot:
    """The domain at a rev. Made by `Registry.snapshot`.

        snapshot = registry.snapshot()
        snapshot.apps()                # []
        snapshot.new_app("web").register()
        snapshot.apps()                        # still []
        (snapshot.fast_forward()).apps() # [App(web at rev 7)]

    Lists are in the order of names and ids. What cannot be read stops none of them: it is left out, and stands in
    `damaged` of the list, as BadRecord. `Registry.repair` deals with it.
    """

    __slots__ = ("_access", "_calm", "_leases", "_rev")

    def __init__(self, access: Access, rev: int) -> None:
        self._access = access
        """How the objects of the domain ask and write. Not for applications."""
        self._rev = rev
        self._leases: frozenset[int] | None = None
        self._calm: Snapshot | None = None

    @property
    def rev(self) -> int:
        """The rev."""
        return self._rev

    def at(self, rev: int) -> Snapshot:
        """Return the domain at another rev; nothing is asked."""
        return self if rev == self._rev else Snapshot(self._access, rev)

    def _within(self, timeout: float | None) -> Snapshot:
        """Return this for one call of several requests, which share `timeout`; itself for None."""
        return self if timeout is None else Snapshot(self._access.within(timeout), self._rev)

    def _lasting(self) -> Snapshot:
        """Return it without the deadline of the call that made it: what a call returns lives on after that."""
        if self._access.unhurried is self._access:
            return self
        if self._calm is None:
            self._calm = Snapshot(self._access.unhurried, self._rev)
        return self._calm

    def fast_forward(self, rev: int = -1, *, timeout: float | None = None) -> Snapshot:
        """Return the domain at `rev`, or at the latest; itself when that is not newer: never back in time."""
        if rev < 0:
            rev = self._access.within(timeout).rev()
        return Snapshot(self._access, rev) if rev > self._rev else self

    # -- apps and what belongs to them ----------------------------------------------------------------
    def new_app(
        self,
        name: str,
        repo_url: str = "",
        stack: str = "",
        *,
        deploy_type: str = "lxc",
        env: Mapping[str, str] = NOTHING,
    ) -> App:
        """Return an app that is not registered yet; `env` is stored with it. BadName."""
        from visor.blocking.registry.app import App

        record = check(AppRecord(names.name("app", name), repo_url, stack, deploy_type))
        given = texts("env", env)
        for key in given:
            names.variable(key)
        return App(self, record, 0, given)

    def app(self, name: str, *, timeout: float | None = None) -> App:
        """Return an app; NotFound."""
        view = self._within(timeout)
        from visor.blocking.registry.app import App

        record, mod_rev = view._one(AppRecord, layout.app(name), f"app {name}")
        return App(self, record, mod_rev)

    def app_in_any_case(self, name: str, *, timeout: float | None = None) -> App:
        """Return an app, also one whose record cannot be read: then only its name is known. NotFound."""
        view = self._within(timeout)
        from visor.blocking.registry.app import App

        try:
            return view.app(name)
        except BadRecord:
            _, version = access_of(view).get(layout.app(name), self._rev)
            return App(self, AppRecord(name), version[0] if version is not None else 0)

    def apps(self, *, timeout: float | None = None) -> Listed[App]:
        """Return all apps, by name."""
        view = self._within(timeout)
        from visor.blocking.registry.app import App

        found = view._list(AppRecord, select.glob("/apps/*/app"))
        return Listed((App(self, *each) for each in found), found.damaged)

    def app_names(self, *, timeout: float | None = None) -> list[str]:
        """Return the names of all apps."""
        view = self._within(timeout)
        _, rows = access_of(view).scan(select.glob("/apps/*/app"), self._rev, keys=True)
        return [path.split("/")[2] for path, _ in rows]

    def variables(self, app: str, *, timeout: float | None = None) -> Mapped[str, str]:
        """Return the environment of an app; empty when there is none, also of an app that does not exist."""
        view = self._within(timeout)
        _, rows = access_of(view).scan(select.children(layout.variables(app)), self._rev)
        found: dict[str, str] = {}
        bad: list[BadRecord] = []
        for path, version in rows:
            try:
                name, value = layout.variable_text(path, version[1])
                found[name] = value
            except BadRecord as error:
                bad.append(error)
        return Mapped(found, told(bad))

    def new_revision(self, app: str, ref: str, archive_url: str = "") -> Revision:
        """Return a revision that is not registered yet. BadName."""
        from visor.blocking.registry.revision import Revision

        record = check(RevisionRecord(names.name("app", app), names.name("revision", ref), archive_url))
        return Revision(self, record, 0)

    def revision(self, app: str, ref: str, *, timeout: float | None = None) -> Revision:
        """Return a revision; NotFound."""
        view = self._within(timeout)
        from visor.blocking.registry.revision import Revision

        path = layout.revision(app, ref)
        return Revision(self, *view._one(RevisionRecord, path, f"revision {app} {ref}"))

    def revisions(self, app: str | None = None, *, timeout: float | None = None) -> Listed[Revision]:
        """Return the revisions of an app, or of all."""
        view = self._within(timeout)
        from visor.blocking.registry.revision import Revision

        found = view._list(RevisionRecord, _parts("revs", app))
        return Listed((Revision(self, *each) for each in found), found.damaged)

    def new_proc(
        self,
        app: str,
        name: str,
        *,
        command: str | None = None,
        with_port: bool = True,
        limits: Limits | None = None,
        heartbeat: Heartbeat | None = None,
        max_restarts: int | None = None,
        attrs: Mapping[str, str] = NOTHING,
    ) -> ProcType:
        """Return a process type that is not registered yet. `with_port`: it claims a port then. BadName."""
        from visor.blocking.registry.proc import ProcType

        record = ProcRecord(
            names.name("app", app),
            names.proc(name),
            0 if with_port else None,
            command,
            Limits() if limits is None else limits,
            Heartbeat() if heartbeat is None else heartbeat,
            max_restarts,
            texts("attrs", attrs),
        )
        return ProcType(self, check(record), 0)

    def proc(self, app: str, name: str, *, timeout: float | None = None) -> ProcType:
        """Return a process type; NotFound."""
        view = self._within(timeout)
        from visor.blocking.registry.proc import ProcType

        return ProcType(self, *view._one(ProcRecord, layout.proc(app, name), f"proc {app} {name}"))

    def procs(self, app: str | None = None, *, timeout: float | None = None) -> Listed[ProcType]:
        """Return the process types of an app, or of all."""
        view = self._within(timeout)
        from visor.blocking.registry.proc import ProcType

        found = view._list(ProcRecord, _parts("procs", app))
        return Listed((ProcType(self, *each) for each in found), found.damaged)

    def new_env(self, app: str, ref: str, vars: Mapping[str, str]) -> Env:
        """Return an immutable environment that is not registered yet. BadName, also for a variable's name."""
        from visor.blocking.registry.env import Env

        given = texts("vars", vars)
        for key in given:
            names.variable(key)
        record = EnvRecord(names.name("app", app), names.name("env", ref), given)
        return Env(self, record, 0)

    def env(self, app: str, ref: str, *, timeout: float | None = None) -> Env:
        """Return an immutable environment; NotFound."""
        view = self._within(timeout)
        from visor.blocking.registry.env import Env

        return Env(self, *view._one(EnvRecord, layout.env(app, ref), f"env {app} {ref}"))

    def envs(self, app: str | None = None, *, timeout: float | None = None) -> Listed[Env]:
        """Return the immutable environments of an app, or of all."""
        view = self._within(timeout)
        from visor.blocking.registry.env import Env

        found = view._list(EnvRecord, _parts("envs", app))
        return Listed((Env(self, *each) for each in found), found.damaged)

    # -- instances ------------------------------------------------------------------------------------
    def instance(self, identity: int, *, timeout: float | None = None) -> Instance:
        """Return an instance; NotFound for none such, Unregistered for one that is gone."""
        view = self._within(timeout)
        from visor._core.registry import instance_files, transitions
        from visor._core.registry.transitions import Seen
        from visor.blocking.registry.instance import Instance

        found = view.identity(identity)
        path = layout.identity(identity)
        if found is None or found.ticket is not None:
            raise NotFound(f"instance {identity}: not found", path=path, rev=self._rev)
        where = layout.group(found.app, "instances", found.revision, found.proc, found.env)
        where = f"{where}/{layout.number(identity)}"
        _, version = access_of(view).get(where, self._rev)
        if version is None:
            raise transitions.unregistered(found, identity, where)
        record = decode(InstanceRecord, version[1], where)
        lost = instance_files.is_lost(record, view.leases_of([record]))
        return Instance(self, Seen(record, version[0], lost))

    def is_done(self, identity: int, *, timeout: float | None = None) -> bool:
        """Whether there was such an instance or ticket, and it is over for good; that stays true."""
        view = self._within(timeout)
        found = view.identity(identity)
        return found is not None and found.end is not None

    def instances(
        self,
        app: str | None = None,
        revision: str | None = None,
        proc: str | None = None,
        env: str | None = None,
        *,
        timeout: float | None = None,
    ) -> Listed[Instance]:
        """Return the instances, ended ones too, of everything or of what is given ("" is "no environment")."""
        view = self._within(timeout)
        from visor.blocking.registry.instance import Instance

        names_ = [app or "*", "instances", revision or "*", proc or "*"]
        if app is None and revision is None and proc is None and env is None:
            what = select.glob(layout.instances())
        elif env is None and proc is None and revision is None:
            what = select.tree(layout.instances(app))
        else:
            place = "*" if env is None else env or layout.NO_ENV
            what = select.glob(f"/apps/{'/'.join(names_)}/{place}/*")
        found = view.instances_seen(what)
        return Listed((Instance(self, seen) for seen in found), found.damaged)

    def host_instances(self, host: str, *, timeout: float | None = None) -> Listed[Instance]:
        """Return the instances that run on a host, the stopping ones too, by id. One request a page of 10 000."""
        view = self._within(timeout)
        from visor.blocking.registry.instance import Instance

        found = view.instances_seen(select.children(layout.host(host)))
        return Listed((Instance(self, seen) for seen in found), found.damaged)

    def instances_seen(self, what: Selector) -> Listed[Seen]:
        """Return the records of the instances that match."""
        from visor._core.registry import instance_files
        from visor._core.registry.transitions import Seen

        records: list[tuple[InstanceRecord, int]] = []
        bad: list[BadRecord] = []
        # By pages, so that other tasks of this loop have a turn between them.
        for _, rows in self._access.pages(what, self._rev):
            _decode_into(InstanceRecord, rows, records, bad)
        leases = self.leases_of(record for record, _ in records)
        seen = [
            Seen(record, mod_rev, record.lease != 0 and instance_files.is_lost(record, leases))
            for record, mod_rev in records
        ]
        return Listed(seen, told(bad))

    def leases_of(self, records: Iterable[InstanceRecord]) -> frozenset[int]:
        """Return those leases of the records that exist at this rev."""
        wanted = {record.lease for record in records if record.lease and record.state in TAKEN}
        if not wanted:
            return frozenset()
        if self._leases is not None:
            return self._leases
        if len(wanted) == 1:
            (lease,) = wanted
            _, version = self._access.get(layout.lease(lease), self._rev)
            return frozenset() if version is None else frozenset(wanted)
        _, rows = self._access.scan(select.children(layout.LEASES), self._rev, keys=True)
        self._leases = layout.lease_numbers(path for path, _ in rows)
        return self._leases

    def identity(self, identity: int, *, timeout: float | None = None) -> IdRecord | None:
        """Return what an id belongs to; None when nobody has it."""
        view = self._within(timeout)
        path = layout.identity(identity)
        _, version = access_of(view).get(path, self._rev)
        return None if version is None else view.decode(IdRecord, path, version)

    def register_instance(
        self,
        app: str,
        revision: str,
        proc: str,
        addr: str | None = None,
        env: str | None = None,
        *,
        timeout: float | None = None,
    ) -> Instance:
        """Register one instance: pending, or with `addr` (HOST:PORT) as one that runs there already.

        NotFound when app, revision, process type or environment is not registered.
        """
        from visor._core.registry import srv
        from visor._core.registry.scaling import Group
        from visor.blocking.registry.scale import register_one

        group = Group.of(app, revision, proc, env)
        place = None if addr is None else srv.address(addr)
        return register_one(self, group, place, timeout)

    def scale(
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
        """Have `n` instances (a number, or "+2", "-2"), whatever others do at the same time.

        Up: pending instances are registered. Down: the lowest ids are stopped, those that nobody has claimed yet are
        taken back. Each 500 of them come and go in one rev. NotFound when app, revision, process type or
        environment is not registered, BadRequest for less than none, Conflict when others keep changing the
        same group until the deadline, or where there are not `expected` instances before (None: however
        many there are). `timeout` is for all of it: after DeadlineExceeded the steps that were done
        stay, and asking for the same number again goes on from there.
        """
        from visor._core.registry import scaling
        from visor._core.registry.scaling import Group
        from visor.blocking.registry.scale import scale_group

        group = Group.of(app, revision, proc, env)
        if expected is not None:
            fitting(WHOLE, "expected", expected)
        return scale_group(self, group, scaling.parse(n), by, timeout, expected)

    def top_up(
        self,
        app: str,
        revision: str,
        proc: str,
        env: str | None = None,
        *,
        by: str | None = None,
        timeout: float | None = None,
    ) -> Scaled:
        """Register what is missing of the number that `scale` was last told: what a scheduler does.

        Any number of schedulers may do that at once, and a `scale` meanwhile is not overruled. Nothing is ever
        stopped. NotFound when nobody has scaled the group, or a part of it is not registered.
        """
        from visor._core.registry.scaling import Group
        from visor.blocking.registry.scale import top_up

        return top_up(self, Group.of(app, revision, proc, env), by, timeout)

    def get_scale(
        self, app: str, revision: str, proc: str, env: str | None = None, *, timeout: float | None = None
    ) -> ScaleCount:
        """Count the instances, of all environments or of one ("" for those without); unknown names count 0."""
        view = self._within(timeout)
        from visor.blocking.registry.scale import count_group

        return count_group(view, app, revision, proc, env)

    def targets(self, app: str | None = None, *, timeout: float | None = None) -> Mapped[Group, ScaleRecord]:
        """Return what `scale` was last told, by group: what a scheduler compares the counts with."""
        view = self._within(timeout)
        from visor._core.registry.scaling import Group

        what = select.glob(f"/apps/{app or '*'}/scale/*/*/*")
        _, rows = access_of(view).scan(what, self._rev)
        targets: dict[Group, ScaleRecord] = {}
        bad: list[BadRecord] = []
        for path, version in rows:
            parts = path.split("/")
            env = "" if parts[6] == layout.NO_ENV else parts[6]
            try:
                targets[Group(parts[2], parts[4], parts[5], env)] = view.decode(ScaleRecord, path, version)
            except BadRecord as error:
                bad.append(error)
        return Mapped(targets, told(bad))

    # -- tickets --------------------------------------------------------------------------------------
    def ticket(self, identity: int, *, timeout: float | None = None) -> Ticket:
        """Return a ticket, also one that is done or dead; NotFound. The id of an instance gives its ticket."""
        view = self._within(timeout)
        from visor.blocking.registry.ticket import Ticket

        path = layout.identity(identity)
        _, version = access_of(view).get(path, self._rev)
        if version is None:
            raise NotFound(f"ticket {identity}: not found", path=path, rev=self._rev)
        found = view.decode(IdRecord, path, version)
        if found.ticket is None:
            return Ticket.of_instance(view.instance(identity))
        return Ticket(self, found.ticket, version[0])

    def tickets(self, *, timeout: float | None = None) -> Listed[Ticket]:
        """Return all tickets that are not processed: open ones, claimed ones, and instances that should stop."""
        view = self._within(timeout)
        return view._tickets(select.tree(layout.TICKETS))

    def open_tickets(self, *, timeout: float | None = None) -> Listed[Ticket]:
        """Return the tickets that can be claimed, the oldest first."""
        view = self._within(timeout)
        return view._tickets(select.children(layout.OPEN))

    def host_tickets(self, host: str, *, timeout: float | None = None) -> Listed[Ticket]:
        """Return the tickets that a host has claimed, and its instances that should stop."""
        view = self._within(timeout)
        return view._tickets(select.children(layout.claimed_tickets(host)))

    def _tickets(self, what: Selector) -> Listed[Ticket]:
        _, rows = self._access.scan(what, self._rev)
        from visor.blocking.registry.ticket import from_file

        found: list[Ticket] = []
        bad: list[BadRecord] = []
        for path, version in rows:
            try:
                found.append(from_file(self, path, version))
            except BadRecord as error:
                bad.append(error)
        return Listed(found, told(bad))

    def create_ticket(
        self,
        op: Operation | str,
        app: str,
        revision: str,
        proc: str,
        env: str | None = None,
        *,
        timeout: float | None = None,
    ) -> Ticket:
        """Make a ticket that stands for itself. NotFound when app, revision or process type is not registered."""
        from visor._core.registry.scaling import Group
        from visor._core.registry.tickets import operation
        from visor.blocking.registry.ticket import create_ticket

        return create_ticket(self, operation(op), Group.of(app, revision, proc, env), timeout)

    # -- services -------------------------------------------------------------------------------------
    def new_service(self, name: str) -> Service:
        """Return a service that is not registered yet. BadName."""
        from visor.blocking.registry.service import Service

        return Service(self, ServiceRecord(names.name("service", name)), 0)

    def service(self, name: str, *, timeout: float | None = None) -> Service:
        """Return a service; NotFound."""
        view = self._within(timeout)
        from visor.blocking.registry.service import Service

        return Service(self, *view._one(ServiceRecord, layout.service(name), f"service {name}"))

    def services(self, *, timeout: float | None = None) -> Listed[Service]:
        """Return all services, by name."""
        view = self._within(timeout)
        from visor.blocking.registry.service import Service

        found = view._list(ServiceRecord, select.glob("/services/*/service"))
        return Listed((Service(self, *each) for each in found), found.damaged)

    def endpoint(self, service: str, addr: str, *, timeout: float | None = None) -> Endpoint:
        """Return an endpoint; NotFound."""
        view = self._within(timeout)
        from visor.blocking.registry.service import Endpoint

        path = layout.endpoint(service, addr)
        return Endpoint(self, *view._one(EndpointRecord, path, f"endpoint {addr} of {service}"))

    def endpoints(self, service: str | None = None, *, timeout: float | None = None) -> Listed[Endpoint]:
        """Return the endpoints of a service, or of all, by address."""
        view = self._within(timeout)
        from visor.blocking.registry.service import Endpoint

        every = select.glob("/services/*/endpoints/*")
        what = every if service is None else select.children(layout.endpoints(service))
        found = view._list(EndpointRecord, what)
        return Listed((Endpoint(self, *each) for each in found), found.damaged)

    # -- members --------------------------------------------------------------------------------------
    def new_runner(self, addr: str, instance: int) -> Runner:
        """Return the runner of an instance, at HOST:PORT, not registered yet. BadName."""
        from visor._core.registry import srv
        from visor.blocking.registry.member import Runner

        host, port = srv.address(addr)
        return Runner(self, check(RunnerRecord(host, port, instance)), 0)

    def runner(self, addr: str, *, timeout: float | None = None) -> Runner:
        """Return the runner at HOST:PORT; NotFound."""
        view = self._within(timeout)
        from visor._core.registry import srv
        from visor.blocking.registry.member import Runner

        host, port = srv.address(addr)
        return Runner(self, *view._one(RunnerRecord, layout.runner(host, port), f"runner {addr}"))

    def runners(self, host: str | None = None, *, timeout: float | None = None) -> Listed[Runner]:
        """Return the runners of a host, or of all."""
        view = self._within(timeout)
        from visor.blocking.registry.member import Runner

        what = select.tree(layout.RUNNERS if host is None else layout.runners(host))
        found = view._list(RunnerRecord, what)
        return Listed((Runner(self, *each) for each in found), found.damaged)

    def new_member(self, kind: str, host: str, port: int | None = None, version: str | None = None) -> Member:
        """Return a "logger", "proxy" or "pm" (process manager) that is not registered yet. BadName."""
        from visor.blocking.registry.member import Member

        return Member(self, check(MemberRecord(names.member_kind(kind), names.host(host), port, version)), 0)

    def members(self, kind: str, *, timeout: float | None = None) -> Listed[Member]:
        """Return all loggers, proxies or process managers ("logger", "proxy", "pm"), by address."""
        view = self._within(timeout)
        from visor.blocking.registry.member import Member

        found = view._list(MemberRecord, select.children(layout.MEMBER_DIRECTORIES[names.member_kind(kind)]))
        return Listed((Member(self, *each) for each in found), found.damaged)

    def loggers(self, *, timeout: float | None = None) -> Listed[Member]:
        """Return all loggers."""
        view = self._within(timeout)
        return view.members("logger")

    def proxies(self, *, timeout: float | None = None) -> Listed[Member]:
        """Return all proxies."""
        view = self._within(timeout)
        return view.members("proxy")

    def process_managers(self, *, timeout: float | None = None) -> Listed[Member]:
        """Return all process managers."""
        view = self._within(timeout)
        return view.members("pm")

    def leases(self, *, timeout: float | None = None) -> Listed[LeaseRecord]:
        """Return the hosts that live as long as a lease."""
        view = self._within(timeout)
        found = view._list(LeaseRecord, select.children(layout.LEASES))
        return Listed((record for record, _ in found), found.damaged)

    # -- other ----------------------------------------------------------------------------------------
    def lock(self, key: str, value: str = "", *, lease: int = 0, timeout: float | None = None) -> Lock:
        """Take the lock `key`; Locked when somebody has it, RevMismatch when it came and went since this rev."""
        from visor.blocking.registry.lock import take

        return take(self, key, value, lease, timeout)

    def verify(self, *, timeout: float | None = None) -> list[Fault]:
        """Look at every file of the domain and return what is wrong: nothing may be half there or left over."""
        view = self._within(timeout)
        from visor._core.registry.audit import faults

        stored: dict[str, tuple[bytes, int]] = {}
        for root in layout.ROOTS:
            _, rows = access_of(view).scan(select.tree(root), self._rev)
            stored.update({path: (version[1], version[4]) for path, version in rows})
        return faults(stored)

    def watch_event(
        self,
        rev: int | None = None,
        *,
        types: Iterable[EventType | str] | None = None,
        app: str | None = None,
        timeout: float | None = None,
    ) -> EventWatch:
        """Follow what happens, from the rev after this one on, or from `rev`; of all apps or of one."""
        from visor.blocking.registry.events import watch_event

        return watch_event(self, self._rev + 1 if rev is None else rev, types, app, timeout)

    # -- reading --------------------------------------------------------------------------------------
    def decode(self, kind: type[T], path: str, version: Version) -> T:
        """Return the record that a version holds. BadRecord."""
        return decode(kind, version[1], path)

    def _one(self, kind: type[T], path: str, what: str) -> tuple[T, int]:
        _, version = self._access.get(path, self._rev)
        if version is None:
            raise NotFound(f"{what}: not registered", path=path, rev=self._rev)
        return decode(kind, version[1], path), version[0]

    def _list(self, kind: type[T], what: Selector) -> Listed[tuple[T, int]]:
        _, rows = self._access.scan(what, self._rev)
        found: list[tuple[T, int]] = []
        bad: list[BadRecord] = []
        _decode_into(kind, rows, found, bad)
        return Listed(found, told(bad))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Snapshot):
            return NotImplemented
        return self._access is access_of(other) and self._rev == other._rev

    def __hash__(self) -> int:
        return hash((id(self._access), self._rev))

    def __repr__(self) -> str:
        return f"<the domain at rev {self._rev}>"


def _decode_into(
    kind: type[T], rows: Iterable[Row], found: list[tuple[T, int]], bad: list[BadRecord]
) -> None:
    for path, version in rows:
        try:
            found.append((decode(kind, version[1], path), version[0]))
        except BadRecord as error:
            bad.append(error)


def _parts(kind: str, app: str | None) -> Selector:
    return select.children(f"/apps/{app}/{kind}") if app is not None else select.glob(f"/apps/*/{kind}/*")


public("visor.registry", Snapshot)
