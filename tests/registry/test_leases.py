"""Instances that live as long as the lease of their host."""

from __future__ import annotations

import threading
import time

import pytest

import visor
from tests.lease_time import LeaseTime
from tests.patience import LONG_TTL, PATIENCE
from tests.registry.conftest import with_web
from visor import errors, testing
from visor.registry import EventType, Instance, Presence, Registry, State
from visor.registry.errors import IllegalMove


@pytest.fixture
def host(web: Registry) -> Presence:
    return web.attend("10.0.0.1", 60)


def running(registry: Registry, host: Presence, count: int = 1) -> list[Instance]:
    scaled = registry.scale("web", "v1", "worker", f"+{count}")
    return [each.claim(host).started(port=80) for each in scaled.instances]


def test_an_attending_host_is_a_process_manager(web: Registry, host: Presence) -> None:
    assert [(each.host, each.lease) for each in web.snapshot().leases()] == [("10.0.0.1", host.lease)]
    assert [each.addr for each in web.snapshot().process_managers()] == ["10.0.0.1"]
    host.leave()
    host.leave()
    assert web.snapshot().leases() == web.snapshot().process_managers() == []


def test_what_says_that_a_host_attends_comes_back_while_its_lease_lives(
    web: Registry, host: Presence
) -> None:
    (instance,) = running(web, host)
    for path in ("/leases", "/pms"):
        web.client.delete(path, recursive=True)
    assert web.instance(instance.id).state is State.LOST
    host._lease._look_after(20.0)
    assert web.instance(instance.id).state is State.RUNNING
    assert [(each.host, each.lease) for each in web.snapshot().leases()] == [("10.0.0.1", host.lease)]
    assert [each.addr for each in web.snapshot().process_managers()] == ["10.0.0.1"]
    with web.attend("10.0.0.1", 60) as later:
        host._lease._look_after(20.0)  # the process manager of the host is the later one now
        assert len(web.snapshot().leases()) == 2
        assert web.client.get("/pms/10.0.0.1").lease == later.lease


def test_everything_of_a_host_is_lost_in_one_rev(web: Registry, host: Presence) -> None:
    waiting, stopping, first, second = running(web, host, 4)
    stopping = stopping.stop()
    (claimed,) = web.scale("web", "v1", "worker", "+1").instances
    claimed = claimed.claim(host)
    (bystander,) = web.scale("web", "v1", "worker", "+1").instances
    bystander = bystander.claim("10.0.0.2").started()
    ended = first.exited()
    before = web.client.rev()
    with web.watch_event() as events:
        host.leave()
        found = events.next_commit(timeout=PATIENCE)
    assert web.client.rev() == before + 1
    mine = sorted((waiting, stopping, second, claimed), key=lambda each: each.id)
    assert [each.type for each in found] == [EventType.INSTANCE_LOST] * 4
    assert sorted(each.source.id for each in found if each.source) == [each.id for each in mine]
    for event in found:
        assert isinstance(event.source, Instance)
        assert (event.source.state, event.source.rev, event.rev) == (State.LOST, before + 1, before + 1)
        assert "lease" in str(event)
    assert [each.id for each in web.instances() if each.state is State.LOST] == [each.id for each in mine]
    for instance in mine:
        now = web.instance(instance.id)
        assert (now.state, now.host) == (State.LOST, "10.0.0.1")
        assert now.status_info is not None and "lease" in now.status_info.reason
        assert instance.state is not State.LOST  # the old object still answers with the old state
        assert web.snapshot(before).instance(instance.id) == instance
    assert web.host_instances("10.0.0.1") == web.host_tickets("10.0.0.1") == []
    count = web.get_scale("web", "v1", "worker")
    assert (count.count, count.stopping) == (1, 0)
    assert web.instance(bystander.id) == bystander
    assert web.instance(ended.id) == ended
    assert web.snapshot().procs()[0].lost_instances() != []


def test_a_manager_whose_lease_ended_cannot_report_any_more(web: Registry, host: Presence) -> None:
    one, two = running(web, host, 2)
    (pending,) = web.scale("web", "v1", "worker", "+1").instances
    host.leave()
    for refused in (one.exited, one.failed, one.stop, two.lost, lambda: two.restarted("oom")):
        with pytest.raises(IllegalMove, match="is lost") as caught:
            refused()
        assert caught.value.state == "lost"
    with pytest.raises(errors.Rejected):
        pending.claim(host)
    assert web.instance(pending.id) == pending
    now = web.instance(one.id)
    for refused in (now.exited, now.stop, lambda: now.claim("other")):
        with pytest.raises(IllegalMove, match="is lost"):
            refused()
    with pytest.raises(errors.RevMismatch):
        one.unregister()  # it does not know that it is lost
    assert now.lock("me").state is State.LOST
    assert web.instance(one.id).unregister().state is State.DONE
    assert web.instance(two.id).unregister(reason="replaced").state is State.DONE
    assert web.verify() == []


