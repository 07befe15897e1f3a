"""One registry and one gateway for all tests of a module: each keeps to a directory of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import visor
from tests.gateway.running import Caller, Running, gateway
from visor.testing import Server, server


@pytest.fixture(scope="module")
def registry() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.fixture(scope="module")
def running(registry: Server) -> Iterator[Running]:
    with gateway(registry.address) as one:
        yield one


@pytest.fixture
def http(running: Running) -> Iterator[Caller]:
    with Caller(running.url) as caller:
        yield caller


@pytest.fixture
def client(registry: Server) -> Iterator[visor.Client[bytes]]:
    with registry.dial() as one:
        yield one
