"""Every field of every record, with every kind of value that it must not hold: refused by its name, both ways."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass, replace
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visor._core.registry import model, records
from visor._core.registry.model import Heartbeat, InstanceRecord, Limits, Mark, TicketRecord
from visor._core.registry.states import Operation, State, Status
from visor.registry.errors import BadRecord, BadValue

RECORDS = [each for each in vars(model).values() if is_dataclass(each) and each is not Mark]

TICKET = TicketRecord(7, Operation.STOP, "a", "b", "c", claims=(("h", "t"),), end=Mark("a", "b", "c"))
GOOD: dict[str, Any] = {
    "str": "x",
    "int": 7,
    "Port": 8001,
    "float": 2.5,
    "State": State.RUNNING,
    "Operation": Operation.STOP,
    "Status": Status.DEAD,
    "Mark": Mark("who", "why", "when"),
    "Mapping[str, str]": {"k": "v"},
    "tuple[tuple[str, str], ...]": (("h", "t"),),
    "Limits": Limits(64),
    "Heartbeat": Heartbeat(1, 2, 3),
    "TicketRecord": TICKET,
}
TEXTS: list[Any] = [5, True, 1.5, b"x", ["x"], ("x",), {"x": 1}, object(), "\ud800"]
NUMBERS: list[Any] = ["5", b"5", [5], {}, object(), True, 1 << 64]
WRONG: dict[str, list[Any]] = {
    "str": TEXTS,
    "int": [*NUMBERS, 1.5],
    "Port": [*NUMBERS, 1.5, -1, 65536],
    "float": [*NUMBERS, float("nan"), float("inf")],
    "State": ["running", 5, Status.DONE],
    "Operation": ["start", 5],
    "Status": ["done", 5],
    "Mark": ["who", ["a", "b", "c"], ("a", "b", "c"), 5]
    + [
        replace(GOOD["Mark"], **{name: bad})
        for name in ("by", "reason", "time")
        for bad in (5, None, "\ud800")
    ],
    "Mapping[str, str]": [
        5,
        "x",
        [("a", "b")],
        {"a": 1},
        {1: "a"},
        {"a": None},
        {"\ud800": "a"},
        {"a": "\ud800"},
    ],
    "tuple[tuple[str, str], ...]": [5, [["h", "t"]], (("h",),), (("h", 5),), ((5, "t"),), (("h", "\ud800"),)],
    "Limits": [5, {"memory_mb": 5}, Heartbeat(), Limits("5")],  # type: ignore[arg-type]
    "Heartbeat": [5, {}, Limits(), Heartbeat("5"), Heartbeat(threshold=1.5)],  # type: ignore[arg-type]
    "TicketRecord": [5, {}, replace(TICKET, host=5), replace(TICKET, op="stop"), replace(TICKET, id="7")],
}
FILES: dict[str, list[Any]] = {
    "str": [5, True, 1.5, ["x"], {"x": 1}, "\ud800"],
    "int": ["5", [5], {}, True, 1.5, 1 << 64],
    "Port": ["5", [5], {}, True, 1.5, -1, 65536],
    "float": ["5", [5], {}, True, 1 << 64, float("nan"), float("inf")],
    "State": ["walking", 5, ["running"]],
    "Operation": ["x", 5],
    "Status": ["x", 5],
    "Mark": ["who", ["a", "b"], ["a", "b", 5], ["a", "b", None], {}, ["a", "b", "\ud800"]],
    "Mapping[str, str]": [5, "x", [["a", "b"]], {"a": 1}, {"a": None}, {"a": "\ud800"}],
    "tuple[tuple[str, str], ...]": [5, [["h"]], [["h", 5]], [["h", None]], "ab", [["h", "\ud800"]]],
    "Limits": [5, [5], {"memory_mb": "5"}, {"memory_mb": True}],
    "Heartbeat": [5, [], {"interval": "5"}, {"threshold": 1.5}],
    "TicketRecord": [5, {}, {"id": "7"}, {"id": 7, "op": "x", "app": "a", "revision": "b", "proc": "c"}],
}
"""What JSON can say of a field and must not."""


def hint(field: Any) -> str:
    return str(field.type).removesuffix(" | None")


def sample(kind: type) -> Any:
    """Return a record whose fields all hold something, and nothing their default."""
    return kind(**{field.name: GOOD[hint(field)] for field in fields(kind)})


def every_field() -> Iterator[tuple[type, Any]]:
    for kind in RECORDS:
        for field in fields(kind):
            yield kind, field


def called(each: Any) -> str:
    return each.__name__ if isinstance(each, type) else str(each.name)


def test_every_record_is_stored_and_read() -> None:
    for kind in RECORDS:
        record = sample(kind)
        assert records.decode(kind, records.encode(record), "/x") == record


@pytest.mark.parametrize(("kind", "field"), list(every_field()), ids=called)
def test_a_value_that_does_not_fit_is_refused_when_it_is_written(kind: type, field: Any) -> None:
    required = field.default is MISSING and field.default_factory is MISSING
    values = [*WRONG[hint(field)], *([None] if required or "None" not in str(field.type) else [])]
    for value in values:
        with pytest.raises(BadValue) as refused:
            records.encode(replace(sample(kind), **{field.name: value}))
        error = refused.value
        named = str(error.field)
        if isinstance(value, Mark):  # a mark says in its own words what is wrong with it
            assert named in ("by", "reason", "time")
        else:
            assert named == field.name or named.startswith((f"{field.name}.", f"{field.name}["))
        assert str(error).endswith(f"{named} must be {error.expected}, not {error.actual}")


@pytest.mark.parametrize(("kind", "field"), list(every_field()), ids=called)
def test_a_file_that_holds_one_is_refused_when_it_is_read(kind: type, field: Any) -> None:
    document = json.loads(records.encode(sample(kind)))
    key = {"tele_port": "tele", "fail_restarts": "fails", "oom_restarts": "ooms"}.get(field.name, field.name)
    assert key in document
    for value in FILES[hint(field)]:
        data = json.dumps({**document, key: value}).encode()
        with pytest.raises(BadRecord) as refused:
            records.decode(kind, data, "/x")
        assert refused.value.path == "/x"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
KEYS = st.sampled_from(
    sorted({"id", "port", "tele", "lock", "end", "claims", "state", "app", "host", "lease", "fails"})
)


@given(st.dictionaries(KEYS, JSON, max_size=4))
def test_whatever_can_be_read_can_be_written_again(changes: dict[str, Any]) -> None:
    document = json.loads(records.encode(sample(InstanceRecord)))
    try:
        record = records.decode(InstanceRecord, json.dumps({**document, **changes}).encode(), "/x")
    except BadRecord:
        return
    assert records.decode(InstanceRecord, records.encode(record), "/x") == record


class Place(StrEnum):
    HERE = "10.0.0.1"


class Number(IntEnum):
    HTTP = 80


def test_enums_of_text_and_numbers_are_text_and_numbers() -> None:
    record = replace(sample(InstanceRecord), ip=Place.HERE, port=Number.HTTP)
    assert records.decode(InstanceRecord, records.encode(record), "/x") == record


def test_an_object_whose_repr_fails_is_named_by_its_type() -> None:
    with pytest.raises(BadValue, match="port must be a whole number from 0 to 65535, not <int>"):
        records.encode(replace(sample(InstanceRecord), port=10**5000))


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"nonsense", b"[" * 100_000, b'{"v":1,"id":NaN}', b"5", b"null"]
)
def test_what_is_no_document_says_why(data: bytes) -> None:
    with pytest.raises(BadRecord, match="not an instance"):
        records.decode(InstanceRecord, data, "/x")
