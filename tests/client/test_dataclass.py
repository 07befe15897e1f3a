"""`visor._core.dataclass` makes what the `dataclass` of the standard library makes, for each class that uses it."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import operator
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import visor
from visor._core.dataclass import dataclass as ours


def every_module() -> Iterator[Any]:
    for found in pkgutil.walk_packages(visor.__path__, "visor."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def used_for() -> list[type]:
    """Return the classes of ours that were made so, once each."""
    found = {}
    for module in every_module():
        for thing in vars(module).values():
            equal = vars(thing).get("__eq__") if isinstance(thing, type) else None
            if getattr(equal, "__module__", "") == "visor._core.dataclass":
                found[id(thing)] = thing
    return sorted(found.values(), key=lambda kind: (kind.__module__, kind.__qualname__))


UNUSED = {"__annotations__", "__annotate_func__", "__firstlineno__", "__static_attributes__"}
KINDS = used_for()


def twin(kind: Any) -> type:
    """Return what the standard library makes of the same fields."""
    fields = []
    for each in dataclasses.fields(kind):
        options = {"default": each.default, "default_factory": each.default_factory}
        given = dataclasses.field(compare=each.compare, repr=each.repr, hash=each.hash, **options)
        fields.append((each.name, each.type, given))
    params = kind.__dataclass_params__
    return dataclasses.make_dataclass(
        kind.__qualname__,
        fields,
        frozen=params.frozen,
        order=params.order,
        slots="__slots__" in vars(kind),
        kw_only=any(each.kw_only for each in dataclasses.fields(kind)),
    )


def test_there_are_many() -> None:
    assert len(KINDS) > 80


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
def test_a_class_has_what_the_standard_one_has(kind: Any) -> None:
    standard = twin(kind)
    assert set(vars(standard)) - UNUSED <= {*vars(kind)}
    assert params(kind) == params(standard)
    assert inspect.signature(kind).parameters.keys() == inspect.signature(standard).parameters.keys()
    for mine, other in zip(
        inspect.signature(kind).parameters.values(),
        inspect.signature(standard).parameters.values(),
        strict=True,
    ):
        assert (mine.kind, mine.default is mine.empty) == (other.kind, other.default is other.empty)
        assert mine.annotation == other.annotation
    assert kind.__match_args__ == standard.__match_args__  # type: ignore[attr-defined]
    assert (kind.__hash__ is None) == (standard.__hash__ is None)


def params(kind: Any) -> tuple[bool, ...]:
    found = kind.__dataclass_params__
    return found.init, found.repr, found.eq, found.order, found.frozen


# -- what they do -------------------------------------------------------------------------------------
def fields() -> dict[str, Any]:
    return {
        "__module__": __name__,
        "__doc__": "An example.",
        "__annotations__": {"a": "int", "b": "str", "c": "list[int]", "d": "object"},
        "b": "b",
        "c": dataclasses.field(default_factory=list, compare=False),
        "d": dataclasses.field(default=None, repr=False),
    }


def examples(frozen: bool, slots: bool, order: bool) -> tuple[Any, Any]:
    made = []
    for maker in (ours, dataclasses.dataclass):
        plain = type("Example", (), fields())
        made.append(maker(frozen=frozen, slots=slots, order=order)(plain))
    return made[0], made[1]


SHAPES = [(frozen, slots, order) for frozen in (0, 1) for slots in (0, 1) for order in (0, 1)]


def outcome(what: Callable[[], Any]) -> Any:
    try:
        return what()
    except Exception as error:
        return type(error), str(error).replace(f"{__name__}.", "")


@pytest.mark.parametrize(("frozen", "slots", "order"), SHAPES)
def test_objects_do_what_the_standard_ones_do(frozen: bool, slots: bool, order: bool) -> None:
    kinds = examples(bool(frozen), bool(slots), bool(order))
    for name in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"):
        compare = getattr(operator, name)
        assert same(kinds, lambda k, c=compare: [c(k(1), k(2)), c(k(2), k(1)), c(k(1), k(1, c=[1]))])
        assert same(kinds, lambda k, c=compare: c(k(1), 1))
    assert same(kinds, lambda k: repr(k(1, "x", [2], 3)))
    assert same(kinds, lambda k: hash(k(1)))
    assert same(kinds, lambda k: hash(k([])))
    assert same(kinds, lambda k: dataclasses.asdict(k(1)))
    assert same(kinds, lambda k: repr(dataclasses.replace(k(1), b="n")))
    assert same(kinds, lambda k: k())
    assert same(kinds, lambda k: k(1, e=1))
    assert same(kinds, lambda k: setattr(k(1), "a", 2))
    assert same(kinds, lambda k: delattr(k(1), "a"))
    if not (frozen and slots):  # the standard one has a defect there: it raises TypeError
        assert same(kinds, lambda k: setattr(k(1), "other", 2))
    assert same(kinds, lambda k: repr(copy.deepcopy(k(1, c=[1]))))
    mine = kinds[0]
    assert mine(1).c is not mine(1).c  # the list of one is not that of another


def same(kinds: tuple[Any, Any], what: Callable[[Any], Any]) -> bool:
    mine, standard = (outcome(lambda kind=kind: what(kind)) for kind in kinds)
    assert mine == standard
    return True


@ours(frozen=True, slots=True)
class Kept:
    """What pickles."""

    a: int
    b: object = None

    def __repr__(self) -> str:
        return "kept as it was written"


@dataclasses.dataclass(frozen=True)
class Inherited(Kept):
    """What a user makes of one."""

    c: int = 0


def test_it_pickles_keeps_what_is_written_and_can_be_inherited_from() -> None:
    one = Kept(1, [2])
    assert pickle.loads(pickle.dumps(one)) == one
    assert repr(one) == "kept as it was written"
    heir = Inherited(1, 2, 3)
    assert dataclasses.astuple(heir) == (1, 2, 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        heir.c = 4  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        heir.a = 4  # type: ignore[misc]


def test_what_holds_itself_can_be_shown() -> None:
    kind = examples(False, False, False)[0]
    one = kind(1)
    one.c.append(one)
    assert repr(one) == "Example(a=1, b='b', c=[...])"
