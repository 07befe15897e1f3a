"""Comparing replicas does not wait for who has not heard the question, nor an operator for who never answers."""

from __future__ import annotations

from typing import Any

from tests.peers.lone import LEARNER, VOTER, Lone
from visord.members.replica_check import OTHERS_SECONDS, PATIENCE_SECONDS, REPEAT_SECONDS
from visord.peers import messages as msg


class Compared:
    """A leader that compares, a voter and a learner that answer, or do not."""

    def __init__(self) -> None:
        self.world = world = Lone()
        assert world.until(lambda: world.node.engine.is_leader)
        assert world.commits()
        self.deaf: dict[str, int] = {}
        """How many questions a member does not hear yet."""
        self.asked: list[tuple[str, int]] = []
        self._reply = world._reply
        world._reply = self.reply  # type: ignore[method-assign]
        self.results: list[tuple[bool, Any]] = []

    def reply(self, member: str, message: list[Any]) -> list[Any] | None:
        if message[0] != msg.HASH:
            return self._reply(member, message)
        _, number, index, _ = message
        self.asked.append((member, number))
        if self.deaf.get(member, 0) > 0:
            self.deaf[member] -= 1
            return None
        place = self.world.node.replica_check.places.at(index)
        assert place is not None
        return [msg.HASHED, number, index, place.rev, "00", ""]

    def ask(self) -> None:
        self.world.node.membership.act("hash", [None], lambda ok, result: self.results.append((ok, result)))


def test_who_did_not_hear_the_question_is_asked_again() -> None:
    one = Compared()
    one.deaf = {VOTER: 1, LEARNER: 2}
    one.ask()
    one.world.turn(4 * REPEAT_SECONDS)
    ((ok, result),) = one.results
    assert ok
    assert [row["why"] for row in result["digests"]] == ["", "", ""]
    assert len([member for member, _ in one.asked if member == LEARNER]) == 3


def test_a_member_that_never_answers_holds_no_operator_for_long() -> None:
    one = Compared()
    one.deaf = {LEARNER: 10_000}
    one.ask()
    one.world.turn(OTHERS_SECONDS + 1.0)
    ((ok, result),) = one.results
    assert ok
    assert {row["why"] for row in result["digests"]} == {"", "no answer in time"}


def test_an_operator_does_not_wait_for_a_comparison_that_nobody_asked_for() -> None:
    one = Compared()
    one.deaf = {VOTER: 1, LEARNER: 10_000}
    one.world.node.replica_check._compare(None)
    one.world.turn(0.5)
    one.ask()
    one.world.turn(OTHERS_SECONDS + 1.0)
    assert [ok for ok, _ in one.results] == [True]
    assert OTHERS_SECONDS + 1.0 < PATIENCE_SECONDS


def test_a_question_that_comes_again_is_answered_once_and_worked_out_once() -> None:
    world = Lone(votes=False)
    world.honest = False
    log = world.node.engine.log
    for seq in range(3):
        world.hear(VOTER, [msg.APPEND, 5, log.last_index, log.term_at(log.last_index), 1, seq + 1, []])
        world.turn(0.05)
    digests = world.node.replica_check._digests
    for _ in range(1000):
        world.hear(VOTER, [msg.HASH, 1, 50, None])
    assert [len(wanted.found) for wanted in digests._waiting.values()] == [1]
    digests._waiting.clear()
    world.said.clear()
    index = world.node.machine.index
    world.node.replica_check.places.note(world.node.machine)
    world.hear(VOTER, [msg.HASH, 2, index, None])
    world.turn(0.3)
    world.node.replica_check._digests.compute = None  # type: ignore[assignment, method-assign]
    world.hear(VOTER, [msg.HASH, 2, index, None])
    told = [message for _, message in world.said if message[0] == msg.HASHED]
    assert len(told) == 2 and told[0] == told[1]
