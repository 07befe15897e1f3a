"""The core without sockets: ids, retries, deadlines, watches, with time and dice in hand."""

from __future__ import annotations

import dataclasses
import math
import random
from typing import Any

import pytest

from visor import errors
from visor._core.address import Address
from visor._core.backoff import Backoff
from visor._core.call import Call
from visor._core.client import GREETING, LEAVING, OFFLINE, READY, ClientProtocol
from visor._core.feed import Feed
from visor._drivers.environment import gather
from visor.protocol import verbs
from visor.protocol.frames import Decoder, encode

WELCOME = {"version": 1, "cluster": "c1", "node": "n1", "server": "x", "rev": 0, "limits": {}}


class Peer:
    """A session with its time in hand, and the messages that it sends."""

    def __init__(self, **changes: Any) -> None:
        settings = gather("x:1", "/", 10, "me", None, None, None, {})
        changes = {"random": random.Random(1), "backoff": Backoff(1, 1, 1), **changes}
        self.session = ClientProtocol(dataclasses.replace(settings, **changes))
        self.now = 100.0

    def connect(self, address: Address | None = None, **welcome: Any) -> list[list[Any]]:
        hello = sent(self.session.hello(self.now, address))[0]
        self.receive([verbs.OK, hello[1], {**WELCOME, **welcome}])
        return self.sent()

    def receive(self, *messages: list[Any]) -> None:
        self.session.receive(b"".join(encode(message) for message in messages), self.now)

    def sent(self) -> list[list[Any]]:
        return sent(self.session.take())

    def write(self, path: str = "/a", seconds: float = 10.0) -> Call:
        call = Call([verbs.SET, 0, 0, path, b""], True, self.now + seconds, seconds)
        self.session.submit(call, self.now)
        return call

    def read(self, path: str = "/a", seconds: float = 10.0) -> Call:
        call = Call([verbs.GET, 0, path], False, self.now + seconds, seconds)
        self.session.submit(call, self.now)
        return call

    def watch(self, start: int | None = None, flags: int = 0, window: int = 0) -> Feed:
        feed = Feed([verbs.SEL_GLOB, "/**"], start, flags, verbs.ALL_KINDS, window)
        self.session.subscribe(feed, self.now + 10, 10.0, self.now)
        return feed

    def pass_time(self, seconds: float) -> float:
        self.now += seconds
        return self.session.tick(self.now)


def sent(data: bytes) -> list[list[Any]]:
    return Decoder(1 << 20).feed(data)


def commit(rev: int, path: str = "/a") -> list[Any]:
    return [rev, 0, "me", None, [[verbs.CREATE, path, [rev, b"", rev, 1, 0]]]]


@pytest.fixture
def peer() -> Peer:
    peer = Peer()
    peer.connect()
    return peer


