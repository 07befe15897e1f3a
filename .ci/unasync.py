"""Makes `visor/blocking` from `visor/aio`, and `tests/blocking` from `tests/aio`: people edit the asyncio source.

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
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
Rewrites = tuple[tuple[str, str], ...]

WORDS: Rewrites = (
    (r"\bawait ", ""),
    (r"\basync (def|for|with)\b", r"\1"),
)
"""What goes, or has another name, wherever nothing is awaited."""


@dataclass(frozen=True)
class Pair:
    """Two trees that have the same modules: what is written, and what is made of it by the rules, in their order."""

    source: Path
    target: Path
    rewrites: Rewrites
    by_hand: tuple[str, ...]
    """What is written on both sides."""

    @property
    def modules(self) -> tuple[str, ...]:
        """Every asyncio module that has a generated twin, relative to the tree."""
        found = (path.relative_to(self.source).as_posix() for path in self.source.rglob("*.py"))
        return tuple(sorted(name for name in found if name not in self.by_hand))

    def header(self, name: str) -> str:
        """Return the first line of a generated module."""
        source = (self.source / name).relative_to(ROOT).as_posix()
        return f"# Generated from {source}: do not edit it here, edit that and run `python .ci/unasync.py`.\n"

    def translate(self, source: str, name: str) -> str:
        """Return the blocking twin of a module."""
        for pattern, replacement in self.rewrites:
            source = re.sub(pattern, replacement, source)
        return self.header(name) + _without_returned(source)

    def differing(self) -> list[str]:
        """Return the names of the blocking modules that are not what their source gives."""
        names = []
        for name in self.modules:
            target = self.target / name
            wanted = self.translate((self.source / name).read_text(), name)
            if not target.exists() or not same(wanted, target.read_text()):
                names.append(name)
        return names

    def unused(self) -> list[str]:
        """Return the rules that change nothing in any module."""
        sources = [(self.source / name).read_text() for name in self.modules]
        left = []
        for pattern, replacement in self.rewrites:
            before = sources
            sources = [re.sub(pattern, replacement, source) for source in before]
            if sources == before:
                left.append(pattern)
        return left

    def write(self) -> None:
        """Make all blocking modules anew."""
        for name in self.modules:
            target = self.target / name
            target.parent.mkdir(exist_ok=True)
            target.write_text(formatted(self.translate((self.source / name).read_text(), name), target))


LIBRARY = Pair(
    ROOT / "visor" / "aio",
    ROOT / "visor" / "blocking",
    (
        *WORDS,
        (r"\bAsyncIterator\b", "Iterator"),
        (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
        (r"\bStopAsyncIteration\b", "StopIteration"),
        (r"\bAwaitable\[", "Returned["),
        (r"\bvisor\._drivers\.aio\b", "visor._drivers.blocking"),
        (r"\bvisor\.aio\b", "visor.blocking"),
        (r"(\bpublic\(\s*\"visor)\.blocking\b", r"\1"),
        (r"(?m)^# ruff: noqa: ASYNC109.*\n", ""),
    ),
    ("__init__.py",),  # the doors
)
TESTS = Pair(
    ROOT / "tests" / "aio",
    ROOT / "tests" / "blocking",
    (
        (r"\[(\w+) async for \1 in ([\w.]+)\]", r"list(\2)"),
        *WORDS,
        (r"\bAsyncIterator\b", "Iterator"),
        (r"\basynccontextmanager\b", "contextmanager"),
        (r"\bdial_async\b", "dial"),
        (r"(?m)^pytestmark = pytest\.mark\.asyncio\n", ""),
        (r"\btests\.aio\b", "tests.blocking"),
        (r"\bvisor\.aio\b", "visor"),  # tests use the public names
    ),
    ("tools.py",),  # tasks there, threads here
)
PAIRS = (LIBRARY, TESTS)


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


def formatted(source: str, target: Path) -> str:
    """Return the source as the formatter of the project leaves it, where that is installed."""
    beside = Path(sys.executable).with_name("ruff")
    ruff = str(beside) if beside.exists() else shutil.which("ruff")
    if ruff is None:
        return source
    for command in (["check", "--select", "I", "--fix", "--quiet"], ["format", "--quiet"]):
        done = subprocess.run(
            [ruff, *command, "--stdin-filename", str(target), "-"],
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


def complaints() -> list[str]:
    """Return what is not as it should be, a line each."""
    told = []
    for pair in PAIRS:
        for name in pair.differing():
            target, source = ((tree / name).relative_to(ROOT) for tree in (pair.target, pair.source))
            told.append(f"{target} is not what {source} gives: run python .ci/unasync.py")
        for pattern in pair.unused():
            told.append(f"no module of {pair.source.relative_to(ROOT)} needs the rule {pattern}: take it out")
    return told


def main(arguments: list[str]) -> int:
    """Write the modules, or check them."""
    if "--check" in arguments:
        told = complaints()
        print(*told, sep="\n" if told else "", end="\n" if told else "")
        return 1 if told else 0
    for pair in PAIRS:
        pair.write()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
