"""Who has to go for what the node holds, and that it goes between turns, never in the middle of somebody's write."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.patience import PATIENCE
from tests.wire import Refused, Wire
from visor.protocol import verbs as v
from visor.protocol.frames import encode
from visord import embed
from visord.serving.conversation import DEAF
from visord.serving.shares import Patience, Shares
from visord.serving.turns import Turns


class Sharer:
    def __init__(self, owner: str = "a") -> None:
        self.owner = owner
        self.late = ""
        self.ended: list[str] = []

    def overdue(self, limits: Patience) -> str:
        return self.late

    def expel(self, code: str, text: str) -> None:
        self.ended.append(code)


def test_who_has_to_go_goes_in_the_next_turn() -> None:
    """The hub was in the middle of a publication when a write to one watcher sent it away."""
    soon: list[Callable[[], None]] = []
    shares = Shares(Turns(soon.append, lambda: 0.0), 1000, 1000, Patience())
    one = Sharer()
    shares.note_unsent(one, 1001)
    assert one.ended == []
    soon.pop()()
    assert one.ended == ["overloaded"]
    assert shares.unsent.total == 0


def test_who_takes_too_long_is_ended_by_the_sweep() -> None:
    shares = Shares(Turns(lambda callback: None, lambda: 0.0), 1000, 1000, Patience())
    late, early, other = Sharer(), Sharer(), Sharer()
    late.late = other.late = "late"
    shares.note_held(late, 5)
    shares.note_held(early, 5)
    shares.sweep(7.0)
    assert (late.ended, early.ended, other.ended) == (["deadline"], [], [])
    assert shares.now == 7.0


def test_the_decoder_of_all_that_have_ended_keeps_nothing() -> None:
    DEAF.push(b"x" * 100)
    DEAF.put_back([[1, 2]])
    assert DEAF.push_whole(encode([1, 2])) is None
    assert DEAF.take() == []
    assert DEAF.held == 0


def test_a_request_that_takes_a_turn_to_decode_is_answered_and_leaves_nothing_to_do() -> None:
    """It was put back at the end of its slice, decoded again, put back: for ever."""
    with embed.start() as node, Wire(node.address) as wire:
        wire.send([v.SCAN, 5, *[{str(number): 0 for number in range(8000)} for _ in range(8)]])
        assert wire.read(timeout=PATIENCE)[:3] == [v.ERROR, 5, "bad_request"]
        with pytest.raises(Refused):
            wire.call(v.LIST, "/none")
        assert wire.call(v.PING) is None
