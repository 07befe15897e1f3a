"""Apps and what belongs to them: revisions, process types and their ports, environments of both kinds."""

from __future__ import annotations

import threading

import pytest

import visor
from tests.patience import PATIENCE
from tests.registry.conftest import with_web
from visor import errors
from visor.registry import Heartbeat, Limits, Registry, State
from visor.registry.errors import BadName, BadRecord, InUse


@pytest.mark.parametrize("name", ["", "a b", "a_b", "a/b", ".", "..", "a\0b", "ü", "x" * 201])
def test_names_that_break_the_grammar_are_refused(registry: Registry, name: str) -> None:
    view = registry.snapshot()
    for refused in (
        lambda: view.new_app(name),
        lambda: view.new_revision("web", name),
        lambda: view.new_env("web", name, {}),
        lambda: view.new_service(name),
        lambda: view.scale("web", name, "worker", 1),
        lambda: view.scale(name, "v1", "worker", 1),
    ):
        with pytest.raises(BadName) as caught:
            refused()
        assert name == "" or caught.value.name == name
    assert registry.client.rev() == view.rev


@pytest.mark.parametrize("name", ["", "a-b", "a.b", "a_b", "a b"])
def test_a_process_type_is_named_with_letters_and_digits(registry: Registry, name: str) -> None:
    with pytest.raises(BadName):
        registry.snapshot().new_proc("web", name)


def test_dots_and_hyphens_are_fine_everywhere(registry: Registry) -> None:
    """bazooka #88: dots in names were refused by scale only."""
    app = registry.register_app("", name="soundcloud.com-2")
    app.register_revision("v1.2-rc")
    app.register_proc("web0")
    app.register_env("prod.eu-1", {})
    assert registry.scale("soundcloud.com-2", "v1.2-rc", "web0", 1, "prod.eu-1").count == 1


def test_an_app_is_complete_in_one_rev(registry: Registry) -> None:
    before = registry.client.rev()
    app = registry.register_app("git://git/web.git", "trusty", deploy_type="mount", env={"A": "1", "B": "2"})
    assert app.rev == before + 1
    found = registry.snapshot(app.rev).app("web")
    assert found == app
    assert (found.deploy_type, found.head, found.repo_url) == ("mount", None, "git://git/web.git")
    assert dict(found.environment_variables()) == {"A": "1", "B": "2"}
    assert found.registered is not None
    with pytest.raises(errors.NotFound):
        registry.snapshot(before).app("web")


def test_an_app_object_keeps_everything_over_its_changes(registry: Registry) -> None:
    """`ancestors.md`, C1: the ancestors' copies forgot the deploy type, the archive url, the heartbeat."""
    app = registry.register_app("git://git/web.git", "trusty", deploy_type="mount")
    changed = app.set_head("v1").set_environment_variable("A", "1")
    assert (changed.deploy_type, changed.head, changed.stack) == ("mount", "v1", "trusty")
    assert changed.registered == app.registered
    revision = app.register_revision("v1", "http://archive/v1")
    assert revision.set_archive_url("http://archive/v1b").archive_url == "http://archive/v1b"
    assert revision.archive_url == "http://archive/v1"
    proc = app.register_proc("worker", heartbeat=Heartbeat(5, 3, 0), limits=Limits(512), max_restarts=3)
    proc = proc.store_attrs({"kind": "batch"}, command="bin/worker")
    assert (proc.heartbeat, proc.limits, proc.max_restarts) == (Heartbeat(5, 3, 0), Limits(512), 3)
    assert (dict(proc.attrs), proc.command, proc.port) == ({"kind": "batch"}, "bin/worker", 8000)
    assert registry.app("web").proc("worker") == proc


# -- the mutable environment --------------------------------------------------------------------------
@pytest.mark.parametrize("key", ["DB_URL", "db-url", "a.b", "A B", "ä", "a/b", "..", "%41", "x~y@z:1,2"])
def test_a_variables_name_is_kept_exactly(registry: Registry, key: str) -> None:
    """The ancestors stored `_` as `-` and gave `-` back as `_`."""
    app = registry.register_app("", name="web").set_environment_variable(key, "wert ü\n")
    assert dict(app.environment_variables()) == {key: "wert ü\n"}
    assert app.get_environment_variable(key) == "wert ü\n"
    app = app.del_environment_variable(key)
    assert dict(app.environment_variables()) == {}
    with pytest.raises(errors.NotFound):
        app.del_environment_variable(key)


