"""The typed store without a registry: shapes of fields, and indexes against looking at everything."""

from __future__ import annotations

import pickle
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag
from pathlib import Path
from typing import Any, Literal, NewType
from uuid import UUID

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

import visor
from tests.following.swarm import TASK, Task, TaskState
from visor._core.following.cache import Cache
from visor._core.following.delta import Batch
from visor._core.store import by
from visor._core.store.damage import Damaged
from visor._core.store.errors import BadField
from visor._core.store.history import decoder
from visor._core.store.kind import Index, Kind, escape
from visor._core.store.reading import Reading
from visor._core.store.record import FrozenDict, Meta, Record
from visor._core.store.schema import ALLOWED, fields_of
from visor._core.store.tables import Tables
from visor._core.store.transaction import PORTION, Command, Transaction
from visor.values import Kind as Change

NOBODY = UUID(int=0)
UserId = NewType("UserId", str)


class Access(Flag):
    READ = 1
    WRITE = 2


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
    key: UUID = NOBODY
    price: Decimal | None = None
    day: date = date(1970, 1, 1)
    span: timedelta = timedelta()
    level: Literal["low", "high", 3] = "low"
    user: UserId = UserId("")
    access: Access = Access.READ


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
    key=st.uuids(),
    price=st.none() | st.decimals(allow_nan=False),
    day=st.dates(),
    span=st.timedeltas(timedelta(days=-(10**7)), timedelta(days=10**7)),
    level=st.sampled_from(["low", "high", 3]),
    user=st.text(max_size=3),
    access=st.sampled_from([Access.READ, Access.WRITE, Access.READ | Access.WRITE]),
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
        ("flag", None),
        ("number", "1"),
        ("number", None),
        ("number", 1 << 64),
        ("number", -(1 << 63) - 1),
        ("ratio", True),
        ("ratio", None),
        ("ratio", 1 << 70),
        ("text", None),
        ("text", "\ud800"),
        ("data", None),
        ("data", bytearray(b"x")),
        ("moment", None),
        ("moment", 5),
        ("moment", date(2024, 1, 1)),
        ("color", None),
        ("color", 2),
        ("maybe", True),
        ("maybe", 1.5),
        ("mixed", True),
        ("mixed", None),
        ("many", (Inner("1"),)),  # type: ignore[arg-type]
        ("many", (Inner(1, (5,)),)),  # type: ignore[arg-type]
        ("many", None),
        ("pair", (1, 2)),
        ("pair", ("a", "b")),
        ("pair", [1, "a"]),
        ("pair", None),
        ("chosen", frozenset([1])),
        ("chosen", ("a",)),
        ("chosen", None),
        ("named", {"a": 1}),
        ("named", {1: Inner(1)}),
        ("named", {"\ud800": Inner(1)}),
        ("named", None),
        ("inner", Inner(None)),  # type: ignore[arg-type]
        ("key", "00000000-0000-0000-0000-000000000000"),
        ("key", b"0" * 16),
        ("key", None),
        ("price", 1.5),
        ("price", "1.5"),
        ("day", datetime(2024, 1, 1)),
        ("day", "2024-01-01"),
        ("span", 5),
        ("span", timedelta.max),
        ("level", "medium"),
        ("level", 3.0),
        ("level", None),
        ("user", 5),
        ("access", 1),
        ("annotations", {5: "a"}),
        ("annotations", {"a": None}),
        ("annotations", {"a": "\ud800"}),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_the_name_of_its_field(name: str, value: Any) -> None:
    record = Everything(id="x", **{name: value})
    with pytest.raises(TypeError, match=rf"^everything x: {name}([\[.].*)? must be ") as refused:
        KIND.encode(record, NOW, NOW)
    assert isinstance(refused.value, BadField)


def test_every_field_is_tried_with_values_that_do_not_fit() -> None:
    cases = test_a_value_that_does_not_fit_is_refused_by_the_name_of_its_field.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {name for name, _ in cases} == {*KIND.fields}


PACKED = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=3)
    | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@given(st.sampled_from(sorted(KIND.fields)), PACKED)
def test_what_is_read_from_a_file_fits_its_field_or_the_file_is_damaged(name: str, packed: Any) -> None:
    """The same schema on both sides: what could be read can be written again, byte for byte or shorter."""
    data = msgpack.packb({"c": 1, "u": 1, "f": {name: packed}})
    try:
        record = KIND.decode("x", [7, data, 3, 1, 0])
    except Exception:
        return
    assert KIND.decode("x", [7, KIND.encode(record, NOW, NOW), 3, 1, 0]) == record


@given(PACKED)
def test_what_is_no_object_is_damaged_in_words(packed: Any) -> None:
    damaged: dict[str, Damaged] = {}
    cache: Cache[Record] = Cache(lambda a, b: a == b)
    decode = decoder(Tables([KIND], cache, ""), damaged)
    if decode("/objects/everything/x", [7, msgpack.packb(packed), 3, 1, 0]) is None:
        assert damaged["/objects/everything/x"].rev == 7
        assert damaged["/objects/everything/x"].why
    else:
        assert not damaged


@pytest.mark.parametrize(
    ("hint", "advice"),
    [
        (list[int], r"use tuple\[\.\.\., \.\.\.\]"),
        (list, r"use tuple"),
        (dict[str, int], r"use Mapping"),
        (set[str], r"use frozenset"),
        (bytearray, r"use bytes"),
        (object, r"allowed are bool, int, .*UUID, Decimal"),
        (complex, r"allowed are"),
    ],
)
def test_a_type_that_no_field_can_have_is_refused_with_what_it_can(hint: Any, advice: str) -> None:
    @dataclass(frozen=True)
    class Bad:
        value: hint

    Bad.__annotations__["value"] = hint
    with pytest.raises(TypeError, match=rf"Bad\.value: .* cannot be a field of a stored object.*{advice}"):
        fields_of(Bad)