class TestExactlyOnce:
    def test_ids_rise_and_acked_is_the_lowest_write_without_an_answer(self, peer: Peer) -> None:
        first, read, second = peer.write(), peer.read(), peer.write()
        messages = peer.sent()
        assert [message[1] for message in messages] == [first.id, read.id, second.id]
        assert first.id < read.id < second.id
        assert [messages[0][2], messages[2][2]] == [first.id, first.id]
        peer.receive([verbs.OK, second.id, 2], [verbs.OK, read.id, [2, None]])
        third = peer.write()
        assert peer.sent()[0][2] == first.id
        peer.receive([verbs.OK, first.id, 1])
        fourth = peer.write()
        assert peer.sent() == [[verbs.SET, fourth.id, third.id, "/a", b""]]

    def test_after_a_lost_connection_writes_are_retried_in_order_before_newer_ones(self, peer: Peer) -> None:
        first, read, second = peer.write("/1"), peer.read(), peer.write("/2")
        peer.sent()
        peer.session.lost()
        third = peer.write("/3")
        messages = peer.connect()
        assert messages == [
            [verbs.RETRY, first.id, [verbs.SET, first.id, first.id, "/1", b""], 0],
            [verbs.GET, read.id, "/a"],
            [verbs.RETRY, second.id, [verbs.SET, second.id, first.id, "/2", b""], 0],
            [verbs.SET, third.id, first.id, "/3", b""],
        ]
        assert third.id > second.id

    def test_the_session_and_the_highest_rev_are_kept_over_connections(self, peer: Peer) -> None:
        read = peer.read()
        peer.receive([verbs.OK, read.id, [41, None]])
        session = peer.session.id
        peer.session.lost()
        hello = sent(peer.session.hello(peer.now))[0][2]
        assert hello["session"] == session
        assert len(session) == 16
        assert hello["min_rev"] == 41
        assert hello["cluster"] == "c1"

    def test_a_write_that_was_never_handed_to_the_connection_is_no_retry(self, peer: Peer) -> None:
        call = peer.write()  # packed, but the driver has not taken the bytes yet
        peer.session.lost()
        assert peer.connect() == [[verbs.SET, call.id, call.id, "/a", b""]]

    def test_a_lost_session_means_that_the_outcome_is_unknown(self, peer: Peer) -> None:
        call = peer.write()
        peer.sent()
        peer.session.lost()
        peer.connect()
        peer.receive([verbs.ERROR, call.id, "session_lost", "gone", {}])
        assert isinstance(call.error, errors.SessionLost)
        assert isinstance(call.error, errors.OutcomeUnknown)

    def test_what_was_given_up_is_never_sent_again(self, peer: Peer) -> None:
        given_up, kept = peer.write("/1"), peer.write("/2")
        peer.sent()
        peer.session.abandon(given_up)
        peer.session.lost()
        assert [message[1] for message in peer.connect()] == [kept.id]


class TestWhatCannotBeSent:
    """It is refused before anything knows of it: `submit`, `begin` and `subscribe` are the only ways in."""

    ODD = ("\udcff", 2**70, object(), [[None] * 9000], {1: 2})

    @pytest.mark.parametrize("connected", [True, False])
    @pytest.mark.parametrize("odd", ODD, ids=["text", "number", "object", "long", "key"])
    def test_nothing_is_left_of_it_and_the_next_call_goes_out(self, odd: Any, connected: bool) -> None:
        peer = Peer()
        if connected:
            peer.connect()
        session = peer.session
        for write in (True, False):
            with pytest.raises((errors.Unsendable, errors.TooLarge)):
                session.submit(Call([verbs.SET, 0, 0, "/a", odd], write, peer.now + 10, 10), peer.now)
        with pytest.raises((errors.Unsendable, errors.TooLarge)):
            session.subscribe(Feed([verbs.SEL_GLOB, odd], None, 0, verbs.ALL_KINDS, 0), peer.now, 1, peer.now)
        if connected:
            with pytest.raises((errors.Unsendable, errors.TooLarge)):
                session.begin([verbs.SET, 0, 0, "/a", odd], True)
        assert not session.wanted
        assert not session._writes
        assert session.take() == b""
        call = peer.write()
        messages = peer.sent() if connected else peer.connect()
        assert messages == [[verbs.SET, call.id, call.id, "/a", b""]]

    def test_a_smaller_limit_of_the_next_node_costs_that_call_alone(self, peer: Peer) -> None:
        large = Call([verbs.SET, 0, 0, "/large", b"x" * 5000], True, peer.now + 10, 10)
        peer.session.submit(large, peer.now)
        peer.session.lost()  # before a byte of it was taken
        small = peer.write()
        assert [message[3] for message in peer.connect(limits={"frame": 1000})] == ["/a"]
        assert isinstance(large.error, errors.TooLarge)
        assert list(peer.session.pending.values()) == [small]

    def test_what_was_refused_for_now_and_has_become_too_large_is_settled(self, peer: Peer) -> None:
        large = Call([verbs.SET, 0, 0, "/large", b"x" * 5000], True, peer.now + 10, 10)
        peer.session.submit(large, peer.now)
        peer.sent()
        peer.receive([verbs.ERROR, large.id, "overloaded", "busy", {}])
        peer.session.lost()
        peer.connect(limits={"frame": 1000})
        peer.pass_time(1.0)
        assert isinstance(large.error, errors.TooLarge)
        assert not peer.session.wanted


