"""To be a member is no licence: whatever a learner, a voter or a stranger says, a node lives, commits and restarts."""

from __future__ import annotations

import random
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.peers.lone import LEARNER, OTHER_VOTER, STRANGER, VOTER, Lone
from visor.protocol import verbs
from visord.members.callers import FEW, PASSED, PASSED_KEPT, of_client
from visord.members.conduct import STRIKES
from visord.members.proof import LEADERLESS_SECONDS
from visord.node import RemovedError
from visord.peers import messages as msg
from visord.raft.configuration import Configuration, Member, UnknownConfiguration, encode
from visord.raft.core.state import PATIENT_SECONDS
from visord.raft.core.terms import LEAP, STEP, TRICKLE_SECONDS, WINDOW_SECONDS
from visord.serving import health
from visord.state.command import UnknownFormat
from visord.state.command import encode as command

KINDS = sorted(msg._FIELDS)
B, U = (1 << 63) - 1, (1 << 64) - 1
MESSAGES = 40
"""In one life of the node that is lied to."""


def entry(rng: random.Random) -> bytes:
    return rng.choice(
        (
            bytes(command(5, [[None, "x", [[30, 1, 0, "/evil", b"e"]], ""]])),
            b"\x01",
            b"\x07junk",
            b"\x00",
            b"\x00" + msgpack.packb([9, 1, []]),
            b"\x00" + b"\x91" * 1000,
            b"\x02junk",
            encode(Configuration((Member("x" * 16, "x", "h:1", "", True, False),))),
            b"\x03",
        )
    )


class Liar:
    """Makes messages: right ones, nearly right ones, and nonsense."""

    def __init__(self, rng: random.Random, world: Lone) -> None:
        self._rng = rng
        self._world = world

    def number(self) -> int:
        engine = self._world.node.engine
        near = (engine.term, engine.commit_index, engine.log.last_index, engine.log.first_index)
        rng = self._rng
        if rng.random() < 0.85:
            return max(0, rng.choice(near) + rng.choice((-2, -1, 0, 1, 1, 2, 5)))
        if rng.random() < 0.5:
            return rng.choice((0, 1, engine.term + LEAP, engine.term + LEAP + 1, 1 << 31, 1 << 40))
        return rng.choice(((1 << 62) - 1, 1 << 62, B, B + 1, U, -1))

    def odd(self, level: int = 0) -> Any:
        rng = self._rng
        simple = (None, True, False, 1.5, "", "x", "a" * 5000, b"", b"x" * 70, "../../etc/passwd", "\x1b[2J")
        if level > 3 or rng.random() < 0.6:
            return rng.choice(simple) if rng.random() < 0.5 else self.number()
        if rng.random() < 0.7:
            return [self.odd(level + 1) for _ in range(rng.randrange(4))]
        return {"k": self.odd(level + 1)}

    def fields(self, kind: int) -> list[Any]:
        rng, number = self._rng, self.number
        if kind == msg.APPEND:
            term = number()
            rows = [[rng.choice((term, number())), entry(rng)] for _ in range(rng.randrange(3))]
            return [term, number(), number(), number(), number(), rows]
        if kind == msg.FORWARD:
            frames = rng.choice(
                ([[30, 1, 0, "/f", b""]], [self.odd()], [[30, 1, 0, "/f", self.odd()]], [5], [])
            )
            return [[[number(), rng.choice((None, b"s" * 16, self.odd())), "a", frames, ""]]]
        if kind == msg.PLACED:
            return [[[number() for _ in range(4)]]]
        if kind == msg.CALL:
            name = rng.choice(("add", "promote", "remove", "transfer", "update", "members", "hash", "x"))
            some = (None, VOTER, LEARNER, self._world.node.me.id, "h:1", 5, True, self.odd())
            return [number(), name, [rng.choice(some) for _ in range(rng.randrange(6))]]
        if kind == msg.GONE:
            return [encode(Configuration((), (self._world.node.me.id,)))]
        if kind in (msg.OFFERED, msg.KEPT, msg.RESULT):
            return [number(), True, self.odd()] if kind != msg.OFFERED else [number(), self.odd()]
        bools = {msg.POSITION: (2, 3), msg.VOTE: (3,), msg.PREVOTED: (1,)}.get(kind, ())
        width = len(msg._FIELDS[kind])
        made = [rng.random() < 0.5 if place in bools else number() for place in range(width)]
        return made if kind <= msg.LAST_OF_RAFT else [self.odd() if rng.random() < 0.4 else x for x in made]

    def message(self) -> list[Any]:
        rng = self._rng
        made = [rng.choice(KINDS), 0]
        made[1:] = self.fields(made[0])
        if rng.random() < 0.15:
            made[rng.randrange(len(made))] = self.odd()
        if rng.random() < 0.05:
            made = made[: rng.randrange(1, len(made) + 1)]
        if type(made[0]) is not int:
            made[0] = 1
        return made


