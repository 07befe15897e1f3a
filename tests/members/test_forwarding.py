"""Writes on their way to the leader: what a replica sends, what becomes of it, and what a leader takes."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.members.parts import Clock, Leading, Line
from visord.members.forwarding import Forwarding
from visord.peers import messages as msg
from visord.proposer import HOLD_SECONDS, LOST, Batch, Proposer
from visord.state.formats import FORMAT, OLDEST
from visord.state.refusal import Refusal

FRAME = [30, 1, 0, "/a", b"x"]
FIRST = 500


class Client:
    def __init__(self) -> None:
        self.told: list[Any] = []

    def complete(self, frames: list[Any], outcomes: list[Any]) -> None:
        self.told += outcomes

    def fail(self, frames: list[Any], refusal: Refusal) -> None:
        self.told += [refusal] * len(frames)


class Asked:
    """The proposer, as far as it is asked."""

    def __init__(self) -> None:
        self.expected: list[tuple[int, int, int, Batch]] = []
        self.requeued: list[Batch] = []
        self.submitted: list[Batch] = []
        self.synced_times = 0
        self.full: Refusal | None = None
        self.of_commands = FORMAT

    def expect(self, index: int, term: int, position: int, batch: Batch) -> None:
        self.expected.append((index, term, position, batch))

    def requeue(self, batches: list[Batch]) -> None:
        self.requeued += batches

    def submit_batches(self, batches: list[Batch]) -> None:
        self.submitted += batches

    def synced(self) -> None:
        self.synced_times += 1

    def refusal(self, owner: str = "") -> Refusal | None:
        return self.full

    def form(self) -> int:
        return self.of_commands


class Node:
    def __init__(self, leader: str | None = "lead", reads: int = FORMAT) -> None:
        self.consensus, self.line, self.clock, self.asked = Leading(leader), Line(), Clock(), Asked()
        self.forwarding = Forwarding(self.consensus, self.line.send, self.clock, FIRST, lambda member: reads)
        self.forwarding.proposer = cast(Proposer, self.asked)

    def batches(self, count: int = 1) -> list[Batch]:
        return [Batch(Client(), [None, "me", [FRAME], "10.0.0.7"], [FRAME], 10) for _ in range(count)]

    def sent(self) -> list[int]:
        """Return the numbers of the batches that were sent."""
        return [row[0] for _, message in self.line.taken() for row in message[1]]

    def hears(self, member: str, message: list[Any]) -> None:
        assert msg.well_formed(message)
        self.forwarding.handlers[message[0]](member, message)


def told(batch: Batch) -> list[Any]:
    return cast(Client, batch.author).told


# -- as replica ------------------------------------------------------------------------------------------------


def test_groups_go_to_the_leader_with_their_owner_each_under_a_number() -> None:
    node = Node()
    assert node.forwarding.forward(node.batches(2))
    ((member, message),) = node.line.taken()
    assert (member, message[0]) == ("lead", msg.FORWARD)
    first, second = message[1]
    assert first == [FIRST + 1, None, "me", [FRAME], "10.0.0.7"]
    assert second[0] == FIRST + 2
    assert len(node.forwarding.outstanding) == 2


def test_a_leader_of_the_older_version_is_told_no_owner() -> None:
    node = Node(reads=OLDEST)
    node.forwarding.forward(node.batches())
    ((_, message),) = node.line.taken()
    assert message[1] == [[FIRST + 1, None, "me", [FRAME]]]


@pytest.mark.parametrize("away", [False, True], ids=["no leader", "out of reach"])
def test_where_nobody_can_be_sent_to_nothing_is_outstanding(away: bool) -> None:
    node = Node(leader="lead" if away else None)
    node.line.away = {"lead"}
    assert not node.forwarding.forward(node.batches())
    assert node.forwarding.outstanding == []


def test_the_place_that_a_leader_tells_is_expected_and_then_more_may_be_sent() -> None:
    node = Node()
    (one, two) = batches = node.batches(2)
    node.forwarding.forward(batches)
    first, second = node.sent()
    node.hears("lead", [msg.PLACED, [[first, 40, 3, 2]]])
    assert node.asked.expected == [(40, 3, 2, one)]
    assert node.asked.synced_times == 0
    node.hears("lead", [msg.PLACED, [[second, 40, 3, 5], [second, 41, 3, 0]]])
    assert node.asked.expected[1:] == [(40, 3, 5, two)]
    assert node.asked.synced_times == 1


def test_only_who_was_sent_a_group_can_tell_of_it() -> None:
    node = Node()
    (batch,) = batches = node.batches()
    node.forwarding.forward(batches)
    (number,) = node.sent()
    node.hears("other", [msg.PLACED, [[number, 40, 3, 0]]])
    node.hears("other", [msg.REFUSED, [number], "no_space", "full", {}])
    node.hears("lead", [msg.PLACED, [[number + 1, 40, 3, 0]]])
    assert node.asked.expected == [] and told(batch) == []
    assert len(node.forwarding.outstanding) == 1


@pytest.mark.parametrize("code", ["not_leader", "closing"])
def test_what_was_certainly_not_accepted_waits_for_the_next_leader(code: str) -> None:
    node = Node()
    batches = node.batches(2)
    node.forwarding.forward(batches)
    node.hears("lead", [msg.REFUSED, node.sent(), code, "", {}])
    assert node.asked.requeued == batches
    assert told(batches[0]) == []
    assert node.asked.synced_times == 1


def test_any_other_refusal_is_the_outcome() -> None:
    node = Node()
    (batch,) = batches = node.batches()
    node.forwarding.forward(batches)
    node.hears("lead", [msg.REFUSED, node.sent(), "no_space", "full", {"free": 0}])
    assert told(batch) == [Refusal("no_space", "full", {"free": 0})]
    assert node.asked.requeued == []


def test_what_a_lost_member_had_may_have_happened() -> None:
    node = Node()
    (batch,) = batches = node.batches()
    node.forwarding.forward(batches)
    node.forwarding.lose("other")
    assert told(batch) == []
    node.forwarding.lose("lead")
    assert told(batch) == [LOST]
    assert node.asked.synced_times == 1
    (number,) = node.sent()
    node.hears("lead", [msg.PLACED, [[number, 40, 3, 0]]])
    assert node.asked.expected == []


def test_an_answer_that_is_late_will_not_come() -> None:
    node = Node()
    (batch,) = batches = node.batches()
    node.forwarding.forward(batches)
    node.clock.now += HOLD_SECONDS
    node.forwarding.tick()
    assert told(batch) == []
    node.clock.now += 0.1
    node.forwarding.tick()
    assert told(batch) == [LOST]


# -- as leader -------------------------------------------------------------------------------------------------


def row(number: int, *more: Any) -> list[Any]:
    return [number, None, "me", [FRAME], *more]


def test_who_does_not_lead_refuses_all() -> None:
    node = Node(leader="lead")
    node.hears("r", [msg.FORWARD, [row(7, ""), row(8, "")]])
    ((member, message),) = node.line.taken()
    assert (member, message[:3]) == ("r", [msg.REFUSED, [7, 8], "not_leader"])
    assert node.asked.submitted == []


def test_a_leader_submits_groups_whole_and_tells_their_places_to_whom_they_belong() -> None:
    node = Node(leader="me")
    node.hears("r", [msg.FORWARD, [row(7, "o"), row(8, "o")]])
    node.hears("s", [msg.FORWARD, [row(7, "o")]])
    own = node.batches()
    first, second, third = node.asked.submitted
    assert first.whole and first.content == [None, "me", [FRAME], "o"]
    node.forwarding.placed([own[0], first, third, second], 40, 3)
    assert node.line.taken() == [
        ("r", [msg.PLACED, [[7, 40, 3, 1], [8, 40, 3, 3]]]),
        ("s", [msg.PLACED, [[7, 40, 3, 2]]]),
    ]


def test_a_group_that_gets_no_place_is_refused_and_one_that_has_one_is_not() -> None:
    """The other node applies the same entry: it takes the outcomes from there."""
    node = Node(leader="me")
    node.hears("r", [msg.FORWARD, [row(7, "o"), row(8, "o")]])
    first, second = node.asked.submitted
    node.forwarding.placed([first], 40, 3)
    node.line.taken()
    for batch in (first, second):
        batch.author.fail(batch.frames, LOST)
        batch.author.fail(batch.frames, LOST)
    assert node.line.taken() == [("r", [msg.REFUSED, [8], LOST.code, LOST.text, LOST.details])]


def test_a_leader_without_room_says_why() -> None:
    node = Node(leader="me")
    node.asked.full = Refusal("overloaded", "too much", {})
    node.hears("r", [msg.FORWARD, [row(7, "o")]])
    assert node.line.taken() == [("r", [msg.REFUSED, [7], "overloaded", "too much", {}])]


def test_groups_without_owner_are_taken_while_the_older_format_is_written() -> None:
    node = Node(leader="me")
    node.hears("r", [msg.FORWARD, [row(7)]])
    assert [message[:3] for _, message in node.line.taken()] == [[msg.REFUSED, [7], "bad_request"]]
    node.asked.of_commands = OLDEST
    node.hears("r", [msg.FORWARD, [row(8)]])
    assert [batch.content[3] for batch in node.asked.submitted] == [""]


def test_the_members_hear_of_an_entry_that_will_take_long() -> None:
    node = Node(leader="me")
    node.forwarding.applies_long(40)
    assert node.consensus.long == [40]
