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
from typing import Any, ClassVar

import pytest

import visor
from visor._core import dataclass as made_in
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
            if inspect.isfunction(equal) and equal.__code__.co_filename == made_in.__file__:
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
        assert repr(mine.default) == repr(other.default)
    assert kind.__match_args__ == standard.__match_args__  # type: ignore[attr-defined]
    assert (kind.__hash__ is None) == (standard.__hash__ is None)
    for name, method in vars(kind).items():
        if inspect.isfunction(method):
            assert method.__module__ != made_in.__name__ and method.__name__ == name
            assert method.__qualname__ == f"{kind.__qualname__}.{name}"


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


# -- how it is made -----------------------------------------------------------------------------------
def shape(
    frozen: bool = False, order: bool = False, base: tuple[Any, ...] = (), **body: Any
) -> Callable[[Any], Any]:
    """Return what makes a class of this body with one of the two decorators."""

    def make(maker: Any) -> Any:
        parents = tuple(each(maker) if not isinstance(each, type) else each for each in base)
        words = {name: copy.copy(value) for name, value in body.items()}
        plain = type("Shape", parents, {"__module__": __name__, "__qualname__": "Shape", **words})
        return maker(frozen=frozen, slots=False, order=order)(plain)

    return make


def typed(*names: str, **kinds: Any) -> dict[str, Any]:
    return {**dict.fromkeys(names, "int"), **kinds}


FIELD = dataclasses.field
FROZEN, THAWED = shape(True, __annotations__=typed("a")), shape(__annotations__=typed("a"))

SAME = {
    "no doc": shape(__annotations__=typed("a", "b"), b=FIELD(default_factory=list)),
    "no doc, no fields": shape(),
    "a doc": shape(__doc__="Said.", __annotations__=typed("a")),
    "an empty doc": shape(__doc__="", __annotations__=typed("a")),
    "class variable": shape(__annotations__=typed("a", b="ClassVar[int]", c="typing.ClassVar"), b=1, c=2),
    "real class variable": shape(__annotations__=typed("a", b=ClassVar[int], c="int"), b=1),
    "heir": shape(base=(THAWED,), __annotations__=typed("b")),
    "frozen heir": shape(True, base=(FROZEN,), __annotations__=typed("b")),
    "ordered frozen heir": shape(True, True, base=(FROZEN,), __annotations__=typed("b")),
    "frozen, equal by hand": shape(True, __annotations__=typed("a"), __eq__=lambda self, other: True),
    "equal by hand": shape(__annotations__=typed("a"), __eq__=lambda self, other: True),
    "hashed by hand": shape(__annotations__=typed("a"), __hash__=lambda self: 7),
    "both by hand": shape(
        True, __annotations__=typed("a"), __hash__=lambda self: 7, __eq__=lambda self, other: True
    ),
    "default of a base": shape(base=(THAWED,), __annotations__=typed("b"), b=3),
}
"""Both decorators make the same of these."""

REFUSED_BY_BOTH = {
    "frozen from another": shape(True, base=(THAWED,), __annotations__=typed("b")),
    "other from frozen": shape(base=(FROZEN,), __annotations__=typed("b")),
    "default first": shape(__annotations__=typed("a", "b"), a=1),
    "set by hand": shape(True, __annotations__=typed("a"), __setattr__=lambda self, name, value: None),
    "deleted by hand": shape(True, __annotations__=typed("a"), __delattr__=lambda self, name: None),
    "ordered by hand": shape(order=True, __annotations__=typed("a"), __lt__=lambda self, other: True),
    "field without a type": shape(a=FIELD(default=1)),
}

REFUSED_HERE = {
    "keyword": shape(__annotations__=typed("a"), a=FIELD(kw_only=True)),
    "keywords": shape(__annotations__=typed("a", _=dataclasses.KW_ONLY, b="int")),
    "not taken": shape(__annotations__=typed("a"), a=FIELD(init=False, default=1)),
    "hashed otherwise": shape(True, __annotations__=typed("a"), a=FIELD(hash=False)),
    "InitVar": shape(__annotations__=typed("a", b=dataclasses.InitVar[int])),
    "InitVar in words": shape(__annotations__=typed("a", b="dataclasses.InitVar[int]")),
    "self": shape(__annotations__=typed("self")),
    "own names": shape(__annotations__=typed("_set")),
    "own prefixes": shape(__annotations__=typed("_factory_b")),
}


@pytest.mark.parametrize("case", SAME)
def test_it_makes_what_the_standard_one_makes(case: str) -> None:
    mine, standard = SAME[case](ours), SAME[case](dataclasses.dataclass)
    assert mine.__doc__ == standard.__doc__
    assert str(inspect.signature(mine)) == str(inspect.signature(standard))
    assert "0x" not in str(inspect.signature(mine))
    assert [each.name for each in dataclasses.fields(mine)] == [
        each.name for each in dataclasses.fields(standard)
    ]
    assert vars(mine).keys() - UNUSED == vars(standard).keys() - UNUSED
    assert params(mine) == params(standard)
    for name, method in vars(standard).items():
        if inspect.isfunction(method) and name.startswith("__"):
            assert vars(mine)[name].__module__ == method.__module__
    given = range(len(dataclasses.fields(mine)))
    kinds = (mine, standard)
    assert same(kinds, lambda kind: repr(kind(*given)))
    assert same(kinds, lambda kind: hash(kind(*given)))
    assert same(kinds, lambda kind: kind(*given) == kind(*given))
    assert same(kinds, lambda kind: setattr(kind(*given), "a", 1))
    assert same(kinds, lambda kind: delattr(kind(*given), "b"))


@pytest.mark.parametrize("case", REFUSED_BY_BOTH)
def test_it_refuses_what_the_standard_one_refuses(case: str) -> None:
    for maker in (ours, dataclasses.dataclass):
        with pytest.raises(TypeError):
            REFUSED_BY_BOTH[case](maker)


@pytest.mark.parametrize("case", REFUSED_HERE)
def test_it_refuses_what_only_the_standard_one_does(case: str) -> None:
    REFUSED_HERE[case](dataclasses.dataclass)
    with pytest.raises(TypeError, match=r"Shape\.\w+ .*only the dataclass of the standard library does that"):
        REFUSED_HERE[case](ours)
