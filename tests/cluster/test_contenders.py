"""Locks under robbery: with fencing nothing is lost; without it, holding a lock protects nothing, and that is seen."""

from __future__ import annotations

import asyncio
import random

import pytest

import visor.testing
from tests.checkers import locks
from tests.checkers.history import Violation
from tests.cluster.contenders import Contender
from tests.cluster.journal import Journal
from tests.cluster.verdict import judge, read_history
from tests.peers.world import until
from tests.wire import Wire

pytestmark = pytest.mark.soak


def contend(seed: int, *, fenced: bool) -> Journal:
    """Let four contend for two locks of one server until ten holders were robbed; return what was seen."""
    journal, rng = Journal(), random.Random(seed)

    async def contend(address: str) -> None:
        contenders = [
            Contender(journal, number, random.Random(rng.random()), fenced=fenced) for number in range(4)
        ]
        tasks = [asyncio.create_task(one.run([address])) for one in contenders]
        await until(lambda: journal.locks["robbed"] >= 10, seconds=60)
        for one in contenders:
            one.stopping = True
        await asyncio.gather(*tasks)

    with visor.testing.server() as server:
        asyncio.run(contend(server.address))
        with Wire(server.address) as wire:
            read_history(wire, "server", wire.rev(), journal.history)
    return journal


def test_locks_with_fencing_lose_nothing() -> None:
    journal = contend(1, fenced=True)
    assert journal.locks["robbed"] >= 10
    assert journal.locks["acquired"] > 50
    assert judge(journal) == []


def test_holding_a_lock_alone_protects_nothing() -> None:
    journal = contend(1, fenced=False)
    with pytest.raises(Violation, match="fence"):
        locks.check(journal.history)
