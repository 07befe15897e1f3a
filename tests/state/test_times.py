"""The times of commits against a plain list, with blocks so small that all kinds of them are met."""

from __future__ import annotations

from array import array
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visord.state import times as module
from visord.state.history import History
from visord.state.times import Times

GAPS = st.one_of(st.just(0), st.integers(0, 3), st.sampled_from([65_535, 65_536, 1 << 31, 1 << 32, 1 << 40]))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "append", "extend", "seal", "drop"]),
        GAPS,
        st.integers(min_value=0, max_value=40),
    ),
    max_size=60,
)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 4)
    monkeypatch.setattr(module, "TOGETHER", 8)


@given(steps=STEPS, start=st.integers(-70, 1 << 41))
def test_they_are_what_was_added(steps: list[tuple[str, int, int]], start: int) -> None:
    times, model, now = Times(), list[int](), start
    for step, gap, count in steps:
        if step == "append":
            now += gap
            times.append(now)
            model.append(now)
        elif step == "extend":
            more = array("q", range(now + gap, now + gap + count))
            times.extend(more)
            model.extend(more)
            now = model[-1] if model else now
        elif step == "seal":
            times.seal(min(count, len(model)))
        else:
            times.drop(min(count, len(model)))
            del model[:count]
        assert len(times) == len(model)
    assert times[:].tolist() == model
    assert [times[place] for place in range(len(model))] == model
    assert [times[place - len(model)] for place in range(len(model))] == model
    for first in range(0, len(model), 3):
        assert times[first : first + 7].tolist() == model[first : first + 7]
    for time in {*model, start - 1, now + 1, *(one - 1 for one in model)}:
        assert times.up_to(time) == bisect_right(model, time)


def test_a_time_that_was_told_takes_little() -> None:
    history = History()
    for time in range(1_000):
        history.times.append(1_700_000_000_000 + time * 60)
    history.forget_told(1_000)
    assert {block.itemsize for block in history.times._blocks} == {2}
    assert len(history.times._plain) < module.TOGETHER
    assert history.times[999] == 1_700_000_000_000 + 999 * 60
