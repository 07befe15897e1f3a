"""The tree of the server that `visord/DESIGN.md` shows is the one that there is, and so are the files that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DESIGN = (ROOT / "visord" / "DESIGN.md").read_text()
SECTION = DESIGN.partition("### Where things are")[2].partition("\n## ")[0]
TREE = SECTION.split("```")[1]
NOT_SHOWN = {"__init__", "__main__", "py.typed", "DESIGN.md", "__pycache__"}


def test_every_room_and_module_at_the_top_is_in_the_tree_and_no_other() -> None:
    words = set(re.findall(r"[a-z_]+", TREE))
    there = {path.name for path in (ROOT / "visord").iterdir() if path.is_dir()}
    there |= {path.name.removesuffix(".py") for path in (ROOT / "visord").iterdir() if path.is_file()}
    assert there - NOT_SHOWN - words == set()
    rooms = set(re.findall(r"^  ([a-z_]+)/", TREE, re.MULTILINE))
    assert rooms <= there


@pytest.mark.parametrize("place", sorted(set(re.findall(r"`([a-z_/]+\.py)`", DESIGN))))
def test_every_file_that_the_design_names_is_there(place: str) -> None:
    assert any(
        next(ROOT.glob(pattern), None) for pattern in (place, f"visord/**/{place}", f"tests/**/{place}")
    )


LAYOUT = (ROOT / "visor" / "docs" / "internals" / "layout.md").read_text()
CLIENT_TREE = LAYOUT.split("```")[1]
BESIDE = {"__init__", "__main__", "py.typed", "__pycache__"}


@pytest.mark.parametrize("room", ["", "_core", "_drivers"])
def test_every_room_of_the_client_is_in_its_tree(room: str) -> None:
    words = set(re.findall(r"[a-z_]+", CLIENT_TREE))
    below = ROOT / "visor" / room
    there = {path.name for path in below.iterdir() if path.is_dir() or not room}
    assert {name.removesuffix(".py") for name in there} - BESIDE - words == set()


def test_the_client_has_few_entries() -> None:
    assert len([path for path in (ROOT / "visor").iterdir() if path.name != "__pycache__"]) <= 28


@pytest.mark.parametrize("place", sorted(set(re.findall(r"`([\w/]+\.(?:py|md))`", LAYOUT))))
def test_every_file_that_the_layout_names_is_there(place: str) -> None:
    patterns = (place, f"visor/{place}", f"visor/**/{place}", f"tests/**/{place}")
    assert any(next(ROOT.glob(pattern), None) for pattern in patterns)
