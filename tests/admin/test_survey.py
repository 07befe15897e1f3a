"""What a survey finds wrong: pure, from what members and addresses told."""

from __future__ import annotations

from typing import Any

import pytest

import visor
from tests.admin.command import visor as command
from tests.admin.members import Members
from tests.patience import PATIENCE
from visor.errors import VisorError, WrongCluster
from visor.members import Given, Member, Membership, Report, Survey
from visord import embed

OURS, THEIRS = "a" * 32, "b" * 32


def member(name: str, **changes: Any) -> Member:
    known = {"silent": 0.1, "voter": True, "leader": name == "n1", **changes}
    return Member(
        name * 8, name, f"{name}:8047", f"{name}:8046", known["voter"], known["leader"], name == "n1",
        10, 0, known["silent"],
    )  # fmt: skip


def survey(*members: Member, **changes: Any) -> Survey:
    membership = Membership(OURS, "n1" * 8, "n1" * 8, 3, 10, 5, members)
    status = {"leader": "n1", "committed": 10, "applied": 10, "alarms": []}
    return Survey(membership, tuple(Report(one, status) for one in members), **changes)


THREE = member("n1"), member("n2"), member("n3")


def test_all_is_well() -> None:
    assert survey(*THREE).healthy
    assert survey(*THREE).expecting(3).healthy
    assert survey(*THREE).expecting(None).healthy


def test_fewer_than_expected_is_a_problem() -> None:
    """`cluster health` said healthy right after the second of three had joined, without a vote."""
    found = survey(member("n1"), member("n2", voter=False)).expecting(3)
    assert found.problems == ("1 of 3 expected members vote; 1 more have no vote yet",)
    assert survey(*THREE).expecting(5).problems == ("3 of 5 expected members vote",)


@pytest.mark.parametrize(
    "given,problem",
    [
        (
            Given("m2:8046", THEIRS, "m2", "c" * 16, 1),
            "m2:8046 is of another cluster (m2, 1 member) than the others: each address leads to one of the two; was "
            "--bootstrap given to more than one node?",
        ),
        (Given("m2:8046", problem="no answer: refused"), "m2:8046: no answer: refused"),
        (
            Given("n4:8046", OURS, "n4", "d" * 16, 3),
            "n4:8046: n4 answers there, and is no member of the cluster (any more)",
        ),
        (Given("visor.example:8046", OURS, "n2", "n2" * 8, 3), None),
    ],
)
def test_each_address_that_was_given_counts(given: Given, problem: str | None) -> None:
    found = survey(*THREE, given=(given,))
    assert found.problems == (() if problem is None else (problem,))
    assert (given in found.strangers) == (given.cluster == THEIRS)


def test_who_was_heard_a_moment_ago_is_told_with_the_moment() -> None:
    """A member that had just been killed was "no answer (but the leader hears it)"."""
    silent = Report(member("n3", silent=0.8), None, "no answer at n3:8046: refused")
    found = survey(*THREE[:2])
    found = Survey(found.membership, (*found.reports, silent))
    assert "n3: no answer at n3:8046: refused (the leader heard it 0.8 s ago)" in found.problems


def test_two_clusters_given_as_one_are_told_apart() -> None:
    with embed.start() as one, embed.start() as other:
        both = f"{one.address},{other.address}"
        with visor.dial(both, discover=False) as client:
            found = client.admin.survey()
        assert len(found.strangers) == 1
        assert not found.healthy
        for words in (("health",), ("status",), ("health", "--json")):
            answer = command(both, "cluster", *words)
            assert answer.code == 1
            assert "of another cluster" in answer.out + answer.err
        document = command(both, "cluster", "status", "--json").document
        assert len(document["given"]) == 1
        same = f"{one.address},{one.address.replace('127.0.0.1', 'localhost')}"
        assert command(same, "cluster", "health").code == 0


def test_a_client_never_goes_over_to_another_cluster() -> None:
    """It is refused, and says which the two are, once the cluster that it began with is gone."""
    with embed.start() as one, embed.start() as other:
        nodes = {one.address: one, other.address: other}
        with visor.dial(tuple(nodes), timeout=PATIENCE) as client:
            began, address = client.cluster, client.address
            client.set("/a", b"1")
            assert address is not None
            nodes[address].stop()
            with pytest.raises(VisorError) as caught:
                for _ in range(3):
                    client.set("/a", b"2")
            assert isinstance(caught.value, WrongCluster)
            assert began is not None
            assert began in str(caught.value)


def test_top_goes_on_when_the_leader_goes(three: Members) -> None:
    """It is asked at a member that stays: the others are told to be away, and there are figures of who is left."""
    leader = three.leader()
    assert leader is not None
    stays = next(name for name in ("n1", "n2", "n3") if name != leader)
    words = ("top", "--once", "--json", "--interval", "100ms")
    before = command(three.address(stays), *words).document
    assert (before["leader"], before["problems"]) == (leader, [])
    three.stop(leader)
    three.until(lambda: three.leader() not in (None, leader), "another leader")
    after = command(three.address(stays), *words).document
    assert after["leader"] not in (None, leader)
    assert any(problem.startswith(f"{leader}: ") for problem in after["problems"])
    assert {each["name"]: each["state"] for each in after["members"]}[leader] == "away"
    assert after["reads"] is not None
