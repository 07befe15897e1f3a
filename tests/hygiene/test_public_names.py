"""What users can write, pinned: every public name, every public member of a class, and what each takes.

A line of `public_names.txt` is a name and its parameters, without types. After a deliberate change,
`VISOR_REWRITE_PUBLIC=1 pytest tests/hygiene/test_public_names.py` writes it anew; the diff is then the review.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.hygiene.test_public import MODULES, public_names

FILE = Path(__file__).with_name("public_names.txt")


def parameters(thing: Any) -> str:
    """Return what it takes: names, kinds, and a default where there is one."""
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    plain = [
        one.replace(annotation=inspect.Parameter.empty, default=one.default if shown(one.default) else ...)
        for one in signature.parameters.values()
    ]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))


def shown(default: object) -> bool:
    """Tell whether a default reads the same in every version of Python."""
    return default is inspect.Parameter.empty or type(default) in (int, float, str, bytes, bool, type(None))


def ours(kind: type) -> Iterator[str]:
    """Return the public members that our own classes define: those of Python's differ from version to version."""
    for base in kind.__mro__:
        if base.__module__.startswith("visor"):
            yield from (name for name in vars(base) if not name.startswith("_"))


def members(name: str, kind: type) -> Iterator[str]:
    for member in sorted(set(ours(kind))):
        static = inspect.getattr_static(kind, member)
        taken = "" if isinstance(static, property) else parameters(getattr(kind, member))
        yield f"{name}.{member}{taken}"


def lines() -> Iterator[str]:
    seen: dict[int, str] = {}
    for module in MODULES:
        loaded = importlib.import_module(module)
        for name in public_names(loaded):
            thing, full = getattr(loaded, name), f"{module}.{name}"
            if not isinstance(thing, type):
                yield full + (parameters(thing) if inspect.isroutine(thing) else "")
            elif id(thing) in seen:
                yield f"{full} = {seen[id(thing)]}"
            else:
                seen[id(thing)] = full
                yield full
                yield from members(full, thing)


if os.environ.get("VISOR_REWRITE_PUBLIC"):
    FILE.write_text("".join(f"{line}\n" for line in lines()))


def test_what_users_can_write_changes_only_on_purpose() -> None:
    pinned, found = FILE.read_text().splitlines(), list(lines())
    gone = sorted(set(pinned) - set(found))
    new = sorted(set(found) - set(pinned))
    assert not gone and not new, f"gone: {gone[:20]}, new: {new[:20]}"
    assert pinned == found
