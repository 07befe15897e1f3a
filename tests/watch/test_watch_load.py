"""What globs may cost every write is bounded when they come, for one connection and for all."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.watch.watch_world import Reader, World
from visor.paths import Glob
from visor.protocol import verbs
from visor.protocol.limits import DEFAULT
from visord.state.refusal import Refusal
from visord.watch import hub
from visord.watch.load import ENTRY, LENGTH, Load

GLOB = verbs.SEL_GLOB
parts = st.sampled_from(["a", "b", "*", "**", "?", "a*", "*b", "a**b", "b*a*"])
globs = st.lists(parts, min_size=1, max_size=3).map(lambda names: Glob("/" + "/".join(names) + "*"))
keys = st.integers(1, 3)
paths = st.lists(st.sampled_from(["a", "b", "ab", "ba"]), min_size=1, max_size=4).map(
    lambda p: "/" + "/".join(p)
)


def met(watches: list[tuple[int, Glob]], path: str) -> int:
    """What a path costs at least: every glob with its beginning and end is tried, once."""
    tried = {glob.text: glob for _, glob in watches}.values()
    return sum(
        ENTRY + (10 * glob.cost(LENGTH) if glob.rest is not None else 0)
        for glob in tried
        if path.startswith(glob.prefix)
        and path.endswith(glob.suffix)
        and len(path) >= len(glob.prefix) + len(glob.suffix)
    )


@given(st.lists(st.tuples(keys, globs, st.booleans()), max_size=20), paths)
def test_no_path_costs_more_than_the_load(steps: list[tuple[int, Glob, bool]], path: str) -> None:
    load = Load()
    kept: list[tuple[int, Glob]] = []
    for kinds, glob, stays in steps:
        load.add((glob.text, kinds), [glob])
        kept.append((kinds, glob))
        if not stays:
            kept.pop()
            load.remove((glob.text, kinds), [glob])
        assert load.total >= met(kept, path)
    for kinds, glob in kept:
        load.remove((glob.text, kinds), [glob])
    assert (load.total, len(load)) == (0, 0)
    assert not load._classes
    assert not load._buckets


def test_several_globs_of_one_watch_cost_what_they_cost_alone() -> None:
    some = [Glob("/**/a*a*/**"), Glob("/**/b*b*/**"), Glob("/x/*")]
    load, alone = Load(), Load()
    load.add("together", some)
    load.add("together", some)
    for glob in some:
        alone.add(glob.text, [glob])
    assert load.total == alone.total
    load.remove("together", some)
    assert load.total == alone.total
    load.remove("together", some)
    assert (load.total, len(load)) == (0, 0)


def small(cost: int, connection: int) -> World:
    return World(dataclasses.replace(DEFAULT, glob_cost=cost, glob_cost_connection=connection))


def fill(world: World, reader: Reader) -> tuple[int, Refusal]:
    """Watch different globs until one is refused; return how many were not, and the refusal."""
    for number in range(1, 10_000):
        answer = world.ask(reader, [GLOB, f"/**/{number}-{id(reader)}/**"], watch=number)
        if isinstance(answer, Refusal):
            return number - 1, answer
    raise AssertionError("there is no limit")


def test_a_connection_has_a_limit() -> None:
    world = small(1000, 100)
    taken, refusal = fill(world, Reader())
    assert taken >= 1
    assert refusal.code == "too_large"
    assert refusal.details["limit"] == 100
    assert "globs" in refusal.text


def test_the_node_has_a_limit_and_a_few_cannot_fill_it() -> None:
    world = small(300, 200)
    codes = [fill(world, Reader())[1].code for _ in range(4)]
    assert codes[-1] == "overloaded"
    assert world.hub.load.total <= 10 * 300
    # Who has nothing yet still gets something.
    assert type(world.ask(Reader(), [GLOB, "/**/mine/**"])) is int


def test_what_is_watched_already_costs_nothing_more() -> None:
    world, first = small(300, 200), Reader()
    fill(world, first)
    before = world.hub.load.total
    assert type(world.ask(Reader(), [GLOB, f"/**/1-{id(first)}/**"])) is int
    assert world.hub.load.total == before


def test_a_limit_that_was_reached_is_free_again() -> None:
    world, reader = small(300, 200), Reader()
    taken, _ = fill(world, reader)
    world.hub.drop(reader)
    world.pump()
    assert world.hub.load.total == 0
    assert world.hub.stats()["globs"] == 0
    assert world.hub.crowded is None
    assert fill(world, Reader())[0] >= taken


def test_the_alarm_says_that_the_node_is_crowded() -> None:
    world = small(1000, 500)
    fill(world, Reader())
    assert world.hub.crowded is None
    for _ in range(5):
        fill(world, Reader())
    assert world.hub.crowded is not None
    assert "the limit is 1000" in world.hub.crowded


def test_a_glob_that_alone_is_too_dear_is_refused() -> None:
    refusal = World().ask(Reader(), [GLOB, "/**a*a*a*b**x**"])
    assert isinstance(refusal, Refusal)
    assert refusal.code == "too_large"


@pytest.mark.parametrize(
    "text",
    [
        "/app/{}/*",
        "/app/{}/**",
        "/**/{}",
        "/app/*/{}",
        "/app/web-{}.*",
        "/**.{}",
        "/" + "**" + "a" * 99 + "{}b",
    ],
)
def test_thousands_of_globs_that_no_path_meets_together_are_welcome(text: str) -> None:
    world, reader = World(), Reader()
    for number in range(DEFAULT.watches):
        assert type(world.ask(reader, [GLOB, text.format(number)], watch=number + 1)) is int
    assert world.hub.load.total < 10 * 50


def test_each_selector_of_a_watch_counts_as_a_watch() -> None:
    world = World(dataclasses.replace(DEFAULT, watches=64))
    reader = Reader()

    def several(watch: int) -> object:
        parts = [[verbs.SEL_PATH, f"/{watch}/{number}"] for number in range(20)]
        return world.ask(reader, [verbs.SEL_ANY, parts], watch=watch)

    assert [several(watch) for watch in (1, 2, 3)] == [1, 1, 1]
    refused = several(4)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.details["limit"], refused.details["actual"]) == ("too_large", 64, 80)
    world.hub.unsubscribe(reader, 1)
    assert several(4) == 1
    assert world.ask(reader, [verbs.SEL_TREE, "/"], watch=5) == 1


@pytest.mark.parametrize("parts", [1, 32])
def test_watches_of_many_selectors_go_in_portions(parts: int) -> None:
    """Whoever hangs up with thousands of selectors takes no longer portions than with as many watches."""
    world = World(dataclasses.replace(DEFAULT, watches=100_000))
    reader = Reader()
    for watch in range(1, 1 + 4096 // parts):
        paths = [[verbs.SEL_PATH, f"/{watch}/{number}"] for number in range(parts)]
        world.ask(reader, [verbs.SEL_ANY, paths], watch=watch)
    while world.hub.busy:
        world.pump()
    index = world.hub._live._index
    before = len(index._anchors)
    assert before == 4096
    world.hub.drop(reader)
    while before:
        assert 0 <= before - len(index._anchors) <= hub.AT_ONCE + parts
        before = len(index._anchors)
        world.hub.pump()
    assert not world.hub.busy
