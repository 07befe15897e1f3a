"""What a node does on the side: when a checkpoint is made, what is trimmed, and that the loop is left to others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.patience import PATIENCE
from tests.peers.lone import TurnedLoop
from visor.protocol import verbs as v
from visord.maintenance import (
    BEHIND,
    CALM,
    CALM_LOOKS,
    LOOK_SECONDS,
    PAUSE_SECONDS,
    RETRY_SECONDS,
    TRIM_BUDGET,
    Maintenance,
)
from visord.settings import StorageSettings
from visord.state.command import encode
from visord.state.machine import Machine
from visord.state.store import Store

SETTINGS = StorageSettings.model_construct(checkpoint_log_bytes=1000, checkpoint_seconds=60.0)
STEPS = 5


class Checkpointer:
    """Makes a checkpoint in `STEPS` steps, or fails in the last one with `error`."""

    def __init__(self) -> None:
        self.index = self.written = 0
        self.error: BaseException | None = None
        self.begun = self.stepped = 0
        self.slow = self.stays_slow = False
        self.manifest = SimpleNamespace(index=0, rev=0)

    def steps(self, machine: Machine) -> Iterator[None]:
        self.begun += 1
        index = machine.index
        for _ in range(STEPS):
            self.stepped += 1
            yield
        if self.error is not None:
            raise self.error
        self.index, self.manifest = index, SimpleNamespace(index=index, rev=machine.store.rev)
        self.slow = self.stays_slow

    def starts_slowly(self, store: Store) -> bool:
        return self.slow


class Log:
    def __init__(self) -> None:
        self.written = 0
        self.full: object | None = None
        self.trimmed: list[int] = []

    def trim(self, index: int, most: int) -> bool:
        self.trimmed.append(index)
        return len(self.trimmed) % 3 != 0


class Node:
    """A node whose maintenance is on a loop that is turned by hand."""

    def __init__(self) -> None:
        self.loop = TurnedLoop()
        self.machine, self.checkpointer, self.log = Machine(), Checkpointer(), Log()
        self.hub = SimpleNamespace(watches=0, rev=0)
        self.engine: Any = SimpleNamespace(trimmed=lambda: None)
        self.failure: BaseException | None = None
        self.maintenance = Maintenance(self, SETTINGS, self.loop)  # type: ignore[arg-type]
        self.maintenance.start()

    def fail(self, error: BaseException) -> None:
        self.failure = error

    def apply(self, *frames: list[Any], time: int = 1000) -> None:
        command = encode(time, [[None, "me", list(frames), ""]])
        self.machine.apply(self.machine.index + 1, 1, command)

    def write(self, count: int = 1) -> None:
        for _ in range(count):
            self.apply([v.SET, 1, 0, "/a", b"x"])

    @property
    def status(self) -> dict[str, Any]:
        return self.maintenance.status()


@pytest.fixture
def node() -> Node:
    return Node()


def test_a_checkpoint_is_due_after_so_many_bytes_of_log(node: Node) -> None:
    node.write()
    node.log.written = 999
    node.loop.turn(2.0)
    assert node.checkpointer.begun == 0
    node.log.written = 1000
    node.loop.turn(2.0)
    assert (node.checkpointer.begun, node.checkpointer.index) == (1, 1)
    assert node.log.trimmed == [1, 1, 1], "the log forgets what the checkpoint has, in slices"
    assert node.status == {"index": 1, "made": 1, "running": False, "failure": None}


def test_a_checkpoint_is_due_after_so_much_time_where_anything_changed(node: Node) -> None:
    node.loop.turn(61.0)
    assert node.checkpointer.begun == 0
    node.write()
    node.loop.turn(2.0)
    assert node.checkpointer.begun == 1
    node.loop.turn(100.0)
    assert node.checkpointer.begun == 1


def test_a_full_disk_wants_a_checkpoint_at_once(node: Node) -> None:
    """It may give log segments back: that may be all it takes to go on."""
    node.write()
    node.log.full = object()
    node.loop.turn(LOOK_SECONDS + 0.1)
    assert node.checkpointer.begun == 1


def test_others_have_their_turn_between_two_steps(node: Node) -> None:
    node.write()
    node.maintenance.checkpoint_now()
    assert node.checkpointer.stepped == 1
    node.loop.turn(PAUSE_SECONDS * 0.9)
    assert node.checkpointer.stepped == 1
    node.loop.turn(PAUSE_SECONDS)
    assert node.checkpointer.stepped == 2


def test_who_writes_faster_than_a_checkpoint_follows_leaves_it_more_of_the_loop(node: Node) -> None:
    """Values that no checkpoint has let go of are in memory: without this they grow for as long as the load lasts."""
    node.write()
    node.machine.store.rev += BEHIND
    node.maintenance.checkpoint_now()
    before = node.checkpointer.stepped
    node.loop.turn(PAUSE_SECONDS * 0.51)
    assert node.checkpointer.stepped == before + 1, "more often, not more at once"


def test_what_was_let_go_of_counts_once_there_is_time(node: Node) -> None:
    store = node.machine.store
    store.spilled = 7
    store.rev += CALM + 1
    node.loop.turn(LOOK_SECONDS * 1.01)
    assert node.maintenance.let_go == 0, "others write much"
    node.loop.turn(LOOK_SECONDS)
    assert node.maintenance.let_go == 7


def test_what_makes_a_start_quick_waits_for_a_calm_moment(node: Node) -> None:
    node.write()
    node.maintenance.checkpoint_now()
    node.loop.turn(1.0)
    node.checkpointer.slow = True
    for _ in range(CALM_LOOKS):
        node.machine.store.rev += CALM + 1
        node.loop.turn(LOOK_SECONDS)
    assert node.checkpointer.begun == 1, "others write much"
    node.loop.turn(LOOK_SECONDS * (CALM_LOOKS + 1) + 1.0)
    assert node.checkpointer.begun == 2, "although nothing is new"
    node.loop.turn(60.0)
    assert node.checkpointer.begun == 2


def test_what_has_no_room_to_make_a_start_quick_does_not_try_all_the_time(node: Node) -> None:
    node.maintenance.checkpoint_now()
    node.checkpointer.stays_slow = node.checkpointer.slow = True
    node.loop.turn(LOOK_SECONDS * (CALM_LOOKS + 1) + 1.0)
    assert node.checkpointer.begun == 2
    node.loop.turn(50.0)
    assert node.checkpointer.begun == 2
    node.loop.turn(12.0)
    assert node.checkpointer.begun == 3


def test_one_thing_at_a_time(node: Node) -> None:
    node.write()
    node.maintenance.checkpoint_now()
    node.maintenance.checkpoint_now()
    node.maintenance.asked()
    node.loop.turn(1.0)
    assert node.checkpointer.begun == 1


def test_a_checkpoint_that_fails_is_told_and_tried_again_later(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    node.checkpointer.error = OSError(28, "No space left on device")
    node.write()
    node.log.written = 5000
    node.loop.turn(1.0)
    assert (node.checkpointer.begun, node.status["failure"]) == (1, "No space left on device")
    assert node.failure is None
    assert "no checkpoint" in caplog.text
    caplog.clear()
    node.loop.turn(RETRY_SECONDS - 2.0)
    assert node.checkpointer.begun == 1
    node.checkpointer.error = None
    node.loop.turn(4.0)
    assert (node.checkpointer.begun, node.status["failure"]) == (2, None)


def test_a_defect_stops_the_node(node: Node) -> None:
    node.checkpointer.error = defect = RuntimeError("a defect")
    node.write()
    node.maintenance.checkpoint_now()
    node.loop.turn(1.0)
    assert node.failure is defect
    node.maintenance.checkpoint_now()
    assert node.checkpointer.begun == 1


def test_what_retention_let_go_is_trimmed_in_slices_once_live_watches_were_sent_it(node: Node) -> None:
    node.write(3 * TRIM_BUDGET)
    node.apply([v.RETAIN, 2, 0, 1, 0])
    store = node.machine.store
    assert store.floor > 2 * TRIM_BUDGET and store.cut == 0
    node.hub.watches, node.hub.rev = 1, store.rev - 1
    node.loop.turn(2.0)
    assert store.cut == 0
    node.hub.rev = store.rev
    node.loop.turn(2.0)
    assert store.trimmed[0] == store.floor


def test_a_job_is_done_with_hardly_a_pause_as_soon_as_nothing_else_is(node: Node) -> None:
    done: list[int] = []

    def job() -> Iterator[None]:
        for step in range(20):
            done.append(step)
            yield

    node.write()
    node.maintenance.checkpoint_now()
    node.maintenance.do(job())
    assert done == []
    node.loop.turn(PAUSE_SECONDS * (STEPS + 4))
    assert node.checkpointer.index == 1 and done
    node.loop.turn(PAUSE_SECONDS * 3)
    assert len(done) == 20


def test_the_last_checkpoint_waits_for_what_is_being_done_and_has_everything(node: Node) -> None:
    node.write()
    node.maintenance.checkpoint_now()
    node.write()

    async def main() -> None:
        stopping = asyncio.ensure_future(node.maintenance.last_checkpoint())
        for _ in range(100):
            await asyncio.sleep(0)
            node.loop.turn(0.01)
        await asyncio.wait_for(stopping, PATIENCE)

    asyncio.run(main())
    assert (node.checkpointer.begun, node.checkpointer.index) == (2, 2)


def test_nothing_goes_on_after_the_end(node: Node) -> None:
    node.write()
    node.maintenance.checkpoint_now()
    node.maintenance.close()
    node.loop.turn(100.0)
    assert node.checkpointer.stepped == 1