def test_an_unregistration_of_what_was_lost_is_no_second_loss(web: Registry, host: Presence) -> None:
    one, two = running(web, host, 2)
    host.leave()
    with web.watch_event() as events:
        web.instance(one.id).unregister()
        web.instance(two.id).lock("me").unregister()
        found = [events.next(timeout=PATIENCE) for _ in range(2)]
        with pytest.raises(errors.DeadlineExceeded):
            events.next(timeout=0.05)
    assert [each.type for each in found] == ["instance-unregister"] * 2
    assert [each.source.state for each in found if isinstance(each.source, Instance)] == [State.LOST] * 2


def test_the_events_of_one_app_tell_of_its_losses(web: Registry, host: Presence) -> None:
    (instance,) = running(web, host)
    with web.app("web").watch_event() as events:
        instance.restarted("oom").lock("a").unlock()
        host.leave()
        event = events.next(timeout=PATIENCE)
    assert (event.type, event.path.instance) == ("instance-lost", instance.id)
    assert isinstance(event.source, Instance)
    assert event.source.restarts == {"fail": 0, "oom": 1}


def test_waits_end_when_the_lease_does(web: Registry, host: Presence) -> None:
    (instance,) = running(web, host)
    found: list[Instance] = []
    waiter = threading.Thread(target=lambda: found.append(instance.wait_stop(timeout=PATIENCE)))
    waiter.start()
    time.sleep(0.05)
    host.leave()
    waiter.join()
    assert [each.state for each in found] == [State.LOST]
    assert instance.wait(timeout=PATIENCE).state is State.LOST


def test_scale_replaces_what_was_lost(web: Registry, host: Presence) -> None:
    running(web, host, 3)
    host.leave()
    scaled = web.scale("web", "v1", "worker", 3)
    assert (scaled.previous, len(scaled.instances)) == (0, 3)
    assert web.scale("web", "v1", "worker", 1).count == 1
    web.app("web").unregister(cascade=True)


def test_claims_without_a_lease_stay(web: Registry) -> None:
    (instance,) = web.scale("web", "v1", "worker", 1).instances
    assert instance.claim("10.0.0.1").lease == 0
    with pytest.raises(errors.Rejected):
        web.scale("web", "v1", "worker", 2).instances[0].claim("10.0.0.1", lease=987_654)


def test_an_instance_given_back_lives_without_the_lease(web: Registry, host: Presence) -> None:
    (instance,) = web.scale("web", "v1", "worker", 1).instances
    back = instance.claim(host).unclaim()
    host.leave()
    assert web.instance(instance.id) == back
    assert back.claim("10.0.0.2").started().state is State.RUNNING


def test_a_host_that_dies_loses_its_instances_with_its_lease() -> None:
    """Nobody revokes anything: the client is cut off, as by kill -9."""
    with (
        testing.server() as server,
        LeaseTime(server) as lease_time,
        server.dial() as client,
        lease_time.dial() as victim,
    ):
        _dies(with_web(Registry(client)), victim, lease_time)


def _dies(web: Registry, victim: visor.Client[bytes], lease_time: LeaseTime) -> None:
    host = Registry(victim).attend("10.0.0.1", LONG_TTL)
    instances = running(web, host, 2)
    with web.watch_event() as events:
        host.held._stop()  # no keep-alive any more
        lease_time.turn(LONG_TTL)
        found = events.next_commit(timeout=PATIENCE)
    assert [each.type for each in found] == ["instance-lost"] * 2
    assert {each.source.id for each in found if each.source} == {each.id for each in instances}
    assert web.get_scale("web", "v1", "worker").count == 0
    assert web.verify() == []


def test_a_reading_of_a_moment_before_the_loss_is_as_it_was(web: Registry, host: Presence) -> None:
    (instance,) = running(web, host)
    view = web.snapshot()
    host.leave()
    assert view.instances() == [instance]
    assert view.get_scale("web", "v1", "worker").count == 1
    assert view.host_instances("10.0.0.1") == [instance]
    assert view.fast_forward().instances()[0].state is State.LOST
