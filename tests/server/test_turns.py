"""How the loop's time is shared: with a clock that the work itself turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from visord.serving.turns import SLICE, TURN, Turns


class Loop:
    """Callbacks of the next turn, and a clock that only work moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.soon: deque[Callable[[], None]] = deque()
        self.turns = Turns(self.soon.append, lambda: self.now)

    def turn(self) -> float:
        """Run one turn; return how long it took."""
        began = self.now
        for _ in range(len(self.soon)):
            self.soon.popleft()()
        return self.now - began


class Asker:
    """Has `left` pieces of work of `cost` seconds each."""

    def __init__(self, loop: Loop, owner: str, left: int, cost: float) -> None:
        self.owner = owner
        self._loop, self.left, self._cost = loop, left, cost
        self.done = 0
        loop.turns.queue(self, owner)

    def work(self, deadline: float) -> None:
        while self.left and self._loop.now < deadline:
            self._loop.now += self._cost
            self.left -= 1
            self.done += 1
        if self.left:
            self._loop.turns.queue(self, self.owner)


def test_a_turn_ends_in_time_however_many_wait() -> None:
    loop = Loop()
    for number in range(100):
        Asker(loop, f"10.0.0.{number}", 50, 0.001)
    while loop.soon:
        assert loop.turn() <= TURN + SLICE


def test_a_crowd_of_one_owner_does_not_make_another_wait() -> None:
    loop = Loop()
    crowd = [Asker(loop, "10.0.0.1", 1000, 0.001) for _ in range(500)]
    loop.turn()
    other = Asker(loop, "10.0.0.2", 3, 0.001)
    loop.turn()
    assert other.left == 0
    assert sum(one.left for one in crowd) > 400_000


def test_those_of_one_owner_take_turns() -> None:
    loop = Loop()
    askers = [Asker(loop, "10.0.0.1", 1000, 0.001) for _ in range(10)]
    for _ in range(12):
        loop.turn()
    assert max(one.done for one in askers) <= 2 * min(one.done for one in askers)


def test_everybody_gets_on_even_if_each_step_takes_longer_than_a_slice() -> None:
    loop = Loop()
    askers = [Asker(loop, f"10.0.0.{number}", 3, 5 * TURN) for number in range(4)]
    for _ in range(12):
        loop.turn()
    assert [one.left for one in askers] == [0, 0, 0, 0]
    assert not loop.soon


def test_long_direct_work_makes_it_crowded_until_the_next_turn() -> None:
    loop = Loop()
    assert loop.turns.deadline() > loop.now
    loop.turns.charge(TURN / 2)
    assert not loop.turns.crowded
    loop.turns.charge(TURN / 2)
    assert loop.turns.crowded
    assert loop.turns.deadline() < loop.now
    loop.turn()
    assert not loop.turns.crowded


def test_an_idle_node_schedules_nothing() -> None:
    loop = Loop()
    Asker(loop, "10.0.0.1", 1, 0.001)
    loop.turn()
    assert not loop.soon
