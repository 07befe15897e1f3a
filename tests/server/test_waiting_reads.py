"""Reads that waited are answered in turns, and what answers and waiting requests take is counted.

A conversation before a stub of its backend.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.stubs import Node, Wire
from visor.protocol import verbs as v
from visor.protocol.frames import encode
from visor.protocol.limits import DEFAULT
from visord.serving.conversation import Conversation
from visord.serving.replies import PIECE
from visord.serving.shares import FEW_WAITING
from visord.state.command import encode as command
from visord.state.machine import Machine


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def conversation(node: Node, wire: Wire) -> Conversation:
    conversation = Conversation(node, wire, DEFAULT)  # type: ignore[arg-type]
    conversation.greeted = True
    return conversation


def scans(first: int, count: int, at: int | None = None) -> bytes:
    return b"".join(encode([v.SCAN, first + n, [v.SEL_TREE, "/"], at]) for n in range(count))


def in_turns(node: Node, wire: Wire, count: int) -> None:
    """Assert that all are answered, a few in each turn of the loop."""
    before = len(wire.answers)
    assert before < count
    while node.soon:
        node.turn()
        assert len(wire.answers) - before <= 20
        before = len(wire.answers)
    assert wire.ids == list(range(1, count + 1))
    assert wire.reading


def test_confirmed_reads_are_answered_in_turns(node: Node, wire: Wire, conversation: Conversation) -> None:
    for first in range(1, 200, 2):
        conversation.receive(scans(first, 2))
        node.turn()
    while node.soon:
        node.turn()
    for confirmed in node.asked:
        confirmed(True)
    in_turns(node, wire, 200)


def test_reads_that_waited_for_one_rev_are_answered_in_turns(
    node: Node, wire: Wire, conversation: Conversation
) -> None:
    conversation.receive(scans(1, 100, at=2))
    while node.soon:
        node.turn()
    machine = Machine()
    machine.store = node.store
    machine.apply(2, 1, command(2, [[None, "me", [[v.SET, 2, 0, "/a", b"2"]], ""]]))
    for request in list(node.sleeping):
        conversation.wake(request)
    in_turns(node, wire, 100)


def test_what_waits_for_its_turn_can_be_cancelled_and_ends_with_the_conversation(
    node: Node, wire: Wire, conversation: Conversation
) -> None:
    conversation.receive(scans(1, 2))
    while node.soon:
        node.turn()
    for confirmed in node.asked:
        confirmed(True)
    assert wire.answers == []
    conversation.leave("closing", "the server is stopping")
    assert [(answer[0], answer[1], answer[2]) for answer in wire.answers[:2]] == [
        (v.ERROR, 1, "closing"),
        (v.ERROR, 2, "closing"),
    ]
    while node.soon:
        node.turn()
    assert wire.closed
    assert len(wire.answers) == 3


def test_who_does_not_take_a_transaction_is_read_no_further(
    node: Node, wire: Wire, conversation: Conversation
) -> None:
    """While its answer was owed and the peer did not read, what it sent was kept without a bound or a note."""
    conversation.writable(False)
    conversation.in_flight = 1
    conversation.complete([[v.TXN, 1, 0, [], []]], [[1, True, []]])
    assert wire.reading
    conversation.receive(scans(2, 3))
    assert not wire.reading
    assert node.shares.held.total == len(scans(2, 3))
    conversation.writable(True)
    while node.soon:
        node.turn()
    assert wire.ids == [1]
    assert wire.reading
    assert node.shares.held.total == 0


def test_all_connections_of_an_address_have_so_many_requests_wait_and_others_get_their_share(
    node: Node,
) -> None:
    limit = node.shares.waiting.limit = 200

    def joins(owner: str) -> tuple[Conversation, Wire]:
        wire = Wire()
        made = Conversation(node, wire, DEFAULT)  # type: ignore[arg-type]
        made.greeted, made.owner = True, owner
        return made, wire

    def waits(conversation: Conversation, count: int) -> None:
        conversation.receive(
            b"".join(encode([v.GET, number, "/a", 1 << 40]) for number in range(2, 2 + count))
        )
        while node.soon:
            node.turn()

    hostile = [joins("10.0.0.9") for _ in range(10)]
    for conversation, _ in hostile:
        waits(conversation, 100)
    refused = [answer for _, wire in hostile for answer in wire.answers]
    assert {(answer[0], answer[2]) for answer in refused} == {(v.ERROR, "overloaded")}
    waiting = 10 * 100 - len(refused)
    assert limit <= waiting <= limit + 10 * FEW_WAITING
    good, heard = joins("10.0.0.1")
    waits(good, 50)
    assert heard.answers == []
    assert not good.closed
    assert sum(conversation.closed for conversation, _ in hostile) == 1  # it had most
    for conversation, _ in [*hostile, (good, heard)]:
        conversation.end()
    assert node.shares.waiting.total == 0


def test_whoever_cancels_may_wait_again(node: Node, conversation: Conversation, wire: Wire) -> None:
    node.shares.waiting.limit = 100
    for turn in range(5):
        first = 2 + 1000 * turn
        ids = range(first, first + 100)
        conversation.receive(b"".join(encode([v.GET, number, "/a", 1 << 40]) for number in ids))
        conversation.receive(b"".join(encode([v.CANCEL, number + 500, number]) for number in ids))
        while node.soon:
            node.turn()
        assert {answer[2] for answer in wire.answers if answer[0] == v.ERROR} == {"cancelled"}
        assert node.shares.waiting.total == 0


class Deaf(Wire):
    """A client that takes nothing: the connection says so when more than a piece waits."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[int] = []
        self.conversation: Conversation | None = None

    def write(self, data: bytes) -> None:
        super().write(data)
        self.kept.append(len(data))
        if sum(self.kept) > PIECE and self.conversation is not None and not self.conversation.blocked:
            self.conversation.writable(False)

    def unsent(self) -> int:
        return sum(self.kept)


