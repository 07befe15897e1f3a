"""The typed store without a registry: shapes of fields, and indexes against looking at everything."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visor._follow.delta import Batch
from visor._follow.picture import Picture
from visor._store import by
from visor._store.kind import Kind, escape
from visor._store.reading import Reading
from visor._store.record import FrozenDict, Meta, Record
from visor._store.shape import fields_of
from visor._store.tables import Tables
from visor._store.transaction import Transaction
from visor.values import Kind as Change

from .swarm import TASK, Task, TaskState


class Color(Enum):
    RED = "r"
    BLUE = 2


@dataclass(frozen=True)
class Inner:
    left: int
    right: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Everything(Record):
    flag: bool = False
    number: int = 0
    ratio: float = 0.5
    text: str = ""
    data: bytes = b""
    moment: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    color: Color = Color.RED
    maybe: int | None = None
    mixed: int | str = 0
    many: tuple[Inner, ...] = ()
    pair: tuple[int, str] = (0, "")
    chosen: frozenset[str] = frozenset()
    named: Mapping[str, Inner] = field(default_factory=FrozenDict)
    inner: Inner | None = None


INNER = st.builds(Inner, st.integers(-(2**40), 2**40), st.tuples(st.text(max_size=3)))
EVERYTHING = st.builds(
    Everything,
    id=st.just("x"),
    annotations=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
    flag=st.booleans(),
    number=st.integers(-(2**63), 2**63),
    ratio=st.floats(allow_nan=False),
    text=st.text(),
    data=st.binary(),
    moment=st.datetimes(timezones=st.just(UTC)),
    color=st.sampled_from(Color),
    maybe=st.none() | st.integers(0, 9),
    mixed=st.integers(0, 9) | st.text(max_size=3),
    many=st.lists(INNER, max_size=3).map(tuple),
    pair=st.tuples(st.integers(0, 9), st.text(max_size=3)),
    chosen=st.frozensets(st.text(max_size=3), max_size=3),
    named=st.dictionaries(st.text(max_size=3), INNER, max_size=3).map(FrozenDict),
    inner=st.none() | INNER,
)
KIND = Kind(Everything)
NOW = datetime(2024, 2, 29, 12, 30, 15, 250000, tzinfo=UTC)


@given(EVERYTHING)
def test_what_is_stored_is_what_is_read(record: Everything) -> None:
    data = KIND.encode(record, NOW, NOW)
    again = KIND.decode("x", [7, data, 3, 1, 0])
    assert again == record
    assert again.meta == Meta(7, NOW, NOW, 0)
    assert KIND.encode(again, NOW, NOW) == data
    assert hash(again) == hash(record)
    assert pickle.loads(pickle.dumps(again)) == record


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flag", 1),
        ("number", True),
        ("number", 1.5),
        ("ratio", "1"),
        ("text", b""),
        ("data", "x"),
        ("moment", datetime(2024, 1, 1)),
        ("color", "r"),
        ("maybe", "1"),
        ("mixed", 1.5),
        ("many", [Inner(1)]),
        ("many", ("x",)),
        ("pair", (1,)),
        ("chosen", {"a"}),
        ("named", [("a", Inner(1))]),
        ("inner", 5),
        ("annotations", {"a": 1}),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_the_name_of_its_field(name: str, value: Any) -> None:
    record = Everything(id="x", **{name: value})
    with pytest.raises(TypeError, match=f"Everything.{name}: "):
        KIND.encode(record, NOW, NOW)


@pytest.mark.parametrize("hint", [list[int], dict[str, int], set[str], object, "int | Inner"])
def test_a_type_that_can_be_changed_in_place_is_refused(hint: Any) -> None:
    @dataclass(frozen=True)
    class Bad:
        value: hint

    Bad.__annotations__["value"] = int | Inner if isinstance(hint, str) else hint
    with pytest.raises(TypeError, match=r"Bad\.value"):
        fields_of(Bad)


def test_a_mapping_that_is_given_is_frozen() -> None:
    labels = {"a": "1"}
    record = Record(id="x", annotations=labels)
    labels["a"] = "2"
    assert record.annotations == {"a": "1"}
    assert (len(record.annotations), list(record.annotations), repr(record.annotations)) == (
        1,
        ["a"],
        "{'a': '1'}",
    )


@given(st.lists(st.text(max_size=300), unique=True, min_size=2, max_size=5))
def test_values_stand_in_paths_for_themselves_alone(values: list[str]) -> None:
    from visor import paths

    escaped = [escape(value) for value in values]
    assert len(set(escaped)) == len(values)
    assert all(paths.check("/" + name) is None and "/" not in name for name in escaped)


IDS = st.sampled_from(["a", "b", "ab", "abc", "c"])
SERVICES = st.sampled_from(["web", "Web", "db", ""])
TASKS = st.builds(
    Task,
    id=IDS,
    service=SERVICES,
    slot=st.integers(0, 2),
    state=st.sampled_from(TaskState),
    networks=st.lists(st.sampled_from("xyz"), max_size=2).map(tuple),
    annotations=st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from(["v", "va", "w"]), max_size=2),
)
LEAVES = st.one_of(
    st.builds(by.id, IDS),
    st.builds(by.id_prefix, st.sampled_from(["", "a", "ab", "z"])),
    st.builds(by.field, st.just("service"), SERVICES),
    st.builds(by.field, st.just("slot"), st.integers(0, 2)),
    st.builds(by.field, st.just("networks"), st.sampled_from("xyz")),
    st.builds(by.prefix, st.just("service"), st.sampled_from(["", "w", "D"])),
    st.builds(by.above, st.just("state"), st.sampled_from(TaskState)),
    st.builds(by.below, st.just("slot"), st.integers(0, 2)),
    st.builds(by.custom, st.sampled_from("kl"), st.sampled_from(["v", "va"])),
    st.builds(by.custom_prefix, st.sampled_from("kl"), st.sampled_from(["", "v", "w"])),
    st.builds(lambda value: by.indexed(TASK, "late", value), st.booleans()),
)
SELECTORS = st.lists(LEAVES | st.lists(LEAVES, max_size=3).map(lambda some: by.either(*some)), max_size=3)
STEP = st.one_of(TASKS, IDS, st.just("view"))


@given(st.lists(STEP, max_size=15), SELECTORS, st.lists(TASKS | IDS, max_size=4))
def test_indexes_find_what_looking_at_everything_finds(
    steps: list[Any], selectors: list[by.By], buffered: list[Any]
) -> None:
    """In the present, in views of the past, and in a transaction that has written already."""
    picture: Picture[Record] = Picture(lambda a, b: a == b)
    tables = Tables([TASK], picture, "")
    table = tables.by_name["task"]
    state: dict[str, Task] = {}
    readings: list[tuple[Reading, dict[str, Task]]] = []
    for rev, step in enumerate(steps, 1):
        if step == "view":
            with picture.latch:
                readings.append((Reading(picture.view(), tables), dict(state)))
            continue
        after = step if isinstance(step, Task) else None
        id = after.id if after is not None else step
        if after is None:
            state.pop(id, None)
        else:
            state[id] = after
        with picture.latch:
            deltas = picture.apply(rev, [(table.path(id), after, Change.UPDATE)])
            tables.move(Batch(rev, rev - 1, deltas))
        table.beginning("service", "", None)  # so that the sorted index is there, and must be kept right
    with picture.latch:
        readings.append((Reading(picture.view(), tables), dict(state)))
        tx = Transaction(picture.view(), tables, lambda: NOW)
    for step in buffered:
        if isinstance(step, Task):
            tx.put(table, step)
            state[step.id] = step
        else:
            tx.drop(table, step)
            state.pop(step, None)
    readings.append((tx, state))
    for reading, held in readings:
        expected = sorted(
            (task for task in held.values() if all(s.matches(task) for s in selectors)), key=lambda t: t.id
        )
        assert reading.find(Task, *selectors) == expected
        assert all(reading.get(Task, id) == held.get(id) for id in ("a", "b", "ab", "abc", "c"))


@given(st.lists(st.tuples(st.booleans(), st.lists(TASKS | IDS, max_size=3)), max_size=6))
def test_rolling_back_forgets_everything_since(groups: list[tuple[bool, list[Any]]]) -> None:
    picture: Picture[Record] = Picture(lambda a, b: a == b)
    tables = Tables([TASK], picture, "")
    table = tables.by_name["task"]
    tx, wanted = (Transaction(picture.view(), tables, lambda: NOW) for _ in range(2))
    for keep, steps in groups:
        point = tx.save_point()
        for target in (tx, wanted) if keep else (tx,):
            for step in steps:
                if isinstance(step, Task):
                    target.put(table, step)
                    target.find(Task)
                else:
                    target.drop(table, step)
                    target.get(Task, step)
        if not keep:
            tx.roll_back(point)
    assert (tx.changes, tx.size, tx.find(Task)) == (wanted.changes, wanted.size, wanted.find(Task))
    assert sorted(map(repr, tx.command({}).then)) == sorted(map(repr, wanted.command({}).then))
