"""What a peer needs on this machine, where it is found, and what to type when it is not there."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

EXTRA = "pip install -e '.[benchmarks]'"
"""Brings whatever PyPI has of all peers."""

Find = Callable[[], Path | None]


@dataclass(frozen=True, slots=True)
class Need:
    """A program, a file or a Python package that a peer cannot do without."""

    what: str
    find: Find
    install: str


def module(name: str, install: str = EXTRA) -> Need:
    """Return the need of a Python package that this interpreter can import."""
    return Need(f"the Python package {name}", lambda: _package(name), install)


def program(name: str, variable: str, packaged: str = "", install: str = EXTRA) -> Need:
    """Return the need of a program: what `variable` names, then what is packaged (`PACKAGE:PATTERN`), then PATH."""

    def find() -> Path | None:
        if given := os.environ.get(variable):
            return Path(given)
        package, _, pattern = packaged.partition(":")
        folder = _package(package) if package else None
        if folder is not None and (there := sorted(folder.glob(pattern))):
            return there[0]
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        found = shutil.which(name, path=path)
        return Path(found) if found else None

    return Need(f"the program {name} (or {variable}=PATH)", find, install)


def file(path: str, install: str) -> Need:
    """Return the need of a file at a fixed place."""
    return Need(path, lambda: Path(path) if Path(path).exists() else None, install)


def found(needs: Mapping[str, Need]) -> tuple[dict[str, Path], list[Need]]:
    """Return what is there, by the names of the needs, and what is missing."""
    places = {name: need.find() for name, need in needs.items()}
    there = {name: place for name, place in places.items() if place is not None}
    return there, [need for name, need in needs.items() if name not in there]


def message(title: str, missing: Iterable[Need]) -> str:
    """Return what is said of a peer that is left out."""
    return "\n".join((f"{title} is left out:", *_lines(missing)))


def _lines(missing: Iterable[Need]) -> Iterator[str]:
    for need in missing:
        yield f"  there is no {need.what.removeprefix('the ')}: {need.install}"


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin else None
