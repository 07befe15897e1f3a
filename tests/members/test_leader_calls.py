"""Calls of the leader: whoever that is by then, answered once, and never by an answer to something else."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.members.parts import Clock, Leading, Line
from visord.members.leader_calls import CallKind, Fields, LeaderCalls
from visord.peers import messages as msg

FIRST = 1000


class Calls:
    """The calls of one node of the kind READ_INDEX, whose answer nil says: ask the next one."""

    def __init__(self, leader: str | None = "lead", most: int = 2) -> None:
        self.consensus, self.line, self.clock = Leading(leader), Line(), Clock()
        self.serving: list[tuple[str, Fields, Callable[[Fields], None]]] = []
        self.freed = 0
        kind = CallKind(
            msg.READ_INDEX,
            msg.READ_AT,
            lambda member, fields, reply: self.serving.append((member, fields, reply)),
            again=lambda fields: fields[0] is None,
            fits=lambda fields: fields[0] != 13,
            most=most,
            overloaded=(None,),
        )
        self.calls = LeaderCalls(kind, self.consensus, self.line.send, self.clock, FIRST, self._count)
        self.told: list[Fields | None] = []

    def _count(self) -> None:
        self.freed += 1

    def ask(self, seconds: float = 2.0) -> None:
        self.calls.ask([], self.told.append, self.clock.now + seconds)

    def once(self, seconds: float = 2.0) -> bool:
        return self.calls.ask_once([], self.told.append, self.clock.now + seconds)

    def numbers(self) -> list[tuple[str, int]]:
        return [(member, message[1]) for member, message in self.line.taken()]

    def answers(self, member: str, number: int, index: int | None) -> None:
        self.calls.handlers[msg.READ_AT](member, [msg.READ_AT, number, index])


def test_the_leader_is_asked_under_a_number_and_its_answer_is_told_once() -> None:
    one = Calls()
    one.ask()
    ((member, number),) = one.numbers()
    assert member == "lead" and number > FIRST
    assert one.calls.under_way == 1
    one.answers("lead", number, 7)
    one.answers("lead", number, 8)
    assert one.told == [[7]]
    assert one.calls.under_way == 0


def test_a_node_that_leads_answers_itself() -> None:
    one = Calls(leader="me")
    one.ask()
    assert one.line.taken() == []
    ((member, fields, reply),) = one.serving
    assert (member, fields) == ("", [])
    reply([7])
    reply([8])
    assert one.told == [[7]]


@pytest.mark.parametrize("away", [False, True], ids=["nobody leads", "out of reach"])
def test_what_nobody_could_be_asked_is_asked_of_the_next_leader(away: bool) -> None:
    one = Calls(leader="lead" if away else None)
    one.line.away = {"lead"} if away else set()
    one.ask()
    one.calls.tick()
    assert one.numbers() == []
    one.consensus.leads("other")
    one.calls.tick()
    ((member, number),) = one.numbers()
    assert member == "other"
    one.answers("other", number, 5)
    assert one.told == [[5]]


def test_the_answer_of_a_former_leader_and_that_to_an_earlier_attempt_mean_nothing() -> None:
    one = Calls()
    one.ask()
    ((_, first),) = one.numbers()
    one.consensus.leads("other")
    one.calls.tick()
    ((_, second),) = one.numbers()
    assert second != first
    one.answers("lead", first, 1)
    one.answers("lead", second, 2)
    one.answers("other", first, 3)
    assert one.told == []
    one.answers("other", second, 4)
    assert one.told == [[4]]


def test_who_says_that_the_next_leader_has_to_be_asked_is_asked_again_at_the_next_tick() -> None:
    one = Calls()
    one.ask()
    ((_, number),) = one.numbers()
    one.answers("lead", number, None)
    assert (one.told, one.freed, one.numbers()) == ([], 1, [])
    one.calls.tick()
    assert len(one.numbers()) == 1


def test_an_answer_that_is_none_is_not_heard() -> None:
    one = Calls()
    one.ask()
    ((_, number),) = one.numbers()
    one.answers("lead", number, 13)
    assert one.told == []
    one.answers("lead", number, 14)
    assert one.told == [[14]]


@pytest.mark.parametrize("leader", [None, "lead", "me"])
def test_after_the_deadline_it_is_given_up(leader: str | None) -> None:
    one = Calls(leader)
    one.ask(seconds=2.0)
    one.clock.now += 1.9
    one.calls.tick()
    assert one.told == []
    one.clock.now += 0.2
    one.calls.tick()
    assert one.told == [None]
    one.calls.tick()
    assert one.told == [None]


def test_what_is_asked_once_ends_with_the_term_of_who_was_asked() -> None:
    one = Calls()
    assert one.once()
    one.consensus.term += 1  # the same leader, which forgot what it was asked when its term ended
    one.calls.tick()
    assert one.told == [None]
    assert len(one.numbers()) == 1


def test_what_is_asked_once_is_not_kept_where_nobody_can_be_asked() -> None:
    one = Calls(leader=None)
    assert not one.once()
    one.consensus.leads("lead")
    one.line.away = {"lead"}
    assert not one.once()
    one.line.away = set()
    one.calls.tick()
    assert one.numbers() == [] and one.told == []


def test_what_is_asked_again_outlives_a_term_of_the_same_leader() -> None:
    one = Calls()
    one.ask()
    one.consensus.term += 1
    one.calls.tick()
    assert len(one.numbers()) == 1 and one.told == []


def test_who_asks_without_waiting_is_owed_so_many_answers_and_no_more() -> None:
    one = Calls(leader="me", most=2)
    for number in range(1, 5):
        one.calls.handlers[msg.READ_INDEX]("other", [msg.READ_INDEX, number])
    one.calls.handlers[msg.READ_INDEX]("lead", [msg.READ_INDEX, 9])
    assert [(member, fields) for member, fields, _ in one.serving] == [
        ("other", []),
        ("other", []),
        ("lead", []),
    ]
    assert one.line.taken() == [("other", [msg.READ_AT, 3, None]), ("other", [msg.READ_AT, 4, None])]
    one.serving[0][2]([6])
    assert one.line.taken() == [("other", [msg.READ_AT, 1, 6])]
    one.calls.handlers[msg.READ_INDEX]("other", [msg.READ_INDEX, 5])
    assert len(one.serving) == 4


def test_a_node_that_stops_answers_all_of_its_own() -> None:
    one = Calls()
    one.ask()
    one.consensus.leads(None)
    one.ask()
    one.calls.abandon()
    assert one.told == [None, None]
    assert one.calls.under_way == 0


@pytest.mark.parametrize("seed", range(30))
def test_every_call_is_answered_once_whatever_happens(seed: int) -> None:
    """Leaders come and go, answers are lost, late, doubled, or say: ask again; then all is quiet."""
    rng, one = random.Random(seed), Calls()
    asked: list[tuple[str, int]] = []
    told: dict[int, list[Any]] = {}
    for step in range(200):
        event = rng.randrange(7)
        if event == 0:
            told[step] = []
            ask = one.calls.ask_once if rng.random() < 0.3 else one.calls.ask
            if ask([], told[step].append, one.clock.now + rng.uniform(0.1, 3.0)) is False:
                del told[step]
        elif event == 1:
            one.consensus.leads(rng.choice(["lead", "other", "me", None]))
        elif event == 2:
            one.line.away = set(rng.sample(["lead", "other"], rng.randrange(3)))
        elif event == 3:
            one.clock.now += rng.uniform(0.0, 0.5)
        elif event == 4:
            one.calls.tick()
        elif event == 5 and one.serving:
            rng.choice(one.serving)[2]([rng.choice([None, step])])
        asked += one.numbers()
        if event == 6 and asked:
            one.answers(*rng.choice(asked), rng.choice([None, step]))
    one.clock.now += 4.0
    one.calls.tick()
    assert told
    assert {len(answers) for answers in told.values()} == {1}
