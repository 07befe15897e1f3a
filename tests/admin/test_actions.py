"""Which actions a member does, passes on, asks again and forgets: its view of the cluster with an engine made up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from visord.members.cluster import SETTLED_SECONDS, Cluster
from visord.peers import messages as msg
from visord.raft.configuration import Configuration, Member
from visord.raft.engine import Engine

MEMBERS = [Member(name, name, f"{name}:1", f"{name}:2", True, False) for name in ("n1", "n2")]


class MadeUp:
    """What `Cluster` asks of an engine. Everybody lives and has answered; what is proposed is never committed."""

    def __init__(self, leader: str) -> None:
        self.member = "n1"
        self.leader = leader
        self.term = 1
        self.configuration = Configuration(tuple(MEMBERS))
        self.configuration_settled = self.reads_are_current = True
        self.transferring = False
        self.commit_index = 0
        self.log = SimpleNamespace(last_index=1000)
        self.acknowledged, self.silent = 0, 0.0
        self.done: list[str] = []

    @property
    def is_leader(self) -> bool:
        return self.leader == self.member

    def progress(self, member: str) -> tuple[int, float]:
        return self.acknowledged, self.silent

    def has_answered(self, member: str) -> bool:
        return True

    def propose(self, command: bytes) -> tuple[int, int]:
        self.configuration_settled = False
        self.done.append("propose")
        return 1, self.term

    def transfer(self, target: str | None) -> str:
        self.transferring = True
        self.done.append("transfer")
        return "n2"


class Told:
    """A cluster as n1 sees it, and what it says."""

    def __init__(self, leader: str) -> None:
        self.engine = MadeUp(leader)
        self.now = 100.0
        self.said: list[list[Any]] = []
        self.cluster = Cluster(cast(Engine, self.engine), MEMBERS[0], self._say, lambda: self.now, 0)

    def _say(self, member: str, message: list[Any]) -> bool:
        self.said.append(message)
        return True

    def calls(self) -> int:
        return sum(message[0] == msg.CALL for message in self.said)


def nobody(ok: bool, result: Any) -> None:
    pytest.fail("answered")


def test_a_leader_of_a_later_term_is_asked_anew_although_it_is_the_same() -> None:
    """It forgot what was passed to it when its reign ended, which this member may not have seen."""
    told = Told(leader="n2")
    told.cluster.act("remove", ["n2"], nobody)
    told.cluster.look()
    assert told.calls() == 1
    told.engine.term = 3
    told.cluster.look()
    assert told.calls() == 2


def test_what_others_passed_on_is_forgotten_with_the_reign() -> None:
    told = Told(leader="n1")
    told.engine.reads_are_current = False
    told.cluster.on_call("n2", [msg.CALL, 7, "remove", ["n2"]])
    assert told.cluster.busy
    told.engine.leader, told.engine.term = "n2", 2
    told.cluster.look()
    assert not told.cluster.busy
    assert told.said == []


def test_a_leader_steps_down_only_when_the_others_could_say_what_they_want() -> None:
    told = Told(leader="n1")
    told.cluster.act("remove", ["n1"], nobody)
    told.now += SETTLED_SECONDS / 2
    told.cluster.look()
    assert told.engine.done == []
    told.now += SETTLED_SECONDS
    told.cluster.look()
    assert told.engine.done == ["transfer"]


def test_a_leader_does_all_else_before_it_steps_down() -> None:
    told = Told(leader="n1")
    told.cluster.act("remove", ["n1"], nobody)
    told.cluster.look()
    told.now += 2 * SETTLED_SECONDS
    told.cluster.on_call("n2", [msg.CALL, 7, "remove", ["n2"]])
    assert told.engine.done == ["propose"]


@pytest.mark.parametrize(
    ("acknowledged", "silent", "why"),
    [(1, 0.0, "is 999 entries behind"), (0, 0.0, "is 1000 entries behind"), (1000, 60.0, "is not heard of")],
)
def test_a_learner_that_could_not_help_to_decide_gets_no_vote(
    acknowledged: int, silent: float, why: str
) -> None:
    told = Told(leader="n1")
    told.engine.configuration = Configuration((MEMBERS[0], MEMBERS[1]._replace(voter=False)))
    told.engine.acknowledged, told.engine.silent = acknowledged, silent
    answers: list[tuple[bool, Any]] = []
    told.cluster.act("promote", ["n2"], lambda ok, result: answers.append((ok, result)))
    told.cluster.look()
    ((ok, (code, text, details)),) = answers
    assert (ok, code, details["behind"]) == (False, "unsafe", 1000 - acknowledged)
    assert f"n2 (n2) {why};" in text
    assert told.engine.done == []
