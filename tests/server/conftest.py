"""A node inside the process for tests that only talk, and the promise that it never logs an error."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.wire import Wire
from visord import embed


@pytest.fixture(scope="module")
def node() -> Iterator[embed.Embedded]:
    """One node for all tests of a module: they use paths of their own."""
    with embed.start() as running:
        yield running


@pytest.fixture
def wire(node: embed.Embedded) -> Iterator[Wire]:
    with Wire(node.address) as connection:
        yield connection


@pytest.fixture(autouse=True)
def _a_clean_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """An exception that reached the loop is a bug, even when the client saw nothing of it."""
    yield
    records = [record for phase in ("setup", "call") for record in caplog.get_records(phase)]
    assert not [record.getMessage() for record in records if record.levelno >= logging.ERROR]