class TestWhyANodeIsLeft:
    def test_one_that_stops_is_said_to_stop(self, peer: Peer) -> None:
        peer.receive([verbs.GOAWAY, "closing", "the server stops"])
        assert peer.session.broken == "the node is about to stop: the server stops"

    @pytest.mark.parametrize("code", ["not_leader", "lost_leadership", "diverged"])
    def test_one_that_cannot_serve_is_not_said_to_stop(self, peer: Peer, code: str) -> None:
        read = peer.read()
        peer.sent()
        peer.receive([verbs.ERROR, read.id, code, "the leader is not known", {}])
        assert peer.session.broken is not None
        assert peer.session.broken.startswith(f"this node cannot serve now, another one may: {code}")


class TestReadsOfTheFuture:
    @pytest.mark.parametrize("verb", [verbs.GET, verbs.STAT, verbs.LIST, verbs.SCAN])
    def test_a_rev_that_does_not_come_is_named_with_the_latest(self, verb: int) -> None:
        peer = Peer()
        peer.connect(rev=39)
        call = Call([verb, 0, "/a", 99999, 0], False, peer.now + 1, 1.0)
        peer.session.submit(call, peer.now)
        peer.pass_time(1.0)
        assert isinstance(call.error, errors.DeadlineExceeded)
        assert "rev 99999 has not come within 1 s" in str(call.error)
        assert "the latest known is 39" in str(call.error)

    def test_of_one_that_was_there_nothing_of_the_kind_is_said(self) -> None:
        peer = Peer()
        peer.connect(rev=39)
        call = Call([verbs.GET, 0, "/a", 39, 0], False, peer.now + 1, 1.0)
        peer.session.submit(call, peer.now)
        peer.pass_time(1.0)
        assert str(call.error) == "no answer within 1 s"


