"""What a client may believe of its lease, on a clock of its own."""

from __future__ import annotations

import time

import pytest

from visor._core.recipes.lease import LeaseState, LeaseTimer
from visor._drivers.clocks import boot_clock, lease_clock


def test_it_is_counted_from_when_the_request_was_sent() -> None:
    timer = LeaseTimer(10.0, sent=100.0)
    timer.confirm(sent=103.0, ttl=10.0, now=109.0)
    assert timer.left(109.0) == pytest.approx(4.0)
    assert timer.tick(112.99) is LeaseState.CONNECTED
    assert timer.tick(113.0) is LeaseState.LOST


def test_an_answer_that_comes_after_it_was_lost_changes_nothing() -> None:
    timer = LeaseTimer(10.0, sent=100.0)
    timer.confirm(sent=109.0, ttl=10.0, now=110.5)
    assert timer.tick(110.5) is LeaseState.LOST
    assert timer.left(110.5) == 0.0


def test_answers_in_another_order_never_shorten_it() -> None:
    timer = LeaseTimer(10.0, sent=100.0)
    timer.confirm(sent=105.0, ttl=10.0, now=105.1)
    timer.confirm(sent=103.0, ttl=10.0, now=105.2)
    assert timer.deadline == 115.0


def test_a_missed_attempt_suspends_and_is_made_again_soon() -> None:
    timer = LeaseTimer(9.0, sent=0.0)
    assert timer.due == 3.0
    timer.miss(sent=3.0, now=3.01)
    assert timer.state is LeaseState.SUSPENDED
    assert 3.01 < timer.due < 4.1
    timer.miss(sent=3.5, now=6.5)
    assert timer.due == 6.5, "what took long is made again at once"
    timer.confirm(sent=6.5, ttl=9.0, now=6.6)
    assert (timer.state, timer.due) == (LeaseState.CONNECTED, 9.5)


def test_the_end_is_final() -> None:
    timer = LeaseTimer(9.0, sent=0.0)
    timer.end(lost=False)
    timer.end(lost=True)
    timer.miss(1.0, 1.0)
    timer.confirm(1.0, 9.0, 1.0)
    assert timer.tick(100.0) is LeaseState.ENDED


def test_the_usual_clock_is_replaced_by_one_that_knows_of_suspends() -> None:
    assert lease_clock(time.monotonic) is boot_clock
    assert boot_clock() <= boot_clock()

    def clock() -> float:
        return 5.0

    assert lease_clock(clock) is clock
