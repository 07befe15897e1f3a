"""Every test on real sockets runs on both event loops that a node may have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from tests.patience import PATIENCE
from tests.peers.authority import Authority
from visord.peers import incoming, link, outgoing

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on a loop of its own; what the loop was told of as an error fails the test."""

    def go(work: Coroutine[Any, Any, None]) -> None:
        errors: list[dict[str, Any]] = []

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
            await work

        (uvloop.run if request.param == "uvloop" else asyncio.run)(main())
        assert not errors

    return go


@pytest.fixture(autouse=True)
def _patient_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have them wait for each other as long as it takes; a test of an end of their patience sets its own."""
    monkeypatch.setattr(incoming, "HANDSHAKE_SECONDS", PATIENCE)
    monkeypatch.setattr(link, "STUCK_SECONDS", PATIENCE)
    monkeypatch.setitem(outgoing.dial.__kwdefaults__, "seconds", PATIENCE)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority of the cluster's certificates."""
    return Authority(tmp_path_factory.mktemp("authority"), "ours")