class TestRefusals:
    def test_an_overloaded_write_is_repeated_under_a_new_id(self, peer: Peer) -> None:
        call = peer.write()
        peer.sent()
        before = call.id
        peer.receive([verbs.ERROR, call.id, "overloaded", "busy", {"limit": 3}])
        assert not call.done
        peer.pass_time(1.0)
        (message,) = peer.sent()
        assert message == [verbs.SET, call.id, call.id, "/a", b""]
        assert call.id > before

    def test_a_write_that_others_may_send_too_is_repeated_under_its_own_id(self) -> None:
        """It has not happened, so it is no RETRY; under another id it would be another write to them."""
        peer = Peer(keeps_ids=True)
        call, read = peer.write(), peer.read()
        peer.connect()
        for _ in range(2):
            peer.receive([verbs.ERROR, call.id, "overloaded", "busy", {}])
            peer.receive([verbs.ERROR, read.id, "overloaded", "busy", {}])
            peer.pass_time(1.0)
            writes = [message for message in peer.sent() if message[0] == verbs.SET]
            assert writes == [[verbs.SET, 1, 1, "/a", b""]]
        peer.receive([verbs.OK, 1, 7])
        assert call.result == 7

    def test_a_retry_that_was_refused_for_a_passing_reason_stays_a_retry(self, peer: Peer) -> None:
        call = peer.write()
        peer.sent()
        peer.session.lost()
        peer.connect()
        before = call.id
        peer.receive([verbs.ERROR, call.id, "overloaded", "busy", {}])
        other = peer.write("/b")
        assert peer.sent()[0][2] == before  # acked still holds it back
        peer.pass_time(1.0)
        assert peer.sent() == [[verbs.RETRY, before, [verbs.SET, before, before, "/a", b""], 0]]
        assert not other.done

    def test_a_retry_that_meets_unavailability_is_unknown_not_unavailable(self, peer: Peer) -> None:
        call = peer.write()
        peer.sent()
        peer.session.lost()
        peer.connect()
        peer.receive([verbs.ERROR, call.id, "no_space", "full", {}])
        assert isinstance(call.error, errors.OutcomeUnknown)
        assert isinstance(call.error.__cause__, errors.NoSpace)

    @pytest.mark.parametrize("code", ["no_quorum", "no_space"])
    def test_what_became_of_a_write_is_asked_of_the_other_nodes_too(self, code: str) -> None:
        here, there = Address("x", 1), Address("y", 1)
        peer = Peer(addresses=(here, there))
        peer.connect()
        unknown = peer.write("/1")
        peer.sent()
        peer.session.lost()
        peer.connect(here)
        fresh, slow = peer.write("/2"), peer.write("/3")
        peer.sent()
        peer.receive([verbs.ERROR, unknown.id, code, "", {}], [verbs.ERROR, fresh.id, code, "", {}])
        assert fresh.error is not None and fresh.error.code == code
        assert not unknown.done
        assert peer.session.broken is None, "the node is to answer what else it was asked"
        peer.receive([verbs.OK, slow.id, 1])
        assert peer.session.broken is not None
        assert peer.session.candidates()[0] == (there, False)
        peer.session.lost()
        peer.connect(there)
        peer.pass_time(1.0)
        (message,) = peer.sent()
        assert message[:2] == [verbs.RETRY, unknown.id]
        peer.receive([verbs.OK, unknown.id, 7])
        assert unknown.result == 7

    @pytest.mark.parametrize("code", ["no_space", "no_quorum", "lost_leadership", "not_leader"])
    def test_a_read_that_waits_for_a_rev_to_come_keeps_nobody_at_a_node_that_goes_on(self, code: str) -> None:
        peer = Peer(addresses=(Address("x", 1), Address("y", 1)))
        peer.connect()
        read, write = peer.read(seconds=60), peer.write()
        action = Call([verbs.ADMIN, 0, "transfer", [None]], False, peer.now + 10, 10)
        peer.session.submit(action, peer.now)
        peer.sent()
        peer.receive([verbs.ERROR, write.id, code, "", {}])
        assert peer.session.broken is None, "what it does elsewhere it would do twice"
        peer.receive([verbs.OK, action.id, {}])
        assert peer.session.broken is not None
        peer.session.lost()
        assert [verbs.GET, read.id, "/a"] in peer.connect()

    def test_a_node_that_closes_answers_reads_as_well(self, peer: Peer) -> None:
        read, write = peer.read(), peer.write()
        peer.sent()
        peer.receive([verbs.ERROR, write.id, "closing", "", {}], [verbs.GOAWAY, "closing", ""])
        assert peer.session.broken is None
        peer.receive([verbs.OK, read.id, [1, None]])
        assert read.result == [1, None]
        assert peer.session.broken is not None

    def test_a_leader_lost_on_the_way_makes_the_write_a_retry(self, peer: Peer) -> None:
        call = peer.write()
        peer.sent()
        peer.receive([verbs.ERROR, call.id, "lost_leadership", "", {}])
        peer.session.lost()
        peer.connect()
        peer.pass_time(1.0)
        assert [message[0] for message in peer.sent()] == [verbs.RETRY]

    def test_no_quorum_and_no_space_are_told_at_once(self, peer: Peer) -> None:
        one, two = peer.write(), peer.write()
        peer.sent()
        peer.receive([verbs.ERROR, one.id, "no_quorum", "", {}], [verbs.ERROR, two.id, "no_space", "", {}])
        assert isinstance(one.error, errors.NoQuorum)
        assert isinstance(two.error, errors.NoSpace)

    def test_a_rejection_is_final_and_carries_its_details(self, peer: Peer) -> None:
        call = peer.write()
        peer.sent()
        details = {"path": "/a", "expected": 1, "actual": 2}
        peer.receive([verbs.ERROR, call.id, "rev_mismatch", "no", details])
        assert isinstance(call.error, errors.RevMismatch)
        assert (call.error.path, call.error.expected, call.error.actual) == ("/a", 1, 2)
        assert not peer.session.wanted


