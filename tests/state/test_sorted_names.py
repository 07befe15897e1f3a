"""The ordered names of a directory against a plain sorted list, on both sides of the size where it changes form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visord.state import sorted_names as module
from visord.state.sorted_names import SortedNames, merged

STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "add", "add", "discard", "walk"]), st.integers(0, 30)), max_size=60
)


@pytest.mark.parametrize("small", [0, 4, 500])
@given(
    steps=STEPS,
    start=st.one_of(st.none(), st.integers(0, 31)),
    inclusive=st.booleans(),
    reverse=st.booleans(),
)
def test_names_stay_in_order(small, steps, start, inclusive, reverse):
    before, module._SMALL = module._SMALL, small
    try:
        names, model = SortedNames(), set()
        for step, number in steps:
            path = f"/{number:02d}"
            if step == "add" and path not in model:
                names.add(path)
                model.add(path)
            elif step == "discard":
                names.discard(path)
                model.discard(path)
            elif step == "walk":
                assert list(names.walk()) == sorted(model)
            assert len(names) == len(model)
        bound = None if start is None else f"/{start:02d}"
        expected = [
            path
            for path in sorted(model, reverse=reverse)
            if bound is None or (path == bound and inclusive) or (path < bound if reverse else path > bound)
        ]
        assert list(names.walk(bound, inclusive=inclusive, reverse=reverse)) == expected
    finally:
        module._SMALL = before


@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)), st.booleans())
def test_merging_two_walks(one, two, reverse):
    left = sorted((f"{n:02d}" for n in one), reverse=reverse)
    right = sorted((f"{n:02d}" for n in two - one), reverse=reverse)
    assert list(merged(left, right, reverse=reverse)) == sorted(left + right, reverse=reverse)
