"""Makes `visor/blocking` from `visor/aio`: the asyncio source is the one that people edit.

    python .ci/unasync.py            write the blocking modules
    python .ci/unasync.py --check    say which ones differ, exit 1 if any does

`async` and `await` go, names that belong to asyncio become their blocking twins, in code, in docstrings
and in the examples inside them. What differs in nature (sockets, timers, threads) is in `visor/_drivers`, which is
written by hand on both sides. A rule that no module needs any more is an error: the list stays honest.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "visor" / "aio"
TARGET = ROOT / "visor" / "blocking"
BY_HAND = ("__init__.py",)
"""What is written on both sides: the doors."""


def _modules() -> tuple[str, ...]:
    """Return every asyncio module that has a generated twin, relative to the package."""
    found = (path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))
    return tuple(sorted(name for name in found if name not in BY_HAND))


MODULES = _modules()

HEADER = (
    "# Generated from visor/aio/{name}: do not edit it here, edit that and run `python .ci/unasync.py`.\n"
)

REWRITES = (
    (r"\bawait ", ""),
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\bAwaitable\[", "Returned["),
    (r"\bvisor\._drivers\.aio\b", "visor._drivers.blocking"),
    (r"\bvisor\.aio\b", "visor.blocking"),
    (r"(\bpublic\(\s*\"visor)\.blocking\b", r"\1"),
    (r"(?m)^# ruff: noqa: ASYNC109.*\n", ""),
)


def translate(source: str, name: str) -> str:
    """Return the blocking twin of a module."""
    for pattern, replacement in REWRITES:
        source = re.sub(pattern, replacement, source)
    return HEADER.format(name=name) + _without_returned(source)


def _without_returned(source: str) -> str:
    """Replace `Returned[X]` by X, and drop the import that it came from."""
    source = re.sub(r"\bAwaitable, |, Awaitable\b", "", source)
    while (start := source.find("Returned[")) >= 0:
        depth, end = 1, start + len("Returned[")
        while depth:
            depth += {"[": 1, "]": -1}.get(source[end], 0)
            end += 1
        source = source[:start] + source[start + len("Returned[") : end - 1] + source[end:]
    return source


def formatted(source: str) -> str:
    """Return the source as the formatter of the project leaves it, where that is installed."""
    beside = Path(sys.executable).with_name("ruff")
    ruff = str(beside) if beside.exists() else shutil.which("ruff")
    if ruff is None:
        return source
    for command in (["check", "--select", "I", "--fix", "--quiet"], ["format", "--quiet"]):
        done = subprocess.run(
            [ruff, *command, "--stdin-filename", str(TARGET / "x.py"), "-"],
            input=source,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        source = done.stdout
    return source


def same(one: str, other: str) -> bool:
    """Whether two modules say the same, however they are laid out; comments count."""
    return _parts(one) == _parts(other) and _comments(one) == _comments(other)


def _parts(source: str) -> tuple[set[tuple[str, ...]], list[str]]:
    """Return the imported names, whose order is the formatter's business, and everything else in order."""
    imports: set[tuple[str, ...]] = set()
    rest: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", "") or ""
            imports.update((module, name.name, name.asname or "") for name in node.names)
        else:
            rest.append(ast.dump(node))
    return imports, rest


def _comments(source: str) -> list[str]:
    return [line.strip() for line in source.splitlines() if line.strip().startswith("#")]


def differing() -> list[str]:
    """Return the names of the blocking modules that are not what their source gives."""
    names = []
    for name in MODULES:
        target = TARGET / name
        wanted = translate((SOURCE / name).read_text(), name)
        if not target.exists() or not same(wanted, target.read_text()):
            names.append(name)
    return names


def unused() -> list[str]:
    """Return the rules that change nothing in any module."""
    sources = [(SOURCE / name).read_text() for name in MODULES]
    left = []
    for number, (pattern, _) in enumerate(REWRITES):
        before = sources
        sources = [re.sub(pattern, REWRITES[number][1], source) for source in before]
        if sources == before:
            left.append(pattern)
    return left


def main(arguments: list[str]) -> int:
    """Write the modules, or check them."""
    if "--check" in arguments:
        names = differing()
        for name in names:
            print(f"visor/blocking/{name} is not what visor/aio/{name} gives: run {Path(__file__).name}")
        for pattern in unused():
            print(f"no module needs the rule {pattern} of {Path(__file__).name}: take it out")
        return 1 if names or unused() else 0
    for name in MODULES:
        (TARGET / name).parent.mkdir(exist_ok=True)
        (TARGET / name).write_text(formatted(translate((SOURCE / name).read_text(), name)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
