"""The founding documents, example by example: seed 000 (May 2012) and seed 001 (early 2012)."""

from __future__ import annotations

import threading

import pytest

import visor
from tests.patience import PATIENCE
from visor import codecs, errors
from visor.registry import App, EventType, Registry, State
from visor.registry.errors import InUse, Unregistered
from visor.testing import Server

URL = "git://github.com/sc/soundcloud.com"


# -- seed 000 -----------------------------------------------------------------------------------------
def test_a_file_is_a_snapshot_and_an_update_gives_the_next_one(visor_server: Server) -> None:
    with visor_server.dial(codec=codecs.TEXT) as client:
        client.set("/path", "billy")
        for _ in range(41):
            client.nop()
            client.set("/other", "")
        snapshot = client.snapshot()
        assert snapshot.rev == 42
        file1 = snapshot.get("/path")
        assert (file1.value, file1.rev) == ("billy", 42)
        file2 = file1.update("bob")
        assert (file2.value, file2.rev) == ("bob", 43)
        file3 = file2.update("thornton")
        assert (file3.value, file3.rev) == ("thornton", 44)
        assert (file1.value, file1.rev) == ("billy", 42)


def test_an_old_app_does_not_know_a_variable_that_was_set_later(visor_server: Server) -> None:
    with visor_server.dial() as client:
        registry = Registry(client)
        registry.register_app(URL, "mystack", "cat-app")
        snapshot = registry.snapshot()
        apps = snapshot.apps()
        app = apps[0]
        assert app.rev == snapshot.rev == 1

        app = app.set_environment_variable("cow", "moo")
        assert app.rev == 2
        app = app.set_environment_variable("cat", "meow")
        assert app.rev == 3

        with pytest.raises(errors.NotFound):
            apps[0].get_environment_variable("cat")
        assert app.get_environment_variable("cat") == "meow"
        assert dict(apps[0].environment_variables()) == {}
        assert dict(app.environment_variables()) == {"cow": "moo", "cat": "meow"}


def test_a_snapshot_sees_a_registered_app_only_after_fast_forward(registry: Registry) -> None:
    snapshot = registry.snapshot()
    assert snapshot.apps() == []
    app = snapshot.new_app("soundcloud.com", URL, "mystack").register()
    assert (app.name, app.repo_url, app.stack, app.is_registered) == ("soundcloud.com", URL, "mystack", True)
    assert snapshot.apps() == []
    snapshot = snapshot.fast_forward(-1)
    assert [each.name for each in snapshot.apps()] == ["soundcloud.com"]


def test_one_event_from_the_channel(registry: Registry) -> None:
    snapshot = registry.snapshot()
    with snapshot.watch_event() as events:
        registering = threading.Thread(target=registry.register_app, args=(URL, "mystack"))
        registering.start()
        event = events.next(timeout=PATIENCE)
        registering.join()
    assert event.type is EventType.APP_REGISTER
    assert str(event).startswith(f"rev {event.rev}: app-register soundcloud.com by ")


def test_a_failed_operation_leaves_the_old_object_usable(registry: Registry) -> None:
    mine = registry.register_app(URL, "mystack", "web")
    theirs = registry.app("web")
    theirs = theirs.set_environment_variable("cat", "meow")
    with pytest.raises(errors.RevMismatch) as caught:
        mine.set_environment_variable("cat", "woof")
    assert (caught.value.expected, caught.value.actual) == (mine.rev, theirs.rev)
    with pytest.raises(errors.NotFound):
        mine.get_environment_variable("cat")
    assert mine.set_environment_variable("cow", "moo").get_environment_variable("cow") == "moo"
    newer = mine.fast_forward()
    assert newer.get_environment_variable("cat") == "meow"
    assert newer.set_environment_variable("cat", "woof").get_environment_variable("cat") == "woof"


def test_registering_again_needs_an_object_that_has_seen_the_unregistration(registry: Registry) -> None:
    """`ancestors.md`, C1, "existence checks at own revision": all asserted by the ancestor's own tests."""
    before = registry.snapshot().new_app("web", URL, "mystack")
    with pytest.raises(errors.NotFound):
        before.unregister()
    registered = before.register()
    with pytest.raises(errors.NotFound):
        before.unregister()  # it still sees itself unregistered
    with pytest.raises(errors.Exists):
        before.register()
    with pytest.raises(errors.Exists):
        registered.register()
    gone = registered.unregister()
    assert not gone.is_registered
    with pytest.raises(errors.Exists):
        registered.register()  # it still sees itself registered
    with pytest.raises(errors.RevMismatch):
        before.register()  # it came and went since
    again = registered.fast_forward(-1).register()
    assert again.rev > gone.rev
    with pytest.raises(errors.RevMismatch):
        registered.set_head("v1")  # another registration by now
    with pytest.raises(errors.Exists):
        gone.register()


def test_fast_forward_never_goes_back(registry: Registry) -> None:
    app = registry.register_app(URL, "mystack", "web")
    assert app.fast_forward(app.rev - 1) is app
    assert app.fast_forward(app.rev) is app
    assert app.fast_forward() is app
    later = app.set_head("v1")
    between = app.fast_forward(later.rev)
    assert (between.rev, between.head, app.head) == (later.rev, "v1", None)
    view = registry.snapshot()
    assert view.fast_forward(0) is view


