"""The pytest plug-in: `visor_server`, `visor_tls_server` and `visor_client`, fresh for each test that names them.

pytest imports it in every process of every environment in which the package is installed, whether a test asks for a
registry or not. So it is installed beside the package, as `_visor_pytest` (pyproject.toml: to import a module of a
package imports the package, and that all of the client): it loads nothing but what pytest has loaded already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from visor import Client
    from visor.testing import Server


@pytest.fixture
def visor_server() -> Iterator[Server]:
    """A fresh registry in this process: `visor_server.address`, `visor_server.dial()`."""
    from visor.testing import server  # only a test that asks pays for the import

    with server() as running:
        yield running


@pytest.fixture
def visor_tls_server() -> Iterator[Server]:
    """The same within TLS: `visor_tls_server.dial()`; `.tls_of("ci")` is what a client of the user ci needs."""
    from visor.testing import server

    with server(tls=True) as running:
        yield running


@pytest.fixture
def visor_client(visor_server: Server) -> Iterator[Client[bytes]]:
    """A blocking client of a fresh registry; values are bytes."""
    with visor_server.dial() as client:
        yield client