@pytest.mark.parametrize("key", ["", "a=b", "a\0b", "x" * 300])
def test_a_name_that_no_process_could_have_is_refused(registry: Registry, key: str) -> None:
    app = registry.register_app("", name="web")
    with pytest.raises(BadName):
        app.set_environment_variable(key, "")
    with pytest.raises(BadName):
        app.register_env("prod", {key: ""})


def test_two_writers_from_one_snapshot_conflict_on_one_variable_only(registry: Registry) -> None:
    app = registry.register_app("", name="web")
    app.set_environment_variable("A", "1")
    app.set_environment_variable("B", "1")
    with pytest.raises(errors.RevMismatch):
        app.set_environment_variable("A", "2")
    gone = app.fast_forward().del_environment_variable("A")
    with pytest.raises(errors.NotFound):
        app.del_environment_variable("A")
    assert gone.set_environment_variable("A", "3").get_environment_variable("A") == "3"


def test_a_variable_of_an_app_that_is_gone_cannot_be_set(registry: Registry) -> None:
    app = registry.register_app("", name="web")
    app.unregister()
    with pytest.raises(errors.NotFound):
        app.set_environment_variable("A", "1")


def test_an_environment_given_before_registration_is_stored_with_it(registry: Registry) -> None:
    app = registry.snapshot().new_app("web", env={"A": "1"})
    app = (
        app.set_environment_variable("B", "2")
        .set_environment_variable("C", "3")
        .del_environment_variable("C")
    )
    assert app.get_environment_variable("B") == "2"
    with pytest.raises(errors.NotFound):
        app.get_environment_variable("C")
    assert dict(app.register().environment_variables()) == {"A": "1", "B": "2"}


# -- immutable environments ---------------------------------------------------------------------------
def test_an_env_is_immutable(web: Registry) -> None:
    app = web.app("web")
    env = app.register_env("prod", {"A": "1"})
    assert dict(web.app("web").env("prod").vars) == {"A": "1"}
    with pytest.raises(TypeError):
        env.vars["A"] = "2"  # type: ignore[index]
    with pytest.raises(errors.Exists):
        web.app("web").register_env("prod", {"A": "2"})
    env.unregister()
    with pytest.raises(errors.NotFound):
        env.unregister()
    assert web.app("web").envs() == []
    again = web.app("web").register_env("prod", {"A": "2"})
    assert web.app("web").envs() == [again]


def test_an_env_in_use_stays_and_an_unknown_one_is_not_scaled_with(web: Registry) -> None:
    """The design text of the ancestors asked for both; their library did neither."""
    with pytest.raises(errors.NotFound, match="env prod"):
        web.scale("web", "v1", "worker", 1, "prod")
    env = web.app("web").register_env("prod", {})
    (instance,) = web.scale("web", "v1", "worker", 1, "prod").instances
    assert instance.env == "prod"
    for state in (State.PENDING, State.CLAIMED, State.RUNNING, State.STOPPING):
        assert instance.state is state
        with pytest.raises(InUse):
            env.unregister()
        instance = (
            instance.stop()
            if state is State.RUNNING
            else instance.claim("h")
            if state is State.PENDING
            else instance.started()
            if state is State.CLAIMED
            else instance.exited()
        )
    assert not env.unregister().is_registered


# -- revisions and process types ----------------------------------------------------------------------
def test_a_part_needs_its_app(registry: Registry) -> None:
    view = registry.snapshot()
    for part in (
        view.new_revision("web", "v1"),
        view.new_proc("web", "worker"),
        view.new_env("web", "prod", {}),
    ):
        with pytest.raises(errors.NotFound, match="web"):
            part.register()
        with pytest.raises(errors.NotFound):
            part.unregister()


def test_parts_in_use_stay(web: Registry) -> None:
    web.scale("web", "v1", "worker", 2)
    app = web.app("web")
    for refused in (app.revision("v1").unregister, app.proc("worker").unregister, app.unregister):
        with pytest.raises(InUse, match="in use by 2 instances"):
            refused()
    web.scale("web", "v1", "worker", 0)
    app.proc("worker").unregister()
    app.revision("v1").unregister()
    assert web.app("web").revisions() == []
    assert web.snapshot().targets() == {}


def test_an_ended_instance_outlives_its_revision(web: Registry) -> None:
    instance = web.snapshot().register_instance("web", "v1", "worker", "10.0.0.1:80").exited()
    web.app("web").revision("v1").unregister()
    assert web.instance(instance.id).state is State.EXITED
    assert instance.unregister().state is State.DONE


