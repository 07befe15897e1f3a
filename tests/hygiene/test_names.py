"""One word, one meaning: `visor/docs/internals/names.md` has the names that stand for two things, and no others.

A class is counted if others can name it: a private one speaks to its own file, and a Protocol says what its file uses
of the class of that name. The rooms of the client are one place (`_core`, `aio` and the face of one concept have one
name), `blocking` is the same once more, and commands have the name of what they command.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "visor" / "docs" / "internals" / "names.md").read_text()
DESIGN = (ROOT / "visord" / "DESIGN.md").read_text()
ROOMS = (("_core",), ("_drivers", "aio"), ("aio",))
ENTRY = re.compile(r"^`([\w/.]+)`: (\S.*)$")


def sources() -> Iterator[Path]:
    """Yield the modules of both packages, as paths from the root."""
    for package in ("visor", "visord"):
        for path in sorted((ROOT / package).rglob("*.py")):
            place = path.relative_to(ROOT)
            if "blocking" not in place.parts:
                yield place


def is_protocol(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).partition("[")[0] == "Protocol" for base in node.bases)


def room_of(place: Path) -> tuple[str, str]:
    """Return a module's name, and where it is: without the rooms of the client."""
    package, *parts = place.with_suffix("").parts
    if parts[-1] == "__init__":
        parts.pop()
    for room in ROOMS:
        if package == "visor" and tuple(parts[: len(room)]) == room:
            parts = parts[len(room) :]
            break
    return (parts or [package])[-1], "/".join((package, *parts))


def classes() -> dict[str, set[str]]:
    """Return the folders that have a class of each name."""
    found = defaultdict(set)
    for place in sources():
        for node in ast.walk(ast.parse((ROOT / place).read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not is_protocol(node):
                found[node.name].add(room_of(place.parent / "__init__.py")[1])
    return found


def modules() -> dict[str, set[str]]:
    """Return the modules of each name."""
    found = defaultdict(set)
    for place in sources():
        is_command = place.parts[:2] == ("visor", "cli") and len(place.parts) > 3
        if place.stem != "__main__" and not is_command:
            name, room = room_of(place)
            found[name].add(room)
    return found


def several(found: dict[str, set[str]]) -> dict[str, set[str]]:
    return {name: places for name, places in found.items() if len(places) > 1}


def listed(heading: str) -> dict[str, set[str]]:
    """Return what a table of the page says: the places of each name. Each has to say what the name means there."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found: dict[str, set[str]] = {}
    for name, meanings in re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE):
        entries = [ENTRY.match(one.strip()) for one in meanings.split("<br>")]
        assert all(entries), f"{name}: write `place`: what it means there"
        assert name not in found, f"{name} is there twice"
        found[name] = {entry[1] for entry in entries if entry is not None}
    return found


@pytest.mark.parametrize(("heading", "found"), [("Classes", classes), ("Modules", modules)])
def test_a_name_that_stands_twice_says_what_it_means_in_each_place(
    heading: str, found: Callable[[], dict[str, set[str]]]
) -> None:
    there, told = several(found()), listed(heading)
    wrong = {name: sorted(there.get(name, ())) for name in there | told if there.get(name) != told.get(name)}
    assert wrong == {}, "rename one of them, or say in names.md what each means"


def words() -> set[str]:
    """Return every word of the names in the code, small: `FairQueue.put_back` has fair, queue, put and back."""
    found: set[str] = set()
    for place in sources():
        text = (ROOT / place).read_text()
        for name in set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text)):
            found |= {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
    return found


def test_every_word_that_the_design_defines_is_one_of_the_code() -> None:
    section = DESIGN.partition("## 2. Words with one meaning")[2].partition("\n## ")[0]
    defined = re.findall(r"\*\*([\w ]+)\*\*", section)
    assert len(defined) > 30
    assert len(defined) == len(set(defined))
    known = words()
    assert [term for term in defined if not set(term.lower().split()) <= known] == []


ANOTHER_WORD = {
    "look": "tick", "settle": "complete", "settle_all": "fail", "say": "send", "hear": "receive", "reign": "leadership",
}  # fmt: skip


def test_no_second_word_for_one_thing_comes_back() -> None:
    """In the server each of these was once what the other is called."""
    found = [
        f"{place}:{node.lineno} {node.name}: call it {ANOTHER_WORD[node.name]}"
        for place in sources()
        if place.parts[0] == "visord"
        for node in ast.walk(ast.parse((ROOT / place).read_text()))
        if isinstance(node, ast.FunctionDef) and node.name in ANOTHER_WORD
    ]
    assert found == []
