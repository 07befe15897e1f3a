"""How long commands took, as a leader tells it."""

from __future__ import annotations

from visord.commit_times import KEPT, CommitTimes


def test_the_middle_and_the_longest_of_the_last_minute_are_told() -> None:
    now = 0.0
    times = CommitTimes(lambda: now)
    assert times.told() == {"p50_ms": None, "p99_ms": None, "count": 0}
    for index, took in enumerate((0.001, 0.002, 0.5), 1):
        times.begin(index)
        now += took
        times.end(index)
    assert times.told() == {"p50_ms": 2.0, "p99_ms": 500.0, "count": 3}
    now += 61
    assert times.told() == {"p50_ms": None, "p99_ms": None, "count": 0}


def test_what_another_leader_put_there_is_not_counted() -> None:
    now = 0.0
    times = CommitTimes(lambda: now)
    times.end(4)
    times.begin(5)
    times.end(4)
    times.end(6)
    times.end(5)
    assert times.told()["count"] == 0


def test_they_stay_few() -> None:
    times = CommitTimes(lambda: 0.0)
    for index in range(1, 3 * KEPT):
        times.begin(index)
        times.end(index)
    assert times.told()["count"] == KEPT
