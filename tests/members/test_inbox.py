"""What members say: checked once, and heard by the one room that it is for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.peers.lone import VOTER, Lone
from visord.members.inbox import OF_STRANGERS, table_of
from visord.peers import messages as msg
from visord.peers.messages import Handler
from visord.raft.engine import is_for_engine

KINDS = sorted(kind for kind in msg.KINDS - OF_STRANGERS if not is_for_engine(kind))


def room(*kinds: int) -> Any:
    handlers: dict[int, Handler] = {kind: lambda member, message: None for kind in kinds}
    return SimpleNamespace(handlers=handlers)


def test_every_kind_has_one_room() -> None:
    assert sorted(table_of([room(*KINDS[:3]), room(*KINDS[3:])])) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_nobody_hears_or_two_do_is_a_defect(kind: int) -> None:
    with pytest.raises(ValueError, match=str(kind)):
        table_of([room(*(one for one in KINDS if one != kind))])
    with pytest.raises(ValueError, match=str(kind)):
        table_of([room(*KINDS), room(kind)])


@pytest.mark.parametrize("kind", [msg.APPEND, msg.JOIN, 99])
def test_nobody_hears_what_is_for_the_engine_for_strangers_or_for_nobody(kind: int) -> None:
    with pytest.raises(ValueError, match=str(kind)):
        table_of([room(*KINDS, kind)])


def test_a_defect_in_taking_a_message_costs_nobody_else_theirs(caplog: pytest.LogCaptureFixture) -> None:
    world = Lone()
    assert world.commits()

    def broken(member: str, message: list[Any]) -> None:
        raise RuntimeError("a defect")

    world.node.inbox._table[msg.READ_INDEX] = broken
    before = world.node.conduct.total
    world.hear(VOTER, [msg.READ_INDEX, 1])
    assert world.node.conduct.total == before + 1
    assert "a message of kind 23 from member c" in caplog.text
    assert world.commits()


@pytest.mark.parametrize("end", ["close", "fail"])
def test_a_node_that_has_ended_hears_nothing(end: str) -> None:
    world = Lone()
    assert world.commits()
    if end == "close":
        world.node.close()
    else:
        world.node.fail(OSError("the disk"))
    world.said.clear()
    world.hear(VOTER, [msg.READ_INDEX, 1])
    world.hear(VOTER, cast(Any, ["nonsense"]))
    assert world.said == []
    assert world.node.conduct.total == 0
