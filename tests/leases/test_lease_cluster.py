"""Leases and locks on three members: kept through any of them, and through the death of the one that measures."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

import visor
from tests.cluster.processes import Cluster, Plan
from tests.patience import PATIENCE
from visor import Kind, LeaseState

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("leases"), Plan(nodes=3, network="plain")) as cluster:
        cluster.start()
        yield cluster


def test_a_lease_is_kept_and_described_through_every_member(cluster: Cluster) -> None:
    for address in cluster.addresses:
        with visor.dial(address) as client, client.lease(2.0) as lease:
            client.set("/kept", b"", lease=lease)
            time.sleep(1.0)
            info = lease.info()
            assert info.files == ("/kept",)
            assert info.left is not None
            assert info.left > 0.8, "it was kept alive meanwhile"
            assert lease.state is LeaseState.CONNECTED


def test_no_lease_is_lost_with_its_leader_and_no_lock_given_twice(cluster: Cluster) -> None:
    leader = cluster.leader()
    assert leader is not None
    others = [address for address in cluster.addresses if address != leader.client]
    states: list[LeaseState] = []
    with visor.dial([leader.client, *others]) as client, visor.dial(others) as witness:
        dead = witness.lease(5.0, keep=False)
        witness.set("/dead", b"", lease=dead)
        session = client.session(5.0)
        session.on_change(states.append)
        lock = session.lock("/locks/a")
        fence = lock.acquire()
        watch = witness.watch("/dead", kinds=[Kind.EXPIRE])
        leader.kill()
        began = time.monotonic()
        lock.set("/written", b"%d" % fence, timeout=PATIENCE)
        expired = watch.next(timeout=PATIENCE)
        waited = time.monotonic() - began
        # The new leader gave it a full time first, whatever it had left.
        assert waited > 4.5
        assert [change.path for change in expired.changes] == ["/dead"]
        lock.verify()
        assert LeaseState.LOST not in states
        assert witness.session(5.0).lock("/locks/a").try_acquire() is None
        lock.release()
        assert witness.get("/written").value == b"%d" % fence
        session.close()
    leader.launch()
    leader.await_ready()


def test_a_stopped_leader_that_wakes_ends_nobodys_lease(cluster: Cluster) -> None:
    leader = cluster.leader()
    assert leader is not None
    others = [address for address in cluster.addresses if address != leader.client]
    with visor.dial(others) as client, client.session(4.0) as session:
        client.set("/here", b"", lease=session)
        leader.pause()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:  # the others elect one, and the session goes on
            if session.state is LeaseState.CONNECTED and session._timer.kept > 2:
                break
            time.sleep(0.1)
        time.sleep(1.5)
        leader.resume()
        time.sleep(1.0)
        assert session.state is LeaseState.CONNECTED
        assert client.exists("/here")
