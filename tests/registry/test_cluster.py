"""The storms, and the fleet of real processes, on a cluster of three whose leader is killed again and again meanwhile.

The tests are those of a single node, with the same assertions: counts exact, every ticket worked once, no debris.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cluster.processes import Cluster, Plan
from tests.registry.test_procman import fleet, seconds, test_two_managers_and_a_killed_one
from tests.registry.test_storm import (
    test_every_ticket_goes_to_exactly_one_claimer,
    test_relative_scalers_lose_nothing,
    test_scalers_and_claimers_together,
)

pytestmark = pytest.mark.soak

__all__ = [
    "fleet",
    "seconds",
    "test_every_ticket_goes_to_exactly_one_claimer",
    "test_relative_scalers_lose_nothing",
    "test_scalers_and_claimers_together",
    "test_two_managers_and_a_killed_one",
]

FIRST, EVERY, MOST = 0.3, 4.0, 3
"""Seconds until the first kill, seconds between kills, kills a test."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, disturber: ThreadPoolExecutor) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster"), Plan(nodes=3, network="plain")) as cluster:
        cluster.start()
        yield cluster
        assert cluster.faults() == []


@pytest.fixture(scope="module")
def disturber() -> Iterator[ThreadPoolExecutor]:
    """One thread for the whole module: the members that it starts are killed by the kernel when it ends."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture(scope="module")
def address(cluster: Cluster) -> str:
    return ",".join(cluster.addresses)


@pytest.fixture
def ttl() -> float:
    """Longer than an election on a busy machine takes."""
    return 6.0


@pytest.fixture
def lost_within(ttl: float) -> float:
    """Every new leader gives every lease its full time again."""
    return (1 + MOST) * ttl + 20


@pytest.fixture(autouse=True)
def killed_leaders(cluster: Cluster, disturber: ThreadPoolExecutor) -> Iterator[None]:
    """Kill the leader soon after the test has begun and from time to time; start it again each time."""
    over = threading.Event()
    killed: list[str] = []

    def disturb() -> None:
        pause = FIRST
        while len(killed) < MOST and not over.wait(pause):
            leader = cluster.leader()
            if leader is None:
                pause = 0.1
                continue
            leader.kill()
            leader.wait()
            killed.append(leader.name)
            over.wait(1)
            leader.launch()
            leader.await_ready()
            pause = EVERY

    disturbance = disturber.submit(disturb)
    yield
    over.set()
    disturbance.result()
    cluster.await_voters(3)
    assert killed, "the test was over before its leader was"
