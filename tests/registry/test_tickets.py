"""Tickets: those of instances, and those that stand for themselves."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.patience import PATIENCE, eventually
from tests.registry.conftest import Apart, with_web
from visor import errors
from visor.registry import Registry, Status, Ticket
from visor.registry.errors import AlreadyClaimed, IllegalMove, NotClaimer


@pytest.fixture
def ticket(web: Registry) -> Ticket:
    return web.create_ticket("start", "web", "v1", "worker")


def test_a_ticket_goes_from_unclaimed_to_done(web: Registry, ticket: Ticket) -> None:
    assert (ticket.status, ticket.op, ticket.instance, ticket.host) == (Status.UNCLAIMED, "start", None, None)
    assert web.tickets() == [ticket]
    claimed = ticket.claim("10.0.0.1")
    assert (claimed.status, claimed.host, ticket.status) == (Status.CLAIMED, "10.0.0.1", Status.UNCLAIMED)
    assert web.host_tickets("10.0.0.1") == [claimed]
    done = claimed.done()
    assert done.status is Status.DONE
    assert web.tickets() == []
    assert web.ticket(ticket.id) == done
    assert web.snapshot().is_done(ticket.id)


def test_moves_of_a_ticket_that_are_not_legal_are_refused(web: Registry, ticket: Ticket) -> None:
    for refused in (ticket.unclaim, ticket.done, ticket.dead):
        with pytest.raises(IllegalMove, match="unclaimed"):
            refused()
    claimed = ticket.claim("a")
    with pytest.raises(AlreadyClaimed) as caught:
        ticket.claim("b")
    assert caught.value.claimer == "a"
    with pytest.raises(AlreadyClaimed):
        claimed.claim("a")
    for refuse in (claimed.unclaim, claimed.done, claimed.dead):
        with pytest.raises(NotClaimer):
            refuse("b")
    dead = claimed.dead("a", "no room")
    assert (dead.status, dead.end and dead.end.reason) == (Status.DEAD, "no room")
    for refuse in (dead.unclaim, dead.done, dead.dead):
        with pytest.raises(IllegalMove, match="dead"):
            refuse()
    with pytest.raises(IllegalMove):
        dead.claim("a")
    with pytest.raises(IllegalMove, match="dead"):
        claimed.done()  # an old object: what is said is about the ticket as it is now


def test_a_former_claimer_cannot_finish_it(web: Registry, ticket: Ticket) -> None:
    """Era 3 let every host finish that had ever claimed it (bazooka #84: one ticket worked on twice)."""
    former = ticket.claim("a")
    present = former.unclaim().claim("b")
    for refused in (former.done, former.dead, former.unclaim):
        with pytest.raises(errors.RevMismatch):
            refused()
        with pytest.raises(NotClaimer):
            refused("a")
    assert [host for host, _ in present.claims] == ["a", "b"]
    assert present.claim_count == 2
    assert present.done("b").status is Status.DONE


def test_a_ticket_given_back_is_announced_again(web: Registry) -> None:
    with web.watch_ticket() as tickets:
        ticket = web.create_ticket("stop", "web", "v1", "worker")
        assert tickets.next(timeout=PATIENCE) == ticket
        back = ticket.claim("a").unclaim()
        assert tickets.next(timeout=PATIENCE) == back
        back.claim("a").done()
        other = web.create_ticket("start", "web", "v1", "worker")
        assert tickets.next(timeout=PATIENCE) == other
        with pytest.raises(errors.DeadlineExceeded):
            tickets.next(timeout=0.05)


def test_waiting_until_a_ticket_is_processed(web: Registry, ticket: Ticket) -> None:
    with pytest.raises(errors.DeadlineExceeded, match="unclaimed"):
        ticket.wait_processed(timeout=0.05)
    found: list[Ticket] = []
    waiter = threading.Thread(target=lambda: found.append(ticket.wait_processed(timeout=PATIENCE)))
    waiter.start()
    dead = ticket.claim("a").unclaim().claim("b").dead(reason="no room")
    waiter.join()
    assert found == [dead]
    assert ticket.wait_processed(timeout=PATIENCE) == dead


def test_who_waits_looks_again_when_history_went_on_without_him(apart: Apart) -> None:
    proxy, cut_off, client = apart
    here = with_web(Registry(client))
    ticket = here.create_ticket("start", "web", "v1", "worker")
    (instance,) = here.scale("web", "v1", "worker", 1).instances
    waits = (
        lambda: cut_off.ticket(ticket.id).wait_processed(timeout=PATIENCE).status,
        lambda: cut_off.instance(instance.id).wait("running", timeout=PATIENCE).state,
    )
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(wait) for wait in waits]
        eventually(lambda: client.status().watches == len(waits))
        proxy.miss_history(client)
        ticket.claim("a").done()
        instance.claim("a").started(port=80)
        assert [wait.result() for wait in waiting] == ["done", "running"]


