"""Rounds: a read is answered only by a question that went out after it came."""

from __future__ import annotations

from visord.raft.rounds import MAX_FLIGHTS, Rounds


class Reader:
    def __init__(self) -> None:
        self.answers: list[int | None] = []

    def __call__(self, index: int | None) -> None:
        self.answers.append(index)


def test_a_read_gets_the_commit_index_of_the_moment_its_round_began() -> None:
    rounds, reader = Rounds(), Reader()
    rounds.ask(reader)
    number = rounds.start(commit=40)
    assert number is not None
    assert rounds.answered("b", number, need=1)
    assert reader.answers == [40]


def test_a_read_that_came_after_a_round_began_is_not_answered_by_it() -> None:
    rounds, early, late = Rounds(), Reader(), Reader()
    rounds.ask(early)
    first = rounds.start(1)
    rounds.ask(late)
    assert first is not None
    rounds.answered("b", first, need=1)
    assert (early.answers, late.answers) == ([1], [])
    second = rounds.start(2)
    assert second is not None
    rounds.answered("b", first, need=1)
    assert late.answers == [], "an answer to the earlier round says nothing about it"
    rounds.answered("b", second, need=1)
    assert late.answers == [2]


def test_a_member_counts_once_however_often_it_answers() -> None:
    rounds, reader = Rounds(), Reader()
    rounds.ask(reader)
    number = rounds.start(1)
    assert number is not None
    for _ in range(3):
        assert not rounds.answered("b", number, need=2)
    assert rounds.answered("c", number, need=2)
    assert reader.answers == [1]


def test_an_answer_to_a_later_round_answers_the_earlier_ones() -> None:
    rounds, readers = Rounds(), [Reader(), Reader()]
    for place, reader in enumerate(readers):
        rounds.ask(reader)
        rounds.start(10 + place)
    assert rounds.answered("b", rounds.number, need=1)
    assert [reader.answers for reader in readers] == [[10], [11]]


def test_the_number_of_rounds_under_way_is_bounded_and_nobody_is_forgotten() -> None:
    rounds, readers = Rounds(), [Reader() for _ in range(MAX_FLIGHTS + 3)]
    started = 0
    for reader in readers:
        rounds.ask(reader)
        started += rounds.start(1) is not None
    assert started == MAX_FLIGHTS
    rounds.answered("b", rounds.number, need=1)
    last = rounds.start(2)
    assert last is not None
    rounds.answered("b", last, need=1)
    assert all(len(reader.answers) == 1 for reader in readers)


def test_who_leads_no_more_can_tell_nobody_anything() -> None:
    rounds, under_way, waiting = Rounds(), Reader(), Reader()
    rounds.ask(under_way)
    number = rounds.start(1)
    assert number is not None
    rounds.ask(waiting)
    rounds.fail()
    assert (under_way.answers, waiting.answers) == ([None], [None])
    assert not rounds.answered("b", number, need=1)
    assert not rounds.busy