class TestDeadlines:
    def test_a_read_and_an_unsent_write_are_unavailable(self) -> None:
        peer = Peer()
        calls = [peer.read(seconds=1), peer.write(seconds=1)]
        peer.pass_time(2)
        for call in calls:
            assert isinstance(call.error, errors.DeadlineExceeded)

    def test_a_sent_write_is_unknown(self, peer: Peer) -> None:
        call = peer.write(seconds=1)
        peer.sent()
        peer.pass_time(2)
        assert isinstance(call.error, errors.WriteTimeout)
        assert isinstance(call.error, TimeoutError)
        assert not peer.session.wanted

    def test_a_write_whose_bytes_wait_to_leave_is_unknown(self, peer: Peer) -> None:
        call = peer.write(seconds=1)
        peer.pass_time(2)
        assert isinstance(call.error, errors.WriteTimeout)
        assert [message[1] for message in peer.sent()] == [call.id]

    def test_a_write_that_was_to_be_repeated_after_its_deadline_is_not_sent_again(self, peer: Peer) -> None:
        call = peer.write(seconds=1.5)
        peer.sent()
        peer.receive([verbs.ERROR, call.id, "overloaded", "too many", {}])
        peer.pass_time(2)  # the pause of one second is over as well
        assert isinstance(call.error, errors.DeadlineExceeded)
        assert peer.sent() == []

    def test_a_read_that_is_given_up_is_cancelled_at_the_server(self, peer: Peer) -> None:
        call = peer.read(seconds=1)
        peer.sent()
        peer.pass_time(2)
        (cancel,) = peer.sent()
        assert (cancel[0], cancel[2]) == (verbs.CANCEL, call.id)

    def test_tick_says_when_the_next_thing_is_due(self, peer: Peer) -> None:
        peer.read(seconds=3)
        assert peer.session.tick(peer.now) == peer.now + 3
        peer.read(seconds=1)
        assert peer.session.tick(peer.now) == peer.now + 1

    def test_a_deadline_in_repetitions_names_the_last_failure(self, peer: Peer) -> None:
        call = peer.write(seconds=1.5)
        peer.sent()
        for _ in range(4):
            if call.done:
                break
            peer.receive([verbs.ERROR, call.id, "overloaded", "too many", {}])
            peer.pass_time(1)
            peer.sent()
        assert isinstance(call.error, errors.DeadlineExceeded)
        assert isinstance(call.error.__cause__, errors.Overloaded)
        assert "too many" in str(call.error)


class TestKeepAlive:
    def test_silence_is_broken_by_a_ping_and_ended_when_it_goes_on(self, peer: Peer) -> None:
        peer.read(seconds=100)
        peer.sent()
        peer.pass_time(5)
        assert [message[0] for message in peer.sent()] == [verbs.PING]
        peer.pass_time(4)
        assert peer.sent() == []
        assert peer.session.broken is None
        peer.pass_time(1)
        assert "silent" in (peer.session.broken or "")

    def test_any_bytes_are_a_sign_of_life(self, peer: Peer) -> None:
        peer.read(seconds=100)
        for _ in range(5):
            peer.pass_time(5)
            (ping,) = [message for message in peer.sent() if message[0] == verbs.PING]
            peer.receive([verbs.OK, ping[1], None])
        assert peer.session.broken is None

    def test_nobody_pings_when_nobody_waits(self, peer: Peer) -> None:
        assert peer.pass_time(60) == math.inf
        assert peer.sent() == []
        peer.read(seconds=100)
        peer.pass_time(1)
        assert peer.session.broken is None  # silence counts from the first who listens