def test_a_large_answer_leaves_in_pieces_and_all_of_them_count_as_unsent(node: Node) -> None:
    """A transport keeps what it was given whole until its last byte is sent, whatever it tells."""
    machine = Machine()
    machine.apply(1, 1, command(1, [[None, "me", [[v.SET, 1, 0, "/a", b"1" * 900_000]], ""]]))
    node.store = machine.store
    node.readiness.readable = True

    wire = Deaf()
    conversation = wire.conversation = Conversation(node, wire, DEFAULT)  # type: ignore[arg-type]
    conversation.greeted, conversation.owner = True, "10.0.0.1"
    conversation.receive(encode([v.GET, 2, "/a"]))
    assert max(wire.kept) <= PIECE
    assert node.shares.unsent.total == sum(wire.kept) > 900_000
    assert wire.answers[0][2][1][1] == b"1" * 900_000


def test_all_pieces_of_a_message_of_a_watch_count_as_unsent(node: Node) -> None:
    wire = Deaf()
    conversation = wire.conversation = Conversation(node, wire, DEFAULT)  # type: ignore[arg-type]
    conversation.greeted, conversation.owner = True, "10.0.0.1"
    message = encode([v.COMMITS, 1, [b"1" * (3 * PIECE)]])
    conversation.send_all([message[start : start + PIECE] for start in range(0, len(message), PIECE)])
    assert node.shares.unsent.total == sum(wire.kept) == len(message)


@pytest.mark.parametrize("message", [[v.KEEPALIVE, 3, "x"], [v.MEMBERS, 3, 1], [v.ADMIN, 3, "nonsense"]])
def test_what_is_answered_at_once_loses_no_answer_behind_it(node: Node, message: list[Any]) -> None:
    """A large answer before it leaves a grown buffer, which is given back."""
    machine = Machine()
    frames = [[v.SET, 1, 0, "/a", b"1" * 90_000], [v.SET, 2, 0, "/b", b"s"]]
    machine.apply(1, 1, command(1, [[None, "me", frames, ""]]))
    node.store, node.readiness.readable = machine.store, True

    def at_once(*arguments: Any) -> None:
        arguments[-1]({"members": []})

    node.ask_leader = node.operate = at_once  # type: ignore[attr-defined]
    node.shares.turns.clock = lambda: 0.0
    wire = Wire()
    conversation = Conversation(node, wire, DEFAULT)  # type: ignore[arg-type]
    conversation.greeted, conversation.owner = True, "h"
    conversation.receive(
        b"".join(map(encode, ([v.GET, 2, "/a"], message, [v.GET, 4, "/b"], [v.GET, 5, "/b"], [v.PING, 6])))
    )
    assert sorted(wire.ids) == [2, 3, 4, 5, 6]


def test_who_is_sent_away_takes_nobody_else_with_it(node: Node) -> None:
    limit = node.shares.waiting.limit = 200
    both = []
    for owner, count in (("10.0.0.9", 150), ("10.0.0.9", 40), ("10.0.0.1", 60)):
        conversation = Conversation(node, Wire(), DEFAULT)  # type: ignore[arg-type]
        conversation.greeted, conversation.owner = True, owner
        both.append(conversation)
        for number in range(2, 2 + count):
            conversation.receive(encode([v.GET, number, "/a", 1 << 40]))
    assert node.shares.waiting.total <= limit
    both[0].wake(2)  # one of its requests is answered before it is gone
    while node.soon:
        node.turn()
    assert [conversation.closed for conversation in both] == [True, False, False]
