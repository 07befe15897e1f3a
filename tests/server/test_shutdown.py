"""How a node stops: in which order, for how long it waits, and that one which has failed hands nothing on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.members.parts import Leading, voting
from tests.patience import PATIENCE
from visord import shutdown
from visord.admission import CLOSING
from visord.shutdown import Draining


class Node:
    """A node that notes what it is asked for. `hands_on`: a transfer ends."""

    def __init__(self, *, leads: bool = True, hands_on: bool = True, idle: bool = True) -> None:
        self.done: list[str] = []
        self._hands_on = hands_on
        self.engine = Leading("me" if leads else "lead")
        self.membership = self.maintenance = self
        self.admission: Any = SimpleNamespace(closing=False)
        self.proposer = SimpleNamespace(
            idle=idle, abandon_queue=lambda refusal: self.done.append(refusal.code)
        )
        self.forwarding = SimpleNamespace(outstanding=[])
        self.draining = Draining(self.admission, self.proposer, self.forwarding)

    def act(self, name: str, arguments: list[Any], answer: Callable[[bool, Any], None]) -> None:
        self.done.append(name)
        if self._hands_on:
            answer(False, ["unsafe", "", {}])  # whatever comes of it

    async def last_checkpoint(self) -> None:
        self.done.append("checkpoint")

    def close(self) -> None:
        self.done.append("close")

    def stop(self, failed: Callable[[], bool] = lambda: False) -> list[str]:
        async def hang_up() -> None:
            self.done.append("hang up")

        asyncio.run(shutdown.stop(self, lambda: self.done.append("send away"), hang_up, failed=failed))
        return self.done


LAST = ["send away", "checkpoint", "hang up", "close"]


def test_a_leader_hands_on_first_and_closes_last() -> None:
    node = Node()
    assert node.stop() == ["transfer", CLOSING.code, *LAST]
    assert node.admission.closing


def test_there_is_nothing_to_hand_on_where_another_leads_or_nobody_else_votes() -> None:
    assert Node(leads=False).stop()[0] == CLOSING.code
    alone = Node()
    alone.engine.configuration = voting("me")
    assert alone.stop()[0] == CLOSING.code


def test_a_transfer_and_writes_that_never_end_are_waited_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown, "HAND_OVER_SECONDS", 0.01)
    monkeypatch.setattr(shutdown, "DRAIN_SECONDS", 0.01)
    node = Node(hands_on=False, idle=False)
    assert node.stop() == ["transfer", CLOSING.code, *LAST]


def test_one_that_has_failed_sends_its_clients_away_at_once() -> None:
    node = Node()
    assert node.stop(failed=lambda: True) == ["send away", "hang up", "close"]
    assert not node.admission.closing


def test_one_that_fails_meanwhile_makes_no_checkpoint() -> None:
    answers = iter([False, True])
    assert Node().stop(failed=lambda: next(answers)) == [
        "transfer",
        CLOSING.code,
        "send away",
        "hang up",
        "close",
    ]


@pytest.mark.parametrize("where", ["log", "leader"])
def test_it_is_drained_when_all_that_was_accepted_is_applied(where: str) -> None:
    node = Node()
    node.proposer.idle = where == "leader"
    node.forwarding.outstanding = [] if where == "log" else ["a group"]

    async def main() -> None:
        drained = asyncio.ensure_future(node.draining.drain())
        await asyncio.sleep(0)
        node.draining.tick()
        await asyncio.sleep(0)
        assert not drained.done()
        node.proposer.idle, node.forwarding.outstanding = True, []
        node.draining.tick()
        await asyncio.wait_for(drained, PATIENCE)

    asyncio.run(main())
