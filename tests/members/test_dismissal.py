"""By how many a member must be told that it was removed, before it stops for good."""

from __future__ import annotations

from itertools import combinations

import pytest

from visord.members.dismissal import Dismissal
from visord.raft.configuration import Configuration, Member


def voting(*names: str) -> Configuration:
    return Configuration(tuple(Member(name, name, f"{name}:1", "", True, False) for name in names))


class Node:
    """The node `me`, whose log and whose state know these members."""

    member = "me"

    def __init__(self, newest: Configuration, committed: Configuration, *, leads: bool = False) -> None:
        self.configuration = newest
        self.committed_configuration = committed
        self.is_leader = leads
        self.leader = "me" if leads else None


def told(node: Node, *by: str) -> bool:
    dismissal = Dismissal(node, lambda member, kind, why: None, lambda: None)
    for member in by:
        dismissal.told_by(member)
    return dismissal.complete


THREE, FIVE = voting("a", "b", "me"), voting("a", "b", "c", "d", "me")
NOBODY, ALONE = Configuration(), voting("me")


@pytest.mark.parametrize("committed", [THREE, NOBODY, ALONE], ids=["known", "killed", "founded and killed"])
def test_both_others_of_three_must_say_so(committed: Configuration) -> None:
    """Killed and started again, it knows its log, and not how much of that is committed."""
    node = Node(THREE, committed)
    assert not told(node)
    assert not told(node, "a")
    assert not told(node, "a", "a", "stranger", "me")
    assert told(node, "a", "b")


def test_three_others_of_five_must_say_so() -> None:
    for count in range(5):
        for tellers in combinations("abcd", count):
            assert told(Node(FIVE, FIVE), *tellers) == (count >= 3)
            assert told(Node(FIVE, NOBODY), *tellers) == (count >= 3)


def test_where_log_and_state_differ_a_majority_of_each_is_needed() -> None:
    node = Node(voting("a", "me"), FIVE)  # an entry that may never be committed
    assert not told(node, "a")
    assert not told(node, "a", "b")
    assert not told(node, "b", "c", "d")
    assert told(node, "a", "b", "c")


def test_who_leads_or_votes_alone_is_not_removed() -> None:
    assert not told(Node(THREE, THREE, leads=True), "a", "b")
    assert not told(Node(ALONE, ALONE), "a", "b")
    assert not told(Node(NOBODY, NOBODY), "a", "b")
