"""What a WATCH may not ask, and how a watch ends."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.watch.watch_world import Reader, World
from visor.protocol import codes, verbs
from visor.protocol.limits import DEFAULT
from visord.state.refusal import Refusal

TREE = verbs.SEL_TREE


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"selector": None}, "bad_request"),
        ({"selector": []}, "bad_request"),
        ({"selector": [9, "/a"]}, "bad_request"),
        ({"selector": [True, "/a"]}, "bad_request"),
        ({"selector": [1]}, "bad_request"),
        ({"selector": [1, "/a", "/b"]}, "bad_request"),
        ({"selector": [4, "/a"]}, "bad_request"),
        ({"selector": [1, 7]}, "bad_request"),
        ({"selector": [1, ["/a"]]}, "bad_request"),
        ({"selector": [1, "a"]}, "bad_path"),
        ({"selector": [1, "/a/"]}, "bad_path"),
        ({"selector": [0, "/a*"]}, "bad_path"),
        ({"selector": [5, "/a"]}, "bad_request"),
        ({"selector": [5, [[1, "/a"], [5, [[1, "/b"]]]]]}, "bad_request"),
        ({"selector": [5, [[1, "/a"], [0, "/b*"]]]}, "bad_path"),
        ({"selector": [4, "/a", "b"]}, "bad_path"),
        ({"selector": [3, "/a/[b]"]}, "bad_glob"),
        ({"selector": [3, "a"]}, "bad_glob"),
        ({"start": 0}, "bad_request"),
        ({"start": -1}, "bad_request"),
        ({"start": 1 << 63}, "bad_request"),
        ({"start": "1"}, "bad_request"),
        ({"start": True}, "bad_request"),
        ({"flags": 8}, "bad_request"),
        ({"flags": -1}, "bad_request"),
        ({"flags": None}, "bad_request"),
        ({"kinds": 0}, "bad_request"),
        ({"kinds": 1}, "bad_request"),
        ({"kinds": 32}, "bad_request"),
        ({"kinds": "create"}, "bad_request"),
        ({"window": -1}, "bad_request"),
        ({"window": 1.5}, "bad_request"),
        ({"window": 1 << 63}, "bad_request"),
    ],
)
def test_a_wrong_field_is_refused_and_leaves_nothing(fields: dict[str, Any], code: str) -> None:
    world, reader = World(), Reader()
    asked = {"selector": [TREE, "/"], **fields}
    answer = world.ask(reader, asked.pop("selector"), **asked)
    assert isinstance(answer, Refusal)
    assert answer.code == code
    assert answer.code in codes.FAMILY
    assert world.hub.watches == 0
    assert not world.hub._readers
    assert reader.messages == []


def test_below_the_floor_is_compacted_and_says_where_history_starts() -> None:
    world, reader = World(), Reader()
    for _ in range(5):
        world.set("/a")
    world.compact(3)
    answer = world.ask(reader, [TREE, "/"], 3)
    assert isinstance(answer, Refusal)
    assert (answer.code, answer.details) == ("compacted", {"floor": 3, "rev": 3})
    assert world.ask(reader, [TREE, "/"], 4) == 4
    world.pump()
    assert reader.revs(1) == [4, 5]


def test_an_id_names_one_watch_of_a_connection() -> None:
    world, reader, other = World(), Reader(), Reader()
    world.watch(reader, [TREE, "/"], watch=7)
    again = world.ask(reader, [TREE, "/"], watch=7)
    assert isinstance(again, Refusal)
    assert again.code == "bad_request"
    assert world.watch(other, [TREE, "/"], watch=7) == 1
    world.hub.unsubscribe(reader, 7)
    assert world.watch(reader, [TREE, "/"], watch=7) == 1


def test_watches_of_a_connection_and_of_a_node_are_limited() -> None:
    world = World(dataclasses.replace(DEFAULT, watches=2), most=3)
    first, second = Reader(), Reader()
    world.watch(first, [TREE, "/"], watch=1)
    world.watch(first, [TREE, "/"], watch=2)
    over = world.ask(first, [TREE, "/"], watch=3)
    assert isinstance(over, Refusal)
    assert over.code == "too_large"
    assert (over.details["limit"], over.details["actual"]) == (2, 3)
    world.watch(second, [TREE, "/"], watch=1)
    full = world.ask(second, [TREE, "/"], watch=2)
    assert isinstance(full, Refusal)
    assert (full.code, full.details["limit"]) == ("overloaded", 3)
    world.hub.drop(first)
    assert world.watch(second, [TREE, "/"], watch=2) == 1


def test_after_unsubscribe_nothing_comes_and_the_answer_says_how_far_it_was() -> None:
    world, reader = World(), Reader()
    world.watch(reader, [TREE, "/"])
    world.set("/a")
    world.pump()
    world.set("/a")
    assert world.hub.unsubscribe(reader, 1) == 1
    world.pump()
    assert reader.revs(1) == [1]
    assert reader.ended(1) is None
    assert world.hub.unsubscribe(reader, 1) is None


def test_a_dropped_connection_gets_nothing_more() -> None:
    world, reader = World(), Reader()
    for number, start in enumerate((None, 1, 50), 1):
        world.watch(reader, [TREE, "/"], start, watch=number)
    world.hub.drop(reader)
    world.hub.drop(reader)
    world.set("/a")
    world.pump()
    world.pass_time(20)
    assert reader.messages == []


def test_calls_for_a_watch_that_is_not_there_do_nothing() -> None:
    """They may cross its ENDED on the way."""
    world, reader = World(), Reader()
    for known in (False, True):
        if known:
            world.watch(reader, [TREE, "/"], watch=1)
        world.hub.credit(reader, 5, 100)
        world.hub.progress(reader, 5)
        world.hub.resume(reader)
        assert world.hub.unsubscribe(reader, 5) is None
    assert reader.messages == []