def test_an_app_goes_with_everything_in_one_rev(web: Registry) -> None:
    web.app("web").register_env("prod", {"A": "1"})
    web.scale("web", "v1", "worker", 3)
    web.scale("web", "v1", "worker", 1, "prod")
    first, second, *_ = web.instances()
    first.claim("h").started()
    second.claim("h").started().stop()
    ended = web.snapshot().register_instance("web", "v1", "worker", "h:80").failed()
    app = web.app("web")
    gone = app.unregister(cascade=True, reason="moved")
    assert gone.rev == app.rev + 1
    assert web.instances() == web.tickets() == web.host_instances("h") == []
    for identity in (first.id, second.id, ended.id):
        assert web.snapshot().is_done(identity)
    assert app.revisions() != []  # the old object still sees it all
    assert web.verify() == []
    with_web(web)
    assert web.app("web").revision("v1").instances() == []


def test_an_app_that_changed_is_not_unregistered_by_an_old_object(registry: Registry) -> None:
    app = registry.register_app("", name="web")
    app.set_head("v1")
    with pytest.raises(errors.RevMismatch):
        app.unregister()
    assert not app.fast_forward().unregister().is_registered


# -- ports --------------------------------------------------------------------------------------------
def test_ports_are_claimed_without_race_or_leak(registry: Registry, address: str, root: str) -> None:
    registry.init()
    app = registry.register_app("", name="web")
    ports: list[int | None] = []

    def register(number: int) -> None:
        with visor.dial(address, root, timeout=PATIENCE) as client:
            proc = Registry(client).app("web").register_proc(f"p{number}")
            ports.append(proc.port)

    threads = [threading.Thread(target=register, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ports, key=str) == list(range(8000, 8016))  # no port is left out, none is there twice
    with pytest.raises(errors.Exists):
        app.fast_forward().register_proc("p3")
    assert app.fast_forward().register_proc("q").port == 8016


def test_ports_that_were_given_back_are_used_when_no_fresh_one_is_left(registry: Registry) -> None:
    registry.client.set("/next-port", b"65534")
    app = registry.register_app("", name="web")
    first, last = (app.register_proc("a"), app.register_proc("b"))
    assert (first.port, last.port) == (65534, 65535)
    with pytest.raises(errors.Conflict, match="no port is left"):
        app.register_proc("c")
    assert app.register_proc("noport", with_port=False).port is None
    first.unregister()
    assert registry.app("web").register_proc("c").port == 65534
    registry.app("web").unregister()
    again = registry.register_app("", name="web")
    assert {again.register_proc("x").port, again.register_proc("y").port} == {65534, 65535}


# -- reading ------------------------------------------------------------------------------------------
def test_a_record_that_cannot_be_read_says_why_and_the_others_are_there(registry: Registry) -> None:
    for name in ("a", "b", "c"):
        registry.register_app("", name=name)
    good = registry.client.get("/apps/b/app").value
    for bad, why in (
        (b"\xff", "not an app"),
        (b"[]", "expected an object"),
        (b'{"v":2,"name":"b"}', "version 2"),
        (b'{"v":1}', "name missing"),
        (b'{"v":1,"name":7}', "expected text"),
    ):
        registry.client.set("/apps/b/app", bad)
        with pytest.raises(BadRecord, match=why) as caught:
            registry.app("b")
        assert caught.value.path == "/apps/b/app"
        found = registry.apps()
        assert [error.path for error in found.damaged] == ["/apps/b/app"]
        assert [app.name for app in found] == ["a", "c"]
        assert [fault.path for fault in registry.verify()] == ["/apps/b/app"]
    registry.client.set("/apps/b/app", good)


def test_everything_is_read_at_its_own_rev(web: Registry) -> None:
    old = web.snapshot()
    app = old.app("web")
    web.scale("web", "v1", "worker", 2)
    app.register_revision("v2")
    web.app("web").proc("worker").store_attrs({"a": "b"})
    assert [each.ref for each in app.revisions()] == ["v1"]
    assert dict(app.proc("worker").attrs) == {}
    assert app.instances() == old.tickets() == []
    assert old.get_scale("web", "v1", "worker").count == 0
    assert old.app_names() == ["web"]
    assert (app.proc("worker").num_instances(), app.fast_forward().proc("worker").num_instances()) == (0, 2)
    assert app.fast_forward().proc("worker").running_revs() == ["v1"]
