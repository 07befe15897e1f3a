"""What is public: shown by TAB and nothing else, documented, found where it says that it is, one name a thing."""

from __future__ import annotations

import enum
import importlib
import inspect
import pickle
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import visor

ROOT = Path(__file__).resolve().parents[2]
API = (ROOT / "visor" / "docs" / "api.md").read_text()

ERRORS = ("visor.errors", "visor.registry.errors")
"""Their docstrings are their documentation."""
DOCUMENTED = tuple(re.findall(r"^## `(visor[\w.]*)`$", API, re.MULTILINE))
AWAITED = ("visor.aio.following", "visor.aio.registry", "visor.aio.store", "visor.aio.views")
MODULES = (*DOCUMENTED, *ERRORS, *AWAITED, "visor.blocking")


def public_names(module: ModuleType) -> list[str]:
    return sorted(dir(module))


def things(module: str) -> Iterator[tuple[str, Any]]:
    loaded = importlib.import_module(module)
    for name in public_names(loaded):
        yield name, getattr(loaded, name)


EVERYTHING = [(module, name, thing) for module in MODULES for name, thing in things(module)]
CLASSES = [each for each in EVERYTHING if isinstance(each[2], type)]


def ids(each: tuple[str, str, object]) -> str:
    return f"{each[0]}.{each[1]}"


@pytest.mark.parametrize("module", MODULES)
def test_tab_shows_what_is_public_and_nothing_else(module: str) -> None:
    loaded = importlib.import_module(module)
    shown = dir(loaded)
    assert [name for name in shown if name.startswith("_")] == (["__version__"] if module == "visor" else [])
    assert "annotations" not in shown
    assert len(shown) == len(set(shown)) > 1
    if module not in ERRORS:
        assert sorted(loaded.__all__) == shown


@pytest.mark.parametrize("module", DOCUMENTED)
def test_what_is_public_is_documented_and_nothing_else_is(module: str) -> None:
    section = API.split(f"\n## `{module}`\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \| ", section, re.MULTILINE)
    documented = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(documented) == len(set(documented))
    assert sorted(documented) == public_names(importlib.import_module(module))


def test_every_public_module_is_documented() -> None:
    modules = {f"visor.{name}" for name, thing in things("visor") if inspect.ismodule(thing)}
    documented = {name for name in DOCUMENTED if name.count(".") == 1}
    assert modules == {*documented, "visor.errors"}
    awaited = {f"visor.aio.{name}" for name, thing in things("visor.aio") if inspect.ismodule(thing)}
    assert awaited == set(AWAITED)


@pytest.mark.parametrize("module", ERRORS)
def test_the_trees_of_errors_name_each_of_them(module: str) -> None:
    loaded = importlib.import_module(module)
    missing = [name for name in public_names(loaded) if not re.search(rf"\b{name}\b", loaded.__doc__ or "")]
    assert not missing


@pytest.mark.parametrize(("module", "name", "thing"), EVERYTHING, ids=map(ids, EVERYTHING))
def test_everything_public_is_found_where_it_says_that_it_is(module: str, name: str, thing: object) -> None:
    home = getattr(thing, "__module__", None)
    if not isinstance(thing, type) and not inspect.isfunction(thing):
        return
    assert home in MODULES
    assert getattr(sys.modules[home], name) is thing
    assert pickle.loads(pickle.dumps(thing)) is thing


def test_where_a_class_is_found_does_not_depend_on_what_was_imported_first() -> None:
    code = (
        "import pickle; from visor.blocking.recipes.lock import Lock; from visor._core.store.errors import InUse; "
        "from visor.aio.following.mirror import Mirror; "
        "print(*(pickle.loads(pickle.dumps(one)) for one in (Lock, InUse, Mirror)), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split("\n")[:3] == [
        "<class 'visor.Lock'>",
        "<class 'visor.store.InUse'>",
        "<class 'visor.aio.following.Mirror'>",
    ]


@pytest.mark.parametrize(("module", "name", "kind"), CLASSES, ids=map(ids, CLASSES))
def test_annotations_of_public_classes_can_be_looked_up(module: str, name: str, kind: type) -> None:
    """As pydantic and dataclass libraries do; what is imported for type checkers alone cannot be, and is no field."""
    if hasattr(kind, "__dataclass_fields__"):
        assert set(typing.get_type_hints(kind)) >= set(kind.__dataclass_fields__)


@pytest.mark.parametrize(("module", "name", "kind"), CLASSES, ids=map(ids, CLASSES))
def test_every_class_shows_itself_in_words(module: str, name: str, kind: type) -> None:
    if not issubclass(kind, BaseException | enum.Enum) and not getattr(kind, "_is_protocol", False):
        assert kind.__repr__ is not object.__repr__


@pytest.mark.parametrize(("module", "name", "kind"), CLASSES, ids=map(ids, CLASSES))
def test_one_thing_has_one_name(module: str, name: str, kind: type) -> None:
    found: dict[int, list[str]] = {}
    for attribute, value in vars(kind).items():
        if not attribute.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
            found.setdefault(id(value), []).append(attribute)
    assert [names for names in found.values() if len(names) > 1] == []


def test_a_module_has_one_name_for_each_thing() -> None:
    for module in MODULES:
        found: dict[int, list[str]] = {}
        for name, thing in things(module):
            if isinstance(thing, type) or inspect.isfunction(thing):
                found.setdefault(id(thing), []).append(name)
        assert [names for names in found.values() if len(names) > 1] == [], module


def test_both_colours_have_the_same_names() -> None:
    """What is awaited has a twin of the same name and the same methods, but for what asyncio alone needs."""
    for module in ("visor", "visor.following", "visor.registry", "visor.store", "visor.views"):
        awaited = dict(things(module.replace("visor", "visor.aio", 1)))
        blocking = dict(things(module))
        assert set(awaited) - set(blocking) <= {"Dialling"}
        for name, kind in awaited.items():
            if isinstance(kind, type) and name in blocking:
                assert public_methods(kind) == public_methods(blocking[name]), f"{module}.{name}"


def public_methods(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_a_name_is_loaded_when_it_is_first_asked_for() -> None:
    code = (
        "import sys, visor; "
        "assert not {'visor.blocking', 'visor.aio', 'visor.store', 'msgpack'} & set(sys.modules); "
        "visor.store.Store, visor.aio.registry.App, visor.Client; "
        "assert visor.Client is visor.blocking.client.Client"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = visor.nonsense  # type: ignore[attr-defined]
