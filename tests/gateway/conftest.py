"""One registry and one gateway for all tests of a module: each keeps to a directory of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import visor
from tests.gateway.running import Caller, Running, gateway
from visor.auth import Grant
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


def closed_to(client: visor.Client[bytes], grants: list[Grant], ttl: float | None = None) -> tuple[str, str]:
    """Let nobody in without a token; return one of who may do everything, and one of ada, who has these grants."""
    client.auth.set_user("boss", ["root"])
    root = client.auth.add_token("boss")
    client.auth.set_role("mine", grants)
    client.auth.set_user("ada", ["mine"])
    ada = client.auth.add_token("ada", ttl=ttl)
    client.auth.set_user("anonymous", [])
    return root, ada
