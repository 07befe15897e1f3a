"""A deadline holds in every call: all requests of a call share it, on a clock that only requests move."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest

import visor.aio.registry
import visor.registry as registry_names
from visor import errors
from visor._core.backoff import Deadline, in_seconds, whole_of
from visor._core.registry.scaling import STEP
from visor.aio.registry.access import access_of
from visor.blocking.registry.base import Registered
from visor.protocol import verbs
from visor.registry import EventType, Presence, Registry, Scaled, Service, Snapshot

SCALED = 3 * STEP + 1


class SlowRequests:
    """A client's requests, each of which takes a second of a clock that nothing else moves."""

    def __init__(self, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.given: list[tuple[float, float | None]] = []
        """When each request was made, and the seconds that it was given."""
        client: Any = registry.client
        self._call = client._call
        driver = client._driver
        monkeypatch.setattr(client, "_call", self._slow)
        monkeypatch.setattr(client.channel, "call", self._slow)
        monkeypatch.setattr(driver, "deadline", self._deadline)

    def _deadline(self, timeout: float | None) -> Deadline:
        seconds = in_seconds(30.0 if timeout is None else timeout)
        return Deadline(lambda: self.now, self.now + seconds, whole_of(timeout, seconds))

    def _slow(self, message: list[Any], write: bool, timeout: float | None) -> Any:
        seconds = None if timeout is None else in_seconds(timeout)
        self.given.append((self.now, seconds))
        self.now += 1.0
        if seconds is not None and seconds < 1.0:
            raise errors.DeadlineExceeded(seconds=whole_of(timeout, seconds))
        return self._call(message, write, 30.0)


def _ended(web: Registry) -> Registry:
    for each in web.scale("web", "v1", "worker", 2).instances:
        each.claim("h").failed()
    return web


def _with_instances(count: int) -> Callable[[Registry], Registry]:
    def prepare(web: Registry) -> Registry:
        web.scale("web", "v1", "worker", count)
        return web

    return prepare


def _service(web: Registry) -> Service:
    service = web.snapshot().new_service("s").register()
    service.register_endpoint("h:1", ip="10.0.0.1")
    return web.snapshot().service("s")


def _damaged(web: Registry) -> Registry:
    web.client.set("/apps/web/revs/bad", b"?")
    return web


def _lacking(web: Registry) -> Snapshot:
    web.scale("web", "v1", "worker", 2).instances[0].unregister()
    return web.snapshot()


def _itself(web: Registry) -> Registry:
    return web


GROUP = ("web", "v1", "worker")

CALLS: dict[str, tuple[Callable[[Registry], Any], Callable[[Any, float], Any]]] = {
    "Registry.init": (_itself, lambda web, t: web.init(timeout=t)),
    "Registry.reset": (_itself, lambda web, t: web.reset(timeout=t)),
    "Registry.repair": (_damaged, lambda web, t: web.repair("/apps/web/revs/bad", timeout=t)),
    "Registry.register_app": (_itself, lambda web, t: web.register_app("x", name="new", timeout=t)),
    "Registry.unregister_app": (_itself, lambda web, t: web.unregister_app("web", timeout=t)),
    "Registry.purge": (_ended, lambda web, t: web.purge(timeout=t)),
    "Registry.create_ticket": (_itself, lambda web, t: web.create_ticket("start", *GROUP, timeout=t)),
    "Registry.claim_ticket": (_with_instances(1), lambda web, t: web.claim_ticket("h", timeout=t)),
    "Registry.attend": (_itself, lambda web, t: web.attend("h", 60, timeout=t)),
    "Registry.scale up": (_itself, lambda web, t: web.scale(*GROUP, SCALED, timeout=t)),
    "Registry.scale down": (_with_instances(SCALED), lambda web, t: web.scale(*GROUP, 0, timeout=t)),
    "Snapshot.top_up": (_lacking, lambda view, t: view.top_up(*GROUP, timeout=t)),
    "Snapshot.register_instance": (
        lambda web: web.snapshot(),
        lambda view, t: view.register_instance(*GROUP, timeout=t),
    ),
    "App.unregister": (lambda web: _ended(web).app("web"), lambda app, t: app.unregister(timeout=t)),
    "Revision.unregister": (
        lambda web: web.app("web").revision("v1"),
        lambda revision, t: revision.unregister(timeout=t),
    ),
    "ProcType.register": (
        lambda web: web.snapshot().new_proc("web", "other"),
        lambda proc, t: proc.register(timeout=t),
    ),
    "ProcType.unregister": (
        lambda web: web.app("web").proc("worker"),
        lambda proc, t: proc.unregister(timeout=t),
    ),
    "Service.unregister_endpoint": (
        _service,
        lambda service, t: service.unregister_endpoint("h:1", timeout=t),
    ),
}
"""Calls that make several requests: what there must be before, and the call."""


def _free_of_it(result: object) -> None:
    """What a call returned works on when the call's deadline has passed."""
    for each in getattr(result, "instances", ()) if isinstance(result, Scaled) else (result,):
        if isinstance(each, Registered | Presence):
            assert access_of(each).left() is None


@pytest.mark.parametrize("name", CALLS)
def test_the_requests_of_a_call_share_its_deadline(
    web: Registry, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    prepare, call = CALLS[name]
    subject = prepare(web)
    with monkeypatch.context() as patch:
        slow = SlowRequests(web, patch)
        end = slow.now + 1000.0
        result = call(subject, 1000.0)
    assert len(slow.given) > 1, "a call of one request needs no test"
    assert [seconds for _, seconds in slow.given] == [pytest.approx(end - moment) for moment, _ in slow.given]
    _free_of_it(result)
    if isinstance(result, Presence):
        result.leave()


@pytest.mark.parametrize("name", CALLS)
def test_no_request_is_made_after_the_deadline(
    web: Registry, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    prepare, call = CALLS[name]
    subject = prepare(web)
    with monkeypatch.context() as patch:
        slow = SlowRequests(web, patch)
        end = slow.now + 1.0
        with pytest.raises(errors.DeadlineExceeded, match=r"not done within 1 s") as caught:
            call(subject, 1.0)
        assert [moment for moment, _ in slow.given if moment >= end] == []
    assert caught.value.seconds == 1.0
    if name == "Registry.repair":
        call(subject, 30.0)


def test_scaling_ends_at_its_deadline_and_goes_on_when_asked_again(
    web: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        slow = SlowRequests(web, patch)
        with pytest.raises(errors.DeadlineExceeded, match="what was done until then stays"):
            web.scale("web", "v1", "worker", 1_000_000, timeout=7.0)
        assert len(slow.given) == 7
    there = web.get_scale("web", "v1", "worker").count
    assert there == 2 * STEP  # whole steps: each counts, takes ids, and writes
    scaled = web.scale("web", "v1", "worker", there + 1)
    assert (scaled.previous, scaled.count) == (there, there + 1)


def test_waiting_looks_within_its_deadline(web: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    (instance,) = web.scale("web", "v1", "worker", 1).instances
    with monkeypatch.context() as patch:
        slow = SlowRequests(web, patch)
        with pytest.raises(errors.DeadlineExceeded):
            instance.wait_started(timeout=2.5)
        assert all(seconds is not None and moment + seconds <= 102.5 for moment, seconds in slow.given)


def test_an_event_whose_details_came_too_late_is_not_lost(
    web: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    (instance,) = web.scale(*GROUP, 1).instances
    host = web.attend("h", 60)
    instance.claim(host)
    with web.watch_event(types=[EventType.INSTANCE_LOST]) as events:
        host.leave()
        client: Any = web.client
        call = client._call

        def late(message: list[Any], write: bool, timeout: float | None) -> Any:
            if message[0] == verbs.SCAN:
                raise errors.DeadlineExceeded(seconds=timeout)
            return call(message, write, timeout)

        before = events.rev
        with monkeypatch.context() as patch:
            patch.setattr(client.channel, "call", late)
            with pytest.raises(errors.DeadlineExceeded):
                events.next(timeout=30)
        assert events.rev < events.next(timeout=30).rev
        assert before <= events.rev


@pytest.mark.parametrize("name", CALLS)
def test_a_late_request_names_the_deadline_of_the_whole_call(
    web: Registry, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    prepare, call = CALLS[name]
    subject = prepare(web)
    with monkeypatch.context() as patch:
        slow = SlowRequests(web, patch)
        with pytest.raises(errors.DeadlineExceeded, match=r"within 1\.5 s") as caught:
            call(subject, 1.5)
    assert caught.value.seconds == 1.5
    assert [seconds for _, seconds in slow.given][1:] == [0.5]
    if name == "Registry.repair":
        call(subject, 30.0)


# -- every call -----------------------------------------------------------------------------------------
OBJECTS: dict[type, Callable[[Registry], Any]] = {
    registry_names.Registry: _itself,
    registry_names.Snapshot: lambda web: web.snapshot(),
    registry_names.App: lambda web: web.app("web"),
    registry_names.Revision: lambda web: web.app("web").revision("v1"),
    registry_names.ProcType: lambda web: web.app("web").proc("worker"),
    registry_names.Env: lambda web: web.app("web").register_env("e", {}),
    registry_names.Instance: lambda web: web.scale(*GROUP, 1).instances[0],
    registry_names.Ticket: lambda web: web.create_ticket("start", *GROUP),
    registry_names.Service: _service,
    registry_names.Endpoint: lambda web: _service(web).endpoint("h:1"),
    registry_names.Runner: lambda web: web.snapshot().new_runner("h:1", 1).register(),
    registry_names.Member: lambda web: web.snapshot().new_member("pm", "h").register(),
    registry_names.Lock: lambda web: web.snapshot().lock("key"),
}
OTHERWISE = {
    *("Runner.raw", "Runner.status", "Runner.pid", "Runner.kill", "Runner.down"),
    *("Instance.wait", "Instance.wait_started", "Instance.wait_exited", "Instance.wait_stopped"),
    *("Ticket.wait_processed", "Registry.watch_schema", "Registry.close", "Snapshot.within"),
    *("Registry.watch_event", "Registry.watch_ticket", "Registry.watch_runner"),
    *(
        "Revision.unregister_instance",
        "Snapshot.watch_event",
        "App.watch_event",
        "Snapshot.instances_seen",
        "Snapshot.leases_of",
    ),
}
"""What asks a runner, waits, follows, is inside, or is another call of these: it is tested with what it does."""
STATES = {
    "App.register": lambda web: web.snapshot().new_app("new"),
    "Revision.register": lambda web: web.snapshot().new_revision("web", "new"),
    "ProcType.register": lambda web: web.snapshot().new_proc("web", "new"),
    "Env.register": lambda web: web.snapshot().new_env("web", "new", {}),
    "Service.register": lambda web: web.snapshot().new_service("new"),
    "Runner.register": lambda web: web.snapshot().new_runner("h:2", 1),
}
for _each in ("started", "exited", "failed", "lost", "unclaim", "restarted", "stop"):
    STATES[f"Instance.{_each}"] = lambda web: web.scale(*GROUP, 1).instances[0].claim("h")
for _each in ("restarted", "exited", "stop"):
    STATES[f"Instance.{_each}"] = lambda web: web.scale(*GROUP, 1).instances[0].claim("h").started()
STATES["Instance.unlock"] = lambda web: web.scale(*GROUP, 1).instances[0].lock()
for _each in ("done", "dead", "unclaim"):
    STATES[f"Ticket.{_each}"] = lambda web: web.create_ticket("start", *GROUP).claim("h")
WORDS = {
    "op": "start", "app": "web", "revision": "v1", "proc": "worker", "name": "web", "ref": "v1", "host": "h",
    "service": "s", "addr": "h:1", "kind": "pm", "identity": 1, "n": 1, "key": "KEY", "value": "v", "reason": "r",
    "url": "http://x", "vars": {}, "repo_url": "git://x", "path": "/apps/web/app", "command": "status", "ttl": 60.0,
}  # fmt: skip
PARTICULAR: dict[str, dict[str, Any]] = {
    "App.proc": {"name": "worker"},
    "App.register_proc": {"name": "new"},
    "App.register_revision": {"ref": "new"},
    "Service.register_endpoint": {"addr": "h:2", "ip": "10.0.0.1"},
    "Instance.restarted": {"reason": "fail"},
}


def every_call() -> list[str]:
    return [
        name
        for kind in OBJECTS
        for method, function in inspect.getmembers(kind, inspect.isfunction)
        if (name := f"{kind.__name__}.{method}") not in OTHERWISE
        and not method.startswith("_")
        and "timeout" in inspect.signature(function).parameters
    ]


def test_whatever_asks_the_registry_takes_a_timeout() -> None:
    """Looked up in the other colour, where what asks is a coroutine."""
    for kind in OBJECTS:
        awaited = getattr(visor.aio.registry, kind.__name__)
        for method, function in inspect.getmembers(awaited, inspect.iscoroutinefunction):
            if not method.startswith("_") and f"{kind.__name__}.{method}" not in OTHERWISE:
                assert "timeout" in inspect.signature(function).parameters, f"{kind.__name__}.{method}"


@pytest.mark.parametrize("name", every_call())
def test_every_call_keeps_its_deadline_and_names_it(
    web: Registry, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (kind,) = [each for each in OBJECTS if each.__name__ == name.partition(".")[0]]
    subject = STATES.get(name, OBJECTS[kind])(web)
    call = getattr(subject, name.partition(".")[2])
    arguments = {
        each.name: WORDS[each.name]
        for each in inspect.signature(call).parameters.values()
        if each.default is each.empty and each.kind is not each.VAR_KEYWORD
    } | PARTICULAR.get(name, {})
    before = web.client.rev()
    for odd in (-2, math.nan):
        with pytest.raises(ValueError, match=f"0 or more, not {odd}"):
            call(**arguments, timeout=odd)
    with pytest.raises(errors.DeadlineExceeded):
        call(**arguments, timeout=0)
    assert web.client.rev() == before
    with monkeypatch.context() as patch:
        slow = SlowRequests(web, patch)
        with pytest.raises(errors.DeadlineExceeded, match=r"within 0\.5 s") as caught:
            call(**arguments, timeout=0.5)
    assert caught.value.seconds == 0.5
    assert [seconds for _, seconds in slow.given] == [0.5]
