"""The nemesis knows when clients had to be served, and for how long they were not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.cluster.chances import is_chance, longest_wait
from tests.cluster.links import between, from_clients
from tests.cluster.processes import Cluster


def cluster(members: str, bent: list[str]) -> Cluster:
    links: Any = SimpleNamespace(bent=set(bent))
    return cast(Cluster, SimpleNamespace(members=dict.fromkeys(members.split()), links=links))


@pytest.mark.parametrize(
    ("members", "free", "bent", "yes"),
    [
        ("a b c", "a b c", [], True),
        ("a b c", "b c", from_clients("a"), True),
        ("a b c", "b c", ["b>c"], False),
        ("a b c", "a b c", between("b", "ac"), True),
        ("a b c", "a b c", [*between("b", "c"), *from_clients("a")], False),
        ("a b c v", "b c", [], False),
        ("a b c d e", "a b c d", ["a>b", "c>d"], False),
        ("a b c d e", "a b c d", ["a>b"], True),
    ],
)
def test_a_majority_that_is_whole_and_in_reach_is_a_chance(
    members: str, free: str, bent: list[str], yes: bool
) -> None:
    assert is_chance(cluster(members, bent), free.split()) == yes


def test_only_waits_within_one_chance_count() -> None:
    chances = [(0.0, True), (4.0, False), (20.0, True), (26.0, False), (30.0, True), (31.0, False)]
    assert longest_wait(chances, [3.0, 1.0, 21.0, 25.0]) == (4.0, 21.0)
    assert longest_wait(chances, []) == (6.0, 20.0)
    assert longest_wait([], [1.0]) == (0.0, 0.0)