def test_the_ticket_of_an_instance_is_the_instance(web: Registry) -> None:
    (instance,) = web.scale("web", "v1", "worker", 1).instances
    ticket = web.ticket(instance.id)
    assert (ticket.op, ticket.status, ticket.instance) == ("start", "unclaimed", instance)
    claimed = ticket.claim("h")
    running = claimed.done("h")
    assert (running.status, running.instance and running.instance.state) == ("done", "running")
    assert ticket.wait_processed(timeout=PATIENCE).status is Status.DONE
    assert running.instance is not None
    stopping = running.instance.stop()
    (stop,) = web.host_tickets("h")
    assert (stop.op, stop.id, stop.instance) == ("stop", instance.id, stopping)
    assert stop.done().status is Status.DONE
    assert web.tickets() == []


def test_the_ticket_of_an_instance_that_fails_is_dead(web: Registry) -> None:
    (instance,) = web.scale("web", "v1", "worker", 1).instances
    dead = web.ticket(instance.id).claim("h").dead(reason="no such image")
    assert (dead.status, dead.end and dead.end.reason) == ("dead", "no such image")
    assert web.instance(instance.id).state == "failed"
    back = web.scale("web", "v1", "worker", 1).instances[0]
    assert web.ticket(back.id).claim("h").unclaim().status == "unclaimed"


def test_claiming_any_ticket_takes_one_that_fits(web: Registry) -> None:
    assert web.claim_ticket("h") is None
    free = web.create_ticket("stop", "web", "v1", "worker")
    (instance,) = web.scale("web", "v1", "worker", 1).instances
    assert web.claim_ticket("h", app="other") is None
    assert web.claim_ticket("h", proc="other") is None
    start = web.claim_ticket("h", op="start")
    assert start is not None and start.id == instance.id
    stop = web.claim_ticket("h", app="web", revision="v1", op="stop")
    assert stop is not None and stop.id == free.id
    assert web.claim_ticket("h") is None


def test_the_older_tickets_go_first_but_not_to_everybody_at_once(web: Registry) -> None:
    web.scale("web", "v1", "worker", 400)
    oldest = {
        each.id for each in web.snapshot().open_tickets()[: 64 + 8]
    }  # each claim lets one more into the page
    taken = [web.claim_ticket("h") for _ in range(8)]
    assert {each.id for each in taken if each} <= oldest
    assert len({each.id for each in taken if each}) == 8
    assert [each.id for each in taken if each] != sorted(oldest)[:8]


def test_a_ticket_that_cannot_be_read_keeps_nobody_from_the_others(
    web: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    with web.watch_ticket() as tickets:
        web.client.set("/tickets/open/000000000000001", b"{")
        ticket = web.create_ticket("start", "web", "v1", "worker")
        assert tickets.next(timeout=PATIENCE) == ticket
    claimed = web.claim_ticket("h")
    assert claimed is not None and claimed.id == ticket.id
    assert web.claim_ticket("h") is None
    assert "cannot be read" in caplog.text
    web.client.delete("/tickets/open/000000000000001")


def test_waiting_for_an_instance_ends_on_any_end(web: Registry) -> None:
    (instance,) = web.scale("web", "v1", "worker", 1).instances
    with pytest.raises(errors.DeadlineExceeded, match="pending"):
        instance.wait_started(timeout=0.05)
    found = []
    waiter = threading.Thread(target=lambda: found.append(instance.wait_started(timeout=PATIENCE)))
    waiter.start()
    time.sleep(0.05)
    claimed = instance.claim("h")
    assert instance.wait_claimed(timeout=PATIENCE).state == "claimed"
    failed = claimed.failed(reason="no such image")
    waiter.join()
    assert found == [failed]
    gone = failed.unregister()
    assert (instance.wait(timeout=PATIENCE).state, gone.state) == ("done", "done")
    assert instance.wait_stop(timeout=PATIENCE).state == "done"
    (other,) = web.scale("web", "v1", "worker", 1).instances
    running = other.claim("h").started()
    assert other.wait_started(timeout=PATIENCE) == running
    stopping = running.stop()
    assert other.wait_stop(timeout=PATIENCE) == stopping
    exited = stopping.exited()
    assert other.wait_exited(timeout=PATIENCE) == exited
