"""A node follows nobody on his own word: only who votes by a configuration of its own, or by the word of such a one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peers.lone import LEARNER, STRANGER, VOTER, Lone
from visord.members.proof import ASK_SECONDS, JOINED, LEADERLESS_SECONDS, MOST_TOLD, Proof
from visord.peers import messages as msg
from visord.raft.configuration import Configuration, Member
from visord.serving import health
from visord.state.command import encode as command

ME, A, B, D, E = "me", "a", "b", "d", "e"


def configuration(voters: str, learners: str = "", removed: str = "") -> Configuration:
    rows = [
        Member(one, one, f"{one}:1", "", one in voters.split(), False)
        for one in (voters + " " + learners).split()
    ]
    return Configuration(tuple(sorted(rows)), tuple(removed.split()))


class Engine:
    def __init__(self, known: Configuration) -> None:
        self.member = ME
        self.leader: str | None = None
        self.configuration = self.committed_configuration = known


class Asked:
    """One `Proof` and what it says."""

    def __init__(self, known: Configuration) -> None:
        self.engine = Engine(known)
        self.now = 100.0
        self.said: list[tuple[str, list[Any]]] = []
        self.proof = Proof(
            self.engine, lambda member, message: bool(self.said.append((member, message))), self.time, 7
        )

    def time(self) -> float:
        return self.now

    def questions(self) -> list[tuple[str, int]]:
        found = [(member, message[1]) for member, message in self.said if message[0] == msg.WHO_VOTES]
        self.said.clear()
        return found


def test_one_voter_is_enough_and_the_word_goes_from_voter_to_voter() -> None:
    one = Asked(configuration("me a b"))
    one.proof.claimed(D)
    assert one.questions() == [(A, 8), (B, 8)]
    one.proof.on_voters(A, [msg.VOTERS, 8, [A, D]])
    assert one.proof.votes(D)
    assert not one.proof.votes(E)
    one.now += ASK_SECONDS
    one.proof.claimed(E)
    assert one.questions() == [(A, 9), (B, 9), (D, 9)]
    one.proof.on_voters(D, [msg.VOTERS, 9, [D, E]])
    assert one.proof.votes(D) and one.proof.votes(E)


def test_an_answer_to_another_question_is_none() -> None:
    one = Asked(configuration("me a b"))
    one.proof.claimed(D)
    for number in (6, 7, 9):
        one.proof.on_voters(A, [msg.VOTERS, number, [D]])
    assert not one.proof.votes(D)


def test_questions_are_asked_seldom_however_many_claim() -> None:
    one = Asked(configuration("me a"))
    for _ in range(100):
        one.now += 0.01
        one.proof.claimed(D)
    assert len(one.questions()) <= 1 + int(1.0 / ASK_SECONDS)


def test_who_was_removed_is_believed_no_more_nor_what_he_told() -> None:
    one = Asked(configuration("me a b"))
    one.proof.claimed(D)
    one.proof.on_voters(A, [msg.VOTERS, 8, [D, E]])
    one.proof.on_voters(D, [msg.VOTERS, 8, [E]])
    one.engine.committed_configuration = configuration("me b e", removed="a d")
    one.proof.use()
    assert not one.proof.votes(D) and not one.proof.votes(E)


def test_what_is_kept_is_bounded() -> None:
    one = Asked(configuration("me a"))
    one.proof.claimed(D)
    for number in range(1000):
        one.proof.on_voters(f"v{number}", [msg.VOTERS, 8, [f"w{number}"]])
    assert len(one.proof._told) == MOST_TOLD
    assert len(one.proof._voters) == MOST_TOLD


def test_who_joins_trusts_the_voters_it_was_told_of_until_it_finds_itself_among_the_members() -> None:
    one = Asked(Configuration())
    assert one.proof.joining
    one.proof.claimed(D)
    assert one.questions() == []
    rows = [{"id": A, "peer": "a:1", "role": "voter"}, {"id": D, "peer": "d:1", "role": "learner"}]
    one.proof.joined(rows)
    assert one.proof.votes(A) and not one.proof.votes(D)
    one.engine.configuration = one.engine.committed_configuration = configuration("e", "a")  # of long ago
    one.proof.use()
    assert one.proof.joining and one.proof.votes(A)
    one.engine.configuration = one.engine.committed_configuration = configuration("e", "me")
    assert not one.proof.joining
    one.proof.joined([{"id": B, "peer": "b:1", "role": "voter"}])
    assert not one.proof.votes(B)
    assert JOINED in one.proof._told


def test_who_is_stuck_says_so_and_for_how_long_it_is_true() -> None:
    one = Asked(configuration("me a b"))
    for _ in range(int(LEADERLESS_SECONDS / 0.5) + 1):
        one.proof.claimed(D)
        one.proof.tick()
        one.now += 0.5
    assert one.proof.stuck is not None and D in one.proof.stuck and "a, b" in one.proof.stuck
    one.engine.leader = D
    one.proof.tick()
    assert one.proof.stuck is None


def test_a_node_tells_who_votes_unless_it_joins_itself() -> None:
    one = Asked(configuration("me a", "b"))
    one.proof.on_who_votes(STRANGER, [msg.WHO_VOTES, 5])
    assert one.said == [(STRANGER, [msg.VOTERS, 5, [A, ME]])]
    other = Asked(Configuration())
    other.proof.on_who_votes(STRANGER, [msg.WHO_VOTES, 5])
    assert other.said == []


# -- the whole node -----------------------------------------------------------------------------------------


def silenced() -> Lone:
    """A node that hears nobody for long."""
    world = Lone()
    assert world.until(lambda: world.node.engine.is_leader)
    assert world.commits()
    world.honest = False
    world.turn(10.0)
    return world


def entries(world: Lone, term: int) -> list[Any]:
    log = world.node.engine.log
    last = log.last_index
    write = bytes(command(5, [[None, "x", [[30, 1, 0, "/by/d", b"d"]], ""]]))
    return [msg.APPEND, term, last, log.term_at(last), last + 1, 1, [[term, write]]]


@pytest.mark.parametrize("who", [LEARNER, STRANGER])
def test_a_learner_that_was_promoted_by_an_entry_that_is_not_here_leads_once_a_voter_says_so(
    who: str,
) -> None:
    world = silenced()
    assert world.node.gate.admit(who, "10.0.0.9:1") is None
    world.turn(0.1)
    world.honest = True
    world.promoted = [who]
    world.wires._say = lambda member, message: (
        world._answer(member, message) if message[0] == msg.WHO_VOTES else None
    )
    rev = world.node.store.rev
    message = entries(world, world.node.engine.term + 1)
    world.hear(who, message)
    assert world.node.engine.leader is None
    world.turn(0.1)
    world.hear(who, message)
    assert world.node.engine.leader == who
    assert world.node.store.rev == rev + 1


def test_where_no_voter_vouches_it_is_told_in_health() -> None:
    world = silenced()
    assert world.node.gate.admit(STRANGER, "10.0.0.9:1") is None
    for _ in range(10):
        world.hear(STRANGER, entries(world, world.node.engine.term + 1))
        world.turn(0.1)
    alarms = [one for one in health.alarms(world.node) if one.startswith("nobody to follow: ")]
    assert len(alarms) == 1
    assert STRANGER in alarms[0] and VOTER in alarms[0]
    world.turn(10.0)
    assert not [one for one in health.alarms(world.node) if one.startswith("nobody to follow: ")]
