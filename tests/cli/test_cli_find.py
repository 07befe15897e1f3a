"""`visor find`: globs, values, what was written lately, and trees with counts."""

from __future__ import annotations

import io
import re

import pytest

from tests.cli.cli_harness import Visor
from tests.cli.test_cli_harmless import HOSTILE, raw, settings
from visor.cli.finding import above
from visor.cli.tree import tree_text


@pytest.fixture
def tree(visor: Visor) -> Visor:
    visor.ok("set", "/apps/web/head", "v1 secret")
    visor.ok("set", "/apps/web/procs/a", "a")
    visor.ok("set", "/apps/db/head", "-", stdin=b"\xff\x00secret")
    visor.ok("set", "/top", "secret")
    return visor


def test_a_glob_finds_what_it_matches(tree: Visor) -> None:
    assert tree.ok("find", "/apps/*/head").lines == ["/apps/db/head", "/apps/web/head"]
    assert tree.ok("find", "/apps/{db,web}/*").lines == ["/apps/db/head", "/apps/web/head"]
    found = tree.json("find", "/apps/*/head")
    assert [each["path"] for each in found["files"]] == ["/apps/db/head", "/apps/web/head"]
    assert tree("find", "/apps/*/none").code == 3
    assert tree("find", "/apps/*", "--depth", "1").code == 2
    on_screen = tree.ok("find", "/apps/*/head", terminal="o", NO_COLOR="1").lines
    assert [line.split()[0] for line in on_screen] == ["PATH", "/apps/db/head", "/apps/web/head"]


def test_values_are_searched_as_bytes_and_at_any_rev(tree: Visor) -> None:
    assert tree.ok("find", "/", "--value", "secret").lines == ["/apps/db/head", "/apps/web/head", "/top"]
    assert tree.ok("find", "/apps", "--value", "v1").lines == ["/apps/web/head"]
    assert tree.ok("find", "/", "--value", "secret", "--limit", "1").lines == ["/apps/db/head"]
    rev = tree.rev("set", "/top", "public")
    assert tree.ok("find", "/top", "--value", "secret", "--rev", rev - 1).lines == ["/top"]
    gone = tree("find", "/", "--value", "v2")
    assert (gone.code, gone.out) == (3, b"")
    assert "no file there is what you look for" in gone.err
    assert tree("find", "/", "--value", "").code == 2
    assert (
        tree.ok("find", "/top", "--value", "public", "--values").out == f"/top {rev} set 6\npublic\n".encode()
    )


def test_many_pages_of_values_are_searched(visor: Visor) -> None:
    operations = "".join(f"set /many/{number:04} {'x' * 2000}\n" for number in range(1200))
    for half in (operations.splitlines()[:600], operations.splitlines()[600:]):
        visor.ok("txn", "-", stdin="\n".join(half).encode())
    visor.ok("set", "/many/1100", "needle")
    assert visor.ok("find", "/many", "--value", "needle").lines == ["/many/1100"]


def test_what_was_written_since_a_rev_or_a_time(tree: Visor) -> None:
    before = tree.rev("set", "/old", "1")
    tree.ok("set", "/new", "1")
    assert tree.ok("find", "/", "--changed", before).lines == ["/new"]
    assert tree.ok("find", "/", "--changed", before - 1, "--rev", before).lines == ["/old"]
    assert tree("find", "/", "--changed", "latest").code == 3
    assert tree("find", "/", "--changed", "soon").code == 2


def drawn(visor: Visor, *words: str, **environment: str) -> list[str]:
    """Return a tree, with N for each rev."""
    return re.sub(r"rev \d+", "rev N", visor.ok("find", *words, "--tree", **environment).text).splitlines()


def test_a_tree_has_counts(tree: Visor) -> None:
    assert drawn(tree, "/apps", LC_ALL="C.UTF-8") == [
        "/apps  3 files",
        "├── db/  1 file",
        "│   └── head  rev N",
        "└── web/  2 files",
        "    ├── head  rev N",
        "    └── procs/  1 file",
        "        └── a  rev N",
    ]
    assert drawn(tree, "/apps/*/head", LANG="C") == [
        "/apps  2 files",
        "|-- db/  1 file",
        "|   `-- head  rev N",
        "`-- web/  1 file",
        "    `-- head  rev N",
    ]
    assert tree.json("find", "/apps", "--tree") == tree.json("find", "/apps")
    on_screen = tree.ok("find", "/apps", terminal="o", NO_COLOR="1").lines
    assert on_screen[0] == "/apps"


@pytest.mark.parametrize(
    "glob,directory",
    [("/a/*/b", "/a"), ("/a/b?", "/a"), ("/**", "/"), ("/{a,b}/c", "/"), ("/a/b/c{,/d}", "/a/b")],
)
def test_the_root_of_a_tree_is_above_all_that_a_glob_can_match(glob: str, directory: str) -> None:
    assert above(glob) == directory


@pytest.mark.parametrize("language", ["C", "C.UTF-8"])
def test_nothing_of_a_path_or_a_remark_reaches_the_screen(language: str) -> None:
    for text in HOSTILE:
        drawn_on = settings("table", True, io.BytesIO(), io.StringIO())
        drawn_on.environment = {"LANG": language, "NO_COLOR": "1", "COLUMNS": "40"}
        name = text.replace("/", "")
        found = tree_text("/", [(f"/{name}/{name}", text), (f"/{name}/b", "")], drawn_on, counts=True)
        assert not raw(found)
        assert "2 files" in found
