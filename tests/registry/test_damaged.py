"""Files that cannot be read stop nobody: they stand beside the good ones in every list, and can be repaired."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from visor import errors
from visor.registry import Instance, Listed, Registry, Snapshot, State
from visor.registry.errors import AlreadyRegistered, BadRecord

BAD: list[bytes] = [b"\xff\x00", b"[]", b'{"v":1}', b'{"v":1,"id":"x","port":"8001"}']

LISTS: dict[str, tuple[str, Callable[[Snapshot], Listed[Any]]]] = {
    "/apps/web/app": ("apps", lambda view: view.apps()),
    "/apps/web/revs/v1": ("revisions", lambda view: view.revisions()),
    "/apps/web/procs/worker": ("procs", lambda view: view.procs("web")),
    "/apps/web/envs/prod": ("envs", lambda view: view.envs()),
    "/services/db/service": ("services", lambda view: view.services()),
    "/services/db/endpoints/h:1": ("endpoints", lambda view: view.endpoints("db")),
    "/runners/h/80": ("runners", lambda view: view.runners()),
    "/loggers/h:514": ("loggers", lambda view: view.loggers()),
    "/proxies/h": ("proxies", lambda view: view.proxies()),
    "/pms/h": ("process managers", lambda view: view.process_managers()),
}
"""What lists are made of -> how it is listed; of each there are two."""


@pytest.fixture
def full(web: Registry) -> Registry:
    """A domain that has two of everything that is listed."""
    view = web.snapshot()
    view.new_app("other").register()
    view.new_revision("web", "v2").register()
    view.new_proc("web", "other", with_port=False).register()
    for ref in ("prod", "test"):
        view.new_env("web", ref, {"A": "b"}).register()
    for name in ("db", "cache"):
        view.new_service(name).register()
    service = web.snapshot().service("db")
    for host in ("h", "i"):
        service.register_endpoint(f"{host}:1", ip="10.0.0.1")
        view.new_runner(f"{host}:80", 7).register()
        view.new_member("logger", host, 514).register()
        view.new_member("proxy", host).register()
        view.new_member("pm", host).register()
    return web


@pytest.mark.parametrize("path", LISTS)
def test_every_list_gives_the_others_and_names_it(full: Registry, path: str) -> None:
    good = full.client.get(path).data
    _, listed = LISTS[path]
    for bad in BAD:
        full.client.set(path, bad)
        view = full.snapshot()
        found = listed(view)
        assert [error.path for error in found.damaged] == [path]
        assert all(isinstance(error, BadRecord) for error in found.damaged)
        assert len(found) == 1
        assert path in [fault.path for fault in full.verify() if fault.unreadable]
    full.client.set(path, good)
    assert listed(full.snapshot()).damaged == ()


@pytest.mark.parametrize("path", LISTS)
def test_it_can_be_taken_out_and_registered_anew(full: Registry, path: str) -> None:
    good = full.client.get(path).data
    full.client.set(path, BAD[0])
    done = full.repair(path)
    assert (done.path, done.restored, full.client.exists(path)) == (path, False, False)
    with pytest.raises(errors.NotFound):
        full.repair(path)
    full.client.set(path, good)
    with pytest.raises(errors.Conflict, match="it can be read"):
        full.repair(path)


def states(web: Registry) -> dict[str, Instance]:
    """Return an instance in every state."""
    made = web.scale("web", "v1", "worker", 5).instances
    exited = made[4].claim("h").exited()
    return {
        "pending": made[0],
        "claimed": made[1].claim("h"),
        "running": made[2].claim("h").started(port=80),
        "stopping": made[3].claim("h").started(port=81).stop(),
        "exited": exited,
    }


def record_of(instance: Instance) -> str:
    return f"/apps/web/instances/v1/worker/_/{instance.id:015d}"


@pytest.mark.parametrize("state", ["pending", "claimed", "running", "stopping", "exited"])
@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_an_instance_comes_back_from_a_copy_or_is_taken_out(web: Registry, state: str, bad: bytes) -> None:
    all_ = states(web)
    damaged = all_.pop(state)
    path = record_of(damaged)
    web.client.set(path, bad)
    found = web.instances()
    assert (len(found), [error.path for error in found.damaged]) == (4, [path])
    assert path in [fault.path for fault in web.verify() if fault.unreadable]
    assert web.purge() == (0 if state == "exited" else 1)  # nobody knows whether the damaged one has ended
    done = web.repair(path)
    assert done.restored == (state != "exited")  # of an ended one there is no copy
    assert web.verify() == []
    now = {each.id: each.state for each in web.instances()}
    assert now.get(damaged.id) == (None if state == "exited" else damaged.state)
    if state == "exited":
        with pytest.raises(errors.NotFound, match="could not be read"):
            web.instance(damaged.id)


def test_a_leased_instance_comes_back_on_its_lease(web: Registry) -> None:
    (instance,) = web.scale("web", "v1", "worker", 1).instances
    with web.attend("h", ttl=30) as host:
        instance.claim(host).started(port=80)
        web.client.set(record_of(instance), b"nonsense")
        assert web.repair(record_of(instance)).restored
        assert web.instance(instance.id).state is State.RUNNING
    assert web.instance(instance.id).state is State.LOST
    assert web.verify() == []


@pytest.mark.parametrize("where", ["/ids/{}", "/tickets/open/{}", "/hosts/h/{}", "/tickets/claimed/h/{}"])
def test_a_copy_is_written_anew_from_its_record(web: Registry, where: str) -> None:
    all_ = states(web)
    state = {"/tickets/open/{}": "pending", "/tickets/claimed/h/{}": "claimed"}.get(where, "running")
    path = where.format(f"{all_[state].id:015d}")
    whole = web.client.get(path).data
    web.client.set(path, b"nonsense")
    assert len(web.snapshot().tickets().damaged) == path.startswith("/tickets")
    assert len(web.host_instances("h").damaged) == path.startswith("/hosts")
    assert web.repair(path).restored
    assert web.client.get(path).data == whole
    assert web.verify() == []


def test_a_ticket_that_stands_for_itself_comes_back(web: Registry) -> None:
    ticket = web.create_ticket("stop", "web", "v1", "worker")
    for path in (f"/tickets/open/{ticket.id:015d}", f"/ids/{ticket.id:015d}"):
        web.client.set(path, b"nonsense")
        assert web.repair(path).restored
        assert web.ticket(ticket.id).op == "stop"
    web.client.set(f"/ids/{ticket.id:015d}", b"nonsense")
    web.client.delete(f"/tickets/open/{ticket.id:015d}")
    assert not web.repair(f"/ids/{ticket.id:015d}").restored
    assert web.tickets() == []


@pytest.mark.parametrize("state", ["pending", "claimed", "running"])
def test_scaling_down_and_a_cascade_go_through(web: Registry, state: str) -> None:
    damaged = states(web)[state]
    web.client.set(record_of(damaged), b"nonsense")
    assert web.scale("web", "v1", "worker", 0).count == 0
    assert web.verify() == []
    again = web.scale("web", "v1", "worker", 2).instances[0]
    web.client.set(record_of(again), b"nonsense")
    with pytest.raises(errors.Conflict):
        web.unregister_app("web")
    web.client.set("/apps/web/app", b"nonsense")
    with pytest.raises(BadRecord):
        web.unregister_app("web")
    web.unregister_app("web", cascade=True)
    assert web.verify() == []


def test_a_variable_and_a_target_stop_nobody(web: Registry) -> None:
    app = web.app("web").set_environment_variable("A", "b")
    web.client.set("/apps/web/env/B", b"\xff")
    found = web.app("web").environment_variables()
    assert (found, [error.path for error in found.damaged]) == ({"A": "b"}, ["/apps/web/env/B"])
    with pytest.raises(BadRecord, match="not a variable"):
        app.fast_forward().get_environment_variable("B")
    web.repair("/apps/web/env/B")
    web.scale("web", "v1", "worker", 1)
    web.client.set("/apps/web/scale/v1/worker/_", b"{}")
    targets = web.snapshot().targets()
    assert (targets, len(targets.damaged)) == ({}, 1)
    assert web.scale("web", "v1", "worker", 2).count == 2


def test_the_next_port_is_counted_anew(web: Registry) -> None:
    web.client.set("/next-port", b"soon")
    with pytest.raises(BadRecord, match="/next-port: not a port"):
        web.app("web").register_proc("other")
    assert [fault.path for fault in web.verify() if fault.unreadable] == ["/next-port"]
    assert web.repair("/next-port").restored
    assert web.app("web").register_proc("other").port == 8001


def test_a_schema_that_is_no_number_is_written_anew(web: Registry) -> None:
    web.client.set("/internal/schema", b"four")
    with pytest.raises(BadRecord):
        web.init()
    web.repair("/internal/schema")
    assert web.init() == 4


def test_what_exists_is_refused_without_advice_that_would_damage_it(web: Registry) -> None:
    with pytest.raises(AlreadyRegistered) as refused:
        web.register_app("git://git/web.git")
    assert refused.value.advice is not None
    assert "set" not in refused.value.advice
