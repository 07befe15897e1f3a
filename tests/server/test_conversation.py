"""One conversation by messages in and messages out: a stub behind it, bytes before it, no node and no socket."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.server.stubs import Node, Wire
from visor.protocol import verbs as v
from visor.protocol.frames import encode
from visor.protocol.limits import DEFAULT
from visord.serving.conversation import HANDLERS, OWED_BYTES, QUERIES, Conversation
from visord.serving.shape import TOO_DEEP
from visord.serving.shares import Patience
from visord.state.refusal import Refusal

FULL = Refusal("no_space", "the disk is full", {})


class Client:
    """A client that has said HELLO, unless a test wants to."""

    def __init__(self, *, greeted: bool = True, readable: bool = True) -> None:
        self.node, self.wire = Node(), Wire()
        self.node.readiness.readable = readable
        self.submitted: list[tuple[list[list[Any]], int]] = []
        self.refused: Refusal | None = None
        self.calls: list[tuple[str, Any]] = []
        node: Any = self.node
        node.proposer = SimpleNamespace(refusal=lambda owner: self.refused, submit=self._submit)
        node.welcome = lambda limits, unknown=False: {"server": "stub"}
        node.status = lambda rows: {"rev": 1}
        node.watch = lambda client, message: self._call("watch", message, 7)
        node.unwatch = lambda client, watch: self._call("unwatch", watch)
        node.credit = lambda client, watch, size: self._call("credit", (watch, size))
        node.progress = lambda client, watch: self._call("progress", watch)
        node.resume = lambda client: self._call("resume", None)
        node.forget = lambda client, requests: self._call("forget", sorted(requests))
        node.ask_leader = lambda verb, fields, reply: self._call("ask", (verb, fields, reply))
        node.operate = lambda verb, fields, owner, reply: self._call("operate", (verb, fields, owner, reply))
        node.shares.turns.clock = lambda: 0.0
        self.conversation = Conversation(node, self.wire, DEFAULT)
        self.conversation.owner = "10.0.0.7"
        if greeted:
            self.say([v.HELLO, 1, {"versions": [1], "session": b"s" * 16, "actor": "me", "min_rev": 0}])
            self.wire.answers.clear()

    def _call(self, name: str, what: Any, result: Any = None) -> Any:
        self.calls.append((name, what))
        return result

    def _submit(self, author: Conversation, frames: list[list[Any]], size: int) -> None:
        assert author is self.conversation
        self.submitted.append((frames, size))

    def say(self, *messages: list[Any]) -> list[list[Any]]:
        """Send messages in one piece; return all answers since the last time."""
        self.conversation.receive(b"".join(map(encode, messages)))
        return self.heard()

    def heard(self) -> list[list[Any]]:
        answers, self.wire.answers = self.wire.answers, []
        return answers

    def turn(self) -> list[list[Any]]:
        while self.node.soon:
            self.node.turn()
        return self.heard()


def codes(answers: list[list[Any]]) -> list[tuple[int, Any]]:
    """Return (id, code) of refusals and (id, None) of what went well."""
    return [(answer[1], answer[2] if answer[0] == v.ERROR else None) for answer in answers]


# -- handshake -------------------------------------------------------------------------------------------------


def test_who_says_hello_is_welcomed_and_known_from_then_on() -> None:
    client = Client(greeted=False)
    answers = client.say([v.HELLO, 5, {"versions": [1], "session": b"s" * 16, "actor": "me", "min_rev": 0}])
    assert answers == [[v.OK, 5, {"server": "stub"}]]
    conversation = client.conversation
    assert (conversation.greeted, conversation.session, conversation.actor) == (True, b"s" * 16, "me")


def test_the_first_message_has_to_be_hello() -> None:
    client = Client(greeted=False)
    assert client.say([v.GET, 2, "/a"])[0][:2] == [v.GOAWAY, "bad_request"]
    assert client.wire.closed and client.conversation.closed


@pytest.mark.parametrize(
    "hello", [{"versions": [9]}, {"versions": [1], "cluster": "other"}, {"versions": [1], "token": "t"}, 7]
)
def test_a_hello_that_does_not_fit_is_answered_and_the_end(hello: Any) -> None:
    client = Client(greeted=False)
    refusal, goaway = client.say([v.HELLO, 5, hello])
    assert (refusal[0], refusal[1], goaway[0]) == (v.ERROR, 5, v.GOAWAY)
    assert goaway[1] == refusal[2]
    assert client.conversation.closed


# -- reads -----------------------------------------------------------------------------------------------------


def test_reads_are_answered_at_once_in_order_where_no_round_is_needed() -> None:
    client = Client()
    client.node.wait = lambda message, min_rev: None  # type: ignore[method-assign]
    get, stat, ping = client.say([v.GET, 2, "/a"], [v.STAT, 3, "/a"], [v.PING, 4])
    assert get[:2] == [v.OK, 2] and get[2][1][1] == b"1"
    assert (stat[1], ping) == (3, [v.OK, 4, None])


def test_the_reads_of_one_arrival_share_one_confirmation() -> None:
    client = Client(readable=False)
    assert client.say([v.GET, 2, "/a"], [v.STAT, 3, "/a"]) == []
    (confirmed,) = client.node.asked
    confirmed(True)
    assert [answer[:2] for answer in client.heard()] == [[v.OK, 2], [v.OK, 3]]


def test_reads_that_nobody_confirms_are_refused() -> None:
    client = Client(readable=False)
    client.say([v.GET, 2, "/a"], [v.GET, 3, "/a"])
    client.node.asked[0](False)
    assert codes(client.heard()) == [(2, "no_quorum"), (3, "no_quorum")]


def test_a_read_of_a_rev_to_come_waits_for_it_and_is_cancelled_by_its_id() -> None:
    client = Client()
    assert client.say([v.GET, 2, "/a", 9], [v.GET, 3, "/a", 9]) == []
    assert client.node.sleeping == [2, 3]
    assert codes(client.say([v.CANCEL, 4, 2])) == [(2, "cancelled"), (4, None)]
    assert client.node.sleeping == [3]
    client.node.wait = lambda message, min_rev: None  # type: ignore[method-assign]
    client.conversation.wake(3)
    assert [answer[1] for answer in client.heard()] == [3]
    client.conversation.wake(3)
    assert client.heard() == []


def test_an_id_under_which_a_read_waits_cannot_be_used_again() -> None:
    client = Client()
    client.say([v.GET, 2, "/a", 9])
    assert codes(client.say([v.GET, 2, "/a", 9])) == [(2, "bad_request")]


@pytest.mark.parametrize("verb", sorted(QUERIES))
def test_a_node_that_differs_from_the_others_answers_no_read(verb: int) -> None:
    client = Client(readable=False)
    client.node.admission.diverged = Refusal("diverged", "it differs", {"rev": 1})
    assert codes(client.say([verb, 2, "/a"])) == [(2, "diverged")]


# -- writes ----------------------------------------------------------------------------------------------------


def test_the_writes_of_one_arrival_go_on_in_one_piece_and_their_outcomes_are_told_in_one() -> None:
    client = Client()
    frames = [[v.SET, 2, 0, "/a", b"x"], [v.DELETE, 3, 0, "/b"], [v.SET, 4, 0, "/c", b""]]
    assert client.say(*frames) == []
    assert [found for found, _ in client.submitted] == [frames]
    assert client.conversation.in_flight == 3
    client.conversation.complete(frames, [8, Refusal("not_found", "no", {}), 9])
    assert [answer[:3] for answer in client.heard()] == [
        [v.OK, 2, 8],
        [v.ERROR, 3, "not_found"],
        [v.OK, 4, 9],
    ]
    assert client.conversation.in_flight == 0


def test_where_no_writes_are_taken_all_are_told_why_and_reads_go_on() -> None:
    client = Client()
    client.refused = FULL
    answers = client.say([v.SET, 2, 0, "/a", b"x"], [v.GET, 3, "/a"], [v.NOP, 4, 0])
    assert sorted(codes(answers)) == [(2, "no_space"), (3, None), (4, "no_space")]
    assert client.submitted == [] and client.conversation.in_flight == 0


def test_what_is_nested_too_deeply_is_refused_alone() -> None:
    client = Client()
    inner: list[Any] = []
    for _ in range(20):
        inner = [inner]
    answers = client.say([v.SET, 2, 0, "/a", inner], [v.SET, 3, 0, "/a", b"x"])
    assert codes(answers) == [(2, TOO_DEEP.code)]
    assert [[frame[1] for frame in frames] for frames, _ in client.submitted] == [[3]]


def test_with_too_many_writes_unanswered_it_stops_reading_and_goes_on_when_half_are() -> None:
    client = Client()
    most = DEFAULT.in_flight
    frames = [[v.SET, number, 0, "/a", b"x"] for number in range(2, 2 + most + 10)]
    client.say(*frames)
    client.turn()
    taken = [frame for found, _ in client.submitted for frame in found]
    assert len(taken) == most and not client.wire.reading
    client.conversation.complete(taken[: most // 4], [1] * (most // 4))
    client.turn()
    assert len([frame for found, _ in client.submitted for frame in found]) == most
    client.conversation.complete(taken[most // 4 : most // 2 + 1], [1] * (most // 2 + 1 - most // 4))
    client.turn()
    assert [frame for found, _ in client.submitted for frame in found] == frames
    assert client.wire.reading


def test_the_weight_of_unanswered_writes_is_bounded_as_well() -> None:
    client = Client()
    value = b"x" * (1 << 20)
    count = OWED_BYTES // len(value) + 2
    for number in range(2, 2 + count):
        client.say([v.SET, number, 0, "/a", value])
    client.turn()
    taken = sum(len(found) for found, _ in client.submitted)
    assert 0 < taken < count and not client.wire.reading


# -- leases, operators, watches --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "name", "also"),
    [
        ([v.KEEPALIVE, 2, [5]], "ask", ["10.0.0.7"]),  # and who asks: the leader judges
        ([v.LEASE, 2, 5], "ask", ["10.0.0.7"]),
        ([v.MEMBERS, 2], "operate", []),
        ([v.ADMIN, 2, "x"], "operate", []),
    ],
)
def test_what_others_answer_is_told_when_it_comes_and_not_after_it_was_cancelled(
    message: list[Any], name: str, also: list[Any]
) -> None:
    client = Client()
    assert client.say(message) == []
    ((called, (*asked, reply)),) = client.calls
    assert (called, asked[0], asked[1]) == (name, message[0], message[2:] + also)
    reply({"done": True})
    assert client.heard() == [[v.OK, 2, {"done": True}]]
    client.say([message[0], 3, *message[2:]])
    reply = client.calls[-1][1][-1]
    assert codes(client.say([v.CANCEL, 4, 3])) == [(3, "cancelled"), (4, None)]
    reply({"done": True})
    assert client.heard() == []


def test_a_watch_is_begun_fed_and_ended() -> None:
    client = Client()
    watch = [v.WATCH, 2, [v.SEL_TREE, "/"]]
    assert client.say(watch) == [[v.OK, 2, 7]]
    client.say([v.CREDIT, 2, 100])
    client.say([v.PROGRESS, 2])
    assert client.say([v.UNWATCH, 3, 2]) == [[v.OK, 3, None]]
    assert client.calls == [("watch", watch), ("credit", (2, 100)), ("progress", 2), ("unwatch", 2)]


def test_a_watch_that_is_refused_says_why() -> None:
    client = Client()
    client.node.watch = lambda client, message: FULL  # type: ignore[attr-defined]
    assert codes(client.say([v.WATCH, 2])) == [(2, "no_space")]


# -- ends ------------------------------------------------------------------------------------------------------


def test_an_unknown_verb_is_refused_and_a_message_without_id_is_the_end() -> None:
    client = Client()
    unknown = next(verb for verb in range(2, 250) if verb not in HANDLERS | dict.fromkeys(QUERIES | v.WRITES))
    assert codes(client.say([unknown, 2])) == [(2, "unsupported")]
    assert client.say([v.GET, 0, "/a"])[-1][:2] == [v.GOAWAY, "bad_request"]
    assert client.conversation.closed


def test_all_that_waits_is_answered_when_it_is_sent_away_and_the_backend_forgets_it() -> None:
    client = Client()
    client.say([v.GET, 2, "/a", 9], [v.KEEPALIVE, 3, [5]])
    client.conversation.leave("closing", "the server is stopping")
    *refusals, goaway = client.heard()
    assert sorted(codes(refusals)) == [(2, "closing"), (3, "closing")]
    assert goaway == [v.GOAWAY, "closing", "the server is stopping"]
    assert client.calls[-1] == ("forget", [2, 3])
    assert client.say([v.PING, 5]) == []


def test_what_is_settled_after_its_end_is_told_nobody() -> None:
    client = Client()
    frames = [[v.SET, 2, 0, "/a", b"x"]]
    client.say(*frames)
    client.conversation.lost()
    client.conversation.complete(frames, [8])
    client.conversation.fail(frames, FULL)
    assert client.heard() == []


def test_while_the_peer_does_not_read_nothing_more_is_done_for_it() -> None:
    client = Client()
    client.conversation.writable(False)
    assert client.say([v.GET, 2, "/a"], [v.PING, 3]) == []
    client.conversation.writable(True)
    assert [answer[1] for answer in client.turn()] == [2, 3]
    assert ("resume", None) in client.calls


def test_a_client_is_told_where_the_members_are_once_it_is_known() -> None:
    client = Client(greeted=False)
    client.conversation.tell_addresses(["a:1"])
    assert client.heard() == []
    client = Client()
    client.conversation.tell_addresses(["a:1"])
    assert client.heard() == [[v.ADDRESSES, ["a:1"]]]


def test_whoever_may_do_nothing_waits_while_it_is_crowded_and_others_do_not() -> None:
    stranger, user = Client(), Client()
    for client in (stranger, user):
        for name, roles in (("ci", ["root"]), ("anonymous", [])):
            assert client.node.machine.auth.change("set_user", {"name": name, "roles": roles}, 0) is None
        assert client.node.authorization.applied()
        client.node.shares.turns.charge(1.0)  # much was done in this turn of the loop
    user.conversation._clearance.user, user.conversation._clearance.principal = "ci", "user:ci/"
    assert stranger.say([v.PING, 2]) == []
    assert codes(user.say([v.PING, 2])) == [(2, None)]
    assert codes(stranger.turn()) == [(2, None)]  # its turn comes
    assert stranger.conversation._clearance.party != user.conversation._clearance.party == "user:ci"


def test_the_time_of_a_message_begins_with_it_for_whoever_waits_as_well() -> None:
    stranger = Client()
    for name, roles in (("ci", ["root"]), ("anonymous", [])):
        assert stranger.node.machine.auth.change("set_user", {"name": name, "roles": roles}, 0) is None
    assert stranger.node.authorization.applied()
    stranger.node.shares.sweep(1000.0)  # it has said nothing for long
    stranger.node.shares.turns.charge(1.0)
    stranger.conversation.receive(encode([v.PING, 2, "x" * 500])[:100])
    stranger.turn()
    assert stranger.conversation.overdue(Patience()) == ""
    stranger.node.shares.sweep(1000.0 + Patience().message + 1)
    assert "a message was begun" in stranger.conversation.overdue(Patience())


@pytest.mark.parametrize("readable", [True, False])
def test_reads_are_counted_once_whatever_way_they_go(readable: bool) -> None:
    client = Client(readable=readable)
    shares = client.node.shares
    client.say([v.GET, 1, "/a"])
    assert shares.reads == 1
    client.say([v.GET, 2, "/a"], [v.GET, 3, "/b", None, v.STALE], [v.LIST, 4, "/", None, v.STALE])
    assert shares.reads == 4
    client.say([v.SET, 5, 0, "/a", b"x"], [v.PING, 6], [v.STATUS, 7])
    assert shares.reads == 4
    client.turn()
    assert shares.reads == 4