class TestConnections:
    def test_nothing_but_hello_leaves_before_the_welcome(self) -> None:
        peer = Peer()
        call = peer.write()
        assert peer.session.state == OFFLINE
        assert [message[0] for message in sent(peer.session.hello(peer.now))] == [verbs.HELLO]
        assert peer.session.state == GREETING
        assert peer.sent() == []
        assert [message[1] for message in peer.connect()] == [call.id]

    def test_requests_over_the_servers_limit_wait_their_turn(self) -> None:
        peer = Peer()
        peer.connect(limits={"in_flight": 2})
        calls = [peer.read() for _ in range(5)]
        assert [message[1] for message in peer.sent()] == [calls[0].id, calls[1].id]
        peer.receive([verbs.OK, calls[1].id, [0, None]])
        assert [message[1] for message in peer.sent()] == [calls[2].id]
        peer.receive([verbs.OK, calls[0].id, [0, None]], [verbs.OK, calls[2].id, [0, None]])
        assert [message[1] for message in peer.sent()] == [calls[3].id, calls[4].id]

    def test_a_node_that_says_goaway_answers_what_it_has_and_gets_nothing_new(self, peer: Peer) -> None:
        old = peer.write()
        peer.sent()
        peer.receive([verbs.GOAWAY, "closing", "bye"])
        assert peer.session.state == LEAVING
        new = peer.write()
        assert peer.sent() == []
        assert peer.session.broken is None
        peer.receive([verbs.OK, old.id, 1])
        assert old.result == 1
        assert peer.session.broken is not None
        peer.session.lost()
        assert peer.connect() == [[verbs.SET, new.id, new.id, "/a", b""]]

    def test_another_cluster_is_refused_for_good(self, peer: Peer) -> None:
        peer.session.lost()
        peer.connect(cluster="c2")
        assert peer.session.fatal is not None
        error = peer.session.fatal()
        assert isinstance(error, errors.WrongCluster)
        assert (error.expected, error.actual) == ("c1", "c2")
        assert "c1" in str(error)
        assert "c2" in str(error)

    def test_the_servers_own_word_for_another_cluster_counts_too(self, peer: Peer) -> None:
        peer.session.lost()
        hello = sent(peer.session.hello(peer.now))[0]
        peer.receive([verbs.ERROR, hello[1], "wrong_cluster", "", {"expected": "c2", "actual": "c1"}])
        assert peer.session.fatal is not None
        error = peer.session.fatal()
        assert isinstance(error, errors.WrongCluster)
        assert (error.expected, error.actual) == ("c1", "c2")

    @pytest.mark.parametrize(
        "garbage",
        [
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\xc1",
            encode([verbs.OK]),
            encode([verbs.ERROR, 1]),
            encode("text"),
            encode({"a": 1}),
            encode([]),
            encode([verbs.COMMITS]),
            encode([verbs.GOAWAY]),
            b"\x93\xdd\xff\xff\xff\xff",
        ],
    )
    def test_garbage_breaks_the_connection_and_nothing_else(self, peer: Peer, garbage: bytes) -> None:
        call = peer.read()
        peer.session.receive(garbage, peer.now)
        assert peer.session.broken is not None
        assert not call.done
        peer.session.lost()
        assert [message[1] for message in peer.connect()] == [call.id]

    def test_kinds_of_a_later_protocol_are_ignored(self, peer: Peer) -> None:
        peer.receive([125, 1, 2, 3])
        assert peer.session.broken is None


