"""Every public method that writes, every parameter of it, with values that do not fit: refused, and nothing stored.

What is not in the table is found by looking at the classes: a new method, or a new parameter, has to be entered here.
"""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

import visor
from tests.patience import PATIENCE
from tests.registry.conftest import with_web
from visor.registry import (
    App,
    Env,
    Heartbeat,
    Instance,
    Limits,
    Lock,
    Member,
    Presence,
    ProcType,
    Registry,
    Revision,
    Runner,
    Service,
    Snapshot,
    Ticket,
)
from visor.registry.errors import BadName, BadValue, NotClaimer

CLASSES = (
    App, Env, Instance, Lock, Member, Presence, ProcType, Registry, Revision, Runner, Service, Ticket, Snapshot,
)  # fmt: skip

TEXT: list[Any] = [5, True, b"x", ["x"], {"x": 1}, "\ud800"]
NAME: list[Any] = [*TEXT, "", "a/b", "a b"]
HOST: list[Any] = [*TEXT, "", "a b"]
CLAIMER: list[Any] = [5, b"x", ["x"], "\ud800"]
PORT: list[Any] = ["8001", b"8001", 1.5, True, -1, 70_000, [80]]
WHOLE: list[Any] = ["5", 1.5, True, 1 << 70, [5]]
COUNT: list[Any] = [*WHOLE, 0, -1]
LEASE: list[Any] = ["7", 1.5, True, -1, 1 << 70]
TEXTS: list[Any] = [5, "x", [("a", "b")], {"a": 1}, {1: "a"}, {"a": "\ud800"}, {"\ud800": "a"}]
ADDRESS: list[Any] = [5, b"x:1", "x", "x:", "x:70000", "x:\u0661", ":80", "a b:80", "\ud800:80"]
AMOUNT: list[Any] = [1.5, True, None, "x", "-", "1.5", [1], "9" * 40]
OPERATION: list[Any] = [5, "begin", None, ["start"]]


class Given(NamedTuple):
    """The parts of a domain, in every state that a method needs."""

    registry: Registry
    view: Snapshot
    app: App
    proc: ProcType
    revision: Revision
    service: Service
    pending: Instance
    running: Instance
    ticket: Ticket
    claimed: Ticket


Call = Callable[[Given, Any], Any]

