"""Which actions a member does, passes on, asks again and forgets: its view of the cluster with an engine made up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from visord.members.actions import ARGUMENTS, LOOK, passed_by, problem
from visord.members.callers import EACH, FEW, KEPT, PASSED, PASSED_KEPT, SOME, Caller, of_client
from visord.members.membership import SETTLED_SECONDS, Membership, Query
from visord.peers import messages as msg
from visord.raft.configuration import Configuration, Member, decode
from visord.raft.engine import Engine

MEMBERS = [Member(name, name, f"{name}:1", f"{name}:2", True, False) for name in ("n1", "n2")]


class MadeUp:
    """What `Membership` asks of an engine. Everybody lives and has answered; what is proposed is never committed."""

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
        self.proposed = b""
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
        self.proposed = command
        return 1, self.term

    def transfer_leadership(self, target: str | None) -> str:
        self.transferring = True
        self.done.append("transfer")
        return "n2"


class Told:
    """A cluster as n1 sees it, and what it says."""

    def __init__(self, leader: str) -> None:
        self.engine = MadeUp(leader)
        self.now = 100.0
        self.said: list[list[Any]] = []
        self.cluster = Membership(cast(Engine, self.engine), MEMBERS[0], self._say, lambda: self.now, 0)

    def _say(self, member: str, message: list[Any]) -> bool:
        self.said.append(message)
        return True

    def calls(self) -> int:
        return sum(message[0] == msg.CALL for message in self.said)


def nobody(ok: bool, result: Any) -> None:
    pytest.fail("answered")


def test_a_leader_of_a_later_term_is_asked_anew_although_it_is_the_same() -> None:
    """It forgot what was passed to it when its leadership ended, which this member may not have seen."""
    told = Told(leader="n2")
    told.cluster.act("remove", ["n2"], nobody)
    told.cluster.tick()
    assert told.calls() == 1
    told.engine.term = 3
    told.cluster.tick()
    assert told.calls() == 2


def test_what_others_passed_on_is_forgotten_with_the_leadership() -> None:
    told = Told(leader="n1")
    told.engine.reads_are_current = False
    told.cluster.handlers[msg.CALL]("n2", [msg.CALL, 7, "remove", ["n2"]])
    assert told.cluster.busy
    told.engine.leader, told.engine.term = "n2", 2
    told.cluster.tick()
    assert not told.cluster.busy
    assert told.said == []


def test_a_leader_steps_down_only_when_the_others_could_say_what_they_want() -> None:
    told = Told(leader="n1")
    told.cluster.act("remove", ["n1"], nobody)
    told.now += SETTLED_SECONDS / 2
    told.cluster.tick()
    assert told.engine.done == []
    told.now += SETTLED_SECONDS
    told.cluster.tick()
    assert told.engine.done == ["transfer"]


def test_a_leader_does_all_else_before_it_steps_down() -> None:
    told = Told(leader="n1")
    told.cluster.act("remove", ["n1"], nobody)
    told.cluster.tick()
    told.now += 2 * SETTLED_SECONDS
    told.cluster.handlers[msg.CALL]("n2", [msg.CALL, 7, "remove", ["n2"]])
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
    told.cluster.tick()
    ((ok, (code, text, details)),) = answers
    assert (ok, code, details["behind"]) == (False, "unsafe", 1000 - acknowledged)
    assert f"n2 (n2) {why};" in text
    assert told.engine.done == []


ODD: list[Any] = [None, True, -1, 1 << 62, 1.5, b"x", [], {}, "x" * 600, "n1", 5]


@pytest.mark.parametrize("name", [*ARGUMENTS, "x", ""])
@pytest.mark.parametrize("leader", ["n1", "n2"])
def test_odd_arguments_are_refused_before_anything_is_done_and_cost_nobody_else_his_answer(
    name: str, leader: str
) -> None:
    told = Told(leader=leader)
    told.cluster.queries["hash"] = Query(8.0, lambda arguments, answer, again: None)
    told.engine.confirm = lambda callback: callback(0)  # type: ignore[attr-defined]
    others: list[bool] = []
    told.cluster.act("members", [], lambda ok, result: others.append(ok))
    refused: list[Any] = []
    for count in range(7):
        for odd in ODD:
            arguments = [odd] * count
            if problem(name, arguments) is not None:
                told.cluster.act(name, arguments, lambda ok, result: refused.append((ok, result[0])))
                told.cluster.handlers[msg.CALL]("n2", [msg.CALL, 1, name, arguments])
                assert refused.pop() == (False, "bad_request")
                assert not refused
    told.cluster.tick()
    assert others == ([True] if leader == "n1" else [])


def test_a_member_updates_its_own_addresses_only_and_a_learner_changes_nothing_else() -> None:
    assert passed_by("n2", True, "update", ["n1", "h:1", "h:2"]) is not None
    assert passed_by("n2", False, "update", ["n2", "h:1", "h:2"]) is None
    assert passed_by("n2", True, "remove", ["n1"]) is None
    for name in ("add", "promote", "remove", "transfer"):
        assert passed_by("n2", False, name, ["n1"]) is not None


def client(number: int) -> Caller:
    return of_client(f"10.0.0.{number}")


OPERATOR = of_client("unix:0")


def ask(told: Told, name: str, caller: Caller, count: int = 1) -> list[str]:
    """Have a caller ask so often; return the list in which the codes of refusals appear."""
    refused: list[str] = []
    for _ in range(count):
        arguments: list[Any] = [None] if name == "hash" else [] if name == "members" else ["n2"]
        told.cluster.act(name, arguments, lambda ok, result: ok or refused.append(result[0]), caller)
    return refused


@pytest.mark.parametrize("name", ["hash", "promote", "members"])
@pytest.mark.parametrize("leader", ["n1", "n2"])
def test_one_address_has_so_many_actions_of_a_kind_under_way_and_takes_nobody_s_place(
    name: str, leader: str
) -> None:
    told = Told(leader=leader)
    told.engine.configuration_settled = False
    told.cluster.queries["hash"] = Query(8.0, lambda arguments, answer, again: None)
    told.engine.confirm = lambda callback: None  # type: ignore[attr-defined]
    each = EACH.get(name if name != "members" else LOOK, FEW)
    assert ask(told, name, client(1), 300) == ["overloaded"] * (300 - each)
    for other in ("remove", "transfer", "hash", "members"):
        assert ask(told, other, client(2)) == []
        assert ask(told, other, OPERATOR) == []
    assert told.cluster.refused == 300 - each


@pytest.mark.parametrize("leader", ["n1", "n2"])
@pytest.mark.parametrize("name", ["hash", "transfer"])
def test_where_all_places_are_taken_who_has_most_gives_and_operators_have_their_own(
    leader: str, name: str
) -> None:
    told = Told(leader=leader)
    told.engine.reads_are_current = False
    told.cluster.queries["hash"] = Query(8.0, lambda arguments, answer, again: None)
    crowd = [ask(told, name, client(number), FEW) for number in range(SOME // FEW)]
    assert crowd == [[]] * len(crowd)
    assert ask(told, name, client(100)) == []
    assert sum(map(len, crowd)) == 1  # the newest of one of those that have most
    more = [ask(told, name, client(101 + number)) for number in range(2 * SOME)]
    assert [] in more
    assert ["overloaded"] in more  # by now everybody has one
    assert ask(told, name, OPERATOR, KEPT) == []


def test_what_is_passed_on_never_exceeds_what_a_leader_takes_of_one_member() -> None:
    replica, leader = Told(leader="n2"), Told(leader="n1")
    for told in (replica, leader):
        told.cluster.queries["hash"] = Query(8.0, lambda arguments, answer, again: None)
    for number in range(SOME // FEW):
        ask(replica, "hash", client(number), FEW)
    assert replica.calls() == PASSED
    assert ask(replica, "hash", OPERATOR, KEPT) == []
    assert replica.calls() == PASSED + PASSED_KEPT
    for message in replica.said:
        leader.cluster.handlers[msg.CALL]("n2", message)
    assert leader.said == []  # none is refused
    leader.cluster.handlers[msg.CALL]("n2", [msg.CALL, 99, "hash", [None]])
    assert [row[3][0] for row in leader.said] == ["overloaded"]
    assert ask(leader, "remove", client(1)) == []


def test_answers_make_room_for_what_waits_in_turn_of_callers() -> None:
    replica = Told(leader="n2")
    replica.cluster.queries["hash"] = Query(8.0, lambda arguments, answer, again: None)
    for number in range(SOME // FEW):
        ask(replica, "hash", client(number), FEW)
    done: list[bool] = []
    replica.cluster.act("hash", [7], lambda ok, result: done.append(ok), client(100))
    assert [7] not in [row[3] for row in replica.said]
    for row in replica.said[: SOME // FEW]:
        replica.cluster.handlers[msg.RESULT]("n2", [msg.RESULT, row[1], True, {"members": []}])
        replica.cluster.tick()
    assert replica.said[-1][3] == [
        7
    ]  # each of the others had one more turn, although dozens of theirs came before
    replica.cluster.handlers[msg.RESULT]("n2", [msg.RESULT, replica.said[-1][1], True, {"members": []}])
    assert done == [True]


def test_a_service_is_asked_in_turn_of_callers() -> None:
    told = Told(leader="n1")
    running: list[Any] = []

    def start(arguments: list[Any], answer: Any, again: Any) -> None:
        if running:
            again()
        else:
            running.append((arguments[0], answer))

    told.cluster.queries["hash"] = Query(1000.0, start)
    for rev in range(FEW):
        told.cluster.act("hash", [rev], lambda ok, result: None, client(1))
    told.cluster.act("hash", [100], lambda ok, result: None, client(2))
    order = []
    while running:
        rev, answer = running.pop()
        order.append(rev)
        answer(True, {})
        told.cluster.tick()
    assert order[:3] == [0, 100, 1]
    assert len(order) == FEW + 1


def test_addresses_change_seldom_and_each_change_comes_in_time() -> None:
    told = Told(leader="n1")
    told.cluster._me = MEMBERS[0]
    for turn in range(1000):
        told.cluster.handlers[msg.CALL]("n2", [msg.CALL, turn, "update", ["n2", f"n2:{turn % 2 + 3}", ""]])
        if told.engine.done:
            told.engine.configuration = decode(told.engine.proposed)
            told.engine.configuration_settled, told.engine.commit_index = True, 1
        told.now += 0.01
        told.cluster.tick()
    assert len(told.engine.done) in (2, 3)
