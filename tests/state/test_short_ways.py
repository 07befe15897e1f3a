"""The short ways of common operations do what the long way does: the same transactions with them and without."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.state.driving import Driven
from visor.protocol.limits import Limits
from visor.protocol.verbs import T_DELETE, T_GET, T_LIST, T_SET, TXN
from visord.state.digest import state_hash
from visord.state.refusal import Refusal
from visord.state.txn import _Run

NAMES = st.sampled_from("abc")
PATHS = st.lists(NAMES, min_size=2, max_size=3).map(lambda names: "/" + "/".join(names))
SETS = st.tuples(st.just(T_SET), PATHS, st.sampled_from([b"", b"value"])).map(list)
"""What the short ways are for, and what looks like it: a path may be a directory, or below a file."""
OTHERS = st.one_of(
    st.tuples(st.sampled_from([T_GET, T_LIST]), PATHS).map(list),
    st.sampled_from([[T_LIST, "/"], [T_LIST, "/a"], [T_DELETE, "/a", True]]),
    st.tuples(st.just(T_SET), PATHS, st.just(b"leased"), st.sampled_from([0, 0, 7])).map(list),
)
ODD = st.one_of(
    st.sampled_from([[], 5, [T_SET], [False, "/a/z", b""], [T_SET, b"/a/z", b""], ["0", "/a/z", b""]]),
    st.tuples(
        st.just(T_SET), st.sampled_from(["/a/", "/a//b", "/a/..", "/a/é", "/a/" + "x" * 9]), st.just(b"v")
    ).map(list),
    st.tuples(st.just(T_SET), PATHS, st.sampled_from([b"long" * 8, "text"])).map(list),
)
BLOCKS = st.sampled_from("aab").flatmap(
    lambda top: st.lists(st.sampled_from("abcdef"), min_size=1, max_size=5, unique=True).map(
        lambda names: [[T_SET, f"/{top}/{name}", b"v"] for name in names]
    )
)
SET_AND_DELETED = st.tuples(PATHS, st.sampled_from("abc")).map(
    lambda pair: [[T_SET, pair[0], b"v"], [T_DELETE, pair[0]], [T_SET, f"/{pair[1]}/n", b"v"]]
)
STEPS = st.one_of(
    BLOCKS,
    BLOCKS,
    SETS.map(lambda one: [one]),
    SETS.map(lambda one: [one]),
    SET_AND_DELETED,
    OTHERS.map(lambda one: [one]),
)
PLAIN = st.lists(STEPS, min_size=1, max_size=4).map(lambda steps: [one for step in steps for one in step])
"""Mostly allowed: else hardly anything would ever be committed."""
TRANSACTIONS = st.lists(
    st.one_of(PLAIN, PLAIN, PLAIN, st.tuples(PLAIN, ODD).map(lambda pair: [*pair[0], pair[1]])),
    min_size=1,
    max_size=6,
)
SMALL = Limits(component=8, path=24, value=16, transaction=150, operations=30)


def played(transactions: list[list[object]]) -> tuple[list[object], bytes]:
    """Return what each transaction was told, and the state in the end."""
    driven = Driven(limits=SMALL)
    told: list[object] = []
    for operations in transactions:
        outcome = driven.write(TXN, [], operations)
        told.append(
            (outcome.code, outcome.text, outcome.details) if isinstance(outcome, Refusal) else outcome
        )
    return told, (state_hash(driven.store), driven.store.held)


@pytest.mark.soak
@settings(max_examples=300)
@given(TRANSACTIONS)
def test_short_ways_change_nothing(transactions):
    short = played(transactions)
    ways = {name: getattr(_Run, name) for name in ("overwrite", "create")}
    try:
        for name in ways:
            setattr(_Run, name, lambda run, operation: False)
        long = played(transactions)
    finally:
        for name, way in ways.items():
            setattr(_Run, name, way)
    assert short == long


def test_a_directory_that_went_within_the_transaction_comes_back():
    driven = Driven()
    operations = [[T_SET, "/y/x/n", b""], [T_DELETE, "/y/x/n"], [T_SET, "/y/x/m", b""], [T_SET, "/y", b""]]
    outcome = driven.write(TXN, [], operations)
    assert isinstance(outcome, Refusal) and outcome.code == "is_directory"
