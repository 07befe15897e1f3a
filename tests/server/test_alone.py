"""What comes alone is done in one go: the answer is the one that the same message gets among others."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.server.test_conversation import FULL, Client, codes
from visor.protocol import verbs as v
from visord.state.command import encode as command
from visord.state.refusal import Refusal

GETS: list[list[Any]] = [
    [v.GET, 2, "/a"],
    [v.GET, 2, "/none"],
    [v.GET, 2, "/a", None],
    [v.GET, 2, "/a", None, v.LINEARIZABLE],
    [v.GET, 2, "/a", None, v.STALE],
    [v.GET, 2, "/a", None, True],
    [v.GET, 2, "/a", None, False],
    [v.GET, 2, "/a", None, 7],
    [v.GET, 2, "/a", 0, v.STALE],
    [v.GET, 2, "/a", None, 0, 0],
    [v.GET, 2, b"/a"],
    [v.GET, 2, "/a/"],
    [v.GET, 2],
]


@pytest.mark.parametrize("message", GETS)
@pytest.mark.parametrize("readable", [True, False])
def test_a_read_is_answered_alike_alone_and_among_others(message: list[Any], readable: bool) -> None:
    alone, among = Client(readable=readable), Client(readable=readable)
    first = alone.say(message)
    both = among.say(message, [v.PING, 9])
    assert first == [answer for answer in both if answer[1] != 9]
    assert len(alone.node.asked) == len(among.node.asked)
    for confirmed in (*alone.node.asked, *among.node.asked):
        confirmed(True)
    later = alone.heard()
    assert later == among.heard()
    assert bool(first) != bool(later)


def test_reads_that_wait_keep_their_ids_and_their_bounds() -> None:
    client = Client(readable=False)
    limits = client.conversation.limits
    client.conversation.limits = dataclasses.replace(limits, in_flight=2)
    assert client.say([v.GET, 2, "/a"]) == []
    assert codes(client.say([v.GET, 2, "/a"])) == [(2, "bad_request")]
    assert client.say([v.GET, 3, "/a"]) == []
    assert codes(client.say([v.GET, 4, "/a"])) == [(4, "overloaded")]
    assert codes(client.say([v.CANCEL, 5, 3])) == [(3, "cancelled"), (5, None)]
    for confirmed in client.node.asked:
        confirmed(True)
    assert codes(client.heard()) == [(2, None)]


@pytest.mark.parametrize(
    "message", [[v.GET, 0, "/a"], [v.GET, -1, "/a"], [v.GET, True, "/a"], [v.GET, "2", "/a"]]
)
def test_a_read_without_an_id_ends_the_conversation(message: list[Any]) -> None:
    client = Client()
    assert client.say(message)[-1][:2] == [v.GOAWAY, "bad_request"]


def test_a_node_that_differs_from_the_others_tells_nothing_however_old_it_may_be() -> None:
    client = Client()
    client.node.admission.diverged = Refusal("internal", "this node differs", {})
    client.node.readiness.readable = False
    assert codes(client.say([v.GET, 2, "/a", None, v.STALE])) == [(2, "internal")]


@pytest.mark.parametrize(
    "fields", [[], [v.G_REV, 7], [v.G_REV, True], [v.G_VALUE, b"x"], [0], ["text", None]]
)
def test_a_write_is_handed_on_as_it_came(fields: list[Any]) -> None:
    client = Client()
    message = [v.SET, 2, 1, "/a", b"x", *fields]
    assert client.say(message) == []
    assert [frames for frames, _ in client.submitted] == [[message]]
    assert client.conversation.in_flight == 1


def test_who_may_read_what_is_now_is_not_told_what_was() -> None:
    client = Client()
    node = client.node
    changes: list[Any] = [
        ["set_role", {"name": "reader", "grants": [["read", [v.SEL_TREE, "/"]]]}],
        ["set_user", {"name": "boss", "roles": ["root"]}],
        ["set_user", {"name": "anonymous", "roles": ["reader"]}],
    ]
    frames: list[Any] = [[v.SET, 1, 0, "/a", b"2"], *([v.AUTH, 1, 0, *change] for change in changes)]
    node.machine.apply(2, 1, command(2, [[None, "me", frames, ""]]))
    node.authorization._now = lambda: 1_000_000_000
    node.authorization.applied()
    client.say([v.GET, 2, "/a"])  # and that it may read this file is remembered
    assert client.say([v.GET, 3, "/a"]) == [[v.OK, 3, [2, [2, b"2", 1, 2, 0]]]]
    assert codes(client.say([v.GET, 4, "/a", 1])) == [(4, "denied")]


def test_a_write_that_is_not_taken_is_refused() -> None:
    client = Client()
    client.refused = FULL
    assert codes(client.say([v.SET, 2, 1, "/a", b"x"])) == [(2, "no_space")]
    assert client.conversation.in_flight == 0
