"""Linearizable reads at a node: confirmed together, answered when the index is applied, refused after a while."""

from __future__ import annotations

from collections.abc import Callable

from tests.members.parts import Clock, Leading, Line
from visord.members.read_index import MAX_ASKED, MAX_OWED, PATIENCE_SECONDS, ReadIndex
from visord.peers import messages as msg


class Node:
    """One node's reads; `turn` lets its loop turn."""

    def __init__(self, leader: str | None = "lead") -> None:
        self.consensus, self.line, self.clock = Leading(leader), Line(), Clock()
        self.applied = 0
        self.soon: list[Callable[[], None]] = []
        self.reads = ReadIndex(
            self.consensus, self.line.send, lambda: self.applied, self.clock, self.soon.append, 50
        )
        self.answers: list[tuple[int, bool]] = []
        self._asked = 0

    def ask(self) -> int:
        self._asked += 1
        number = self._asked
        self.reads.ask(lambda yes: self.answers.append((number, yes)))
        return number

    def turn(self) -> None:
        while self.soon:
            self.soon.pop(0)()

    def asked(self) -> list[int]:
        return [message[1] for _, message in self.line.taken() if message[0] == msg.READ_INDEX]

    def told(self, number: int, index: int | None, member: str = "lead") -> None:
        self.reads.handlers[msg.READ_AT](member, [msg.READ_AT, number, index])


def test_the_reads_of_one_turn_share_one_call_and_wait_until_its_index_is_applied() -> None:
    node = Node()
    node.ask()
    node.ask()
    assert node.asked() == []
    node.turn()
    (number,) = node.asked()
    node.told(number, 7)
    assert node.answers == []
    node.applied = 6
    node.reads.applied(6)
    assert node.answers == []
    node.applied = 7
    node.reads.applied(7)
    assert node.answers == [(1, True), (2, True)]


def test_an_index_that_is_applied_already_is_answered_at_once() -> None:
    node = Node()
    node.applied = 9
    node.ask()
    node.turn()
    node.told(node.asked()[0], 9)
    assert node.answers == [(1, True)]


def test_so_many_calls_are_under_way_and_what_comes_meanwhile_shares_the_next_one() -> None:
    node = Node()
    numbers = []
    for _ in range(MAX_ASKED):
        node.ask()
        node.turn()
        numbers += node.asked()
    assert len(numbers) == MAX_ASKED
    first = node.ask()
    node.turn()
    second = node.ask()
    node.turn()
    assert node.asked() == []
    node.told(numbers[0], 0)
    node.turn()
    (third,) = node.asked()
    node.told(third, 0)
    assert node.answers[-2:] == [(first, True), (second, True)]


def test_a_call_that_failed_makes_room_for_the_reads_that_wait() -> None:
    node = Node()
    for _ in range(MAX_ASKED):
        node.ask()
        node.turn()
    numbers = node.asked()
    node.ask()
    node.turn()
    node.told(numbers[0], None)
    node.turn()
    assert len(node.asked()) == 1


def test_it_is_asked_again_of_the_next_leader_and_refused_after_a_while() -> None:
    node = Node()
    node.ask()
    node.turn()
    ((_, _),) = node.line.taken()
    node.consensus.leads("other")
    node.reads.tick()
    ((member, _),) = node.line.taken()
    assert member == "other"
    node.clock.now += PATIENCE_SECONDS + 0.1
    node.reads.tick()
    assert node.answers == [(1, False)]


def test_a_leader_confirms_by_a_round_of_its_own() -> None:
    node = Node(leader="me")
    node.ask()
    node.turn()
    assert node.line.taken() == []
    node.consensus.confirmed(0)
    assert node.answers == [(1, True)]


def test_a_leader_that_is_deposed_in_its_round_asks_the_next_one() -> None:
    node = Node(leader="me")
    node.ask()
    node.turn()
    node.consensus.leads("lead")
    node.consensus.confirmed(None)
    node.reads.tick()
    (number,) = node.asked()
    node.told(number, 0)
    assert node.answers == [(1, True)]


def test_a_replica_is_told_the_index_of_a_round_and_at_most_so_many_at_once() -> None:
    node = Node(leader="me")
    for number in range(1, MAX_OWED + 2):
        node.reads.handlers[msg.READ_INDEX]("other", [msg.READ_INDEX, number])
    assert node.line.taken() == [("other", [msg.READ_AT, MAX_OWED + 1, None])]
    node.consensus.confirmed(12)
    said = node.line.taken()
    assert said == [("other", [msg.READ_AT, number, 12]) for number in range(1, MAX_OWED + 1)]


def test_who_does_not_lead_says_so() -> None:
    node = Node(leader="lead")
    node.reads.handlers[msg.READ_INDEX]("other", [msg.READ_INDEX, 3])
    assert node.line.taken() == [("other", [msg.READ_AT, 3, None])]


def test_a_node_that_stops_refuses_all() -> None:
    node = Node()
    node.ask()
    node.turn()
    node.ask()
    node.reads.abandon()
    assert sorted(node.answers) == [(1, False), (2, False)]