WRITES: dict[str, tuple[Call, list[Any]]] = {
    "Registry.register_app:repo_url": (lambda g, v: g.registry.register_app(v, name="new"), TEXT),
    "Registry.register_app:repo_url ": (lambda g, v: g.registry.register_app(v), [*TEXT, "", "/"]),
    "Registry.register_app:stack": (lambda g, v: g.registry.register_app("git://x/new", v), TEXT),
    "Registry.register_app:name": (lambda g, v: g.registry.register_app("git://x/new", name=v), NAME),
    "Registry.register_app:deploy_type": (
        lambda g, v: g.registry.register_app("git://x/new", deploy_type=v),
        [*TEXT, None],
    ),
    "Registry.register_app:env": (
        lambda g, v: g.registry.register_app("git://x/new", env=v),
        [*TEXTS, {"a=b": "c"}],
    ),
    "Registry.unregister_app:app": (lambda g, v: g.registry.unregister_app(v), ["a/b"]),
    "Registry.purge:reason": (lambda g, v: g.registry.purge(reason=v), TEXT),
    "Registry.create_ticket:op": (lambda g, v: g.registry.create_ticket(v, "web", "v1", "worker"), OPERATION),
    "Registry.create_ticket:app": (lambda g, v: g.registry.create_ticket("start", v, "v1", "worker"), NAME),
    "Registry.create_ticket:revision": (
        lambda g, v: g.registry.create_ticket("start", "web", v, "worker"),
        NAME,
    ),
    "Registry.create_ticket:proc": (lambda g, v: g.registry.create_ticket("start", "web", "v1", v), NAME),
    "Registry.create_ticket:env": (
        lambda g, v: g.registry.create_ticket("start", "web", "v1", "worker", v),
        ["a/b", 5],
    ),
    "Registry.claim_ticket:host": (lambda g, v: g.registry.claim_ticket(v), HOST),
    "Registry.claim_ticket:lease": (lambda g, v: g.registry.claim_ticket("h", lease=v, op="start"), LEASE),
    "Registry.claim_ticket:op": (lambda g, v: g.registry.claim_ticket("h", op=v), [5, "begin", ["start"]]),
    "Registry.scale:app": (lambda g, v: g.registry.scale(v, "v1", "worker", 3), NAME),
    "Registry.scale:revision": (lambda g, v: g.registry.scale("web", v, "worker", 3), NAME),
    "Registry.scale:proc": (lambda g, v: g.registry.scale("web", "v1", v, 3), NAME),
    "Registry.scale:n": (lambda g, v: g.registry.scale("web", "v1", "worker", v), AMOUNT),
    "Registry.scale:env": (lambda g, v: g.registry.scale("web", "v1", "worker", 3, v), ["a/b", 5, ["x"]]),
    "Registry.scale:by": (lambda g, v: g.registry.scale("web", "v1", "worker", 3, by=v), TEXT),
    "Registry.scale:expected": (lambda g, v: g.registry.scale("web", "v1", "worker", 3, expected=v), WHOLE),
    "Registry.attend:host": (lambda g, v: g.registry.attend(v), HOST),
    "Registry.attend:ttl": (lambda g, v: g.registry.attend("h", v), ["5", None, [5]]),
    "Registry.attend:version": (lambda g, v: g.registry.attend("h", version=v), TEXT),
    "Snapshot.new_app:name": (lambda g, v: g.view.new_app(v).register(), NAME),
    "Snapshot.new_app:repo_url": (lambda g, v: g.view.new_app("new", v).register(), TEXT),
    "Snapshot.new_app:stack": (lambda g, v: g.view.new_app("new", "", v).register(), TEXT),
    "Snapshot.new_app:deploy_type": (lambda g, v: g.view.new_app("new", deploy_type=v).register(), TEXT),
    "Snapshot.new_app:env": (lambda g, v: g.view.new_app("new", env=v).register(), TEXTS),
    "Snapshot.new_revision:app": (lambda g, v: g.view.new_revision(v, "v2").register(), NAME),
    "Snapshot.new_revision:ref": (lambda g, v: g.view.new_revision("web", v).register(), NAME),
    "Snapshot.new_revision:archive_url": (lambda g, v: g.view.new_revision("web", "v2", v).register(), TEXT),
    "Snapshot.new_proc:app": (lambda g, v: g.view.new_proc(v, "new").register(), NAME),
    "Snapshot.new_proc:name": (lambda g, v: g.view.new_proc("web", v).register(), NAME),
    "Snapshot.new_proc:command": (lambda g, v: g.view.new_proc("web", "new", command=v).register(), TEXT),
    "Snapshot.new_proc:limits": (
        lambda g, v: g.view.new_proc("web", "new", limits=v).register(),
        [5, {"memory_mb": 5}, *(Limits(each) for each in WHOLE)],
    ),
    "Snapshot.new_proc:heartbeat": (
        lambda g, v: g.view.new_proc("web", "new", heartbeat=v).register(),
        [5, {}, Heartbeat("1"), Heartbeat(float("nan")), Heartbeat(1, "2"), Heartbeat(1, 2, "3")],  # type: ignore[arg-type]
    ),
    "Snapshot.new_proc:max_restarts": (
        lambda g, v: g.view.new_proc("web", "new", max_restarts=v).register(),
        WHOLE,
    ),
    "Snapshot.new_proc:attrs": (lambda g, v: g.view.new_proc("web", "new", attrs=v).register(), TEXTS),
    "Snapshot.new_env:app": (lambda g, v: g.view.new_env(v, "prod", {}).register(), NAME),
    "Snapshot.new_env:ref": (lambda g, v: g.view.new_env("web", v, {}).register(), NAME),
    "Snapshot.new_env:vars": (
        lambda g, v: g.view.new_env("web", "prod", v).register(),
        [*TEXTS, {"a=b": "c"}],
    ),
    "Snapshot.register_instance:app": (lambda g, v: g.view.register_instance(v, "v1", "worker"), NAME),
    "Snapshot.register_instance:revision": (lambda g, v: g.view.register_instance("web", v, "worker"), NAME),
    "Snapshot.register_instance:proc": (lambda g, v: g.view.register_instance("web", "v1", v), NAME),
    "Snapshot.register_instance:addr": (
        lambda g, v: g.view.register_instance("web", "v1", "worker", v),
        ADDRESS,
    ),
    "Snapshot.register_instance:env": (
        lambda g, v: g.view.register_instance("web", "v1", "worker", None, v),
        ["a/b", 5],
    ),
    "Snapshot.scale:app": (lambda g, v: g.view.scale(v, "v1", "worker", 3), NAME),
    "Snapshot.scale:revision": (lambda g, v: g.view.scale("web", v, "worker", 3), NAME),
    "Snapshot.scale:proc": (lambda g, v: g.view.scale("web", "v1", v, 3), NAME),
    "Snapshot.scale:n": (lambda g, v: g.view.scale("web", "v1", "worker", v), AMOUNT),
    "Snapshot.scale:env": (lambda g, v: g.view.scale("web", "v1", "worker", 3, v), ["a/b", 5, ["x"]]),
    "Snapshot.scale:by": (lambda g, v: g.view.scale("web", "v1", "worker", 3, by=v), TEXT),
    "Snapshot.scale:expected": (lambda g, v: g.view.scale("web", "v1", "worker", 3, expected=v), WHOLE),
    "Snapshot.top_up:app": (lambda g, v: g.view.top_up(v, "v1", "worker"), NAME),
    "Snapshot.top_up:revision": (lambda g, v: g.view.top_up("web", v, "worker"), NAME),
    "Snapshot.top_up:proc": (lambda g, v: g.view.top_up("web", "v1", v), NAME),
    "Snapshot.top_up:env": (lambda g, v: g.view.top_up("web", "v1", "worker", v), ["a/b", 5, ["x"]]),
    "Snapshot.top_up:by": (lambda g, v: g.view.top_up("web", "v1", "worker", by=v), TEXT),
    "Snapshot.create_ticket:op": (lambda g, v: g.view.create_ticket(v, "web", "v1", "worker"), OPERATION),
    "Snapshot.create_ticket:app": (lambda g, v: g.view.create_ticket("start", v, "v1", "worker"), NAME),
    "Snapshot.create_ticket:revision": (lambda g, v: g.view.create_ticket("start", "web", v, "worker"), NAME),
    "Snapshot.create_ticket:proc": (lambda g, v: g.view.create_ticket("start", "web", "v1", v), NAME),
    "Snapshot.create_ticket:env": (
        lambda g, v: g.view.create_ticket("start", "web", "v1", "worker", v),
        ["a/b", 5],
    ),
    "Snapshot.new_service:name": (lambda g, v: g.view.new_service(v).register(), NAME),
    "Snapshot.new_runner:addr": (lambda g, v: g.view.new_runner(v, 7).register(), ADDRESS),
    "Snapshot.new_runner:instance": (lambda g, v: g.view.new_runner("h:80", v).register(), WHOLE),
    "Snapshot.new_member:kind": (lambda g, v: g.view.new_member(v, "h").register(), [5, "x", None, ["pm"]]),
    "Snapshot.new_member:host": (lambda g, v: g.view.new_member("pm", v).register(), HOST),
    "Snapshot.new_member:port": (lambda g, v: g.view.new_member("logger", "h", v).register(), PORT),
    "Snapshot.new_member:version": (lambda g, v: g.view.new_member("pm", "h", None, v).register(), TEXT),
    "Snapshot.lock:key": (lambda g, v: g.view.lock(v), [*TEXT, ""]),
    "Snapshot.lock:value": (lambda g, v: g.view.lock("k", v), TEXT),
    "Snapshot.lock:lease": (lambda g, v: g.view.lock("k", lease=v), LEASE),
    "App.set_head:ref": (lambda g, v: g.app.set_head(v), NAME),
    "App.unregister:reason": (lambda g, v: g.app.unregister(cascade=True, reason=v), TEXT),
    "App.set_environment_variable:key": (
        lambda g, v: g.app.set_environment_variable(v, "x"),
        [*TEXT, "", "a=b", "\0"],
    ),
    "App.set_environment_variable:value": (
        lambda g, v: g.app.set_environment_variable("K", v),
        [*TEXT, None],
    ),
    "App.del_environment_variable:key": (lambda g, v: g.app.del_environment_variable(v), [*TEXT, "", "a=b"]),
    "App.register_revision:ref": (lambda g, v: g.app.register_revision(v), NAME),
    "App.register_revision:archive_url": (lambda g, v: g.app.register_revision("v2", v), [*TEXT, None]),
    "App.unregister_revision:revision": (lambda g, v: g.app.unregister_revision(v), ["a/b"]),
    "App.register_proc:name": (lambda g, v: g.app.register_proc(v), NAME),
    "App.register_proc:fields": (lambda g, v: g.app.register_proc("new", command=v), TEXT),
    "App.register_env:ref": (lambda g, v: g.app.register_env(v, {}), NAME),
    "App.register_env:vars": (lambda g, v: g.app.register_env("prod", v), TEXTS),
    "Revision.set_archive_url:url": (lambda g, v: g.revision.set_archive_url(v), [*TEXT, None]),
    "Revision.scale:proc": (lambda g, v: g.revision.scale(v, 3), NAME),
    "Revision.scale:n": (lambda g, v: g.revision.scale("worker", v), AMOUNT),
    "Revision.scale:env": (lambda g, v: g.revision.scale("worker", 3, v), ["a/b", 5]),
    "Revision.register_instance:proc": (lambda g, v: g.revision.register_instance(v), NAME),
    "Revision.register_instance:addr": (lambda g, v: g.revision.register_instance("worker", v), ADDRESS),
    "Revision.register_instance:env": (
        lambda g, v: g.revision.register_instance("worker", None, v),
        ["a/b", 5],
    ),
    "Revision.unregister_instance:reason": (
        lambda g, v: g.revision.unregister_instance(g.running, reason=v),
        TEXT,
    ),
    "ProcType.store_attrs:attrs": (lambda g, v: g.proc.store_attrs(v), TEXTS),
    "ProcType.store_attrs:limits": (lambda g, v: g.proc.store_attrs(limits=v), [5, {}, Limits("5")]),  # type: ignore[arg-type]
    "ProcType.store_attrs:heartbeat": (
        lambda g, v: g.proc.store_attrs(heartbeat=v),
        [5, {}, Heartbeat("1"), Heartbeat(float("inf"))],  # type: ignore[arg-type]
    ),
    "ProcType.store_attrs:max_restarts": (lambda g, v: g.proc.store_attrs(max_restarts=v), WHOLE),
    "ProcType.store_attrs:command": (lambda g, v: g.proc.store_attrs(command=v), TEXT),
    "Instance.claim:host": (lambda g, v: g.pending.claim(v), HOST),
    "Instance.claim:lease": (lambda g, v: g.pending.claim("h", lease=v), LEASE),
    "Instance.unclaim:host": (lambda g, v: g.claimed.instance.unclaim(v), CLAIMER),  # type: ignore[union-attr]
    "Instance.started:host": (lambda g, v: g.claimed.instance.started(v), CLAIMER),  # type: ignore[union-attr]
    "Instance.started:port": (lambda g, v: g.claimed.instance.started(port=v), PORT),  # type: ignore[union-attr]
    "Instance.started:tele_port": (lambda g, v: g.claimed.instance.started(tele_port=v), PORT),  # type: ignore[union-attr]
    "Instance.started:hostname": (lambda g, v: g.claimed.instance.started(hostname=v), TEXT),  # type: ignore[union-attr]
    "Instance.started:ip": (lambda g, v: g.claimed.instance.started(ip=v), TEXT),  # type: ignore[union-attr]
    "Instance.restarted:reason": (lambda g, v: g.running.restarted(v), [*TEXT, "x"]),
    "Instance.restarted:count": (lambda g, v: g.running.restarted("oom", v), COUNT),
    "Instance.restarted:host": (lambda g, v: g.running.restarted("oom", 1, v), CLAIMER),
    "Instance.exited:host": (lambda g, v: g.running.exited(v), CLAIMER),
    "Instance.exited:reason": (lambda g, v: g.running.exited(reason=v), [*TEXT, None]),
    "Instance.failed:host": (lambda g, v: g.running.failed(v), CLAIMER),
    "Instance.failed:reason": (lambda g, v: g.running.failed(reason=v), [*TEXT, None]),
    "Instance.lost:by": (lambda g, v: g.running.lost(v), TEXT),
    "Instance.lost:reason": (lambda g, v: g.running.lost(reason=v), [*TEXT, None]),
    "Instance.lock:by": (lambda g, v: g.running.lock(v), TEXT),
    "Instance.lock:reason": (lambda g, v: g.running.lock(reason=v), [*TEXT, None]),
    "Instance.unregister:by": (lambda g, v: g.running.unregister(v), TEXT),
    "Instance.unregister:reason": (lambda g, v: g.running.unregister(reason=v), [*TEXT, None]),
    "Ticket.claim:host": (lambda g, v: g.ticket.claim(v), HOST),
    "Ticket.claim:lease": (lambda g, v: Ticket.of_instance(g.pending).claim("h", lease=v), LEASE),
    "Ticket.unclaim:host": (lambda g, v: g.claimed.unclaim(v), CLAIMER),
    "Ticket.done:host": (lambda g, v: g.claimed.done(v), CLAIMER),
    "Ticket.done:reason": (lambda g, v: g.registry.ticket(g.ticket.id).done(reason=v), TEXT),
    "Ticket.dead:host": (lambda g, v: g.claimed.dead(v), CLAIMER),
    "Ticket.dead:reason": (lambda g, v: g.claimed.dead(reason=v), [*TEXT, None]),
    "Service.register_endpoint:addr": (lambda g, v: g.service.register_endpoint(v), ADDRESS),
    "Service.register_endpoint:priority": (
        lambda g, v: g.service.register_endpoint("h:1", priority=v),
        WHOLE,
    ),
    "Service.register_endpoint:weight": (lambda g, v: g.service.register_endpoint("h:1", weight=v), WHOLE),
    "Service.register_endpoint:ip": (lambda g, v: g.service.register_endpoint("h:1", ip=v), TEXT),
    "Service.unregister_endpoint:addr": (lambda g, v: g.service.unregister_endpoint(v), ["a/b"]),
    "Member.register:lease": (lambda g, v: g.view.new_member("pm", "h").register(lease=v), LEASE),
}
"""METHOD:PARAMETER -> how it is called with a value, and the values that must not get through."""

