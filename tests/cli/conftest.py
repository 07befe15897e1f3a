"""Fixtures for the tests of the command line: nodes, and the command that talks to them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.cli_harness import Node, Visor, start_node, stop_node
from tests.patience import PATIENCE

_numbers = itertools.count(1)
ALL_THE_TIME = f"{PATIENCE:g}s"
"""For commands that say nothing of time."""


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """One node for all tests; each test has a root of its own."""
    started = start_node()
    yield started
    stop_node(started)


@pytest.fixture
def own_node() -> Iterator[Node]:
    """A node for one test, for what is about the whole registry or hurts it."""
    started = start_node()
    yield started
    stop_node(started)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Visor:
    """The command with an empty configuration and no address."""
    for name in [name for name in os.environ if name.startswith("VISOR_")]:
        monkeypatch.delenv(name)
    return Visor({"XDG_CONFIG_HOME": str(tmp_path / "config"), "COLUMNS": "120"}, monkeypatch)


@pytest.fixture
def visor(node: Node, bare: Visor) -> Visor:
    """The command against the common node, below a root of its own."""
    bare.environment |= {
        "VISOR_ADDR": node.address,
        "VISOR_ROOT": f"/t{next(_numbers)}",
        "VISOR_TIMEOUT": ALL_THE_TIME,
    }
    return bare


@pytest.fixture
def own_visor(own_node: Node, bare: Visor) -> Visor:
    """The command against a node of its own."""
    bare.environment |= {"VISOR_ADDR": own_node.address, "VISOR_TIMEOUT": ALL_THE_TIME}
    return bare