def test_what_is_said_of_allowed_types_is_what_is_documented() -> None:
    page = (Path(visor.__file__).parent / "docs" / "following.md").read_text()
    for word in re.findall(r"\w+", ALLOWED):
        assert word in page


def test_a_field_of_several_values_cannot_be_unique() -> None:
    with pytest.raises(ValueError, match="'networks' of Task cannot be unique"):
        Kind(Task, unique=["networks"])


@dataclass(frozen=True, kw_only=True)
class Priced(Record):
    price: Decimal = Decimal(0)
    ratio: float = 0.0
    moment: datetime = datetime(1970, 1, 1, tzinfo=UTC)


def test_equal_values_claim_the_same_path() -> None:
    kind = Kind(Priced, unique=["price", "ratio", "moment"])
    table = Tables([kind], Cache(lambda a, b: a == b), "").by_name["priced"]
    noon = datetime(2024, 1, 1, 12, tzinfo=UTC)
    one = Priced(id="a", price=Decimal("10"), ratio=1, moment=noon)
    other = Priced(
        id="a", price=Decimal("1E+1"), ratio=1.0, moment=noon.astimezone(timezone(timedelta(hours=2)))
    )
    assert table.claims(one) == table.claims(other)
    assert table.claims(one) != table.claims(replace(one, price=Decimal("10.1")))


def test_an_index_of_the_users_own_that_fails_is_told_to_the_writer_and_stops_no_reader() -> None:
    kind = Kind(Task, index=[Index("odd", lambda task: [len(task.node)])])
    cache: Cache[Record] = Cache(lambda a, b: a == b)
    tables = Tables([kind], cache, "")
    with cache.latch:
        tx = Transaction(cache.view(), tables, lambda: NOW)
    with pytest.raises(BadField, match=r"task t1: index odd must be indexable, not .*TypeError"):
        tx.create(Task(id="t1"))
    table = tables.by_name["task"]
    with cache.latch:
        deltas = cache.apply(1, [(table.path("t1"), Task(id="t1"), Change.CREATE)])
        tables.move(Batch(1, 0, deltas))
        reading = Reading(cache.view(), tables)
    assert [task.id for task in reading.find(Task)] == ["t1"]
    assert reading.find(Task, by.indexed(kind, "odd", 3)) == []


def _calls(action: Callable[[], object]) -> int:
    """Return how many functions of Python and C are called."""
    count = 0

    def note(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def _creating(many: int, meanwhile: int) -> int:
    """Return what it costs to create so many objects, in a view that others have changed so often."""
    kind = Kind(Priced, "priced", unique=["price"])
    cache: Cache[Record] = Cache(lambda a, b: a == b)
    tables = Tables([kind], cache, "")
    with cache.latch:
        tx = Transaction(cache.view(), tables, lambda: NOW)
        for number in range(meanwhile):
            path = tables.by_name["priced"].path(f"other-{number}")
            deltas = cache.apply(
                number + 1, [(path, Priced(id=f"other-{number}", price=Decimal(-number - 1)), Change.CREATE)]
            )
            tables.move(Batch(number + 1, number, deltas))

    def create() -> None:
        for number in range(many):
            tx.create(Priced(id=f"p{number}", price=Decimal(number)))
        assert len(tx.command({}).then) == 2 * many

    return _calls(create)


def test_a_transaction_costs_what_it_changes() -> None:
    """Counted in calls, not in time: ten times as many objects cost ten times as much, and so does nothing else."""
    few, many = _creating(100, 0), _creating(1000, 0)
    assert many < 10.5 * few
    assert _creating(1000, 2000) < 1.2 * many + 2000 * 20


def test_making_the_command_is_cut_into_portions() -> None:
    cache: Cache[Record] = Cache(lambda a, b: a == b)
    tables = Tables([TASK], cache, "")
    with cache.latch:
        tx = Transaction(cache.view(), tables, lambda: NOW)
    for number in range(3 * PORTION):
        tx.create(Task(id=f"t{number}"))
    command = Command([], [], [], [])
    steps = tx.fill(command, {})
    for portion in range(1, 4):
        next(steps)
        assert len(command.then) < portion * PORTION


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
    cache: Cache[Record] = Cache(lambda a, b: a == b)
    tables = Tables([TASK], cache, "")
    table = tables.by_name["task"]
    state: dict[str, Task] = {}
    readings: list[tuple[Reading, dict[str, Task]]] = []
    for rev, step in enumerate(steps, 1):
        if step == "view":
            with cache.latch:
                readings.append((Reading(cache.view(), tables), dict(state)))
            continue
        after = step if isinstance(step, Task) else None
        id = after.id if after is not None else step
        if after is None:
            state.pop(id, None)
        else:
            state[id] = after
        with cache.latch:
            deltas = cache.apply(rev, [(table.path(id), after, Change.UPDATE)])
            tables.move(Batch(rev, rev - 1, deltas))
        table.beginning("service", "", None)  # so that the sorted index is there, and must be kept right
    with cache.latch:
        readings.append((Reading(cache.view(), tables), dict(state)))
        tx = Transaction(cache.view(), tables, lambda: NOW)
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
    cache: Cache[Record] = Cache(lambda a, b: a == b)
    tables = Tables([TASK], cache, "")
    table = tables.by_name["task"]
    tx, wanted = (Transaction(cache.view(), tables, lambda: NOW) for _ in range(2))
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