READS = {
    "timeout", "self", "cascade", "with_port", "rev",
}  # fmt: skip
"""Parameters that choose what is done, and are stored nowhere."""

_READERS = """
    Registry.apps Registry.app Registry.instance Registry.instances Registry.host_instances Registry.ticket
    Registry.tickets Registry.host_tickets Registry.get_scale Registry.watch_event Registry.watch_ticket
    Registry.watch_runner Registry.watch_schema Registry.snapshot Registry.close Registry.verify
    Registry.verify_schema Registry.repair Snapshot.app Snapshot.apps Snapshot.app_names
    Snapshot.app_in_any_case Snapshot.variables Snapshot.revision Snapshot.revisions Snapshot.proc
    Snapshot.procs Snapshot.env Snapshot.envs Snapshot.instance Snapshot.is_done Snapshot.instances
    Snapshot.host_instances Snapshot.instances_seen Snapshot.leases_of Snapshot.identity Snapshot.get_scale
    Snapshot.targets Snapshot.ticket Snapshot.tickets Snapshot.open_tickets Snapshot.host_tickets
    Snapshot.service Snapshot.services Snapshot.endpoint Snapshot.endpoints Snapshot.runner
    Snapshot.runners Snapshot.members Snapshot.watch_event Snapshot.decode Snapshot.at App.revision
    App.proc App.env App.get_environment_variable App.watch_event ProcType.instances Instance.wait
    Service.endpoint Runner.raw Ticket.of_instance
    """
