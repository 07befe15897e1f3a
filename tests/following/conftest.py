"""Real nodes, clients that lose no time, and the rule that no test leaves threads behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from _visor_pytest import visor_client, visor_server

from tests.client.conftest import no_threads_left
from tests.client.proxy import Proxy
from visor.testing import Server

__all__ = ["no_threads_left", "proxy", "run", "visor_client", "visor_server"]


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine on a loop of its own."""
    return asyncio.run


@pytest.fixture
def proxy(visor_server: Server) -> Iterator[Proxy]:
    """A proxy in front of a fresh node, that can be told to cut and to refuse."""
    with Proxy(visor_server.address) as between:
        yield between
