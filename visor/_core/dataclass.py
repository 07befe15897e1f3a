"""`dataclass` of the standard library, made in a part of the time: most of what a call of the command costs is loading.

    from visor._core.dataclass import dataclass

    @dataclass(frozen=True, slots=True)
    class Mark:
        by: str

The standard one writes the source of up to eight methods for each class and compiles every one of them. Here only
`__init__` is compiled, which is what runs most; the others take the fields as they are. What is made has the same
methods with the same meaning, `dataclasses.fields`, `replace` and `asdict` take it, and it can be inherited from and
pickled. What it does not do is refused with a TypeError when the class is made: fields that are `kw_only`, that
`__init__` does not take or that are hashed otherwise than compared, and `InitVar`.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, FrozenInstanceError
from dataclasses import dataclass as standard
from dataclasses import fields as fields_of
from inspect import signature
from operator import attrgetter, ge, gt, le, lt
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # checkers know the real one
    from collections.abc import Callable
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, frozen=False, slots=False, order=False):
        """Make a dataclass of a class, as the decorator of the standard library does with these arguments."""

        def make(plain):
            own = _own(plain)
            heir = any(hasattr(base, "__dataclass_params__") for base in plain.__mro__[1:])
            # It refuses to make a frozen one from one that is not, and the reverse.
            kind = standard(init=False, repr=False, eq=False, slots=slots, frozen=frozen and heir)(plain)
            _check(kind, own, frozen, order)
            _complete(kind, own, frozen, slots, order)
            params = kind.__dataclass_params__
            params.init = params.repr = params.eq = True
            params.frozen, params.order = frozen, order
            if "__doc__" not in own:
                kind.__doc__ = kind.__name__ + str(signature(kind)).replace(" -> None", "")
            return kind

        return make


class _Factory:
    """The default of a field that a factory makes, as a signature shows it."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()
_NAMES = ("self", "_set", "_factory")
_PREFIXES = ("_default_", "_factory_")
"""What `__init__` has names for beside those of the fields."""
_ELSEWHERE = "only the dataclass of the standard library does that"


def _own(plain: type) -> set[str]:
    """Return what a class has written itself. A hash of None is none: Python puts it where `__eq__` is written."""
    own = {name for name, value in vars(plain).items() if value or name != "__doc__"}
    return own - {"__hash__"} if "__eq__" in own and vars(plain)["__hash__"] is None else own


def _check(kind: type, own: set[str], frozen: bool, order: bool) -> None:
    """Raise TypeError for what the standard one refuses, and for what it does and this one does not."""
    for each in vars(kind)["__dataclass_fields__"].values():
        if each._field_type.name == "_FIELD_INITVAR":
            raise TypeError(f"{kind.__qualname__}.{each.name} is an InitVar: {_ELSEWHERE}")
    has_default = ""
    for each in fields_of(kind):
        where = f"{kind.__qualname__}.{each.name}"
        if each.kw_only or not each.init or each.hash not in (None, each.compare):
            raise TypeError(f"{where} is kw_only, init=False or hashed otherwise than compared: {_ELSEWHERE}")
        if each.name in _NAMES or each.name.startswith(_PREFIXES):
            raise TypeError(f"{where} has a name that __init__ uses itself: {_ELSEWHERE}")
        if each.default is not MISSING or each.default_factory is not MISSING:
            has_default = each.name
        elif has_default:
            raise TypeError(f"{where} has no default and comes after {has_default!r}, which has one")
    made = (_FROZEN if frozen else set()) | (_ORDER.keys() if order else set())
    if own & made:
        raise TypeError(f"{kind.__qualname__} writes {min(own & made)} itself, which is made for it")


def _complete(kind: type, own: set[str], frozen: bool, slots: bool, order: bool) -> None:
    """Add the methods that the class has not written itself, as `own` tells."""
    fields = list(fields_of(kind))
    values = _values([each.name for each in fields if each.compare])
    methods: dict[str, Any] = {
        "__init__": _init(kind, fields, frozen),
        "__repr__": _repr([each.name for each in fields if each.repr]),
        "__eq__": _eq(values),
    }
    methods["__hash__"] = _hash(values) if frozen else None
    if order:
        methods |= {name: _comparison(by, values) for name, by in _ORDER.items()}
    if frozen:
        methods |= _refusals(kind, frozenset(each.name for each in fields))
        if slots:
            methods |= _state([each.name for each in fields])
    for name, method in methods.items():
        if name not in own:
            if method is not None:
                method.__name__, method.__qualname__ = name, f"{kind.__qualname__}.{name}"
                method.__module__ = kind.__module__
            setattr(kind, name, method)


def _values(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return what gives the values of these attributes, in this order."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda one: tuple(getattr(one, name) for name in names)


def _init(kind: type, fields: list[Any], frozen: bool) -> Callable[..., None]:
    known: dict[str, Any] = {"_factory": _FACTORY, "_set": object.__setattr__}
    words, body = [], []
    for each in fields:
        name = each.name
        given = value = name
        if each.default is not MISSING:
            known[f"_default_{name}"] = each.default
            given = f"{name}=_default_{name}"
        elif each.default_factory is not MISSING:
            known[f"_factory_{name}"] = each.default_factory
            given, value = f"{name}=_factory", f"_factory_{name}() if {name} is _factory else {name}"
        words.append(given)
        body.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(kind, "__post_init__"):
        body.append("self.__post_init__()")
    source = (
        f"def make({', '.join(known)}):\n def __init__(self, {', '.join(words)}):\n  "
        + ("\n  ".join(body) or "pass")
        + "\n return __init__"
    )
    made: dict[str, Any] = {}
    exec(source, vars(sys.modules[kind.__module__]), made)
    init: Callable[..., None] = made["make"](**known)
    init.__annotations__ = {each.name: each.type for each in fields} | {"return": None}
    return init


def _repr(names: list[str]) -> Callable[[Any], str]:
    @recursive_repr()
    def said(self: Any) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return said


def _eq(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any, object], bool]:
    def same(self: Any, other: object) -> bool:
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    return same


def _hash(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], int]:
    return lambda self: hash(values(self))


_FROZEN = {"__setattr__", "__delattr__"}
_ORDER = {"__lt__": lt, "__le__": le, "__gt__": gt, "__ge__": ge}


def _comparison(
    by: Callable[[Any, Any], bool], values: Callable[[Any], tuple[Any, ...]]
) -> Callable[[Any, object], bool]:
    def compare(self: Any, other: object) -> bool:
        return by(values(self), values(other)) if type(other) is type(self) else NotImplemented

    return compare


def _refusals(kind: Any, names: frozenset[str]) -> dict[str, Callable[..., None]]:
    """Return what keeps an object as it was made."""

    def set_attribute(self: Any, name: str, value: object) -> None:
        if type(self) is kind or name in names:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(kind, self).__setattr__(name, value)

    def delete_attribute(self: Any, name: str) -> None:
        if type(self) is kind or name in names:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(kind, self).__delattr__(name)

    return {"__setattr__": set_attribute, "__delattr__": delete_attribute}


def _state(names: list[str]) -> dict[str, Callable[..., Any]]:
    """Return what pickles an object whose attributes cannot be set."""

    def state(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def restore(self: Any, state: list[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return {"__getstate__": state, "__setstate__": restore}
