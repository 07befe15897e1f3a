"""Watching a typed store: the right events, in whole transactions, from any version, and honest ends."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from tests.client.proxy import Proxy
from tests.following.clients import cut_off, dial
from tests.following.swarm import KINDS, Node, Task, TaskState, create, store_and_client, store_at
from tests.patience import PATIENCE
from visor import errors
from visor.following import ReaderDropped, Stopped
from visor.store import Action, Committed, Events, Record, Spec, Store, Transaction, UnknownKind, by, on
from visor.testing import Server

RUNNING = TaskState.RUNNING


def told(events: Events, until: int) -> list[str]:
    """Everything up to a version, as words."""
    found = []
    while events.version < until:
        for event in events.next(timeout=PATIENCE):
            assert event.action.name is not None
            found.append(f"{event.action.name.lower()} {event.object.id}")
    return found


class Failing:
    """A check of the user's own that raises."""

    def ids(self, lookup: by.Lookup) -> list[str]:
        return []

    def matches(self, record: Record, /) -> bool:
        raise ValueError("mine")

    def index(self) -> tuple[None]:
        return (None,)

    def about(self) -> str:
        return "mine"


def change(id: str, **fields: Any) -> Any:
    def body(tx: Transaction) -> None:
        task = tx.get(Task, id)
        assert task is not None
        tx.update(replace(task, **fields))

    return body


class TestSpecifiers:
    @pytest.mark.parametrize(
        ("specifiers", "expected"),
        [
            ([], "create t1, create t2, create n1, update t1, update t2, remove t1"),
            ([on()], "create t1, create t2, create n1, update t1, update t2, remove t1"),
            ([on(Task)], "create t1, create t2, update t1, update t2, remove t1"),
            ([on(Node), on(Task, actions=Action.REMOVE)], "create n1, remove t1"),
            ([on(Task, actions=1)], "create t1, create t2"),
            ([on(Task, actions=Action.UPDATE | Action.REMOVE)], "update t1, update t2, remove t1"),
            ([on(None, by.id_prefix("t"), actions=Action.CREATE)], "create t1, create t2"),
            ([on(Task, by.id("t2"))], "create t2, update t2"),
            ([on(Node, by.name("ONE"))], "create n1"),
            ([on(Task, by.field("service", "db"))], "create t2, update t2"),
            ([on(Task, by.above("state", TaskState.PENDING))], "update t1, remove t1"),
            ([on(Task, by.above("state", 0), by.below("state", RUNNING))], "update t2"),
            ([on(Task, by.field("slot", 1), by.field("service", "web"))], "create t1, update t1, remove t1"),
            ([on(Task, by.custom("zone", "eu"))], "create t1, update t1, remove t1"),
            ([on(Task, by.either(by.id("t1"), by.id("t2")), actions=1)], "create t1, create t2"),
            ([on(Task, by.id("t1")), on(Task, by.id("t1"))], "create t1, update t1, remove t1"),
        ],
    )
    @pytest.mark.parametrize("resumed", [False, True])
    def test_they_pick_what_they_say(
        self, visor_server: Server, specifiers: list[Spec], expected: str, resumed: bool
    ) -> None:
        """Live and replayed alike; without specifiers everything, also from a version (the original dropped it)."""
        with store_at(visor_server.address) as store, store.watch(*specifiers) as live:
            store.update(
                create(
                    Task(id="t1", service="web", slot=1, annotations={"zone": "eu"}),
                    Task(id="t2", service="db"),
                )
            )
            store.update(create(Node(id="n1", name="One")))
            store.update(change("t1", state=RUNNING))
            store.update(change("t2", state=TaskState.PENDING))
            store.update(lambda tx: tx.delete(Task, "t1"))
            if resumed:
                with store.watch(*specifiers, resume_from=0) as replayed:
                    assert ", ".join(told(replayed, store.version)) == expected
            else:
                assert ", ".join(told(live, store.version)) == expected

    def test_senseless_ones_are_refused(self, visor_server: Server) -> None:
        with pytest.raises(ValueError, match="conflicting checks"):
            on(Task, by.id("a"), by.id("b"))
        for actions in (0, 8, -1):
            with pytest.raises(ValueError, match="mask"):
                on(Task, actions=actions)
        with pytest.raises(TypeError, match="kind of objects"):
            on("task")  # type: ignore[arg-type]
        with store_at(visor_server.address) as store, pytest.raises(UnknownKind):
            store.watch(on(Record))

    def test_a_check_that_fails_ends_this_watch_alone(self, visor_server: Server) -> None:
        with (
            store_at(visor_server.address) as store,
            store.watch(on(Task, Failing())) as bad,
            store.watch() as good,
        ):
            store.update(create(Task(id="t1")))
            assert len(good.next(timeout=PATIENCE)) == 1
            with pytest.raises(errors.VisorError, match="own check failed at rev 1"):
                bad.next(timeout=PATIENCE)


