"""Telling a removed member that it was: on a connection that is kept for a moment, once that is committed."""

from __future__ import annotations

from tests.members.parts import Clock, Line, voting
from visord.members.removal import GRACE_SECONDS, Removal
from visord.peers import messages as msg
from visord.raft.configuration import decode

THREE = voting("a", "b", "c")
TWO = THREE.remove("c")


def made() -> tuple[Removal, Line, Clock]:
    line, clock = Line(), Clock()
    removal = Removal(line.send, clock)
    removal.addresses(THREE)
    return removal, line, clock


def test_a_removed_member_keeps_its_connection_for_a_while() -> None:
    removal, _, clock = made()
    assert removal.addresses(TWO) == {"a": "a:1", "b": "b:1", "c": "c:1"}
    clock.now += GRACE_SECONDS - 0.1
    assert not removal.over()
    assert "c" in removal.addresses(TWO)
    clock.now += 0.2
    assert removal.over()
    assert removal.addresses(TWO) == {"a": "a:1", "b": "b:1"}
    assert not removal.over()


def test_it_is_told_when_its_removal_is_committed_and_nobody_else_is() -> None:
    removal, line, _ = made()
    removal.addresses(TWO)
    removal.committed(THREE)
    assert line.taken() == []
    removal.committed(TWO)
    ((member, message),) = line.taken()
    assert (member, message[0]) == ("c", msg.GONE)
    assert decode(message[1]) == TWO


def test_a_removal_that_was_taken_back_keeps_the_member() -> None:
    removal, line, clock = made()
    removal.addresses(TWO)
    removal.addresses(THREE)
    removal.committed(THREE)
    assert line.taken() == []
    clock.now += GRACE_SECONDS + 1
    assert not removal.over()
    assert removal.addresses(THREE) == {"a": "a:1", "b": "b:1", "c": "c:1"}


def test_who_was_forgotten_as_a_newcomer_is_not_told() -> None:
    """It was never removed: its id may come again."""
    removal, line, _ = made()
    joined = THREE.add(voting("d").members[0])
    removal.addresses(joined)
    without = joined.forget("d")
    assert "d" not in removal.addresses(without)
    removal.committed(without)
    assert line.taken() == []
