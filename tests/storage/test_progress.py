"""How far long work is: told every two seconds, with size and percent, by a clock that the test turns."""

from __future__ import annotations

import pytest

from tests.storage.storage_world import World
from visord.check import check
from visord.progress import ProgressTeller, amount, percent
from visord.raft.vote import Vote
from visord.state.machine import Machine
from visord.storage.checkpoint import Checkpointer
from visord.storage.worker import Inline


def test_it_is_told_every_two_seconds_and_never_before() -> None:
    now, told = [10.0], list[tuple[int, int]]()
    tell = ProgressTeller(lambda: now[0], lambda done, of: told.append((done, of)))
    for tenth in range(55):
        now[0] = 10.0 + tenth / 10
        tell(tenth, 100)
    assert told == [(20, 100), (40, 100)]


@pytest.mark.parametrize(
    "done,of,words", [(0, 0, "0.0 of 0.0 MB, 100 %"), (12_000_000, 48_000_000, "12.0 of 48.0 MB, 25 %")]
)
def test_it_is_told_in_megabytes_and_percent(done: int, of: int, words: str) -> None:
    assert amount(done, of) == words
    assert 0 <= percent(done, of) <= 100


def test_loading_tells_bytes_up_to_all_of_them() -> None:
    world = World()
    world.writer.write(300)
    world.checkpoint()
    told: list[tuple[int, int]] = []
    size = sum(part.size for part in world.checkpointer.manifest.files())
    again = Checkpointer(world.disk, world.directory, Inline())
    again.load(Machine(), lambda done, of: told.append((done, of)))
    assert told == sorted(told)
    assert {of for _, of in told} == {size}
    assert size * 0.9 < told[-1][0] <= size


def test_checking_tells_bytes_up_to_all_of_them() -> None:
    world = World()
    world.writer.write(300)
    world.checkpoint()
    told: list[tuple[int, int]] = []
    world.directory.close()
    check(world.disk, "data", lambda disk, path: NoLog(), lambda done, of: told.append((done, of)))
    size = sum(part.size for part in world.checkpointer.manifest.files())
    assert told == sorted(told)
    assert {of for _, of in told} == {size}
    assert size * 0.9 < told[-1][0] <= size


class NoLog:
    """What a log tells that has nothing in it."""

    first = last = segments = size = torn = 0
    vote = Vote(1, None)
