"""Events: every type, whole objects at the event's own rev, whole commits, from any rev on."""

from __future__ import annotations

import json

import pytest

import visor
from tests.patience import PATIENCE
from visor import errors
from visor.registry import Event, EventType, EventWatch, Registry
from visor.values import Kind


def read(events: EventWatch, count: int) -> list[Event]:
    return [events.next(timeout=PATIENCE) for _ in range(count)]


def life(registry: Registry) -> int:
    """Let everything happen once; return the rev before it."""
    before = registry.client.rev()
    app = registry.register_app("git://git/web.git", "trusty", env={"A": "1"})
    revision = app.register_revision("v1", "http://archive/v1")
    proc = app.fast_forward().register_proc("worker")
    instance = revision.fast_forward().register_instance("worker").claim("h").started(port=80)
    instance = instance.restarted("oom").lock("me", "why").unlock()
    instance.stop().exited().unregister("me", "tidying")
    revision.fast_forward().register_instance("worker").claim("h").unclaim().claim("h").failed(
        reason="no room"
    )
    revision.fast_forward().register_instance("worker", "h:81").lost("scheduler", "silent")
    service = registry.snapshot().new_service("db").register()
    endpoint = service.register_endpoint("127.0.0.1:5432", priority=1, weight=5)
    endpoint.unregister()
    service.unregister()
    proc.unregister()
    revision.unregister()
    app.unregister()
    return before


def test_every_type_comes_once_in_order_with_its_object(registry: Registry) -> None:
    before = life(registry)
    with registry.watch_event(rev=before + 1) as events:
        found = read(events, 26)
        with pytest.raises(errors.DeadlineExceeded):
            events.next(timeout=0.05)
    assert [each.type for each in found] == [
        "app-register", "rev-register", "proc-register",
        "instance-register", "instance-state-change", "instance-start", "instance-stop", "instance-exit",
        "instance-unregister",
        "instance-register", "instance-state-change", "instance-state-change", "instance-state-change",
        "instance-fail",
        "instance-register", "instance-start", "instance-lost",
        "service-register", "endpoint-register", "endpoint-unregister", "service-unregister",
        "proc-unregister", "rev-unregister", "app-unregister", "instance-unregister", "instance-unregister",
    ]  # fmt: skip
    assert {each.type for each in found} | {"unknown"} == set(EventType)
    revs = [each.rev for each in found]
    assert revs == sorted(revs)
    for each in found:
        assert each.source is not None
        gone = each.type.value.endswith("unregister")
        assert each.source.rev == (each.rev - 1 if gone else each.rev)
        assert each.source.is_registered
        assert json.loads(each.to_json())["source"]["rev"] == each.source.rev
        assert str(each).startswith(f"rev {each.rev}: {each.type} ")


def test_the_source_is_the_object_at_the_events_rev(registry: Registry) -> None:
    """Era 2 fired before the archive url was written."""
    app = registry.register_app("git://git/web.git", env={"A": "1"})
    revision = app.register_revision("v1", "http://archive/v1")
    app.set_environment_variable("A", "2").set_head("v1")
    with registry.watch_event(rev=app.rev) as events:
        first, second = read(events, 2)
        assert first.source == app
        assert first.source is not None and first.source.environment_variables() == {"A": "1"}
        assert second.source == revision
        assert second.source.archive_url == "http://archive/v1"
        assert (second.path.app, second.path.revision, second.actor) == ("web", "v1", first.actor)


def test_an_unregistration_carries_the_object_as_it_was(web: Registry) -> None:
    (instance,) = web.scale("web", "v1", "worker", 1).instances
    running = instance.claim("h").started(port=80)
    with web.watch_event() as events:
        running.unregister("me", "tidying")
        event = events.next(timeout=PATIENCE)
    assert (event.type, event.source, event.reason) == ("instance-unregister", running, "tidying")
    assert event.source is not None and event.source.state == "running"
    assert (event.path.app, event.path.proc, event.path.instance) == ("web", "worker", instance.id)


def test_commits_come_whole(web: Registry) -> None:
    with web.watch_event() as events:
        web.scale("web", "v1", "worker", 7)
        web.scale("web", "v1", "worker", 2)
        up, down = events.next_commit(timeout=PATIENCE), events.next_commit(timeout=PATIENCE)
    assert [each.type for each in up] == ["instance-register"] * 7
    assert [each.type for each in down] == ["instance-unregister"] * 5
    assert len({each.rev for each in up}) == 1