@pytest.mark.parametrize("who", [STRANGER, LEARNER, VOTER])
@settings(
    max_examples=max(20, settings.default.max_examples // 3),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 1 << 32))
@example(seed=1)
@example(seed=3600)
def test_whatever_a_member_says_the_node_goes_on_and_restarts(
    caplog: pytest.LogCaptureFixture, who: str, seed: int
) -> None:
    caplog.clear()
    rng = random.Random(seed)
    world = Lone()
    assert world.until(lambda: world.node.engine.is_leader)
    assert world.commits()
    term = world.node.engine.term
    liar = Liar(rng, world)
    for _ in range(MESSAGES):
        message = liar.message()
        world.hear(who, message)
        if rng.random() < 0.3:
            world.turn(rng.choice((0.001, 0.05, 0.3)))
        if world.failures:
            # A later format, of a voter that is followed, may stop a node; but it is never stored.
            assert who == VOTER, world.failures
            assert isinstance(world.failures[0], UnknownFormat | UnknownConfiguration), world.failures
            world.restart()
            liar = Liar(rng, world)
    if who == STRANGER:
        assert world.node.engine.term == term
    elif who == LEARNER:  # it is believed once a minute, as far as all voters can follow within it
        assert world.node.engine.term <= term + LEAP + STEP
    else:
        assert world.node.engine.term <= term + (MESSAGES + 1) * (LEAP + 3)
    assert not [one for one in caplog.records if one.exc_info and one.levelname == "ERROR"]
    if (
        VOTER not in world.node.engine.configuration.voters
        or len(world.node.engine.configuration.members) != 3
    ):
        assert who == VOTER  # who leads may change the members
        return
    assert world.commits()
    world.restart()
    assert world.until(lambda: world.node.engine.is_leader)
    assert world.commits()


def led() -> Lone:
    world = Lone()
    assert world.until(lambda: world.node.engine.is_leader)
    assert world.commits()
    return world


@pytest.mark.parametrize("who", [STRANGER, LEARNER, VOTER])
@pytest.mark.parametrize(
    "message",
    [
        [msg.VOTE, U, U, U, True],
        [msg.VOTE, (1 << 62) - 1, 5, 5, True],
        [msg.VOTED, U],
        [msg.PREVOTED, U, True, U],
        [msg.PREVOTED, 5, False, (1 << 62) - 1],
        [msg.ROUNDED, U, U],
        [msg.ROUNDED, (1 << 62) - 1, 5],
        [msg.POSITION, (1 << 62) - 1, 5, False, True, 5],
        [msg.POSITION, 1, 0, False, True, 5],
        [msg.APPEND, (1 << 62) - 1, 1, 0, 1, 1, []],
        [msg.INSTALL, (1 << 62) - 1, 50, 1, 1],
    ],
)
def test_no_term_out_of_reach_is_taken_over(who: str, message: list[Any]) -> None:
    world = led()
    term = world.node.engine.term
    world.hear(who, message)
    assert (world.node.engine.term, world.node.engine.is_leader) == (term, True)
    assert world.node.conduct.total == 1 or message[0] in (msg.VOTED,)
    assert world.commits()


def test_another_leader_of_the_same_term_is_refused_and_nobody_stops() -> None:
    world = led()
    engine = world.node.engine
    world.hear(VOTER, [msg.APPEND, engine.term, 1, 0, 1, 1, []])
    assert engine.is_leader
    assert engine.counters["two_leaders"] == 1
    assert world.commits()


def test_what_contradicts_a_committed_entry_is_refused_and_nobody_stops() -> None:
    world = led()
    engine = world.node.engine
    term, committed = engine.term + 1, engine.commit_index
    previous = committed - 1
    message = [msg.APPEND, term, previous, engine.log.term_at(previous), committed, 1, [[term, b"\x01"]]]
    world.hear(VOTER, message)
    assert engine.counters["committed_conflict"] == 1
    assert not world.failures
    assert world.commits()


def test_an_entry_of_a_later_version_is_never_stored_and_stops_only_who_follows_a_voter() -> None:
    world = led()
    world.honest = False
    engine = world.node.engine
    world.turn(LEADERLESS_SECONDS + 5.0)
    assert not engine.is_leader
    term, last = engine.term + 1, engine.log.last_index
    later = b"\x00" + msgpack.packb([9, 1, []])
    message = [msg.APPEND, term, last, engine.log.term_at(last), last + 1, 1, [[term, later]]]
    world.hear(VOTER, message)
    assert (engine.leader, engine.log.last_index) == (VOTER, last)
    world.hear(VOTER, message)
    assert engine.log.last_index == last
    assert [type(one) for one in world.failures] == [UnknownFormat]
    world.honest = True
    world.restart()
    assert world.commits()


@pytest.mark.parametrize("who", [STRANGER, LEARNER])
@pytest.mark.parametrize("end", ["goes on", "restarts", "restarts from a checkpoint"])
def test_who_does_not_vote_leads_nobody_however_long_nobody_leads(who: str, end: str) -> None:
    world = led()
    world.honest = False
    node = world.node
    assert node.gate.admit(who, "10.0.0.9:1") is None
    world.turn(60.0)
    engine = node.engine
    assert engine.leader is None
    known = (engine.term, engine.log.last_index, engine.commit_index, node.store.rev)
    term, last = engine.term + 1, engine.log.last_index
    evil = bytes(command(5, [[None, "x", [[30, 1, 0, "/evil", b"e"]], ""]]))
    for message in (
        [msg.PREVOTE, term, 1000, term - 1],
        [msg.VOTE, term, 1000, term - 1, True],
        [msg.APPEND, term, last, engine.log.term_at(last), last + 1, 1, [[term, evil]]],
        [msg.INSTALL, term, 1000, term - 1, 1],
        [msg.VOTERS, node.proof._last, [who]],
    ):
        for _ in range(3):
            world.hear(who, message)
            world.turn(1.0)
    assert (engine.term, engine.log.last_index, engine.commit_index, node.store.rev) == known
    assert engine.leader is None
    if end == "restarts from a checkpoint":
        node.maintenance.checkpoint_now()
        world.turn(3.0)
    if end != "goes on":
        world.restart()
    # The voter is back: it leads, and nothing parts this node from it.
    engine = world.node.engine
    term = engine.term + 5
    good = bytes(command(5, [[None, "me", [[30, 1, 0, "/good", b"g"]], ""]]))
    for seq in range(20):
        world.hear(VOTER, [msg.APPEND, term, last, term_of(world, last), last + 1, seq, [[term, good]]])
        world.turn(0.1)
    assert (engine.leader, world.failures, world.wires.hung_up) == (VOTER, [], [])
    assert world.node.store.rev == known[3] + 1


def term_of(world: Lone, index: int) -> int | None:
    return world.node.engine.log.term_at(index)


@pytest.mark.parametrize("who", [STRANGER, LEARNER])
def test_who_does_not_vote_leads_nobody_that_has_a_leader(who: str) -> None:
    world = led()
    engine = world.node.engine
    term = engine.term
    last = engine.log.last_index
    for message in (
        [msg.APPEND, term + 1, last, engine.log.term_at(last), last, 1, []],
        [msg.VOTE, term + 1, 1000, term, True],
        [msg.TIMEOUT_NOW, term],
        [msg.INSTALL, term + 1, 1000, term, 1],
        [msg.ROUND, term + 1, 1],
        [msg.GONE, encode(Configuration((Member(who, "w", "h:1", "", True, False),), (world.node.me.id,)))],
        [msg.CALL, 1, "remove", [VOTER]],
        [msg.CALL, 2, "promote", [LEARNER]],
        [msg.CALL, 3, "update", [world.node.me.id, "evil:1", "evil:2"]],
    ):
        world.hear(who, message)
        world.turn(0.01)
    assert (engine.term, engine.is_leader, world.failures) == (term, True, [])
    assert engine.configuration.find(VOTER) is not None
    assert engine.configuration.find(world.node.me.id) == world.node.me._replace(peer="10.0.0.1:1")
    assert world.commits()


def test_who_says_nonsense_again_and_again_is_hung_up_on() -> None:
    world = led()
    for _ in range(STRIKES):
        assert world.wires.hung_up == []
        world.hear(VOTER, [msg.VOTE, -1, 0, 0, False])
    assert world.wires.hung_up == [VOTER]
    assert world.node.conduct.dropped[VOTER, msg.VOTE] == STRIKES


def test_all_comparisons_that_wait_are_answered_by_one() -> None:
    world = led()
    replica_check = world.node.replica_check
    answers: list[Any] = []
    for number in range(300):
        world.hear(LEARNER, [msg.CALL, number, "hash", [None]])
        world.node.membership.act(
            "hash", [None], lambda ok, result: answers.append(ok), of_client("10.0.0.9")
        )
    world.node.membership.act("hash", [None], lambda ok, result: answers.append(ok), of_client("unix:0"))
    assert answers == [False] * (300 - FEW)  # one address has its share
    answers.clear()
    running = replica_check._running
    assert running is not None
    assert len(running.askers) > 2 * FEW
    for member in (VOTER, LEARNER):
        world.hear(member, [msg.HASHED, running.number, running.index, 1, "x", ""])
    assert world.until(lambda: len(answers) == FEW + 1, 5.0)
    told = [message for member, message in world.said if member == LEARNER and message[0] == msg.RESULT]
    assert sum(message[2] is True for message in told) == PASSED + PASSED_KEPT


def test_what_a_learner_asks_without_waiting_is_owed_to_it_within_bounds() -> None:
    world = led()
    world.honest = False  # nobody confirms that it leads: what is asked waits
    rounds = world.node.engine._core._rounds
    for number in range(20_000):
        world.hear(LEARNER, [msg.READ_INDEX, number])
        world.hear(LEARNER, [msg.KEEP, number, verbs.KEEPALIVE, [[1]]])
        world.hear(LEARNER, [msg.CALL, number, "members", []])
    assert len(rounds._waiting) + sum(len(one.callbacks) for one in rounds._flights) <= 5000
    world.hear(VOTER, [msg.READ_INDEX, 7])
    world.hear(VOTER, [msg.KEEP, 8, verbs.LEASE, [1]])
    said = [message for member, message in world.said if member == VOTER]
    assert not [
        one for one in said if one[0] in (msg.READ_AT, msg.KEPT)
    ]  # its own questions wait for a round
    world.honest = True
    assert world.commits()
    for _ in range(3):  # what was owed has been paid
        world.hear(LEARNER, [msg.READ_INDEX, 99_999])
        world.turn(1.0)
    answers = [message for member, message in world.said if member == LEARNER and message[0] == msg.READ_AT]
    assert [one[2] is not None for one in answers if one[1] == 99_999] == [True] * 3


def test_hanging_up_again_and_again_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    world = led()
    for turn in range(100 * STRIKES):
        world.hear(LEARNER, [turn % 300, "x"])
    assert len(world.wires.hung_up) > 90
    told = [one.getMessage() for one in caplog.records if "hanging up" in one.getMessage()]
    assert len(told) == 1
    assert len(caplog.records) < 60
    assert len(world.node.conduct.dropped) <= len(msg.KINDS) + 1


def test_a_learner_deposes_a_leader_at_most_once_a_minute_and_for_a_moment_only() -> None:
    world = led()
    engine = world.node.engine
    world.hear(LEARNER, [msg.POSITION, engine.term + 1, 5, False, False, 1])
    assert not engine.is_leader
    world.turn(
        0.01
    )  # the voter answers in a thousandth, and an election timeout is fifty times as long as this
    assert engine.is_leader
    for _ in range(5):
        world.hear(LEARNER, [msg.POSITION, engine.term + 1, 5, False, False, 1])
        assert engine.is_leader


def beat(world: Lone, member: str, term: int, times: int = 3) -> None:
    """A member says heartbeats of a leader."""
    log = world.node.engine.log
    for seq in range(times):
        last = log.last_index
        world.hear(member, [msg.APPEND, term, last, log.term_at(last), last, seq + 1, []])
        world.turn(0.05)


def followed(*, votes: bool) -> Lone:
    """A node that follows `VOTER` in term 5."""
    world = Lone(votes=votes)
    world.honest = False
    beat(world, VOTER, 5)
    assert (world.node.engine.leader, world.node.engine.term) == (VOTER, 5)
    return world


@pytest.mark.parametrize("votes", [True, False])
@pytest.mark.parametrize("who", [LEARNER, VOTER, OTHER_VOTER])
@pytest.mark.parametrize(
    "message",
    [
        [msg.POSITION, 5 + STEP, 1, False, True, 1],
        [msg.POSITION, 5 + LEAP, 1, False, False, 1],
        [msg.ROUNDED, 5 + STEP, 1],
        [msg.PREVOTED, 6, False, 5 + STEP],
        [msg.PREVOTED, 5 + LEAP, True, 5 + LEAP],
    ],
)
def test_an_answer_to_who_asked_nothing_raises_no_term(votes: bool, who: str, message: list[Any]) -> None:
    world = followed(votes=votes)
    if votes and who == OTHER_VOTER:
        return
    for _ in range(5):
        world.hear(who, message)
    assert (world.node.engine.term, world.node.engine.leader) == (5, VOTER)
    assert world.node.engine.counters["election"] == 0


@pytest.mark.parametrize("step", [1, STEP, STEP + 1, LEAP])
def test_a_learner_that_is_led_takes_no_term_from_a_vote(step: int) -> None:
    world = followed(votes=False)
    world.hear(OTHER_VOTER, [msg.VOTE, 5 + step, 1000, 5, True])
    assert (world.node.engine.term, world.node.engine.leader) == (5, VOTER)
    world.turn(2.0)  # nobody leads: it may have a vote by an entry that is not here
    world.hear(OTHER_VOTER, [msg.VOTE, 5 + step, 1000, 5, False])
    assert world.node.engine.term == (5 + step if step <= STEP else 5)


@pytest.mark.parametrize("ahead", [1, STEP + 1, LEAP])
def test_a_learner_that_was_led_ahead_is_believed_at_once_and_is_no_liar(ahead: int) -> None:
    world = led()
    engine = world.node.engine
    term = engine.term + ahead
    answer = world._reply

    def of_then(member: str, message: list[Any]) -> list[Any] | None:
        if member == LEARNER and message[0] == msg.APPEND and message[1] < term:
            return [msg.POSITION, term, 0, False, False, message[5]]
        return answer(member, message)

    world._reply = of_then  # type: ignore[method-assign]
    world.turn(3.0)
    assert engine.is_leader and engine.term == term + 1
    assert engine.progress(LEARNER)[0] > 0  # type: ignore[index]
    assert (world.wires.hung_up, world.node.conduct.total) == ([], 0)
    assert world.commits()


def test_a_learner_far_ahead_is_reached_in_as_many_minutes_as_it_took() -> None:
    world = led()
    engine = world.node.engine
    term = engine.term + 3 * LEAP
    world._reply = lambda member, message, then=world._reply: (  # type: ignore[method-assign,misc]
        [msg.POSITION, term, 0, False, False, message[5]]
        if member == LEARNER and message[0] == msg.APPEND and message[1] < term
        else then(member, message)
    )
    world.turn(4 * PATIENT_SECONDS)
    assert engine.is_leader and engine.term >= term
    assert engine.progress(LEARNER)[0] > 0  # type: ignore[index]
    assert world.wires.hung_up == []


@pytest.mark.parametrize("votes", [True, False])
@pytest.mark.parametrize("step", [1, STEP, LEAP, 1 << 39])
def test_however_a_voter_lies_terms_rise_by_so_many_a_minute(votes: bool, step: int) -> None:
    world = followed(votes=votes)
    engine = world.node.engine
    minutes = 3
    for _ in range(minutes * 600):
        for kind in (msg.APPEND, msg.VOTE, msg.INSTALL, msg.POSITION, msg.PREVOTED):
            term = engine.term + step
            world.hear(
                VOTER,
                {
                    msg.APPEND: [msg.APPEND, term, 1, 0, 1, 1, []],
                    msg.VOTE: [msg.VOTE, term, 1000, 5, True],
                    msg.INSTALL: [msg.INSTALL, term, 1, 0, 1],
                    msg.POSITION: [msg.POSITION, term, 1, False, False, 1],
                    msg.PREVOTED: [msg.PREVOTED, 5, False, term],
                }[kind],
            )
        world.turn(0.1)
    most = LEAP + STEP + STEP * WINDOW_SECONDS / TRICKLE_SECONDS
    assert engine.term <= 5 + (minutes + 1) * most
    # A leader who has not been lied to, and has come as far as all are led, is followed.
    beat(world, VOTER, engine.term + 1)
    assert engine.leader == VOTER


def test_who_is_out_of_reach_of_a_leader_climbs_and_follows_at_the_next_message() -> None:
    """A voter was led ahead as far as may be; the leader stood behind it; a third one has heard of nothing."""
    world = Lone()
    world.honest = False
    engine = world.node.engine
    beat(world, VOTER, 1)
    world.turn(WINDOW_SECONDS)
    beat(world, VOTER, engine.term + LEAP + STEP + 1)
    assert engine.leader == VOTER


def gone(world: Lone) -> list[Any]:
    """What members say to this node when it is removed."""
    now, me = world.node.engine.committed_configuration, world.node.me.id
    rest = tuple(one for one in now.members if one.id != me)
    return [msg.GONE, encode(Configuration(rest, (*now.removed, me)))]


def test_a_node_that_leads_is_not_removed_by_a_voters_word() -> None:
    world = led()
    for _ in range(3):
        world.hear(VOTER, gone(world))
        world.turn(1.0)
    assert world.failures == []
    assert world.commits()


def test_a_node_stops_when_a_majority_of_the_voters_tells_that_it_was_removed() -> None:
    world = followed(votes=False)  # a learner of two voters
    for _ in range(3):
        world.hear(VOTER, gone(world))
        world.hear(LEARNER, gone(world))
    world.turn(2.0)
    assert world.failures == []
    assert [one for one in health.alarms(world.node) if one.startswith(f"removed: {VOTER} ")]
    world.hear(OTHER_VOTER, gone(world))
    assert [type(one) for one in world.failures] == [RemovedError]


def asked(world: Lone, *answers: tuple[str, str | None]) -> None:
    """The leader says that this node differs, and voters answer what they told."""
    engine, node = world.node.engine, world.node
    node.replica_check.places.note(node.machine)
    index = node.machine.index
    world.hear(VOTER, [msg.HASH, 1, index, None])
    world.turn(0.2)
    beat(world, VOTER, engine.term)
    world.said.clear()
    world.hear(VOTER, [msg.VERDICT, index, node.store.rev, "00 at rev 1", [node.me.id]])
    questions = [(member, message) for member, message in world.said if message[0] == msg.DIGEST]
    assert sorted(member for member, _ in questions) == [VOTER, OTHER_VOTER]
    number = questions[0][1][1]
    for member, told in answers:
        world.hear(member, [msg.TOLD, number, told])
    world.turn(0.1)


@pytest.mark.parametrize(
    ("answers", "differs"),
    [
        ((), False),
        (((VOTER, "00 at rev 1"),), False),
        (((VOTER, "00 at rev 1"), (VOTER, "00 at rev 1"), (LEARNER, "00 at rev 1")), False),
        (((VOTER, "00 at rev 1"), (OTHER_VOTER, None)), False),
        (((VOTER, "00 at rev 1"), (OTHER_VOTER, "01 at rev 1")), False),
        (((VOTER, "00 at rev 1"), (OTHER_VOTER, "00 at rev 1")), True),
    ],
)
def test_a_node_stops_serving_only_when_a_majority_of_the_voters_holds_something_else(
    answers: tuple[tuple[str, str | None], ...], differs: bool
) -> None:
    world = followed(votes=False)
    asked(world, *answers)
    assert (world.node.divergence is not None) is differs
    assert world.disk.exists("/data/diverged") is differs


def test_a_node_that_holds_what_the_majority_holds_serves_on_whatever_the_leader_says() -> None:
    world = followed(votes=False)
    node = world.node
    asked(world)
    (own,) = node.replica_check._digests.known.values()
    asked(world, (VOTER, own), (OTHER_VOTER, own))
    assert node.divergence is None
