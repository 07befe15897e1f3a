"""Servers for the client's tests, and the rule that no test leaves threads or sockets behind."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from _visor_pytest import visor_client, visor_server

import visor
from tests.client.fake_server import FakeServer
from tests.lease_time import LeaseTime
from tests.patience import LONG_TTL, PATIENCE
from visor.testing import Server

__all__ = [
    "client",
    "fake",
    "lease_time",
    "no_threads_left",
    "run",
    "session",
    "visor_client",
    "visor_server",
]


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def client(visor_client: visor.Client[bytes]) -> visor.Client[bytes]:
    return visor_client


@pytest.fixture
def session(client: visor.Client[bytes]) -> Iterator[visor.Session]:
    with client.session(LONG_TTL) as session:
        yield session


@pytest.fixture
def lease_time(visor_server: Server) -> Iterator[LeaseTime]:
    """The time of the node's leases, and of clients that measure with it: it goes on when a test turns it."""
    with LeaseTime(visor_server) as time:
        yield time


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine on a loop that complains about what it leaves behind."""

    def runner(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(coroutine)

    return runner


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Fail a test whose client leaves a thread of its own behind."""
    yield
    deadline = time.monotonic() + PATIENCE
    while (left := _client_threads()) and time.monotonic() < deadline:
        time.sleep(0.01)  # a name lookup that was given up ends by itself
    gc.collect()
    assert not left


def _client_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("visor ")]
