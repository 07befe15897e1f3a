"""Members are listed, promoted, removed, replaced, and led by whom the operator wants; what is unsafe is refused."""

from __future__ import annotations

import pytest

import visor
from tests.admin.command import visor as command
from tests.admin.members import Members
from visor import errors


def test_any_member_tells_who_belongs_and_how_far_they_are(three: Members) -> None:
    for name in ("n1", "n2", "n3"):
        with three.dial(name) as client:
            found = client.admin.members()
        assert [one.name for one in found.members] == ["n1", "n2", "n3"]
        assert [one.name for one in found.members if one.answers] == [name]
        assert [one.name for one in found.members if one.leader] == [three.leader()]
        assert all(one.voter and one.behind is not None and one.behind < 100 for one in found.members)
        assert found.needed == 2


def test_without_a_majority_members_are_told_only_on_request(three: Members) -> None:
    with three.dial("n1") as client:
        client.set("/a", b"1")
        three.stop("n2")
        three.stop("n3")
        with pytest.raises(errors.NoQuorum):
            client.admin.members(timeout=15)
        found = client.admin.members(stale=True)
        assert [one.name for one in found.members] == ["n1", "n2", "n3"]
        assert (found.leader, found.members[0].behind) == (None, None)


@pytest.mark.parametrize("asked", ["leader", "replica"])
def test_leadership_goes_where_it_is_wanted_and_moves_once(three: Members, asked: str) -> None:
    via = three.leader() if asked == "leader" else three.replicas()[0]
    assert via is not None
    with three.dial(via) as client:
        before = client.admin.members()
        after = client.admin.transfer()
        assert after.leader not in (None, before.leader)
        assert after.term <= before.term + 2
        for name in ("n3", "n1", "n2"):
            moved = client.admin.transfer(name)
            found = moved.find(name)
            assert found is not None
            assert moved.leader == found.id
        assert client.admin.transfer("n2").term == moved.term
        assert client.admin.members().term == moved.term


@pytest.mark.parametrize("role", ["leader", "replica", "itself"])
def test_a_removed_member_stops_and_can_never_return(three: Members, role: str) -> None:
    leader = three.leader()
    assert leader is not None
    gone = three.replicas()[0] if role == "replica" else leader
    rest = [name for name in ("n1", "n2", "n3") if name != gone]
    with three.dial(gone if role == "itself" else rest[0]) as client:
        client.set("/a", b"1")
        left = client.admin.remove(gone)
        assert sorted(one.name for one in left.members) == rest
    assert "removed" in str(three.ended(gone))
    three.stop(gone)
    with three.dial(*rest) as client:
        client.set("/a", b"2")
    three.launch(gone)
    assert "removed" in str(three.ended(gone))  # again, and at once: by those who refuse it


def test_a_dead_member_is_removed_and_replaced_under_its_name(three: Members) -> None:
    three.stop("n3")
    with three.dial("n1", "n2") as client:
        client.set("/a", b"1")
        client.admin.remove("n3")
        three.forget("n3")
        three.start("n3")
        found = client.admin.members()
        assert [(one.name, one.voter) for one in found.members] == [("n1", True), ("n2", True), ("n3", True)]
    with three.dial("n3") as client:
        assert client.get("/a").value == b"1"


def test_what_would_cost_the_majority_is_refused_with_the_numbers(three: Members) -> None:
    dead = three.replicas()[0]
    three.stop(dead)
    three.until(lambda: three.silent(dead) > 2.0, "the leader to miss it")
    for alive in ("n1", "n2", "n3"):
        if alive == dead:
            continue
        with three.dial(three.leader() or "") as client:
            with pytest.raises(errors.Unsafe) as caught:
                client.admin.remove(alive)
            assert (caught.value.voters, caught.value.needed, caught.value.reachable) == (2, 2, 1)
            client.set("/a", b"still works")


def test_the_last_voter_cannot_be_removed(members: Members) -> None:
    members.start("n1")
    with members.dial("n1") as client, pytest.raises(errors.Unsafe, match="only voter"):
        client.admin.remove("n1")


def test_nobody_is_taken_for_somebody(three: Members) -> None:
    with three.dial("n2") as client:
        for action in (client.admin.remove, client.admin.promote, client.admin.transfer):
            with pytest.raises(errors.NoMember) as caught:
                action("n9")
            assert caught.value.member == "n9"


def test_a_learner_stays_one_until_it_is_promoted(members: Members) -> None:
    members.start("n1")
    members.start("n2", learner=True)
    with members.dial("n1") as client:
        found = client.admin.members().find("n2")
        assert found is not None
        assert not found.voter
        with pytest.raises(errors.BadRequest):
            client.admin.transfer("n2")
        members.until(lambda: members.behind("n2") == 0, "n2 has caught up")
        promoted = client.admin.promote("n2").find("n2")
        assert promoted is not None
        assert promoted.voter


