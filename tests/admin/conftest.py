"""Clusters for the tests of what operators do."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.admin.members import Members

MEMORY = "/dev/shm"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: these tests are not about disks."""
    with tempfile.TemporaryDirectory(
        prefix="visor-admin-", dir=MEMORY if Path(MEMORY).is_dir() else None
    ) as name:
        yield Path(name)


@pytest.fixture
def members(folder: Path) -> Iterator[Members]:
    with Members(folder) as running:
        yield running


@pytest.fixture
def three(members: Members) -> Members:
    """A cluster of n1, n2 and n3, all of which vote."""
    members.start("n1", "n2", "n3")
    return members


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in os.environ if name.startswith(("VISOR_", "VISORD_")) and name != "VISOR_TIMEOUT"
    ]:
        monkeypatch.delenv(name)
