"""Reads of the past wait for the disk while everything else goes on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.stubs import Node, Wire
from tests.storage.fake_disk import FakeFile
from tests.storage.storage_world import Later, World
from visor.protocol import verbs as v
from visor.protocol.frames import encode
from visor.protocol.limits import DEFAULT
from visord.serving.cold_reads import JOBS, ColdReads
from visord.serving.conversation import Conversation
from visord.state.query import answer
from visord.storage import past_reader
from visord.storage.past_reader import Kept, PastReader

PAST = 300


class Stage:
    """A conversation with a node whose past is on disk, and whose reading thread runs when it is told to."""

    def __init__(self) -> None:
        self.world = World()
        for number in range(1, 601):
            self.world.writer.apply([v.SET, number, number - 1, f"/d/f{number % 7}", b"value %d" % number])
        self.world.checkpoint()
        self.store = self.world.machine.store
        self.node, self.wire, self.later = Node(), Wire(), Later()
        self.node.store = self.store
        self.node.cold_reads = ColdReads(self.store, self.later)
        self.node.readiness.readable = True
        self.conversation = Conversation(self.node, self.wire, DEFAULT)  # type: ignore[arg-type]
        self.conversation.greeted = True

    def say(self, *messages: list[Any]) -> None:
        self.conversation.receive(b"".join(map(encode, messages)))

    def read(self) -> None:
        """The thread reads what it was asked for, and everybody goes on."""
        while self.later.jobs or self.node.soon:
            self.later.run()
            self.node.turn()

    @property
    def answers(self) -> dict[int, list[Any]]:
        return {found[1]: found for found in self.wire.answers}


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_who_asks_for_the_past_waits_and_nobody_else(stage: Stage) -> None:
    scan = [v.SCAN, 1, [v.SEL_TREE, "/"], PAST]
    stage.say(scan, [v.GET, 2, "/d/f1"])
    assert list(stage.answers) == [2]
    stage.read()
    expected = answer(stage.store, scan)
    assert stage.answers[1][:1] == [v.OK]
    assert [row[0] for row in stage.answers[1][2][1]] == [row[0] for row in expected[1]]
    assert [tuple(row[1]) for row in stage.answers[1][2][1]] == [row[1] for row in expected[1]]
    assert stage.node.cold_reads.waited == 1


def test_what_is_at_hand_is_answered_at_once(stage: Stage) -> None:
    stage.say([v.GET, 1, "/d/f1", PAST])
    stage.read()
    stage.say([v.GET, 2, "/d/f1", PAST], [v.STAT, 3, "/d/f1", PAST])
    assert list(stage.answers) == [1, 2, 3]
    assert stage.answers[1][2] == stage.answers[2][2]


def test_a_read_that_waits_for_the_disk_can_be_cancelled(stage: Stage) -> None:
    stage.say([v.GET, 1, "/d/f1", PAST], [v.CANCEL, 2, 1])
    assert stage.answers[1][:3] == [v.ERROR, 1, "cancelled"]
    stage.read()
    assert len(stage.wire.answers) == 2
    assert not stage.node.cold_reads._tries


def test_what_cannot_be_read_is_told_to_that_request(stage: Stage) -> None:
    name = next(name for name in stage.world.disk.names if "commits-" in name)
    stage.world.disk.flip(name, 8 * (len(stage.world.disk.read(name)) // 2))
    revs = range(1, 600, 40)
    stage.say(*([v.GET, rev, f"/d/f{rev % 7}", rev] for rev in revs))
    stage.read()
    wrong = [rev for rev in revs if stage.answers[rev][0] == v.ERROR]
    assert 0 < len(wrong) < len(revs) / 2
    assert {stage.answers[rev][2] for rev in wrong} == {"history_damaged"}
    assert name in stage.answers[wrong[0]][3]
    assert stage.world.checkpointer.kept.unreadable == len(wrong)
    assert name in stage.world.checkpointer.kept.damage


def test_a_cache_that_holds_less_than_one_answer_needs_ends_all_the_same(stage: Stage) -> None:
    stage.world.checkpointer.kept.limit = 1
    stage.say([v.LOG, 1, [v.SEL_TREE, "/"], 1, 600])
    stage.read()
    assert stage.answers[1][0] == v.OK
    assert len(stage.answers[1][2][1]) == 600


def test_a_client_that_has_gone_is_forgotten(stage: Stage) -> None:
    stage.say([v.GET, 1, "/d/f1", PAST])
    stage.conversation.end()
    stage.read()
    assert not stage.wire.answers


def test_what_the_system_has_in_memory_is_not_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeFile, "pread_at_hand", FakeFile.pread)
    stage.say([v.GET, 1, "/d/f1", PAST])
    stage.say([v.SCAN, 2, [v.SEL_TREE, "/"], PAST], [v.GET, 3, "/d/f2", PAST])
    assert list(stage.answers) == [1, 2, 3]
    monkeypatch.setattr(past_reader, "QUICK", 2)
    stage.world.checkpointer.kept.forget(set())
    stage.say([v.LOG, 4, [v.SEL_TREE, "/"], 1, 600])
    assert 4 not in stage.answers, "more blocks than one look may decode on the loop"
    stage.read()
    assert len(stage.answers[4][2][1]) == 600


def test_a_get_of_the_past_tells_what_the_long_way_tells(stage: Stage) -> None:
    for rev in range(1, 601, 7):
        for name in range(8):
            stage.say([v.GET, rev * 10 + name, f"/d/f{name}", rev])
            stage.read()
            found = answer(stage.store, [v.GET, 1, f"/d/f{name}", rev])
            expected = [found[0], None if found[1] is None else list(found[1])]
            assert stage.answers[rev * 10 + name] == [v.OK, rev * 10 + name, expected]


def test_for_who_waits_no_more_nothing_is_read(stage: Stage) -> None:
    for request in range(1, 40):
        stage.say([v.LOG, request, [v.SEL_TREE, "/"], 1, 600], [v.CANCEL, 1000 + request, request])
    assert len(stage.later.jobs) <= JOBS
    assert not stage.node.cold_reads._queue
    stage.say([v.GET, 900, "/d/f1", PAST])
    stage.read()
    assert stage.answers[900][0] == v.OK
    assert not stage.node.cold_reads._tries


def test_an_id_that_is_another_s_meanwhile_is_left_alone(stage: Stage) -> None:
    stage.say([v.GET, 1, "/d/f1", PAST], [v.CANCEL, 2, 1])
    stage.say([v.GET, 1, "/d/f1", 601])
    assert stage.node.sleeping == [1]
    stage.read()
    assert [found[:3] for found in stage.wire.answers if found[1] == 1] == [[v.ERROR, 1, "cancelled"]]
    stage.say([v.GET, 3, "/d/f1", PAST - 200], [v.GET, 3, "/d/f1", PAST - 200])
    stage.read()
    assert sorted(found[0] for found in stage.wire.answers if found[1] == 3) == [v.OK, v.ERROR]


def test_nothing_is_remembered_of_reads_that_ended_some_other_way(stage: Stage) -> None:
    stage.say([v.LOG, 1, [v.SEL_TREE, "/"], 1, 600], [v.LOG, 2, [v.SEL_TREE, "/"], 1, 600])
    stage.later.run(9)
    stage.say([v.CANCEL, 3, 1])
    stage.conversation.end()
    stage.read()
    assert not stage.node.cold_reads._tries
    assert not stage.node.cold_reads._queue


def test_one_look_asks_for_so_many_bytes_at_most(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_reader, "MOST_ASKED_BYTES", 3000)
    stage.say([v.LOG, 1, [v.SEL_TREE, "/"], 1, 600])
    asked = stage.later.jobs[0][0].args[0]  # type: ignore[attr-defined]
    assert 0 < sum(place.size for place in asked) <= max(3000, asked[0].size)
    stage.read()
    assert len(stage.answers[1][2][1]) == 600


def test_no_file_is_looked_through_by_the_loop(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = stage.world.checkpointer.manifest
    stage.store.past_values = PastReader(stage.world.disk, "data/history", manifest, Kept(1 << 20))
    pread, read = FakeFile.pread, list[str]()

    def noted(file: FakeFile, size: int, offset: int) -> bytes:
        read.append(file.path)
        return pread(file, size, offset)

    monkeypatch.setattr(FakeFile, "pread", noted)
    stage.say([v.GET, 1, "/d/f1", PAST], [v.LOG, 2, [v.SEL_TREE, "/"], 1, 600])
    assert not read
    stage.read()
    assert stage.answers[1][0] == stage.answers[2][0] == v.OK


def test_one_block_that_cannot_be_read_does_not_have_the_others_read_by_the_loop(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(name for name in stage.world.disk.names if "commits-" in name)
    stage.world.disk.flip(name, 8 * (len(stage.world.disk.read(name)) // 2))
    stage.say([v.LOG, 1, [v.SEL_TREE, "/"], 1, 600])
    kept = stage.world.checkpointer.kept
    while stage.later.jobs:
        stage.later.run()
        read = kept.read
        stage.node.turn()
    assert read > 1
    assert kept.read == read
    assert stage.answers[1][2] == "history_damaged"
