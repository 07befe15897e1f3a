"""A reader's queue: bounded, and the reader is told when it was too slow."""

from __future__ import annotations

import pytest

from visor._core.following.delta import Batch, Delta, difference
from visor._core.following.errors import ReaderDropped
from visor._core.following.reader_queue import ReaderQueue
from visor.errors import VisorError
from visor.values import Kind


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def batch(rev: int, *paths: str) -> Batch[int]:
    return Batch(rev, rev - 1, tuple(difference(path, None, rev) for path in paths))


def test_a_full_queue_drops_its_reader_which_gets_the_rest_and_the_rev_to_resume_from() -> None:
    queue: ReaderQueue[int] = ReaderQueue(Clock(), limit=3)
    assert queue.put(batch(1, "/a"))
    assert queue.put(batch(2, "/a", "/b"))
    queue.put(batch(3, "/a"))
    queue.put(batch(4, "/a"))
    assert queue.waiting == 3
    assert [queue.take(), queue.take(), queue.take()] == [batch(1, "/a"), batch(2, "/a", "/b"), None]
    assert isinstance(queue.error, ReaderDropped)
    assert (queue.error.rev, queue.delivered, queue.ended) == (2, 2, True)
    assert "3 changes wait, at most 3 may" in str(queue.error)


def test_one_batch_above_the_limit_is_still_read() -> None:
    queue: ReaderQueue[int] = ReaderQueue(Clock(), limit=2)
    queue.put(batch(1, "/a", "/b", "/c"))
    assert queue.take() == batch(1, "/a", "/b", "/c")
    assert queue.error is None


def test_a_reader_that_lets_changes_wait_too_long_is_dropped() -> None:
    clock = Clock()
    queue: ReaderQueue[int] = ReaderQueue(clock, limit=None, patience=5.0)
    queue.put(batch(1, "/a"))
    clock.now = 5.0
    queue.put(batch(2, "/a"))
    clock.now = 5.1
    queue.put(batch(3, "/a"))
    assert isinstance(queue.error, ReaderDropped)
    assert queue.error.rev == 2


def test_without_limit_and_patience_nobody_is_dropped() -> None:
    queue: ReaderQueue[int] = ReaderQueue(Clock(), limit=None)
    for rev in range(1, 30_000):
        queue.put(batch(rev, "/a"))
    assert queue.error is None


def test_a_coalescing_queue_holds_one_batch_with_the_latest_state() -> None:
    queue: ReaderQueue[int] = ReaderQueue(Clock(), limit=1, coalesce=True)
    for rev in range(1, 100):
        queue.put(batch(rev, f"/{rev % 3}"))
    assert queue.waiting == 3
    taken = queue.take()
    assert taken is not None
    assert (taken.since, taken.rev, {delta.path: delta.after for delta in taken}) == (
        0,
        99,
        {"/0": 99, "/1": 97, "/2": 98},
    )
    assert queue.take() is None


def test_what_came_and_went_leaves_an_empty_batch_that_still_moves_the_rev() -> None:
    queue: ReaderQueue[int] = ReaderQueue(Clock(), coalesce=True)
    queue.put(batch(1, "/a"))
    queue.put(Batch(2, 1, (Delta("/a", 1, None, Kind.EXPIRE),)))
    taken = queue.take()
    assert taken is not None
    assert (taken.rev, taken.deltas) == (2, ())


def test_a_check_picks_what_is_queued_and_marks_move_the_rev() -> None:
    queue: ReaderQueue[int] = ReaderQueue(Clock(), select=lambda batch: batch if batch.rev % 2 else None)
    assert not queue.put(batch(2, "/a"))
    assert queue.delivered == 2
    assert queue.put(batch(3, "/a"))
    queue.put(batch(4, "/a"))
    assert (queue.delivered, queue.arrived) == (2, 4)
    queue.take()
    assert queue.delivered == 4
    queue.mark(9)
    assert queue.delivered == 9


def test_a_check_that_raises_ends_this_reader_alone() -> None:
    queue: ReaderQueue[int] = ReaderQueue(Clock(), select=lambda batch: 1 // 0)  # type: ignore[arg-type,return-value]
    assert queue.put(batch(1, "/a"))
    assert isinstance(queue.error, VisorError)
    assert isinstance(queue.error.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("bounds", [{"limit": 0}, {"patience": 0.0}])
def test_senseless_bounds_are_refused(bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        ReaderQueue(Clock(), **bounds)  # type: ignore[arg-type]
