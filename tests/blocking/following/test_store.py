# Generated from tests/aio/following/test_store.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""The typed store: what SwarmKit's promised, and what it did not keep."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from tests.blocking.following.stores import store_and_client, store_at
from tests.blocking.tools import Event, dial, together
from tests.client.proxy import Proxy
from tests.following.swarm import KINDS, Node, Role, Task, TaskState, create
from tests.patience import LONG_TTL, PATIENCE
from visor import codecs, errors
from visor.following import Follower, Following, WatcherClosed
from visor.store import (
    BadArchive,
    BadField,
    Batcher,
    Extension,
    Immutable,
    InUse,
    InvalidFind,
    Kind,
    NameConflict,
    NoKind,
    ObjectDamaged,
    ObjectExists,
    ObjectMissing,
    Record,
    Regressed,
    Resource,
    SequenceConflict,
    Store,
    Transaction,
    UnknownKind,
    by,
    on,
)
from visor.testing import Server


class TestTransactions:
    def test_what_is_written_is_read_back_with_its_meta(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:
            before = datetime.now(UTC)
            store.update(create(Task(id="t1", service="web", networks=("a", "b"), annotations={"zone": "x"})))
            task = store.get(Task, "t1")
            assert task == Task(id="t1", service="web", networks=("a", "b"), annotations={"zone": "x"})
            assert task.meta.version == store.version == 1
            assert abs((task.meta.created_at - before).total_seconds()) < PATIENCE
            store.update(lambda tx: tx.update(replace(task, state=TaskState.RUNNING)))
            newer = store.get(Task, "t1")
            assert newer is not None
            assert (newer.state, newer.meta.version, newer.meta.created_at) == (
                TaskState.RUNNING,
                2,
                task.meta.created_at,
            )
            assert newer.meta.updated_at >= task.meta.updated_at
            assert task.state is TaskState.NEW  # what was read before stays what it was
            store.update(lambda tx: tx.delete(Task, "t1"))
            assert store.get(Task, "t1") is None

    def test_stores_share_their_objects(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as one, store_at(visor_server.address) as other:
            one.update(create(Node(id="n1", name="One", labels={"disk": "ssd"}, role=Role.MANAGER)))
            other.wait_for(one.version)
            assert other.get(Node, "n1") == Node(
                id="n1", name="One", labels={"disk": "ssd"}, role=Role.MANAGER
            )

    def test_an_error_leaves_no_trace_and_takes_no_version(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:

            def body(tx: Transaction) -> None:
                tx.create(Task(id="t1"))
                assert tx.get(Task, "t1") is not None
                raise ValueError("mine")

            with pytest.raises(ValueError, match="mine"):
                store.update(body)
            assert (store.refresh(), store.get(Task, "t1")) == (0, None)

    def test_it_reads_its_own_writes(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:
            store.update(create(Task(id="t1", service="a"), Task(id="t2", service="a")))

            def body(tx: Transaction) -> list[str]:
                task = tx.get(Task, "t1")
                assert task is not None
                tx.update(replace(task, service="b"))
                tx.delete(Task, "t2")
                tx.create(Task(id="t3", service="a"))
                tx.update(replace(tx.find(Task, by.field("service", "b"))[0], slot=7))
                assert [task.id for task in tx.find(Task)] == ["t1", "t3"]
                assert tx.count(Task, by.id_prefix("t")) == 2
                return [task.id for task in tx.find(Task, by.field("service", "a"))]

            assert store.update(body) == ["t3"]
            assert [(task.id, task.service, task.slot) for task in store.find(Task)] == [
                ("t1", "b", 7),
                ("t3", "a", 0),
            ]

    def test_refusals_name_what_is_wrong(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:
            store.update(create(Task(id="t1", state=TaskState.RUNNING), Node(id="n1", name="Web")))
            task = store.get(Task, "t1")
            assert task is not None
            for refusal, body in (
                (ObjectExists, create(Task(id="t1"))),
                (ObjectMissing, lambda tx: tx.update(Task(id="t9"))),
                (ObjectMissing, lambda tx: tx.delete(Task, "t9")),
                (NameConflict, create(Node(id="n2", name="wEB"))),
                (Regressed, lambda tx: tx.update(replace(task, state=TaskState.PENDING))),
                (ValueError, create(Task(id="a/b"))),
                (ValueError, create(Task(id=""))),
                (ValueError, create(Task(id=".."))),
                (TypeError, create(Task(id="t2", slot="no number"))),  # type: ignore[arg-type]
                (TypeError, create(Task(id="t2", networks=["a"]))),  # type: ignore[arg-type]
                (UnknownKind, create(Record(id="r"))),
            ):
                with pytest.raises(refusal):
                    store.update(body)
            assert store.refresh() == 1
            with pytest.raises(NameConflict, match="node n2: name 'wEB' belongs to n1 already"):
                store.update(create(Node(id="n2", name="wEB")))

    def test_an_object_that_was_changed_since_it_was_read_is_not_overwritten(
        self, visor_server: Server
    ) -> None:
        with store_at(visor_server.address) as store:
            store.update(create(Task(id="t1")))
            old = store.get(Task, "t1")
            assert old is not None
            store.update(lambda tx: tx.update(replace(old, slot=1)))
            with pytest.raises(SequenceConflict, match="task t1: read at version 1, now at version 2"):
                store.update(lambda tx: tx.update(replace(old, slot=2)))

    def test_a_note_is_kept_and_a_reading_transaction_commits_nothing(self, visor_server: Server) -> None:
        with store_and_client(visor_server.address) as (store, client):
            store.update(create(Task(id="t1")), note="because")
            assert store.update(lambda tx: tx.count(Task)) == 1
            assert [commit.note for commit in client.history()] == ["because"]


class TestConcurrency:
    def test_counting_in_many_stores_loses_nothing(self, visor_server: Server) -> None:
        """Each transaction is run again until nobody came between."""
        with store_at(visor_server.address) as first:
            first.update(create(Task(id="counter")))

            def count() -> None:
                with store_at(visor_server.address) as store:
                    for _ in range(20):
                        store.update(_increment, timeout=PATIENCE)

            together(*[count] * 4)
            first.refresh()
            counter = first.get(Task, "counter")
            assert counter is not None
            assert counter.slot == 80

    def test_a_rule_over_what_is_found_holds(self, visor_server: Server) -> None:
        """At most five tasks of a service: what was searched is guarded, also against what is not there yet."""
        refused = []

        def place(number: int) -> None:
            def body(tx: Transaction) -> None:
                if tx.count(Task, by.field("service", "web")) >= 5:
                    raise ValueError("full")
                tx.create(Task(id=f"t{number}", service="web"))

            with store_at(visor_server.address) as store:
                try:
                    store.update(body, timeout=PATIENCE)
                except ValueError:
                    refused.append(number)

        together(*(partial(place, number) for number in range(8)))
        assert len(refused) == 3

    def test_a_name_has_one_holder_however_many_want_it(self, visor_server: Server) -> None:
        conflicts = []

        def want(number: int) -> None:
            with store_at(visor_server.address) as store:
                try:
                    store.update(create(Node(id=f"n{number}", name="Same")), timeout=PATIENCE)
                except NameConflict as conflict:
                    conflicts.append(conflict.holder)

        together(*(partial(want, number) for number in range(4)))
        with store_at(visor_server.address) as store:
            (holder,) = store.find(Node, by.name("SAME"))
            assert conflicts == [holder.id] * 3

    def test_a_body_that_finds_another_state_is_run_again_with_it(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store, store_at(visor_server.address) as other:
            store.update(create(Task(id="t1")))
            seen = []

            def body(tx: Transaction) -> None:
                task = tx.get(Task, "t1")
                assert task is not None
                seen.append(task.slot)
                if len(seen) == 1:
                    other.wait_for(1)
                    other.update(_increment_of("t1"))
                tx.update(replace(task, slot=task.slot + 10))

            store.update(body)
            assert seen == [0, 1]
            assert store.find(Task)[0].slot == 11

    def test_endless_conflict_ends_at_the_deadline(self, visor_server: Server) -> None:
        attempts, late = [], 0.0

        def pass_time(verb: str, path: str | None, seconds: float, error: BaseException | None) -> None:
            """The third attempt takes a day, and its answer is here."""
            nonlocal late
            late += 86_400 if verb == "txn" and len(attempts) == 3 else 0

        with (
            dial(visor_server.address, on_request=pass_time, clock=lambda: time.monotonic() + late) as client,
            Store(client, "/swarm", KINDS) as store,
            store_at(visor_server.address) as other,
        ):
            store.update(create(Task(id="t1")))

            def body(tx: Transaction) -> None:
                attempts.append(1)
                task = tx.get(Task, "t1")
                assert task is not None
                other.refresh()
                other.update(_increment_of("t1"))
                tx.update(replace(task, slot=99))

            with pytest.raises(errors.Conflict, match="others kept changing"):
                store.update(body, timeout=PATIENCE)
            assert len(attempts) == 3
            other.refresh()
            assert other.find(Task)[0].slot != 99

    def test_writers_of_different_objects_never_meet(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store, store_at(visor_server.address) as other:
            runs = []

            def body(tx: Transaction) -> None:
                runs.append(1)
                other.update(create(Task(id=f"other{len(runs)}")))
                tx.create(Task(id="mine"))

            store.update(body)
            assert len(runs) == 1


def _increment(tx: Transaction) -> None:
    _increment_of("counter")(tx)


def _increment_of(id: str) -> Callable[[Transaction], None]:
    def body(tx: Transaction) -> None:
        task = tx.get(Task, id)
        assert task is not None
        tx.update(replace(task, slot=task.slot + 1))

    return body


class TestRules:
    def test_names_move_with_their_objects(self, visor_server: Server) -> None:
        with store_and_client(visor_server.address) as (store, client):
            store.update(create(Node(id="n1", name="A b/ç"), Node(id="n2", name="y" * 300)))

            def swap(tx: Transaction) -> None:
                one, two = tx.get(Node, "n1"), tx.get(Node, "n2")
                assert one is not None and two is not None
                tx.delete(Node, "n2")
                tx.update(replace(one, name=two.name))
                tx.create(replace(two, id="n3", name=one.name))

            store.update(swap)
            assert {node.id: node.name[:3] for node in store.find(Node)} == {"n1": "yyy", "n3": "A b"}
            claims = {file.value for file in client.scan("/swarm/unique/**")}
            assert claims == {"n1", "n3"}
            store.update(create(Node(id="n2", name="free")))
            store.update(lambda tx: [tx.delete(Node, id) for id in ("n1", "n2", "n3")])
            assert client.count("/swarm/**") == 0

    def test_a_claim_without_an_object_is_taken_over(self, visor_server: Server) -> None:
        """Somebody deleted an object behind the store's back: its name must not be lost for ever."""
        with store_and_client(visor_server.address) as (store, client):
            store.update(create(Node(id="n1", name="web")))
            client.delete("/swarm/objects/node/n1")
            store.refresh()
            store.update(create(Node(id="n2", name="Web")))
            assert (client.get("/swarm/unique/node/name/web")).value == "n2"
            client.delete("/swarm/unique/node/name/web")
            store.update(lambda tx: tx.delete(Node, "n2"))
            assert client.count("/swarm/**") == 0

    def test_extensions_and_their_resources(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:
            with pytest.raises(NoKind, match="resource r1: its kind 'volume' names no extension"):
                store.update(create(Resource(id="r1", name="r", kind="volume")))
            store.update(create(Extension(id="e1", name="Volume")))
            store.update(create(Resource(id="r1", name="r", kind="volume", payload=b"\x00")))
            with pytest.raises(Immutable):
                store.update(lambda tx: tx.update(replace(store.find(Extension)[0], description="x")))
            with pytest.raises(InUse, match="extension e1 is in use by resource r1"):
                store.update(lambda tx: tx.delete(Extension, "e1"))
            assert [r.id for r in store.find(Resource, by.field("kind", "VOLUME"))] == ["r1"]
            store.update(lambda tx: [tx.delete(Resource, "r1"), tx.delete(Extension, "e1")])

    @pytest.mark.parametrize("resource_first", [False, True])
    def test_an_extension_never_goes_while_a_resource_comes(
        self, visor_server: Server, resource_first: bool
    ) -> None:
        with store_at(visor_server.address) as store, store_at(visor_server.address) as other:
            store.update(create(Extension(id="e1", name="volume")))
            other.refresh()
            runs = []
            first = create(Resource(id="r1", name="r", kind="volume"))

            def last(tx: Transaction) -> None:
                tx.delete(Extension, "e1")

            bodies = (last, first) if resource_first else (first, last)

            def body(tx: Transaction) -> None:
                bodies[0](tx)
                if not runs:
                    runs.append(1)
                    other.update(bodies[1])

            with pytest.raises(InUse if resource_first else NoKind):
                store.update(body)


class TestBatches:
    def test_updates_share_transactions_of_bounded_size(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:

            def body(batch: Batcher) -> list[int]:
                for number in range(500):
                    batch.update(create(Task(id=f"t{number:03}")))
                return batch.versions

            assert store.batch(body) == [1, 2, 3]
            assert len(store.find(Task)) == 500

    def test_bytes_bound_them_too(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:
            store.update(create(Extension(id="e", name="e")))

            def body(batch: Batcher) -> list[int]:
                for number in range(7):
                    batch.update(
                        create(Resource(id=str(number), name=str(number), kind="e", payload=bytes(900_000)))
                    )
                return batch.versions

            assert len(store.batch(body)) == 3

    def test_one_large_update_is_not_cut(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:

            def body(batch: Batcher) -> list[int]:
                batch.update(create(Task(id="first")))
                batch.update(create(*(Task(id=f"t{number}") for number in range(1500))))
                batch.update(create(Task(id="last")))
                return batch.versions

            assert store.batch(body) == [1, 2, 3]
            assert len(store.find(Task)) == 1502

    def test_a_failing_update_leaves_nothing_and_the_batch_goes_on(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:

            def body(batch: Batcher) -> None:
                batch.update(create(Task(id="t1")))
                with pytest.raises(ObjectExists):
                    batch.update(create(Task(id="t2"), Task(id="t1")))
                batch.update(lambda tx: tx.update(replace(tx.find(Task)[0], slot=3)))

            store.batch(body)
            assert [(task.id, task.slot) for task in store.find(Task)] == [("t1", 3)]
            assert store.version == 1

    def test_an_error_says_how_much_was_stored(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:

            def body(batch: Batcher) -> None:
                for number in range(250):
                    batch.update(create(Task(id=f"t{number}")))
                raise ValueError("mine")

            with pytest.raises(ValueError, match="mine") as caught:
                store.batch(body)
            assert caught.value.__notes__ == [
                "1 transactions of the batch were committed, the last as version 1"
            ]
            store.refresh()
            assert len(store.find(Task)) == 200

    def test_a_conflict_runs_the_updates_of_the_open_transaction_again(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store, store_at(visor_server.address) as other:
            store.update(create(Task(id="t1")))
            other.refresh()

            def body(batch: Batcher) -> None:
                batch.update(_increment_of("t1"))
                other.update(_increment_of("t1"))
                batch.update(_increment_of("t1"))

            store.batch(body)
            assert store.find(Task)[0].slot == 3


class TestArchives:
    def test_restoring_is_a_diff_with_events_for_each_change(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:
            store.update(create(*(Task(id=f"t{n}", slot=n) for n in range(4)), Node(id="n1", name="One")))
            saved = store.save()
            kept = store.get(Task, "t0")
            store.update(lambda tx: tx.update(replace(tx.find(Task)[1], slot=9)))
            store.update(lambda tx: tx.delete(Task, "t2"))
            store.update(create(Task(id="t9"), Node(id="n2", name="Two")))
            with store.watch() as events:
                store.restore(saved)
                told = [(event.action.name, event.object.id) for event in events.next(timeout=PATIENCE)]
            assert sorted(told) == [("CREATE", "t2"), ("REMOVE", "n2"), ("REMOVE", "t9"), ("UPDATE", "t1")]
            assert [task.slot for task in store.find(Task)] == [0, 1, 2, 3]
            again = store.get(Task, "t0")
            assert kept is not None and again is not None
            assert again.meta.version == kept.meta.version == 1  # what is as it was is not touched
            assert store.save()[20:] == saved[20:]
            rev = store.version
            store.restore(saved)
            assert store.version == rev

    def test_another_registry_takes_it_with_its_times(self, visor_server: Server) -> None:
        moment = datetime(2020, 1, 1, tzinfo=UTC)
        with dial(visor_server.address) as client:
            with Store(client, "/old", KINDS, now=lambda: moment) as old:
                old.update(
                    create(*(Task(id=f"t{n}") for n in range(3000)), Node(id="n", name="N")), timeout=PATIENCE
                )
                saved = old.save()
            with Store(client, "/new", KINDS) as new:
                new.restore(saved, timeout=PATIENCE)
                assert len(new.find(Task)) == 3000
                assert new.find(Node, by.name("n"))[0].meta.created_at == moment
                with pytest.raises(NameConflict):
                    new.update(create(Node(id="m", name="n")))

    def test_names_that_moved_are_restored(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:
            store.update(create(Node(id="n1", name="x"), Node(id="n2", name="y")))
            saved = store.save()

            def swap(tx: Transaction) -> None:
                one, two = tx.find(Node)
                tx.update(replace(one, name="between"))
                tx.update(replace(two, name="x"))
                tx.update(replace(tx.find(Node)[0], name="y"))

            store.update(swap)
            store.restore(saved)
            assert [node.name for node in store.find(Node)] == ["x", "y"]
            with pytest.raises(NameConflict):
                store.update(create(Node(id="n3", name="X")))

    def test_what_is_no_archive_is_refused_before_anything_happens(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store, dial(visor_server.address) as client:
            store.update(create(Task(id="t1")))
            with pytest.raises(BadArchive):
                store.restore(b"nonsense")
            with Store(client, "/swarm", [Kind(Task, "other")]) as narrow:
                saved = store.save()
                with pytest.raises(UnknownKind):
                    narrow.restore(saved)
            with Store(client, "/else", [Kind(_Strict, "task")]) as strict:
                saved = store.save()
                with pytest.raises(BadArchive):
                    strict.restore(saved)
            assert len(store.find(Task)) == 1


@dataclass(frozen=True, kw_only=True)
class _Strict(Record):
    needed: str


class TestOddities:
    def test_what_cannot_be_decoded_is_left_out_and_named(self, visor_server: Server) -> None:
        with store_and_client(visor_server.address) as (store, client):
            store.update(create(Task(id="t1")))
            client.set("/swarm/objects/task/bad", "no msgpack")
            client.set("/swarm/objects/stranger/x", "of another program")
            client.set("/swarm/objects/task/deep/er", "x")
            store.refresh()
            assert [task.id for task in store.find(Task)] == ["t1"]
            assert list(store.damaged) == ["/swarm/objects/task/bad"]
            with pytest.raises(ObjectDamaged, match="task bad: /swarm/objects/task/bad cannot be read"):
                store.update(create(Task(id="bad")))
            with pytest.raises(ObjectDamaged):
                store.update(lambda tx: tx.update(Task(id="bad")))
            client.delete("/swarm/objects/task/bad")
            store.refresh()
            assert store.damaged == {}
            store.update(create(Task(id="bad")))

    def test_a_transaction_that_has_ended_takes_nothing_any_more(self, visor_server: Server) -> None:
        kept: list[Transaction] = []

        def fail(tx: Transaction) -> None:
            kept.append(tx)
            raise KeyError("mine")

        def in_batch(batch: Batcher) -> None:
            batch.update(kept.append)
            batch.update(create(Task(id="t1")))

        with store_at(visor_server.address) as store:
            store.update(kept.append)
            with pytest.raises(KeyError):
                store.update(fail)
            store.batch(in_batch)
            assert len(kept) == 3
            for tx in kept:
                for use in (
                    create(Task(id="late")),
                    lambda tx: tx.update(Task(id="late")),
                    lambda tx: tx.delete(Task, "late"),
                    lambda tx: tx.get(Task, "late"),
                    lambda tx: tx.find(Task),
                    lambda tx: tx.count(Task),
                ):
                    with pytest.raises(RuntimeError, match="begin another one"):
                        use(tx)
            assert [task.id for task in store.find(Task)] == ["t1"]

    def test_what_is_damaged_can_be_deleted_and_written_anew(self, visor_server: Server) -> None:
        with store_and_client(visor_server.address) as (store, client):
            for id in ("a", "b"):
                client.set(f"/swarm/objects/node/{id}", "no msgpack")
            store.refresh()
            store.update(lambda tx: tx.delete(Node, "a"))
            assert list(store.damaged) == ["/swarm/objects/node/b"]
            assert not client.exists("/swarm/objects/node/a")

            def anew(tx: Transaction) -> None:
                tx.delete(Node, "b")
                tx.create(Node(id="b", name="whole"))

            store.update(anew)
            assert store.damaged == {}
            assert [node.name for node in store.find(Node)] == ["whole"]
            with pytest.raises(ObjectMissing):
                store.update(lambda tx: tx.delete(Node, "a"))

    def test_restoring_replaces_what_is_damaged(self, visor_server: Server) -> None:
        with store_and_client(visor_server.address) as (store, client):
            store.update(create(Task(id="t1", slot=7), Task(id="t2")))
            saved = store.save()
            for id in ("t1", "stray"):
                client.set(f"/swarm/objects/task/{id}", "no msgpack")
            store.restore(saved)
            assert (store.damaged, [task.slot for task in store.find(Task)]) == ({}, [7, 0])

    def test_what_was_damaged_before_a_fresh_look_is_forgotten(
        self, visor_server: Server, proxy: Proxy
    ) -> None:
        """The deletion falls into history that this store never sees."""
        with (
            dial(proxy.address) as client,
            Store(client, "/swarm", KINDS) as store,
            dial(visor_server.address) as writer,
        ):
            writer.set("/swarm/objects/task/bad", "no msgpack")
            store.refresh()
            assert list(store.damaged) == ["/swarm/objects/task/bad"]
            proxy.flowing.clear()
            proxy.cut_all()
            writer.delete("/swarm/objects/task/bad")
            with visor_server.dial() as witness:
                proxy.miss_history(witness)
            store.refresh(timeout=PATIENCE)
            assert store.damaged == {}

    def test_one_damaged_object_is_told_by_its_watcher(self, visor_server: Server) -> None:
        with (
            store_and_client(visor_server.address) as (store, client),
            store.collection(Task).watch_one("bad") as watcher,
        ):
            client.set("/swarm/objects/task/bad", "no msgpack")
            assert watcher.next(timeout=PATIENCE)
            with pytest.raises(errors.DecodeError, match="/swarm/objects/task/bad"):
                _ = watcher.value

    def test_a_watch_goes_on_over_fields_that_are_none(self, visor_server: Server) -> None:
        """None is neither above nor below anything, and begins with nothing."""
        checks = (by.above("node", "a"), by.below("node", "z"), by.prefix("node", "no"))
        with (
            store_at(visor_server.address) as store,
            store.watch(*(on(Task, check) for check in checks)) as events,
        ):
            store.update(create(Task(id="t1", node=None)))
            store.update(create(Task(id="t2", node="node-1")))
            assert [event.object.id for event in events.next(timeout=PATIENCE)] == ["t2"]
            assert [task.id for task in store.find(Task, by.above("node", "a"))] == ["t2"]
            assert [task.id for task in store.find(Task, by.prefix("node", "no"))] == ["t2"]
            assert store.find(Task, by.above("slot", "a")) == []

    def test_a_watch_of_all_kinds_goes_on_over_those_without_the_field(self, visor_server: Server) -> None:
        checks = (
            by.field("service", "web"),
            by.above("slot", 0),
            by.prefix("service", "w"),
            by.field("node", None),
        )
        with (
            store_at(visor_server.address) as store,
            store.watch(*(on(None, check) for check in checks)) as events,
        ):
            store.update(create(Node(id="n1", name="n1"), Task(id="t0", service="db", node="n1")))
            store.update(create(Task(id="t1", service="web")))
            assert [event.object.id for event in events.next(timeout=PATIENCE)] == ["t1"]
            for kind in (Task, None):
                with pytest.raises(InvalidFind, match="have no field 'servise' to check"):
                    store.watch(on(kind, by.field("servise", "web")))

    def test_what_no_transaction_takes_is_refused_by_its_name(self, visor_server: Server) -> None:
        """Beside the fields: the id, the lease, the meta, and what deletes."""
        with store_at(visor_server.address) as store:
            store.update(create(Task(id="t1")))
            task = store.get(Task, "t1")
            assert task is not None
            for bad in (5, None, b"x", ["x"]):
                calls: dict[str, Callable[[Transaction], Any]] = {
                    "id": lambda tx, bad=bad: tx.create(Task(id=bad)),  # type: ignore[misc]
                    "id ": lambda tx, bad=bad: tx.delete(Task, bad),  # type: ignore[misc]
                    "id  ": lambda tx, bad=bad: tx.update(replace(task, id=bad)),  # type: ignore[misc]
                    "meta": lambda tx, bad=bad: tx.update(replace(task, meta=bad)),  # type: ignore[misc]
                }
                for name, call in calls.items():
                    with pytest.raises(BadField, match=f"task .*: {name.strip()} must be "):
                        store.update(call)
            for lease in ("7", 1.5, True, -1, 1 << 70, b"7"):
                with pytest.raises(BadField, match="task t2: lease must be "):
                    store.update(lambda tx, lease=lease: tx.create(Task(id="t2"), lease=lease))  # type: ignore[misc]
            with pytest.raises(TypeError, match="annotations must be a Mapping"):
                Task(id="t2", annotations=5)  # type: ignore[arg-type]
            assert store.refresh() == 1

    def test_an_update_that_no_transaction_can_hold_is_refused_before_it_is_sent(
        self, visor_server: Server
    ) -> None:
        with store_at(visor_server.address) as store:
            with pytest.raises(errors.TooLarge, match="use batch") as refused:
                store.update(create(*(Node(id=f"n{n}", name=f"n{n}") for n in range(2100))))
            assert (refused.value.limit, refused.value.actual) == (4096, 4200)
            assert store.refresh() == 0

            def body(batch: Batcher) -> None:
                for number in range(450):
                    batch.update(create(Node(id=f"n{number}", name=f"n{number}")))

            store.batch(body)
            assert len(store.find(Node)) == 450

    def test_an_object_goes_with_its_lease_and_its_name_is_free(self, visor_server: Server) -> None:
        with store_and_client(visor_server.address) as (store, client):
            with client.lease(LONG_TTL) as lease:
                store.update(lambda tx: tx.create(Node(id="n1", name="here"), lease=lease))
                node = store.get(Node, "n1")
                assert node is not None
                assert node.meta.lease == lease.id
                store.update(lambda tx: tx.update(replace(tx.find(Node)[0], name="there")))
                node = store.get(Node, "n1")
                assert node is not None
                assert node.meta.lease == lease.id  # an update does not detach it
                lease.revoke()
            store.refresh()
            assert store.get(Node, "n1") is None
            store.update(create(Node(id="n2", name="there")))

    def test_fields_come_and_go_between_versions_of_a_program(self, visor_server: Server) -> None:
        @dataclass(frozen=True, kw_only=True)
        class Newer(Record):
            service: str = ""
            priority: int = 5

        with (
            dial(visor_server.address) as client,
            Store(client, "/s", [Kind(Task, "task")]) as old,
            Store(client, "/s", [Kind(Newer, "task")]) as new,
        ):
            old.update(create(Task(id="t1", service="web", slot=3)))
            new.refresh()
            assert new.get(Newer, "t1") == Newer(id="t1", service="web", priority=5)
            new.update(create(Newer(id="t2", priority=9)))
            old.refresh()
            assert old.get(Task, "t2") == Task(id="t2")

    def test_a_collection_is_followed(self, visor_server: Server) -> None:
        told: list[Any] = []
        done = Event()

        class Mine(Follower[Task]):
            def filter(self, task: Task, /) -> bool:
                return task.service == "web"

            def new(self, task: Task, /) -> None:
                told.append(("new", task.id))

            def updated(self, before: Task, task: Task, /) -> None:
                told.append(("updated", task.id, before.slot, task.slot))

            def deleted(self, task: Task, /) -> None:
                told.append(("deleted", task.id))
                done.set()

        with store_at(visor_server.address) as store:
            store.update(create(Task(id="t1", service="web"), Task(id="x"), Node(id="n", name="n")))
            with Following(store.collection(Task), Mine()):
                store.update(_increment_of("t1"))
                store.update(create(Node(id="m", name="m")))
                store.update(lambda tx: tx.delete(Task, "t1"))
                done.wait()
        assert told == [("new", "t1"), ("updated", "t1", 0, 1), ("deleted", "t1")]

    def test_one_object_is_watched(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store, store.collection(Task).watch_one("t1") as watcher:
            store.update(create(Task(id="t1", slot=4)))
            assert watcher.next(timeout=PATIENCE)
            assert (watcher.value.slot, watcher.value.meta.version) == (4, 1)
            store.update(lambda tx: tx.delete(Task, "t1"))
            assert not watcher.next(timeout=PATIENCE)
            assert isinstance(watcher.error, errors.NotFound)

    def test_the_end(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client:
            store = Store(client, "/s", KINDS).start()
            store.update(create(Task(id="t1")))
            events = store.watch()
            events.close()
            with pytest.raises(WatcherClosed):
                events.next()
        assert store.get(Task, "t1") is not None
        assert isinstance(store.error, errors.ClientClosed)
        with pytest.raises(errors.ClientUnusable):
            store.update(create(Task(id="t2")))
        assert "task, node, extension, resource below /s" in repr(store)


def test_codecs_of_the_client_do_not_matter(visor_server: Server) -> None:
    with visor_server.dial(codec=codecs.JSON) as client, Store(client, "/s", KINDS) as store:
        store.update(create(Node(id="n", name="n")))
        store.update(lambda tx: tx.update(replace(tx.find(Node)[0], name="m")))
        assert store.find(Node, by.name("M"))