# -- the command --------------------------------------------------------------------------------------
def test_the_command_shows_and_changes_the_members(three: Members) -> None:
    at = three.address("n2")
    assert [row[1:3] for row in command(at, "cluster", "members").rows] == [
        [name, "leader" if name == three.leader() else "voter"] for name in ("n1", "n2", "n3")
    ]
    status = command(at, "cluster", "status", "--json").document
    assert (status["healthy"], status["voters"], status["needed"]) == (True, 3, 2)
    assert {row["server"] for row in status["members"]} == {f"visord/{visor.__version__}"}
    assert command(at, "cluster", "transfer", "n3").out == "n3\n"
    dry = command(at, "cluster", "remove", "n1", "--dry-run", "--json").document
    assert (dry["voters"], dry["needed"]) == (2, 2)
    assert command(at, "cluster", "remove", "n1").code == 2  # nobody is there to be asked
    assert len(command(at, "cluster", "members").rows) == 3
    assert command(at, "cluster", "remove", "n1", "--yes").code == 0
    assert [row[1] for row in command(at, "cluster", "members").rows] == ["n2", "n3"]
    for arguments, code in ((("remove", "n9", "--yes"), 3), (("promote", "n9"), 3), (("transfer", "n9"), 3)):
        assert command(at, "cluster", *arguments).code == code


def test_add_tells_how_and_refuses_a_name_that_is_taken(three: Members) -> None:
    at = three.address("n1")
    line = command(at, "cluster", "add", "n4", "--peer", "127.0.0.1:1").out
    ports = [int(three.address(name).rpartition(":")[2]) for name in ("n1", "n2", "n3")]
    listen = f"127.0.0.1:{max(ports) + 1}"  # not where another one on this host is
    assert line.startswith(f"visord serve --name n4 --listen {listen} --peer-listen 127.0.0.1:1 ")
    other = command(at, "cluster", "add", "n4", "--peer", "127.0.0.1:1", "--listen", "127.0.0.1:2").out
    assert other.startswith("visord serve --name n4 --listen 127.0.0.1:2 --peer-listen 127.0.0.1:1 ")
    assert command(at, "cluster", "add", "n4", "--listen", three.address("n2")).code == 4
    assert all(three.node(name).me.peer in line for name in ("n1", "n2", "n3"))
    assert command(at, "cluster", "add", "n2").code == 4
    assert command(at, "cluster", "add", "n4", "--peer", three.node("n3").me.peer).code == 4
    assert command(at, "cluster", "add", "n2", "--wait").code == 0  # it is there already
    assert len(command(at, "cluster", "members").rows) == 3


def test_health_is_0_only_when_all_is_well(three: Members) -> None:
    at = three.address("n1")
    assert command(at, "cluster", "health").out == "healthy\n"
    three.stop("n3")
    answer = command(at, "cluster", "health")
    assert answer.code == 1
    assert answer.out.startswith("n3: no answer at 127.0.0.1:")
    document = command(at, "cluster", "health", "--json").document
    assert (document["healthy"], len(document["problems"])) == (False, 1)
    assert [row["answers"] for row in document["members"]] == [True, True, False]
    three.stop("n2")
    three.until(lambda: three.node("n1").engine.leader is None, "n1 to notice")
    answer = command(at, "cluster", "health")
    assert answer.code == 1
    assert "no majority: 1 of 3 voters answer, 2 are needed" in answer.out
    assert "there is no leader" in answer.out
    assert command(at, "cluster", "status").rows[1][3] == "away"
    three.start("n2", "n3")
    assert command(at, "cluster", "health").code == 0


def unsettled(learner: visor.Client, member: str, seconds: float) -> str:
    """Return what is said when a learner, which asks again in the hope of a voter, has tried for so long."""
    with pytest.raises(errors.Unsettled) as told:
        learner.admin.promote(member, timeout=seconds)
    return str(told.value)


def test_a_learner_sends_who_would_change_the_members_to_a_voter(members: Members) -> None:
    members.start("n1")
    members.start("n2", learner=True)
    with members.dial("n2") as learner:
        assert learner.admin.members().find("n2") is not None
        assert learner.admin.compare().equal
        learner.set("/a", b"forwarded")
        assert any("ask a voter" in unsettled(learner, "n2", seconds) for seconds in (1, 4, 16, 64))
    with members.dial("n2", "n1") as both:
        assert both.admin.promote("n2").find("n2").voter