class TestWatches:
    def test_it_resumes_behind_the_last_commit_that_was_taken(self, peer: Peer) -> None:
        feed = peer.watch(5)
        (request,) = peer.sent()
        assert request[3] == 5
        peer.receive([verbs.OK, request[1], 5])
        peer.receive([verbs.COMMITS, request[1], [commit(5), commit(7), commit(9)]])
        assert feed.take() == commit(5)
        assert feed.take() == commit(7)
        assert feed.delivered == 7
        peer.session.lost()
        (again,) = peer.connect()
        assert again[0] == verbs.WATCH
        assert again[3] == 8
        assert again[1] > request[1]
        peer.receive([verbs.OK, again[1], 8], [verbs.COMMITS, again[1], [commit(9)]])
        assert feed.take() == commit(9)
        assert feed.take() is None

    def test_a_watch_from_now_on_remembers_where_now_was(self, peer: Peer) -> None:
        peer.watch(None)
        (request,) = peer.sent()
        peer.receive([verbs.OK, request[1], 12])
        peer.session.lost()
        assert peer.connect()[0][3] == 12

    def test_a_mark_moves_the_position_behind_what_came_before(self, peer: Peer) -> None:
        feed = peer.watch(1)
        (request,) = peer.sent()
        peer.receive([verbs.OK, request[1], 1], [verbs.COMMITS, request[1], [commit(1)]])
        peer.receive([verbs.MARK, request[1], 40])
        assert feed.delivered == 0
        assert feed.arrived == 40
        feed.take()
        assert feed.take() is None
        assert feed.delivered == 40

    def test_whatever_told_a_rev_no_node_that_is_behind_it_may_answer_afterwards(self, peer: Peer) -> None:
        def told() -> int:
            """Return the rev below which the next node may not answer."""
            peer.session.lost()
            return int(sent(peer.session.hello(peer.now))[0][2]["min_rev"])

        peer.watch(None, verbs.W_STATE)
        (request,) = peer.sent()
        peer.receive([verbs.OK, request[1], 12])
        assert told() == 0  # the answer to WATCH is a rev to come
        (request,) = peer.connect()
        peer.receive([verbs.OK, request[1], 12], [verbs.STATE, request[1], 20, [], True])
        assert told() == 20
        (request,) = peer.connect()
        peer.receive([verbs.OK, request[1], 21], [verbs.MARK, request[1], 30])
        assert told() == 30
        (request,) = peer.connect()
        peer.receive([verbs.OK, request[1], 31], [verbs.COMMITS, request[1], [commit(40)]])
        assert told() == 40
        peer.connect()
        write = peer.write()
        peer.sent()
        refusal = {"path": "/a", "expected": 5, "actual": 50}
        peer.receive([verbs.ERROR, write.id, "rev_mismatch", "another", refusal])
        assert told() == 50
        peer.connect()
        read = peer.read()
        peer.sent()
        peer.receive([verbs.OK, read.id, [60, None]])
        assert told() == 60

    @pytest.mark.parametrize("odd", [7.5, "7", None, True])
    @pytest.mark.parametrize("kind", [verbs.MARK, verbs.STATE, verbs.COMMITS])
    def test_what_is_no_rev_ends_the_connection_and_is_said_to_no_other_node(
        self, peer: Peer, kind: int, odd: Any
    ) -> None:
        feed = peer.watch(1)
        (request,) = peer.sent()
        peer.receive([verbs.OK, request[1], 1])
        rest = {verbs.MARK: [odd], verbs.STATE: [odd, [], True], verbs.COMMITS: [[[odd, 0, "me", None, []]]]}
        peer.receive([kind, request[1], *rest[kind]])
        assert "a rev is expected" in (peer.session.broken or "")
        assert feed.delivered == 0 and feed.take() is None
        assert sent(peer.session.hello(peer.now))[0][2]["min_rev"] == 0

    def test_bytes_are_given_back_as_they_are_taken(self, peer: Peer) -> None:
        feed = peer.watch(1, window=400)
        (request,) = peer.sent()
        peer.receive([verbs.OK, request[1], 1])
        total = credited = 0
        for rev in range(1, 40):
            message = [verbs.COMMITS, request[1], [commit(rev)]]
            total += len(encode(message))
            peer.receive(message)
            assert feed.take() is not None
            peer.session.credit(feed)
            credited += sum(message[2] for message in peer.sent() if message[0] == verbs.CREDIT)
        assert 0 <= total - credited < 200

    def test_what_is_not_taken_is_not_given_back(self, peer: Peer) -> None:
        feed = peer.watch(1, window=400)
        (request,) = peer.sent()
        peer.receive([verbs.OK, request[1], 1])
        peer.receive([verbs.COMMITS, request[1], [commit(rev) for rev in range(1, 30)]])
        feed.take()
        assert not peer.session.credit(feed)
        assert peer.sent() == []

    def test_a_state_that_was_cut_off_is_fetched_anew(self, peer: Peer) -> None:
        feed = peer.watch(None, flags=verbs.W_STATE)
        (request,) = peer.sent()
        peer.receive([verbs.OK, request[1], 8])
        peer.receive([verbs.STATE, request[1], 7, [["/a", [1, b"", 1, 1, 0]]], False])
        peer.session.lost()
        (again,) = peer.connect()
        assert again[3:5] == [None, verbs.W_STATE]
        peer.receive([verbs.OK, again[1], 10], [verbs.STATE, again[1], 9, [["/b", [9, b"", 9, 1, 0]]], True])
        assert [row[0] for row in feed.rows] == ["/b"]
        assert feed.state_rev == 9
        peer.session.lost()
        assert peer.connect()[0][3:5] == [10, 0]

    def test_a_watch_that_ends_for_a_passing_reason_is_asked_for_again(self, peer: Peer) -> None:
        feed = peer.watch(1)
        (request,) = peer.sent()
        peer.receive([verbs.OK, request[1], 1], [verbs.COMMITS, request[1], [commit(3)]])
        feed.take()
        peer.receive([verbs.ENDED, request[1], "overloaded", "slow", {"rev": 3}])
        assert not feed.ended
        peer.pass_time(1)
        (again,) = peer.sent()
        assert (again[0], again[3]) == (verbs.WATCH, 4)

    def test_compaction_below_the_position_is_a_typed_end(self, peer: Peer) -> None:
        feed = peer.watch(1)
        (request,) = peer.sent()
        peer.receive([verbs.OK, request[1], 1], [verbs.COMMITS, request[1], [commit(3)]])
        peer.receive([verbs.ENDED, request[1], "compacted", "", {"floor": 9, "rev": 4}])
        assert feed.take() == commit(3)
        assert isinstance(feed.error, errors.Compacted)
        assert feed.error.floor == 10, "the first commit above the floor"
        peer.session.lost()
        assert peer.connect() == []

    def test_closing_before_the_answer_ends_it_at_the_server_all_the_same(self, peer: Peer) -> None:
        feed = peer.watch(1)
        (request,) = peer.sent()
        peer.session.unwatch(feed)
        peer.receive([verbs.OK, request[1], 1])
        (unwatch,) = peer.sent()
        assert (unwatch[0], unwatch[2]) == (verbs.UNWATCH, request[1])

    def test_the_answer_to_watch_is_no_rev_that_was_seen(self, peer: Peer) -> None:
        peer.watch(None)
        (request,) = peer.sent()
        peer.receive([verbs.OK, request[1], 1000])
        assert peer.session.rev == 0


def test_failing_gives_each_waiter_an_error_of_its_own() -> None:
    peer = Peer()
    peer.connect()
    calls, feed = [peer.read(), peer.write()], peer.watch(1)
    peer.session.fail(errors.ClientClosed)
    found = [call.error for call in calls] + [feed.error]
    assert all(isinstance(error, errors.ClientClosed) for error in found)
    assert len({id(error) for error in found}) == 3
    assert not peer.session.wanted
    assert peer.session.state == READY
