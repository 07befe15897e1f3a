"""Who joins and never answers takes few places, for a while, and keeps out nobody who does."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from tests.peers.lone import LEARNER, VOTER, Lone
from visord.members.callers import FEW
from visord.members.newcomers import FORGET_SECONDS, GRACE_SECONDS, NEWCOMERS, PROVE_SECONDS, Newcomers
from visord.peers import messages as msg
from visord.raft.configuration import Configuration, Member

HONEST = "f" * 16


def led() -> Lone:
    world = Lone()
    assert world.until(lambda: world.node.engine.is_leader)
    assert world.commits()
    return world


class Joining:
    """A node that asks again until it is taken in, as `members/joining.py` does."""

    def __init__(self, world: Lone, member: str, host: str, *, name: str = "", votes: bool = True) -> None:
        self._world = world
        self._request = [msg.JOIN, member, name or f"n-{member}", f"{host}:8047", f"{host}:8046", votes]
        self._host = host
        self.refusal: Any = None
        self.done = False
        self._ask()

    def _ask(self) -> None:
        self._world.node.strangers.answer(self._request, self._answered, self._host)

    def _answered(self, data: bytes) -> None:
        _, self.done, result = msgpack.unpackb(data)
        if not self.done:
            self.refusal = result
            if result[0] != "bad_request":
                self._world.loop.call_later(0.5, self._ask)


def made_up(world: Lone, count: int, host: str = "10.9.9.9") -> None:
    """Ask for members that there are not, each at an address of its own, from one host."""
    for number in range(count):
        id_ = f"{0xFEED0000 + number:016x}"
        request = [msg.JOIN, id_, f"fake{number}", f"10.8.{number % 250}.1:{1000 + number}", "", True]
        world.node.strangers.answer(request, lambda data: None, host)


@pytest.mark.soak
def test_members_that_never_answer_are_few_and_go_again() -> None:
    world = led()
    for _ in range(70):
        made_up(world, 2 * FEW)
        world.turn(0.3)
        assert len(world.node.engine.configuration.members) <= 3 + NEWCOMERS
    assert len(world.node.engine.configuration.newcomers) == NEWCOMERS
    assert world.commits()
    world.turn(FORGET_SECONDS + 60.0)
    configuration = world.node.engine.configuration
    assert sorted(one.id for one in configuration.members) == sorted([world.node.me.id, VOTER, LEARNER])
    assert configuration.removed == ()
    world.restart()
    assert world.until(lambda: world.node.engine.is_leader)
    assert world.node.engine.configuration == configuration


def test_an_honest_newcomer_gets_in_while_somebody_makes_up_others_all_the_time() -> None:
    world = led()
    made_up(world, 4 * FEW)
    world.turn(3.0)
    assert len(world.node.engine.configuration.newcomers) == NEWCOMERS
    world.alive.add(HONEST)
    joining = Joining(world, HONEST, "10.0.0.7")

    def votes() -> bool:
        made_up(world, 4 * FEW)
        return HONEST in world.node.engine.configuration.voters

    assert world.until(votes, GRACE_SECONDS + 10.0)
    assert joining.done
    assert world.commits()


def test_five_that_join_at_once_vote_within_a_moment() -> None:
    world = led()
    joiners = [f"{number:016x}" for number in range(5)]
    world.alive |= set(joiners)
    joining = [Joining(world, one, f"10.0.1.{number + 1}") for number, one in enumerate(joiners)]
    assert world.until(lambda: set(joiners) <= set(world.node.engine.configuration.voters), 2.0)
    assert all(one.done and one.refusal is None for one in joining)
    assert world.node.engine.configuration.newcomers == ()


def test_a_learner_that_has_answered_once_stays_however_long_it_is_away() -> None:
    world = led()
    world.alive.add(HONEST)
    Joining(world, HONEST, "10.0.0.7", votes=False)
    world.turn(1.0)
    assert world.node.engine.configuration.newcomers == (HONEST,)
    world.turn(PROVE_SECONDS + 1.0)
    assert world.node.engine.configuration.newcomers == ()
    world.alive.discard(HONEST)
    world.turn(2 * FORGET_SECONDS)
    made_up(world, 2 * NEWCOMERS)
    world.turn(GRACE_SECONDS + 5.0)
    assert world.node.engine.configuration.find(HONEST) is not None


def test_a_name_that_somebody_made_up_is_given_to_who_comes() -> None:
    world = led()
    Joining(world, "9" * 16, "10.9.9.9", name="n4")
    world.turn(1.0)
    world.alive.add(HONEST)
    honest = Joining(world, HONEST, "10.0.0.7", name="n4")
    world.turn(GRACE_SECONDS + 10.0)
    assert honest.done
    found = world.node.engine.configuration.find("n4")
    assert found is not None and found.id == HONEST
    late = Joining(world, "8" * 16, "10.0.0.8", name="n4")
    world.turn(1.0)
    assert late.refusal[0] == "bad_request"  # now the name is somebody's


def test_a_new_leader_gives_everybody_the_time_again() -> None:
    now = [1000.0]
    newcomers = Newcomers(lambda: now[0], lambda member: False)
    one = Configuration().add(Member("a", "a", "h:1", "", False))
    newcomers.tick(one, now[0])
    now[0] += FORGET_SECONDS - 1
    newcomers.tick(one, now[0])  # its leadership begins only now
    now[0] += FORGET_SECONDS - 1
    assert newcomers.revised(one) == one
    now[0] += 2
    assert newcomers.revised(one) == Configuration()


def test_who_goes_is_the_oldest_of_the_host_with_most() -> None:
    now = [1000.0]
    newcomers = Newcomers(lambda: now[0], lambda member: member == "m0")
    full = Configuration()
    for number in range(NEWCOMERS):
        host = "crowd" if number % 2 else f"other{number}"
        full = full.add(Member(f"m{number}", f"m{number}", f"{host}:{number + 1}", "", False))
        newcomers.tick(full, 0.0)
        now[0] += 1.0
    new = Member("new", "new", "h:1", "", False)
    assert newcomers.take_in(full, new) is None
    now[0] += GRACE_SECONDS
    after = newcomers.take_in(full, new)
    assert after is not None
    assert {one.id for one in full.members} - {one.id for one in after.members} == {"m1"}


def test_clients_are_told_of_voters_and_of_learners_only_where_they_would_find_nobody_else() -> None:
    world = led()
    node = world.node

    def tell(member: str, client: str) -> None:
        peer = node.engine.configuration.require(member).peer
        node.membership.act("update", [member, peer, client], lambda ok, result: None)
        world.turn(6.0)

    assert node.engine.configuration.clients == []
    tell(LEARNER, "10.0.0.4:8046")
    assert node.engine.configuration.clients == ["10.0.0.4:8046"]
    tell(VOTER, "10.0.0.3:8046")
    assert node.engine.configuration.clients == ["10.0.0.3:8046"]
