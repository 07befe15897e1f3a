"""One full disk of three does not keep the cluster from taking writes, wherever it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import visor
from tests.cluster.processes import Cluster, Member, Plan
from tests.patience import PATIENCE
from tests.small_disk import can_mount
from visor.errors import NoSpace

pytestmark = pytest.mark.soak

SIZE = 128 << 20


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    reason = can_mount(tmp_path)
    if reason:
        pytest.skip(f"a file system cannot be mounted here: {reason}")
    with Cluster(tmp_path, Plan(network="plain", disk_bytes=SIZE)) as made:
        made.start()
        yield made


def fill(member: Member, client: visor.Client[bytes]) -> None:
    """Fill a disk and write until that is noticed: what was prepared before is used up."""
    assert member.disk is not None
    member.disk.fill(0)
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        write(client, 50_000)
        with member.wire() as wire:
            if wire.status()["alarms"]:
                return
    pytest.fail(f"{member.name} never noticed that its disk is full")


def hand_on(cluster: Cluster, leader: Member, client: visor.Client[bytes]) -> None:
    """Keep the leader's disk full until another leads.

    A full disk has a checkpoint made at once. When the log segments that this gives back are enough, the leader
    goes on leading, and rightly so: then its disk is filled anew.
    """
    deadline = time.monotonic() + PATIENCE
    while cluster.leader() in (leader, None):
        assert time.monotonic() < deadline, f"{leader.name} leads although its disk is full"
        fill(leader, client)


def write(client: visor.Client[bytes], size: int = 10) -> bool:
    try:
        client.set("/a", bytes(size))
    except NoSpace:
        return False
    return True


def test_writes_go_on_while_one_disk_is_full(cluster: Cluster) -> None:
    leader = cluster.leader()
    assert leader is not None
    with visor.dial(cluster.addresses, timeout=PATIENCE) as client:
        fill(leader, client)
        began = time.monotonic()
        done = 0
        while done < 50 and time.monotonic() - began < PATIENCE:
            done += write(client)
        assert done == 50, f"{done} writes within {PATIENCE:g} s, the leader is {cluster.leader()}"
        hand_on(cluster, leader, client)
        assert leader.disk is not None
        leader.disk.empty()
        cluster.await_voters(3)
        with visor.dial([leader.client], timeout=PATIENCE) as there:
            deadline = time.monotonic() + PATIENCE
            while not write(there):
                assert time.monotonic() < deadline, "the member whose disk was full takes no writes"
                time.sleep(0.1)
    assert cluster.faults() == []
