"""Replicas are compared; one that differs is found, stops serving, stays so after a restart, and all are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.admin.command import visor as command
from tests.admin.members import Members
from tests.patience import PATIENCE
from visor import errors
from visord.members.replica_check import judge
from visord.raft.configuration import Configuration, Member
from visord.serving.health import alarms
from visord.settings import ClusterSettings
from visord.storage.errors import DamageError


def fill(members: Members, files: int = 500) -> int:
    """Write something at all members; return the rev."""
    with members.dial(*("n1", "n2", "n3")) as client:
        with client.transaction() as tx:
            for number in range(files):
                tx.set(f"/f/{number}", b"x" * number)
        rev = client.rev()
    for name in ("n1", "n2", "n3"):
        members.until(lambda name=name: members.node(name).store.rev >= rev, f"{name} to reach {rev}")
    return rev


def corrupt(members: Members, name: str) -> None:
    """Let one member hold another value than it was told."""

    def change() -> None:
        file = members.node(name).store.files["/f/77"]
        rev, value, created, count, lease = file.versions[-1]
        assert value is not None
        file.replace(len(file.versions) - 1, (rev, value[:-1] + b"y", created, count, lease))

    members.on_loop(change)


def test_equal_replicas_are_equal_at_every_rev_asked_for(three: Members) -> None:
    last = fill(three)
    with three.dial("n2") as client:
        client.set("/f/1", b"more")
        for rev in (None, last, 0):
            found = client.admin.compare(rev)
            assert found.equal
            assert [one.name for one in found.replicas] == ["n1", "n2", "n3"]
            assert len({one.digest for one in found.replicas}) == 1
        assert client.admin.compare(last).replicas != client.admin.compare().replicas
        with pytest.raises(errors.FutureRev):
            client.admin.compare(last + 100)
        client.compact(last + 1)
        with pytest.raises(errors.Compacted):
            client.admin.compare(last)


def test_the_command_shows_every_replica(three: Members) -> None:
    fill(three)
    answer = command(three.address("n3"), "cluster", "hash")
    assert answer.code == 0
    assert [row[0] for row in answer.rows] == ["n1", "n2", "n3"]
    assert len({row[2] for row in answer.rows}) == 1


@pytest.mark.soak
@pytest.mark.parametrize("role", ["replica", "leader"])
def test_a_member_that_differs_stops_serving_and_all_are_told(three: Members, role: str) -> None:
    rev = fill(three)
    bad = three.leader() if role == "leader" else three.replicas()[0]
    assert bad is not None
    good = [name for name in ("n1", "n2", "n3") if name != bad]
    corrupt(three, bad)
    with three.dial(bad, good[0], timeout=PATIENCE) as moving, three.dial(bad) as stuck:
        watch = moving.watch("/w/**")
        answer = command(three.address(good[0]), "cluster", "hash", "--json")
        assert answer.code == 9
        document = answer.document
        assert (document["rev"], document["equal"]) == (rev, False)
        digests = {row["name"]: row["digest"] for row in document["replicas"]}
        assert digests[good[0]] == digests[good[1]] != digests[bad]

        for call in (
            lambda: stuck.get("/f/77", timeout=0.5),
            lambda: stuck.set("/x", b"", timeout=0.5),
            lambda: stuck.ls("/", stale=True, timeout=0.5),
        ):
            with pytest.raises(errors.Unavailable):
                call()
        moving.set("/w/1", b"elsewhere")
        assert moving.get("/f/77").value == b"x" * 77
        assert watch.next(timeout=PATIENCE).changes[0].path == "/w/1"
        assert moving.address == three.address(good[0])

    assert any(one.startswith("diverged: ") for one in three.on_loop(lambda: alarms(three.node(bad))))
    for name in good:
        told = three.on_loop(lambda name=name: alarms(three.node(name)))
        assert [one for one in told if one.startswith(f"replica differs: {bad} ")]
    health = command(three.address(good[0]), "cluster", "health")
    assert (health.code, "diverged" in health.out) == (1, True)
    three.until(lambda: three.leader() != bad, "the leadership to leave the member that differs")

    three.stop(bad)
    three.launch(bad)
    assert isinstance(three.outcome(bad), DamageError)


def test_a_member_that_differed_is_replaced_and_the_alarms_go(three: Members) -> None:
    fill(three)
    bad = three.replicas()[0]
    corrupt(three, bad)
    good = [name for name in ("n1", "n2", "n3") if name != bad]
    with three.dial(*good) as client:
        assert not client.admin.compare().equal
        client.admin.remove(bad)
        three.stop(bad)
        three.forget(bad)
        three.start(bad)
        assert client.admin.compare().equal
        assert client.admin.survey().problems == ()


def test_without_a_majority_nobody_stops_and_everybody_is_alarmed(members: Members) -> None:
    members.start("n1", "n2")
    with members.dial("n1", "n2") as client:
        client.set("/f/77", b"1")
        members.until(lambda: members.node("n2").store.rev == 1, "n2")
        corrupt(members, "n2")
        found = client.admin.compare()
        assert not found.equal
        for name in ("n1", "n2"):
            members.until(lambda name=name: alarms(members.node(name)) != [], f"{name} to know")
            assert members.node(name).divergence is None
        assert client.get("/f/77").mod_rev == 1


def test_members_compare_by_themselves(folder: Path) -> None:
    with Members(folder, cluster=ClusterSettings(hash_seconds=0.3)) as members:
        members.start("n1", "n2", "n3")
        rev = fill(members)
        for name in ("n1", "n2", "n3"):
            members.until(
                lambda name=name: members.node(name).replica_check.compared >= rev, f"{name} to compare"
            )
        bad = members.replicas()[0]
        corrupt(members, bad)
        members.until(lambda: members.node(bad).divergence is not None, f"{bad} to be found")


def test_one_that_is_away_is_left_out(three: Members) -> None:
    fill(three)
    away = three.replicas()[0]
    three.stop(away)
    leader = three.leader()
    assert leader is not None
    with three.dial(leader) as client:
        found = client.admin.compare()
        assert found.equal
        assert [(one.name, one.why) for one in found.replicas if one.digest is None] == [
            (away, "not reachable")
        ]


def test_hashing_much_never_holds_up_the_node(members: Members) -> None:
    members.start("n1", "n2")
    with members.dial("n1", "n2") as client:
        for batch in range(10):
            with client.transaction() as tx:
                for number in range(2000):
                    tx.set(f"/f/{batch}/{number}", b"x" * 50)
        slices = []
        node = members.node(members.leader() or "")
        step = node.replica_check._digests._step

        def counted() -> None:
            slices.append(node.environment.loop.time())
            step()

        node.replica_check._digests._step = counted  # type: ignore[method-assign]
        assert client.admin.compare().equal
        assert len(slices) >= 20_000 / 200


VOTERS = ("a", "b", "c")


@pytest.mark.parametrize(
    ("digests", "expected"),
    [
        ({"a": "1", "b": "1", "c": "1"}, ("1", [])),
        ({"a": "1", "b": "2", "c": "1"}, ("1", ["b"])),
        ({"a": "1", "b": None, "c": "1"}, ("1", [])),
        ({"a": "1", "b": None, "c": None}, (None, [])),
        ({"a": "1", "b": "2", "c": None}, (None, ["a", "b"])),
        ({"a": "1", "b": "2", "c": "3"}, (None, ["a", "b", "c"])),
        ({"a": "1", "b": "1", "c": None, "learner": "2"}, ("1", ["learner"])),
        ({"a": "1", "b": None, "c": None, "learner": "1"}, (None, [])),
        ({}, (None, [])),
    ],
)
def test_the_majority_of_all_voters_is_right(digests: dict[str, str | None], expected: object) -> None:
    members = [Member(one, one, one, one, True) for one in VOTERS]
    configuration = Configuration((*members, Member("learner", "l", "l", "l", False)))
    assert judge(configuration, digests) == expected
