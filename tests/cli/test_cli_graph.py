"""`visor history --graph`: commits along a line, gaps in time, files that went and came back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.cli_harness import Visor
from tests.cli.test_cli_harmless import HOSTILE, raw
from visor.cli.graph import CHANGES, IN_ASCII, Graph, Marks
from visor.cli.screen import width
from visor.codecs import BYTES
from visor.values import Change, Commit, Kind, instant

NOW = 1_780_000_000_000
HOUR = 3_600_000
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def change(kind: Kind, path: str, data: bytes | None, previous: bytes | None = None) -> Change[Any]:
    return Change(kind, path, [1, data, 1, 1, 0], None if previous is None else [1, previous], BYTES)


def commit(rev: int, ago: int, *changes: Change[Any], note: str | None = None, actor: str = "ann") -> Any:
    return Commit(rev, NOW - ago, actor, note, changes)


def drawn(*commits: Any, **options: Any) -> list[str]:
    return list(Graph(instant(NOW), revs=3, **options).lines(commits))


def test_it_says_who_did_what_why_and_by_how_much() -> None:
    assert drawn(
        commit(9, 60_000, change(Kind.UPDATE, "/a", b"12345", b"123"), note="roll out"),
        commit(8, 61_000, change(Kind.UPDATE, "/a", b"123", b"321")),
        commit(7, 62_000, change(Kind.CREATE, "/a", b"321")),
    ) == [
        '●    9  1m    ann               update  /a  +2 B = 5 B  "roll out"',
        "│",
        "●    8  1m    ann               update  /a  still 3 B",
        "│",
        "◆    7  1m    ann               create  /a  3 B",
    ]


def test_gaps_in_time_are_drawn_and_longer_ones_longer() -> None:
    def between(hours: float) -> list[str]:
        update = change(Kind.UPDATE, "/a", b"", b"")
        return drawn(commit(2, 0, update), commit(1, round(hours * HOUR), update))[1:-1]

    assert between(0.001) == ["│"]
    assert between(0.5) == ["┆       30 m without a change"]
    assert between(2) == ["┆       2 h without a change", "┆"]
    assert [len(between(hours)) for hours in (0.5, 2, 50, 24 * 60)] == [1, 2, 3, 4]


@pytest.mark.parametrize("newest_first", [True, False])
def test_while_a_file_was_missing_the_line_is_broken(newest_first: bool) -> None:
    commits = [
        commit(3, 0, change(Kind.CREATE, "/a", b"x")),
        commit(2, 5 * HOUR, change(Kind.EXPIRE, "/a", None, b"old")),
        commit(1, 6 * HOUR, change(Kind.CREATE, "/a", b"old")),
    ]
    lines = drawn(*(commits if newest_first else reversed(commits)))
    broken = [line for line in lines if "without /a" in line]
    assert broken == ["        5 h without /a"]
    assert sum(line.startswith("✕") for line in lines) == 1
    assert sum(line.startswith("◆") for line in lines) == 2
    other = drawn(commit(3, 0, change(Kind.CREATE, "/b", b"x")), *commits[1:])
    assert not [line for line in other if "without /" in line]


def test_a_commit_of_many_files_is_one_mark_and_bounded() -> None:
    many = [change(Kind.UPDATE, f"/{number}", b"") for number in range(CHANGES + 5)]
    lines = drawn(commit(1, 0, *many))
    assert len(lines) == CHANGES + 1
    assert [line[0] for line in lines] == ["●"] + ["│"] * CHANGES
    assert lines[-1].endswith("and 5 files more")
    mixed = drawn(commit(1, 0, change(Kind.DELETE, "/a", None), change(Kind.EXPIRE, "/b", None)))
    assert [line[0] for line in mixed] == ["✕", "│"]


@given(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40)), st.sampled_from([None, 20, 60, 200]))
def test_nothing_reaches_the_screen_and_every_line_fits(text: str, columns: int | None) -> None:
    commits = [
        commit(2, 0, change(Kind.CREATE, text, b"x"), note=text, actor=text),
        commit(1, HOUR, change(Kind.DELETE, text, None, b"x"), note=text, actor=text),
    ]
    for colour in (True, False):
        for marks in (Marks(), IN_ASCII):
            lines = [
                COLOURS.sub("", each) for each in drawn(*commits, columns=columns, colour=colour, marks=marks)
            ]
            assert not raw("".join(lines), "")
            assert columns is None or max(map(width, lines)) <= columns
            assert marks is not IN_ASCII or "".join(lines).isascii()


def test_from_the_shell(visor: Visor) -> None:
    first = visor.rev("set", "/d/a", "1", "--actor", "ann", "--note", "why")
    visor.ok("del", "/d/a", "--actor", "bob")
    last = visor.rev("set", "/d/a", "123", "--actor", "cid")
    lines = visor.ok("history", "/d/a", "--graph").lines
    revs = [int(line.split()[1]) for line in lines if line[0] in "●◆✕"]
    assert revs == [last, last - 1, first]
    assert lines[-1].endswith('create  /d/a  1 B  "why"')
    assert any("without /d/a" in line for line in lines)
    again = visor.ok("history", "/d/a", "--graph", "--reverse", "--from", last - 1, "--keys", LANG="C").lines
    assert [line[0] for line in again] == ["x", " ", "+"]
    assert visor.json("history", "/d/a", "--graph") == visor.json("history", "/d/a")
    assert visor("history", "/d/a", "--graph", "--from", "999999").code == 8
    assert "\x1b[32m" in visor.ok("history", "/d/a", "--graph", terminal="o", TERM="xterm").text
