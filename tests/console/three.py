"""Three members and a gateway before them, for tests of the console on a cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.admin.members import Members
from tests.gateway.running import Running, gateway

NAMES = ("n1", "n2", "n3")
MEMORY = "/dev/shm"


@pytest.fixture(scope="module")
def members() -> Iterator[Members]:
    with (
        tempfile.TemporaryDirectory(dir=MEMORY if Path(MEMORY).is_dir() else None) as folder,
        Members(Path(folder)) as running,
    ):
        running.start(*NAMES)
        yield running


@pytest.fixture(scope="module")
def running(members: Members) -> Iterator[Running]:
    with gateway(",".join(members.address(name) for name in NAMES)) as one:
        yield one
