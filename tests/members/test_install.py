"""A member takes over the leader's checkpoint, by messages between the two: one question at a time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.members.parts import Leading, Line
from tests.peers.lone import TurnedLoop
from tests.storage.fake_disk import FakeDisk
from visor.protocol import verbs as v
from visor.protocol.limits import DEFAULT
from visord.data import Data
from visord.environment import Environment
from visord.members.install import ANSWER_SECONDS, RETRY_SECONDS, Install
from visord.members.names import Names
from visord.peers import messages as msg
from visord.raft.configuration import Configuration, encode
from visord.settings import NodeSettings, Settings, StorageSettings
from visord.state.command import encode as command
from visord.state.digest import state_hash
from visord.state.machine import Machine
from visord.storage.worker import Inline

STORAGE = StorageSettings(log_segment_bytes=1 << 20, log_chunk_bytes=64 << 10)


class Node:
    """One side: real data on a disk in memory, a loop that is turned by hand, a line that a test carries."""

    def __init__(self, name: str, leader: str = "lead") -> None:
        self.engine: Any = Leading(leader, me=name)
        self.engine.paused = False
        self.loop, self.line = TurnedLoop(), Line()
        inline = Inline()
        self.environment = Environment(self.loop, FakeDisk(), inline, inline, random.Random(1), lambda: 1)
        settings = Settings(node=NodeSettings(name=name), storage=STORAGE)
        self._data = Data(Path("/data"), settings, self.environment)
        self._data.open(DEFAULT, "5" * 32, lambda: encode(self.engine.configuration))
        self.directory, self.machine = self._data.directory, self._data.machine
        self.checkpointer, self.log = self._data.checkpointer, self._data.log
        self.limits, self.names = DEFAULT, Names(self.engine)
        self.maintenance = self
        self.wanted = 0
        """How often a checkpoint was asked for."""
        self.took: list[tuple[Machine, Configuration]] = []
        self.install = Install(self, 700)

    def send(self, member: str, message: list[Any]) -> bool:
        return self.line.send(member, message)

    def do(self, steps: Iterator[None]) -> None:
        for _ in steps:
            assert self.engine.paused, "nothing is applied meanwhile"

    def checkpoint_now(self) -> None:
        self.wanted += 1

    def installed(self, machine: Machine, configuration: Configuration) -> None:
        assert self.engine.paused
        self.took.append((machine, configuration))

    def write(self, count: int) -> None:
        for _ in range(count):
            number = self.machine.index + 1
            frame = [v.SET, number, 0, f"/a/{number % 7}", b"x" * 1000]
            self.machine.apply(number, 1, command(1000, [[None, "me", [frame], ""]]))

    def checkpoint(self) -> None:
        for _ in self.checkpointer.steps(self.machine):
            pass

    def hears(self, member: str, message: list[Any]) -> None:
        assert msg.well_formed(message)
        self.install.handlers[message[0]](member, message)


class Pair:
    """A leader with a checkpoint, and a member that lacks it."""

    def __init__(self) -> None:
        self.leader, self.member = Node("lead"), Node("me")
        self.leader.write(300)
        self.leader.checkpoint()

    def carry(self, *, most: int = 10_000) -> list[int]:
        """Carry messages to and fro until there are none; return the kinds."""
        kinds = []
        for _ in range(most):
            said = [("me", *one) for one in self.member.line.taken()]
            said += [("lead", *one) for one in self.leader.line.taken()]
            if not said:
                break
            for source, target, message in said:
                kinds.append(message[0])
                (self.leader if target == "lead" else self.member).hears(source, message)
            self.leader.loop.turn(0.05)
        return kinds

    def needed(self) -> None:
        self.member.install.needed("lead", 300)


def asked(node: Node) -> list[tuple[str, int, int]]:
    return [(member, message[0], message[1]) for member, message in node.line.taken()]


def test_what_a_member_lacks_is_fetched_and_taken_over() -> None:
    pair = Pair()
    pair.needed()
    kinds = pair.carry()
    assert kinds[:2] == [msg.OFFER, msg.OFFERED]
    assert kinds.count(msg.FETCH) == kinds.count(msg.CHUNK) > 0
    ((machine, configuration),) = pair.member.took
    assert (machine.index, state_hash(machine.store)) == (300, state_hash(pair.leader.machine.store))
    assert configuration == pair.leader.engine.configuration
    assert not pair.member.engine.paused
    assert pair.member.install.status() is None


def test_one_question_is_open_at_a_time_and_asked_again_with_another_number_when_it_is_lost() -> None:
    pair = Pair()
    pair.needed()
    pair.needed()
    ((target, kind, first),) = asked(pair.member)
    assert (target, kind) == ("lead", msg.OFFER) and first > 700
    pair.member.loop.turn(ANSWER_SECONDS - 0.1)
    pair.member.install.tick()
    assert asked(pair.member) == []
    pair.member.loop.turn(0.2)
    pair.member.install.tick()
    ((_, kind, second),) = asked(pair.member)
    assert kind == msg.OFFER and second > first
    offer = pair.leader.install.outgoing.offer()
    pair.member.hears("lead", [msg.OFFERED, first, offer])
    pair.member.hears("other", [msg.OFFERED, second, offer])
    assert asked(pair.member) == []
    pair.member.hears("lead", [msg.OFFERED, second, offer])
    assert [kind for _, kind, _ in asked(pair.member)] == [msg.FETCH]


def test_a_leader_without_a_checkpoint_makes_one_and_the_member_waits_to_be_told_again() -> None:
    pair = Pair()
    pair.leader = Node("lead")
    pair.leader.write(10)
    pair.needed()
    assert pair.carry() == [msg.OFFER, msg.OFFERED]
    assert pair.leader.wanted == 1
    assert pair.member.install.status() is None
    pair.leader.checkpoint()
    pair.needed()
    pair.carry()
    assert pair.member.took[0][0].index == 10


def test_the_next_leader_is_asked_what_it_has_once_it_says_that_it_is_needed() -> None:
    pair = Pair()
    pair.needed()
    asked(pair.member)
    pair.member.engine.leads("other")
    pair.member.loop.turn(ANSWER_SECONDS + 0.1)
    pair.member.install.tick()
    assert asked(pair.member) == []
    pair.member.install.needed("other", 300)
    ((target, kind, _),) = asked(pair.member)
    assert (target, kind) == ("other", msg.OFFER)


@pytest.mark.parametrize("offer", [[], [1, 2, b"nonsense"], "x", [9, 1, b""]])
def test_an_offer_that_is_none_is_tried_again_later(offer: Any) -> None:
    pair = Pair()
    pair.needed()
    ((_, _, number),) = asked(pair.member)
    pair.member.hears("lead", [msg.OFFERED, number, offer])
    pair.needed()
    assert asked(pair.member) == [] and pair.member.took == []
    pair.member.loop.turn(RETRY_SECONDS + 0.1)
    pair.needed()
    assert [kind for _, kind, _ in asked(pair.member)] == [msg.OFFER]


def test_what_came_by_the_log_meanwhile_is_not_led_back() -> None:
    pair = Pair()
    pair.needed()
    pair.member.write(400)
    pair.carry()
    assert pair.member.took == []
    assert pair.member.install.status() is None
    assert not pair.member.engine.paused


def test_a_member_that_asks_for_no_file_of_an_offer_gets_nothing_and_costs_nobody_else_theirs() -> None:
    pair = Pair()
    pair.leader.hears("other", [msg.FETCH, 5, 99, "../passwd", 0, 100])
    pair.leader.loop.turn(1.0)
    assert pair.leader.line.taken() == [("other", [msg.CHUNK, 5, None])]
    pair.needed()
    pair.carry()
    assert len(pair.member.took) == 1


def test_how_far_it_is_is_told_while_it_goes_on() -> None:
    pair = Pair()
    pair.needed()
    pair.carry(most=2)
    status = cast("dict[str, Any]", pair.member.install.status())
    assert status["from"] == "lead" and status["of"] > status["bytes"] >= 0
    assert SimpleNamespace(**status).installing is False
