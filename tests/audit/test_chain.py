"""Lines of the audit: bounded, harmless, without secrets, and each holding on to the one before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.audit.world import World
from visord.audit import recorded
from visord.audit.book import ChainBounds
from visord.audit.chain import verify
from visord.audit.line import FIELDS, FIRST, MOST, START, ChainEnd, kept, written
from visord.cli import main

fields = st.dictionaries(st.sampled_from(sorted(FIELDS)), st.text() | st.integers() | st.none())


@given(st.lists(fields, max_size=6))
def test_whatever_is_recorded_the_chain_is_whole_and_each_line_is_short_and_harmless(
    happened: list[dict[str, Any]],
) -> None:
    place, lines = START, []
    for number, each in enumerate(happened, 1):
        data, place = written(place, number, "n1", recorded.DENIED, kept(each))
        lines.append(data)
        assert len(data) <= MOST
        assert data.count(b"\n") == 1
        assert all(byte >= 32 for byte in data[:-1])
        assert json.loads(data)["n"] == number
    assert verify([("a", lines)]) == (len(lines), min(1, len(lines)), place, "")


@given(st.lists(fields, min_size=1, max_size=4), st.data())
def test_any_change_of_any_byte_is_found(happened: list[dict[str, Any]], data: st.DataObject) -> None:
    place, lines = START, []
    for each in [*happened, {}]:
        line, place = written(place, 1, "n1", recorded.DENIED, kept(each))
        lines.append(line)
    which = data.draw(
        st.integers(0, len(lines) - 2)
    )  # the last one is held by nothing but what was kept elsewhere
    at = data.draw(st.integers(0, len(lines[which]) - 1))
    bit = data.draw(st.integers(0, 7))
    broken = bytearray(lines[which])
    broken[at] ^= 1 << bit
    found = verify([("a", [*lines[:which], bytes(broken), *lines[which + 1 :]])])
    assert found.problem


def test_a_line_that_is_missing_or_moved_or_put_in_is_found() -> None:
    place, lines = START, []
    for number in range(5):
        line, place = written(place, number, "n1", recorded.LOGIN, {})
        lines.append(line)
    for wrong in (
        lines[:2] + lines[3:],
        [lines[1], lines[0], *lines[2:]],
        [*lines[:3], lines[1], *lines[3:]],
    ):
        assert "line" in verify([("a", wrong)]).problem
    assert verify([("a", lines[2:])]).problem == ""  # older files were taken away
    assert "torn" in verify([("a", [*lines, b'{"n": 6'])]).problem
    forged, _ = written(ChainEnd(0, "0" * 63 + "1"), 1, "n1", recorded.LOGIN, {})
    assert "the first line holds the hash of another" in verify([("a", [forged])]).problem


TOKEN = f"vis_{'a2' * 5}_{'b3' * 29}c"


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_a_token_gets_into_no_field(name: str) -> None:
    joins = f"visj_{'a2' * 26}_{'c4' * 5}_{'b3' * 29}c"
    for text in (TOKEN, f"token={TOKEN}", f"x {TOKEN} y", f"/my_{TOKEN}", joins, "VJ1-9c1e-k7secretsecret"):
        shown = str(kept({name: text}).get(name))
        assert "b3b3" not in shown
        assert "secretsecret" not in shown


def test_fields_are_cut_and_unknown_ones_are_a_defect() -> None:
    assert len(kept({"path": "/a" * 5000})["path"]) == FIELDS["path"]
    assert kept({"user": "", "path": None, "rev": 0}) == {"rev": 0}
    with pytest.raises(TypeError, match="the audit has no field value; there are user"):
        kept({"value": b"secret"})


def test_the_command_names_the_first_broken_line(world: World) -> None:
    auditor = world.auditor(ChainBounds(1200, 50, 0))
    for number in range(40):
        auditor.record(recorded.RETAIN, rev=number)
        world.background.run()
    whole = CliRunner().invoke(main, ["audit", "verify", str(world.directory)])
    assert whole.exit_code == 0, whole.output
    last = world.lines("changes")[-1]
    assert f"changes: whole: lines 1 to {last['n']}, last hash" in whole.output
    files = sorted(world.directory.glob("changes-*.log"))
    assert len(files) > 3
    broken = files[2]
    broken.write_bytes(broken.read_bytes().replace(b'"rev":', b'"rEv":', 1))
    told = CliRunner().invoke(main, ["audit", "verify", *map(str, world.directory.iterdir())])
    assert told.exit_code == 9
    assert f"BROKEN: {broken}, line 2: it does not hold the hash of line" in told.output
    document = CliRunner().invoke(main, ["audit", "verify", "--json", str(world.directory)])
    assert json.loads(document.output)[str(world.directory / "changes")]["problem"].startswith(str(broken))


def test_the_first_line_of_all_holds_zeros(world: World, tmp_path: Path) -> None:
    auditor = world.auditor()
    auditor.record(recorded.STARTED)
    world.background.run()
    assert world.lines("changes")[0] == {
        "n": 1,
        "prev": FIRST,
        "ts": "2025-11-29T17:00:00.000Z",
        "node": "n1",
        "event": "started",
    }