READERS = frozenset(_READERS.split())
"""Methods with parameters that write nothing."""

CHOICES = {
    "Registry.purge:app", "Registry.claim_ticket:app", "Registry.claim_ticket:revision", "Registry.claim_ticket:proc",
    "Revision.unregister_instance:instance",
}  # fmt: skip
"""Parameters that choose among what is there, and are stored nowhere."""


def parameters() -> Iterator[str]:
    """Every parameter of every public method that is not known to read."""
    for kind in CLASSES:
        for name, method in inspect.getmembers(kind, inspect.isroutine):
            called = f"{kind.__name__}.{name}"
            if name.startswith(("_", "wait_")) or called in READERS:
                continue
            if name in ("to_dict", "to_json", "fast_forward"):
                continue
            for each in inspect.signature(method).parameters:
                if each not in READS and f"{called}:{each}" not in CHOICES:
                    yield f"{called}:{each}"


def test_nothing_that_writes_is_missing_here() -> None:
    assert sorted({each.strip() for each in WRITES}) == sorted(set(parameters()))


@pytest.fixture(scope="module")
def given(address: str) -> Iterator[Given]:
    with visor.dial(address, f"/w{uuid.uuid4().hex[:12]}", timeout=PATIENCE) as client:
        registry = with_web(Registry(client))
        service = registry.snapshot().new_service("db").register()
        pending, running, claimed = registry.scale("web", "v1", "worker", 3).instances
        running = running.claim("h").started(port=80)
        ticket = registry.create_ticket("stop", "web", "v1", "worker").claim("h")
        claimed_ticket = Ticket.of_instance(claimed.claim("h"))
        view = registry.snapshot()
        app = view.app("web")
        yield Given(
            registry,
            view,
            app,
            app.proc("worker"),
            app.revision("v1"),
            service,
            pending,
            running,
            ticket,
            claimed_ticket,
        )
        assert registry.verify() == []


def tree(registry: Registry) -> dict[str, tuple[int, bytes]]:
    return {file.path: (file.mod_rev, file.data) for file in registry.client.scan("/**")}


CASES = [(name, value) for name, (_, values) in WRITES.items() for value in values]


@pytest.mark.parametrize(
    ("name", "value"), CASES, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CASES)]
)
def test_a_value_that_does_not_fit_is_refused_and_nothing_is_stored(
    given: Given, name: str, value: Any
) -> None:
    before, rev = tree(given.registry), given.registry.client.rev()
    call, _ = WRITES[name]
    with pytest.raises((visor.Rejected, ValueError, TypeError)) as refused:
        call(given, value)
    assert (given.registry.client.rev(), tree(given.registry)) == (rev, before)
    error = refused.value
    if isinstance(error, BadName | NotClaimer | visor.errors.BadPath | visor.errors.NotFound):
        return  # they say in their own words what was wrong
    parameter = name.strip().rsplit(":", 1)[1].removesuffix("s")
    assert isinstance(error, visor.errors.BadRequest | ValueError | TypeError)
    told = str(error)
    assert any(word in told for word in (parameter, "command", "variable", "ttl")), told
    if isinstance(error, BadValue):
        assert "must be" in told