# -- seed 001 -----------------------------------------------------------------------------------------
@pytest.fixture
def app(registry: Registry) -> App:
    app = registry.register_app(URL, "mystack", "web")
    app.register_revision("v1", "http://archive/v1")
    app.register_proc("web")
    return app.fast_forward()


def test_dial_gives_a_client_that_closes_gracefully(address: str) -> None:
    registry = visor.registry.connect(address, "/")
    assert registry.client.root == "/"
    registry.close()
    registry.close()
    with pytest.raises(errors.ClientClosed):
        registry.apps()


def test_the_client_registers_and_unregisters_apps(registry: Registry) -> None:
    assert registry.apps() == []
    app = registry.register_app(URL, "mystack")
    assert (app.name, app.repo_url, app.stack, app.deploy_type) == ("soundcloud.com", URL, "mystack", "lxc")
    assert registry.apps() == [app]
    with pytest.raises(errors.Exists):
        registry.register_app(URL, "mystack")
    registry.unregister_app(app)
    assert registry.apps() == []
    with pytest.raises(errors.NotFound):
        registry.unregister_app("soundcloud.com")


def test_an_app_has_revisions(app: App) -> None:
    revision = app.register_revision("v2")
    assert [each.ref for each in app.fast_forward().revisions()] == ["v1", "v2"]
    assert [each.ref for each in app.revisions()] == ["v1"]
    with pytest.raises(errors.Exists):
        app.fast_forward().register_revision("v2")
    app.fast_forward().unregister_revision(revision)
    assert [each.ref for each in app.fast_forward().revisions()] == ["v1"]
    with pytest.raises(errors.NotFound):
        app.fast_forward().unregister_revision("v2")


def test_an_app_has_environment_variables(app: App) -> None:
    assert dict(app.environment_variables()) == {}
    app = app.set_environment_variable("KEY", "value")
    assert dict(app.environment_variables()) == {"KEY": "value"}
    assert app.get_environment_variable("KEY") == "value"
    with pytest.raises(errors.NotFound):
        app.get_environment_variable("OTHER")


def test_a_revision_registers_scales_and_lists_its_instances(registry: Registry, app: App) -> None:
    revision = app.revision("v1")
    scaled = revision.scale("web", 2)
    assert [each.state for each in scaled.instances] == [State.PENDING, State.PENDING]
    assert revision.instances() == []
    revision = revision.fast_forward()
    assert revision.instances() == list(scaled.instances)

    instance = revision.register_instance("web", "10.0.0.1:8000")
    assert (instance.addr, instance.state, instance.revision) == ("10.0.0.1:8000", State.RUNNING, "v1")
    assert [each.id for each in registry.instances()] == [
        *(each.id for each in scaled.instances),
        instance.id,
    ]
    assert registry.host_instances("10.0.0.1") == [instance]
    assert registry.host_instances("10.0.0.2") == []

    with pytest.raises(InUse) as caught:
        revision.unregister()
    assert caught.value.count == 3
    gone = revision.unregister_instance(instance)
    assert gone.state is State.DONE
    with pytest.raises(Unregistered):
        registry.instance(instance.id)
    assert registry.host_instances("10.0.0.1") == []
    revision.scale("web", 0)
    assert not revision.unregister().is_registered


def test_the_client_lists_tickets_and_those_of_a_host(registry: Registry, app: App) -> None:
    app.revision("v1").scale("web", 2)
    first, second = registry.tickets()
    assert (first.op, first.app, first.revision, first.proc, first.status) == (
        "start", "web", "v1", "web", "unclaimed",
    )  # fmt: skip
    claimed = first.claim("10.0.0.1")
    assert registry.host_tickets("10.0.0.1") == [claimed]
    assert registry.host_tickets("10.0.0.2") == []
    assert [each.status for each in registry.tickets()] == ["claimed", "unclaimed"]
    assert second.claim("10.0.0.2").host == "10.0.0.2"


def test_the_client_watches_events_and_tickets(registry: Registry, app: App) -> None:
    with registry.watch_event() as events, registry.watch_ticket() as tickets:
        (instance,) = app.revision("v1").scale("web", 1).instances
        event, ticket = events.next(timeout=PATIENCE), tickets.next(timeout=PATIENCE)
        assert (event.type, event.source) == (EventType.INSTANCE_REGISTER, instance)
        assert (ticket.op, ticket.id, ticket.instance) == ("start", instance.id, instance)
        instance = instance.claim("10.0.0.1").unclaim()
        assert tickets.next(timeout=PATIENCE).instance == instance  # announced again
        running = instance.claim("10.0.0.1").started()
        stopping = running.stop()
        ticket = tickets.next(timeout=PATIENCE)
        assert (ticket.op, ticket.instance) == ("stop", stopping)


def test_the_event_types_of_seed_001_are_all_there(registry: Registry) -> None:
    with registry.watch_event() as events:
        app = registry.register_app(URL, "mystack", "web")
        revision = app.register_revision("v1")
        app.fast_forward().register_proc("web")
        instance = revision.fast_forward().register_instance("web").claim("h").started()
        instance.unregister()
        revision.fast_forward().unregister()
        app.unregister()
        seen = [events.next(timeout=PATIENCE).type for _ in range(9)]
    assert seen == [
        "app-register", "rev-register", "proc-register", "instance-register", "instance-state-change",
        "instance-start", "instance-unregister", "rev-unregister", "app-unregister",
    ]  # fmt: skip
    assert [each.state_change for each in seen[3:7]] == [False, True, True, False]
