"""What the console loads: small, nothing from outside, only what was looked at, and never markup from a value."""

from __future__ import annotations

import gzip
import hashlib
import re
import tomllib
from pathlib import Path

import pytest

from visor.console import PAGE, assets
from visor.gateway import manual
from visor.gateway.routes import ROUTES

FOLDER = Path(__file__).parents[2] / "visor" / "console"
VENDOR = tomllib.loads((FOLDER / "vendor" / "VENDOR.toml").read_text())["file"]
OWN = sorted(path for path in FOLDER.iterdir() if path.suffix in (".js", ".css", ".html"))
FIRST = 60_000
"""Bytes of what the first screen loads, each file compressed by itself."""
ALL = 60_000
"""Bytes of all scripts and styles, compressed together: fleet and cluster are loaded when somebody goes there."""


def loaded(name: str, seen: set[str]) -> set[str]:
    """Return a module and all that it imports, and what those do."""
    if name not in seen:
        seen.add(name)
        text = (FOLDER / name).read_text()
        for each in re.findall(r'^(?:import|export)\b[^;]*? from "\./([^"]+)"', text, re.MULTILINE):
            loaded(str(Path(name).parent / each), seen)
    return seen


def test_what_comes_from_others_is_what_was_looked_at() -> None:
    there = {path.name for path in (FOLDER / "vendor").iterdir() if path.suffix == ".mjs"}
    assert there == VENDOR.keys()
    for name, told in VENDOR.items():
        assert hashlib.sha256((FOLDER / "vendor" / name).read_bytes()).hexdigest() == told["sha256"], name
        assert (FOLDER / "vendor" / told["licence_file"]).read_text().strip()
        assert told["licence"] in ("MIT", "Apache-2.0")


def test_it_is_small() -> None:
    styles = {name for name in assets() if name.endswith(".css")}
    sent = {name: data for name, (_, data) in sorted(assets().items()) if name != PAGE}
    sizes = {name: len(gzip.compress(data)) for name, data in sent.items()}
    assert sum(sizes[name] for name in loaded("main.js", set()) | styles) <= FIRST, sizes
    assert len(gzip.compress(b"".join(sent.values()))) <= ALL, sizes


def test_what_is_sent_is_what_lies_here_line_by_line_without_what_only_readers_need() -> None:
    for name, (_, data) in assets().items():
        kept = (FOLDER / name).read_text().split("\n")
        sent = data.decode().split("\n")
        assert len(sent) == len(kept), name
        for before, after in zip(kept, sent, strict=True):
            assert after in (before, before.lstrip(" ")) or (
                not after and before.lstrip().startswith(("//", "/*"))
            ), name
    assert (FOLDER / "vendor" / "preact.mjs").read_bytes() == assets()["vendor/preact.mjs"][1]


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_nothing_comes_from_outside_and_no_value_becomes_markup(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"https?://|//[a-z]+\.", text)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|dangerously|document\.write|\beval\b|new Function", text
    )
    assert not re.search(r"<script(?![^>]* src=)", text)
    for name in re.findall(r'from "([^"]+)"', text):
        assert name.startswith("./"), name
        assert (FOLDER / name).is_file(), name


def test_the_page_names_what_it_loads_so_that_nothing_waits_for_another() -> None:
    page = (FOLDER / "index.html").read_text()
    styles = {name for name in assets() if name.endswith(".css")}
    named = re.findall(r'(?:href|src)="/console/([^"]+)"', page)
    assert sorted(named) == sorted(loaded("main.js", set()) | styles)


def test_the_page_and_all_that_it_loads_are_served_strictly() -> None:
    pages = manual.pages(ROUTES)
    wanted = {"/", *(f"/console/{name}" for name in assets() if name != "index.html")}
    assert wanted <= pages.keys()
    for path in wanted:
        policy = pages[path].headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert pages[path].body()