def test_a_watch_goes_on_from_any_rev(web: Registry) -> None:
    before = web.client.rev()
    web.scale("web", "v1", "worker", 3)
    (first, *_) = web.instances()
    first.claim("h").started()
    with web.watch_event(rev=before + 1) as events:
        whole = read(events, 5)
        assert events.rev >= whole[-1].rev
    with web.watch_event(rev=before + 1) as events:
        read(events, 2)
        # Two of three of one commit: what has been handed out completely is the rev before.
        assert events.rev == whole[0].rev - 1
        again = events.rev + 1
    with web.watch_event(rev=again) as events:
        assert [each.to_dict() for each in read(events, 5)] == [each.to_dict() for each in whole]
    with web.watch_event(rev=whole[3].rev) as events:
        assert read(events, 1)[0].type == "instance-state-change"


def test_the_events_of_one_app(registry: Registry) -> None:
    """Era 5 delivered some twice, never the unregistration of an instance, and could not be stopped."""
    mine = registry.register_app("", name="mine")
    other = registry.register_app("", name="other")
    with mine.watch_event() as events:
        for app in (other, mine):
            revision = app.register_revision("v1")
            app.fast_forward().register_proc("worker")
            instance = revision.fast_forward().register_instance("worker").claim("h").started()
            instance.unregister()
        found = read(events, 6)
        with pytest.raises(errors.DeadlineExceeded):
            events.next(timeout=0.05)
    assert {each.path.app for each in found} == {"mine"}
    assert [each.type for each in found][-1] == "instance-unregister"
    assert list(events) == []  # closed: it ends


def test_only_some_types(web: Registry) -> None:
    with web.watch_event(types=["instance-start", EventType.INSTANCE_EXIT]) as events:
        web.scale("web", "v1", "worker", 2)
        (first, _) = web.instances()
        first.claim("h").started().stop().exited()
        assert [each.type for each in read(events, 2)] == ["instance-start", "instance-exit"]
    with pytest.raises(ValueError, match="no-such-type"):
        web.watch_event(types=["no-such-type"])


def test_what_cannot_be_decoded_is_unknown_and_the_watch_goes_on(registry: Registry) -> None:
    with registry.watch_event() as events:
        registry.client.set("/apps/bad/app", b"\xff{")
        registry.client.set("/apps/bad/revs/v1", b'{"v":1,"app":"bad"}')
        app = registry.register_app("", name="good")
        first, second, third = read(events, 3)
    assert (first.type, first.source, first.path.app) == ("unknown", None, "bad")
    assert first.reason is not None and "not an app" in first.reason
    assert second.reason is not None and "ref missing" in second.reason
    assert (third.type, third.source) == ("app-register", app)
    assert json.loads(first.to_json())["reason"] == first.reason
    registry.client.delete("/apps/bad", recursive=True)


def test_falling_behind_history_ends_with_the_floor(visor_server: visor.testing.Server) -> None:
    with visor_server.dial() as client:
        registry = Registry(client)
        registry.register_app("", name="web").set_head("v1").set_head("v2")
        client.compact(3)
        with pytest.raises(errors.Compacted) as caught, registry.watch_event(rev=1) as events:
            events.next(timeout=PATIENCE)
        assert caught.value.floor == 4
        with registry.watch_event(rev=caught.value.floor) as events:
            assert events.rev == 3


def test_files_beside_the_domain_give_no_events(registry: Registry) -> None:
    with registry.watch_event() as events:
        registry.client.set("/elsewhere", b"x")
        registry.client.set("/apps-of-mine/x/app", b"x")
        registry.getuid()
        app = registry.register_app("", name="web")
        assert events.next(timeout=PATIENCE).source == app


def test_the_raw_changes_of_an_event_are_in_history(web: Registry) -> None:
    scaled = web.scale("web", "v1", "worker", 1)
    (commit,) = web.client.history("/**", first=scaled.rev)
    assert {change.kind for change in commit.changes} <= {Kind.CREATE, Kind.UPDATE}
    assert commit.note == "scale web v1 worker: 0 -> 1"
