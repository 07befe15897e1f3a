"""The typed store: finding, kinds, turns of the loop. What it promises in both colours is in `tests.aio`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest

import visor
import visor.aio
import visor.aio.store
from tests.following.clients import dial_async
from tests.following.swarm import KINDS, Node, Role, Task, TaskState, create, store_at
from visor import errors
from visor.store import (
    InvalidFind,
    Kind,
    Record,
    Store,
    Transaction,
    UnknownKind,
    by,
)
from visor.testing import Server


def test_kinds_that_make_no_sense_are_refused(visor_client: visor.Client[bytes]) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Listed(Record):
        names: list[str]

    @dataclass(kw_only=True)
    class Loose:
        id: str

    for make in (
        lambda: Kind(Listed),
        lambda: Kind(Loose),  # type: ignore[type-var]
        lambda: Kind(Task, index=["nothing"]),
        lambda: Kind(Task, "a/b"),
        lambda: Store(visor_client, "/s", [Task, Task]),
        lambda: Store(visor_client, "/s", [KINDS[3]]),
        lambda: Store(visor_client, "no root", [Task]),
    ):
        with pytest.raises((TypeError, ValueError, errors.Rejected)):
            make()


class TestFinding:
    @pytest.fixture
    def store(self, visor_server: Server) -> Any:
        with store_at(visor_server.address) as store:
            store.update(
                create(
                    Task(id="t1", service="web", slot=1, networks=("a", "b"), annotations={"zone": "eu-1"}),
                    Task(id="t2", service="Web", slot=2, networks=("b",), annotations={"zone": "eu-2"}),
                    Task(id="u1", service="db", slot=1, state=TaskState.RUNNING, node="n1"),
                    Node(id="n1", name="Alpha", labels={"disk": "ssd"}),
                    Node(id="n2", name="alps", role=Role.MANAGER),
                )
            )
            yield store

    @pytest.mark.parametrize(
        ("selectors", "expected"),
        [
            ([], "t1 t2 u1"),
            ([by.all()], "t1 t2 u1"),
            ([by.id("t1")], "t1"),
            ([by.id_prefix("t")], "t1 t2"),
            ([by.id_prefix("")], "t1 t2 u1"),
            ([by.field("service", "WEB")], "t1 t2"),
            ([by.field("service", "web"), by.field("slot", 2)], "t2"),
            ([by.prefix("service", "W")], "t1 t2"),
            ([by.field("networks", "b")], "t1 t2"),
            ([by.field("state", TaskState.RUNNING)], "u1"),
            ([by.field("node", "n1")], "u1"),
            ([by.field("node", None)], "t1 t2"),
            ([by.above("slot", 1)], "t2"),
            ([by.below("slot", 2)], "t1 u1"),
            ([by.custom("zone", "eu-1")], "t1"),
            ([by.custom_prefix("zone", "eu")], "t1 t2"),
            ([by.custom_prefix("zon", "eu")], ""),
            ([by.indexed(KINDS[0], "late", True)], "u1"),
            ([by.either(by.id("u1"), by.field("service", "web"), by.id("t1"))], "t1 t2 u1"),
            ([by.either(by.id("u1"), by.id("t1")), by.field("slot", 1), by.custom("zone", "eu-1")], "t1"),
            ([by.either()], ""),
            ([by.id("none")], ""),
        ],
    )
    def test_selectors(self, store: Store, selectors: list[by.By], expected: str) -> None:
        assert " ".join(task.id for task in store.find(Task, *selectors)) == expected
        assert store.snapshot().count(Task, *selectors) == len(expected.split())

    def test_names_have_no_case(self, store: Store) -> None:
        assert [node.id for node in store.find(Node, by.name("ALPHA"))] == ["n1"]
        assert [node.id for node in store.find(Node, by.name_prefix("aLp"))] == ["n1", "n2"]
        assert [node.id for node in store.find(Node, by.field("labels", "disk"))] == ["n1"]

    def test_each_kind_admits_only_what_it_has_indexes_for(self, store: Store) -> None:
        for selector in (by.name("x"), by.field("role", Role.WORKER), by.either(by.id("t1"), by.name("x"))):
            with pytest.raises(InvalidFind, match="objects of kind task cannot be found by"):
                store.find(Task, selector)
        with pytest.raises(UnknownKind):
            store.find(Record)

    def test_a_snapshot_is_one_version_while_others_write(self, store: Store, visor_server: Server) -> None:
        reading = store.snapshot()
        before = reading.find(Task, by.field("service", "web"))
        with store_at(visor_server.address) as other:
            other.update(create(Task(id="t3", service="web")))
            other.update(lambda tx: tx.delete(Task, "t1"))
            store.wait_for(other.version)
        assert reading.find(Task, by.field("service", "web")) == before
        assert reading.find(Task, by.id_prefix("t")) == before
        assert [task.id for task in store.find(Task, by.field("service", "web"))] == ["t2", "t3"]
        assert reading.version == 1
        held = store.snapshot()
        store.update(lambda tx: tx.delete(Task, "t2"))
        assert (held.get(Task, "t2") is None, store.get(Task, "t2")) == (False, None)


def test_large_work_lets_others_of_the_loop_have_their_turn(
    visor_server: Server, run: Callable[[Coroutine[Any, Any, Any]], Any]
) -> None:
    """Counted in objects between two turns, not in time: of a large commit, and of the first state."""
    since_turn = 0
    most = 0

    class Counted(Kind[Node]):
        def decode(self, id: str, version: Any) -> Node:
            nonlocal since_turn
            since_turn += 1
            return super().decode(id, version)

    async def others() -> None:
        nonlocal since_turn, most
        while True:
            most, since_turn = max(most, since_turn), 0
            await asyncio.sleep(0)

    async def main() -> list[int]:
        nonlocal most
        counts = []
        async with dial_async(visor_server.address) as client:
            other = asyncio.create_task(others())
            async with visor.aio.store.Store(client, "/many", [Counted(Node, unique=["name"])]) as store:
                await store.update(create(*(Node(id=f"n{n}", name=f"n{n}") for n in range(2000))))
                assert len(store.find(Node)) == 2000
            counts.append(most)
            most = 0
            async with visor.aio.store.Store(client, "/many", [Counted(Node, unique=["name"])]) as again:
                assert len(again.find(Node)) == 2000
            await asyncio.sleep(0)
            counts.append(most)
            other.cancel()
        return counts

    assert all(0 < count <= 250 for count in run(main()))


def test_the_same_under_asyncio(visor_server: Server, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
    async def main() -> None:
        async with (
            dial_async(visor_server.address) as client,
            visor.aio.store.Store(client, "/s", KINDS) as store,
        ):

            async def body(tx: Transaction) -> int:
                await client.ping()
                tx.create(Task(id="t1", service="web"))
                return 7

            assert await store.update(body) == 7
            assert await store.update(lambda tx: tx.count(Task)) == 1
            assert store.snapshot().version == 1
            reading, events = store.snapshot_and_watch()
            assert reading.count(Task) == 1
            async with events:
                await store.update(lambda tx: tx.delete(Task, "t1"))
                async for transaction in events:
                    assert [event.object.id for event in transaction] == ["t1"]
                    break

            async def many(batch: visor.aio.store.Batcher) -> None:
                for number in range(300):
                    await batch.update(lambda tx, number=number: tx.create(Task(id=str(number))))

            await store.batch(many)
            assert len(store.find(Task)) == 300
            changes = [found async for found in store.changes_between(0, store.version)]
            assert [len(found) for found in changes] == [1, 1, 200, 100]
            async with await store.watch(resume_from=1) as replayed:
                assert len(await replayed.next()) == 1
            saved = store.save()
            await store.update(lambda tx: tx.delete(Task, "5"))
            await store.restore(saved)
            assert len(store.find(Task)) == 300

    run(main())