class TestTransactions:
    def test_each_is_whole_and_carries_its_version(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store, store.watch() as events:
            store.update(create(Task(id="t1"), Task(id="t2"), Node(id="n1", name="n")), note="why")
            store.batch(lambda batch: [batch.update(create(Task(id=f"x{n}"))) for n in range(250)])
            found = [events.next(timeout=PATIENCE) for _ in range(3)]
            assert [(len(one), one.version, one.since) for one in found] == [
                (3, 1, 0),
                (200, 2, 1),
                (50, 3, 2),
            ]
            assert (found[0].note, found[0].rebuilt) == ("why", False)
            assert found[0].time is not None

    def test_marks_tell_of_transactions_without_a_match(self, visor_server: Server) -> None:
        with (
            store_at(visor_server.address) as store,
            store.watch(on(Node), marks=True) as marked,
            store.watch(on(Node)) as plain,
        ):
            store.update(create(Task(id="t1")))
            store.update(create(Node(id="n1", name="n")))
            assert [(one.version, len(one)) for one in (marked.next(), marked.next())] == [(1, 0), (2, 1)]
            assert plain.next(timeout=PATIENCE).version == 2
            store.update(create(Task(id="t2")))
            assert plain.version == 3  # it has been given all there is, though it was told nothing

    def test_old_objects_come_when_asked_for_also_from_history(self, visor_server: Server) -> None:
        with (
            store_at(visor_server.address) as store,
            store.watch(include_old=True) as live,
            store.watch() as without,
        ):
            store.update(create(Task(id="t1", slot=1)))
            store.update(change("t1", slot=2))
            store.update(lambda tx: tx.delete(Task, "t1"))
            with store.watch(resume_from=0, include_old=True) as replayed:
                for events in (live, replayed):
                    first, second, third = [events.next(timeout=PATIENCE).events[0] for _ in range(3)]
                    assert first.old is None
                    assert isinstance(second.old, Task)
                    assert isinstance(second.object, Task)
                    assert (second.old.slot, second.object.slot, second.old.meta.version) == (1, 2, 1)
                    assert third.old == third.object == Task(id="t1", slot=2)
            assert all(without.next(timeout=PATIENCE).events[0].old is None for _ in range(3))

    def test_expiry_is_told_from_deletion(self, visor_server: Server) -> None:
        with store_and_client(visor_server.address) as (store, client), store.watch() as events:
            lease = client.lease(30)
            store.update(lambda tx: tx.create(Task(id="t1"), lease=lease))
            lease.revoke()
            store.update(create(Task(id="t2")))
            store.update(lambda tx: tx.delete(Task, "t2"))
            found = [events.next(timeout=PATIENCE).events[0] for _ in range(4)]
            assert [event.action for event in found] == [
                Action.CREATE,
                Action.REMOVE,
                Action.CREATE,
                Action.REMOVE,
            ]
            assert not found[3].expired


class TestResuming:
    def test_history_and_live_fit_without_a_gap(self, visor_server: Server) -> None:
        """More versions than one chunk, and a writer who does not stop while they are replayed."""
        with store_at(visor_server.address) as store, store_at(visor_server.address) as writer:
            for number in range(450):
                writer.update(create(Task(id=f"t{number}")))
            stop = threading.Event()

            def write() -> None:
                number = 450
                while not stop.is_set():
                    writer.update(create(Task(id=f"t{number}")))
                    number += 1

            thread = threading.Thread(target=write)
            thread.start()
            try:
                with store.watch(on(Task), resume_from=100) as events:
                    versions = [events.next(timeout=PATIENCE).version for _ in range(600)]
                    assert events.version == 700
            finally:
                stop.set()
                thread.join()
            assert versions == list(range(101, 701))

    def test_versions_that_are_gone_or_to_come_are_refused(self, visor_server: Server) -> None:
        with store_and_client(visor_server.address) as (store, client):
            for number in range(5):
                store.update(create(Task(id=f"t{number}")))
            with pytest.raises(errors.FutureRev, match="rev 9 is in the future: the latest is rev 5"):
                store.watch(resume_from=9)
            with pytest.raises(errors.FutureRev):
                list(store.changes_between(0, 9))
            client.compact(3)
            with store.watch(resume_from=1) as events, pytest.raises(errors.Compacted) as caught:
                events.next(timeout=PATIENCE)
            assert caught.value.floor == 3
            with store.watch(resume_from=3) as events:
                assert told(events, 5) == ["create t3", "create t4"]
            with store.watch(resume_from=5) as events:
                with pytest.raises(errors.DeadlineExceeded):
                    events.next(timeout=0.05)
                store.update(create(Task(id="t9")))
                assert told(events, 6) == ["create t9"]

    def test_a_version_that_this_copy_has_not_seen_yet_is_waited_for(
        self, visor_server: Server, proxy: Proxy
    ) -> None:
        with (
            store_at(visor_server.address) as writer,
            dial(proxy.address) as client,
            Store(client, "/swarm", KINDS) as store,
        ):
            with cut_off(proxy):
                writer.update(create(Task(id="t1")))
            with store.watch(resume_from=1) as events:
                writer.update(create(Task(id="t2")))
                assert told(events, 2) == ["create t2"]

    def test_a_dropped_reader_is_told_and_resumes_without_a_gap(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:
            with store.watch(limit=5) as slow, store.watch() as quick:
                for number in range(20):
                    store.update(create(Task(id=f"t{number:02}")))
                assert len(told(quick, 20)) == 20
                found = told(slow, 5)
                with pytest.raises(ReaderDropped) as caught:
                    slow.next(timeout=PATIENCE)
            with store.watch(resume_from=caught.value.rev) as again:
                found += told(again, 20)
            assert found == [f"create t{number:02}" for number in range(20)]

    def test_patience_drops_too(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store, store.watch(patience=0.05) as events:
            store.update(create(Task(id="t1")))
            threading.Event().wait(0.1)
            store.update(create(Task(id="t2")))
            assert len(events.next(timeout=PATIENCE)) == 1
            with pytest.raises(ReaderDropped, match=r"more than 0\.05 s"):
                events.next(timeout=PATIENCE)


class TestEnds:
    def test_callbacks_are_called_for_each_transaction(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:
            store.update(create(Task(id="t1"), Node(id="n1", name="n")))
            found: list[list[str]] = []
            done = threading.Event()

            def callback(transaction: Committed) -> bool:
                found.append([event.object.id for event in transaction])
                if len(found) == 3:
                    done.set()
                return len(found) < 3

            with store.on_change(callback, on(Task), resume_from=0) as subscription:
                for number in range(2, 5):
                    store.update(create(Task(id=f"t{number}"), Node(id=f"n{number}", name=str(number))))
                assert done.wait(PATIENCE)
            assert found == [["t1"], ["t2"], ["t3"]]
            assert subscription.error is None

    def test_snapshot_and_watch_are_one_step(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store, store_at(visor_server.address) as writer:
            stop = threading.Event()

            def write() -> None:
                number = 0
                while not stop.is_set():
                    writer.update(create(Task(id=f"t{number:05}")))
                    number += 1

            thread = threading.Thread(target=write)
            thread.start()
            try:
                for _ in range(20):
                    reading, events = store.snapshot_and_watch()
                    ids = [task.id for task in reading.find(Task)]
                    with events:
                        found = [events.next(timeout=PATIENCE).events[0].object.id for _ in range(5)]
                    assert [*ids, *found] == [f"t{number:05}" for number in range(len(ids) + 5)]
            finally:
                stop.set()
                thread.join()

    def test_closed_watches_leave_nothing_behind(self, visor_server: Server) -> None:
        """The original's forwarder could go on after its watch was cancelled."""
        with store_at(visor_server.address) as store:
            store.update(create(Task(id="t1")))
            for resume in (None, 0):
                events = store.watch(resume_from=resume)
                if resume is not None:
                    events.next(timeout=PATIENCE)
                assert len(store._local_copy._taps) == 1
                events.close()
                events.close()
                assert list(events) == []
                assert store._local_copy._taps == []
            _, events = store.snapshot_and_watch()
            assert len(store._local_copy._taps) == 1
            events.close()
            assert store._local_copy._taps == []

    def test_the_end_of_the_store_is_the_end_of_its_watches(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:
            events = store.watch()
            store.update(create(Task(id="t1")))
        assert events.next().version == 1
        with pytest.raises(Stopped):
            events.next()

    def test_lost_history_is_one_rebuilt_transaction(self, visor_server: Server, proxy: Proxy) -> None:
        with store_and_client(visor_server.address) as (writer, plain), dial(proxy.address) as client:
            writer.update(create(Task(id="t1"), Task(id="t2")))
            with Store(client, "/swarm", KINDS) as store, store.watch(include_old=True) as events:
                with cut_off(proxy):
                    writer.update(change("t1", slot=1))
                    writer.update(change("t1", slot=2))
                    writer.update(lambda tx: tx.delete(Task, "t2"))
                    writer.update(create(Task(id="t3")))
                    plain.compact(writer.version)
                found = events.next(timeout=PATIENCE)
                assert (found.rebuilt, found.since, found.version) == (True, 1, 5)
                assert sorted(f"{event.action.name} {event.object.id}" for event in found) == [
                    "CREATE t3",
                    "REMOVE t2",
                    "UPDATE t1",
                ]
                assert [task.id for task in store.find(Task, by.field("service", ""))] == ["t1", "t3"]

    def test_changes_between_two_versions(self, visor_server: Server) -> None:
        with store_at(visor_server.address) as store:
            for number in range(5):
                store.update(create(Task(id=f"t{number}"), Node(id=f"n{number}", name=str(number))))
            found: list[Committed] = list(store.changes_between(1, 3))
            assert [(one.version, len(one)) for one in found] == [(2, 2), (3, 2)]
            assert [e.object.id for one in store.changes_between(0, 2, on(Task)) for e in one] == ["t0", "t1"]
            assert list(store.changes_between(3, 3)) == []
