"""Registries for the domain's tests.

VISOR_TEST_ADDR=host:port,host:port runs everything against that cluster instead of a node in this process; every test
has a root of its own. Whatever a test did, the checker must find nothing half there afterwards.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from _visor_pytest import visor_server

import visor
import visor.aio
import visor.registry
from tests.client.proxy import Proxy
from tests.patience import PATIENCE
from visor import testing
from visor.aio.registry import Registry as AsyncRegistry
from visor.registry import Registry

__all__ = ["Apart", "address", "apart", "client", "dial", "registry", "root", "visor_server", "web"]


class Apart(NamedTuple):
    """`proxy.miss_history(client)` lets history go on without `cut_off`."""

    proxy: Proxy
    cut_off: Registry
    client: visor.Client[bytes]


Dial = Callable[..., AsyncRegistry]


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the registry is: a cluster that was named, or a node in this process."""
    named = os.environ.get("VISOR_TEST_ADDR")
    if named:
        yield named
        return
    with testing.server() as server:
        yield server.address


@pytest.fixture
def root() -> str:
    """A root that nobody else has."""
    return f"/t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def client(address: str, root: str) -> Iterator[visor.Client[bytes]]:
    with visor.dial(address, root, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def registry(client: visor.Client[bytes]) -> Iterator[Registry]:
    """The domain, checked for debris when the test is over."""
    registry = Registry(client)
    yield registry
    assert registry.verify() == []


@pytest.fixture
def web(registry: Registry) -> Registry:
    """The domain with an app "web", a revision "v1" and a process type "worker"."""
    return with_web(registry)


def with_web(registry: Registry, app: str = "web") -> Registry:
    registered = registry.register_app(f"git://git/{app}.git", "trusty")
    registered.register_revision("v1", "http://archive/v1")
    registered.register_proc("worker", command="true")
    return registry


@pytest.fixture
def apart() -> Iterator[Apart]:
    """A registry of its own, and somebody who can be made to miss a part of its history."""
    with (
        testing.server() as server,
        Proxy(server.address) as proxy,
        visor.registry.connect(proxy.address) as cut_off,
        server.dial() as client,
    ):
        yield Apart(proxy, cut_off, client)


@pytest.fixture
def dial(address: str, root: str) -> Callable[[], visor.aio.Dialling[bytes]]:
    """Dial the same registry for asyncio."""
    return lambda: visor.aio.dial(address, root, timeout=PATIENCE)
