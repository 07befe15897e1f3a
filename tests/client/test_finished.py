"""A transaction that is over takes nothing more: what would come to it now would be lost without a word."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import visor
import visor.aio
from visor import errors, store
from visor.testing import Server

USES: dict[str, Callable[[Any], object]] = {
    "get": lambda tx: tx.get("/a"),
    "get_value": lambda tx: tx.get_value("/a", None),
    "exists": lambda tx: tx.exists("/a"),
    "ls": lambda tx: tx.ls("/"),
    "names": lambda tx: tx.names("/"),
    "scan": lambda tx: tx.scan("/**"),
    "set": lambda tx: tx.set("/late", b"x"),
    "create": lambda tx: tx.create("/late", b"x"),
    "replace": lambda tx: tx.replace("/a", b"x"),
    "delete": lambda tx: tx.delete("/a"),
}


def test_all_that_a_transaction_can_do_is_tried() -> None:
    public = {name for name in dir(visor.Transaction) if not name.startswith("_")}
    assert public - set(USES) == {"rev", "committed", "commit"}


@pytest.mark.parametrize("use", USES)
class TestTheClients:
    def test_after_its_block(self, visor_client: visor.Client[bytes], use: str) -> None:
        visor_client.set("/a", b"1")
        with visor_client.transaction() as tx:
            tx.set("/b", b"2")
        with pytest.raises(RuntimeError, match=r"was committed at rev 2: nothing more can be done"):
            USES[use](tx)
        assert tx.commit() == tx.committed == visor_client.rev() == 2

    def test_after_its_commit_in_the_block(self, visor_client: visor.Client[bytes], use: str) -> None:
        visor_client.set("/a", b"1")
        with visor_client.transaction() as tx:
            tx.set("/b", b"2")
            tx.commit()
            with pytest.raises(RuntimeError, match="was committed at rev 2"):
                USES[use](tx)
        assert visor_client.rev() == 2

    def test_after_an_error_in_the_block(self, visor_client: visor.Client[bytes], use: str) -> None:
        visor_client.set("/a", b"1")
        with pytest.raises(KeyError), visor_client.transaction() as tx:
            tx.set("/b", b"2")
            raise KeyError
        with pytest.raises(RuntimeError, match="was left with an error"):
            USES[use](tx)
        with pytest.raises(RuntimeError, match="was left with an error"):
            tx.commit()
        assert visor_client.rev() == 1


def test_a_conflict_that_the_body_swallows_is_never_committed_at_the_end_of_the_block(
    visor_client: visor.Client[bytes],
) -> None:
    visor_client.set("/n", b"1")
    with visor_client.transaction() as tx:
        read = tx.get("/n").value
        visor_client.set("/n", b"2")
        tx.set("/n", read + b"!")
        with pytest.raises(errors.Conflict):
            tx.commit()
    assert visor_client.get("/n").value == b"2"
    assert isinstance(tx.conflict, errors.Conflict)


def test_a_conflict_that_the_body_swallows_is_another_attempt_of_attempts(
    visor_client: visor.Client[bytes],
) -> None:
    visor_client.set("/n", b"1")
    attempts = 0
    for tx in visor_client.attempts():
        attempts += 1
        with tx:
            read = tx.get("/n").value
            if attempts == 1:
                visor_client.set("/n", b"2")
            tx.set("/n", read + b"!")
            with contextlib.suppress(errors.Conflict):
                tx.commit()
    assert (attempts, visor_client.get("/n").value) == (2, b"2!")


def test_a_write_by_another_task_while_it_commits_is_refused(visor_server: Server) -> None:
    async def scenario() -> None:
        async with visor.aio.dial(visor_server.address) as client:
            tx = client.transaction()
            await tx.set("/a", b"1")
            commit = asyncio.create_task(tx.commit())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="nothing more can be done in it"):
                await tx.set("/b", b"2")
            assert await commit == 1

    asyncio.run(scenario())


@dataclass(frozen=True, kw_only=True)
class Task(store.Record):
    name: str = ""


STORE_USES: dict[str, Callable[[Any], object]] = {
    "get": lambda tx: tx.get(Task, "t1"),
    "find": lambda tx: tx.find(Task),
    "create": lambda tx: tx.create(Task(id="late")),
    "update": lambda tx: tx.update(tx.get(Task, "t1")),
    "delete": lambda tx: tx.delete(Task, "t1"),
}


@pytest.mark.parametrize("use", STORE_USES)
def test_the_stores_transaction_ends_with_its_body(visor_client: visor.Client[bytes], use: str) -> None:
    kept: list[Any] = []
    with store.Store(visor_client, "/store", [Task]) as tasks:
        tasks.update(lambda tx: (kept.append(tx), tx.create(Task(id="t1"))))
        tasks.batch(lambda batch: batch.update(lambda tx: (kept.append(tx), tx.create(Task(id="t2")))))
        with pytest.raises(KeyError):
            tasks.update(lambda tx: (kept.append(tx), {}["x"]))
        before = visor_client.rev()
        for tx in kept:
            with pytest.raises(RuntimeError, match="this transaction has ended with the body"):
                STORE_USES[use](tx)
        assert visor_client.rev() == before
        assert [task.id for task in tasks.find(Task)] == ["t1", "t2"]
