"""`visor cluster status --watch`: how lag and throughput went, as pictures and as objects."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.cli.cli_harness import Visor
from tests.cli.test_cli_harmless import HOSTILE, raw
from visor.cli.cluster_watch import picture
from visor.cli.trends import LOOKS, Trends, trending
from visor.errors import Unavailable
from visor.members import Member, Membership, Report, Survey


def survey(*rows: tuple[str, int | None, int | None]) -> Survey:
    """Rows are (name, behind, rev); a rev None is of a member that is away."""
    members = [
        Member(name, name, "p:1", "c:1", True, False, False, 1, behind, 0.1) for name, behind, _ in rows
    ]
    told = [None if rev is None else {"rev": rev, "committed": 9, "applied": 9} for _, _, rev in rows]
    reports = tuple(Report(*each) for each in zip(members, told, strict=True))
    return Survey(Membership("c", "n", None, 1, 9, 9, tuple(members)), reports)


def test_it_says_how_lag_and_throughput_of_each_member_went() -> None:
    trends = Trends()
    for at, behind, rev in ((0.0, 0, 100), (2.0, 70, 120), (3.0, 10, None), (4.0, 0, 130), (5.0, 0, 230)):
        trends.add(at, survey(("n1", behind, rev)))
    assert trends.lag("n1", True) == "▁█▂▁▁"
    assert trends.speed("n1", True) == "   100  ▂  █"
    assert trends.speed("n1", False) == "   100  .  #"
    assert trends.speed("n9", True) == "     - "


def test_members_that_left_are_forgotten_and_all_is_bounded() -> None:
    trends = Trends()
    for at in range(3 * LOOKS):
        trends.add(float(at), survey(("n1", at, at), ("n2", at, at)))
    trends.add(1000.0, survey(("n1", 0, 0)))
    assert trends.lag("n2", True) == ""
    assert len(trends._behind["n1"]) == LOOKS


def test_nothing_of_what_members_say_reaches_the_screen() -> None:
    for text in HOSTILE:
        trends = Trends()
        known = survey((text, 1, 1))
        trends.add(0.0, known)
        (row,) = trending(trends, True).cells(known.reports[0])
        assert len(row) == len(trending(trends, True).columns)
        assert not raw("".join(picture("", [text, text], 24)), "")
    assert picture("a\nb\n", [], 24) == ["a", "b", "", "all is well", "", "q ends it"]
    assert len(picture("a\nb\n", ["x"] * 50, 10)) == 10


def test_again_and_again(own_visor: Visor) -> None:
    words = ("cluster", "status", "--watch", "--count", "2", "--interval", "100ms")
    lines = own_visor.ok(*words, "--json").lines
    first, second = map(json.loads, lines)
    assert first["healthy"] and second["members"][0]["answers"]
    own_visor.ok("set", "/a", "1")
    plain = own_visor.ok(*words).lines
    assert len(plain) == 2
    drawn = own_visor.ok(*words, terminal="o", NO_COLOR="1", COLUMNS="200").text
    assert "\x1b[?1049h" in drawn and drawn.endswith("\x1b[?1049l")
    bare = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "\n", drawn)
    assert re.search(r"BEHIND  LAG +REV +REVS/S|BEHIND  LAG +REVS/S +REV", bare)
    assert "all is well" in bare and "▁" in bare
    assert own_visor("cluster", "status", "--count", "1").code == 2


def test_where_nobody_answers_any_more_it_goes_on_trying(own_visor: Visor, monkeypatch: Any) -> None:
    from visor.blocking.admin import Admin

    asked = 0
    ask = Admin.survey

    def sometimes(admin: Admin, **options: Any) -> Survey:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise Unavailable("nobody\x1b[2J is there")
        return ask(admin, **options)

    monkeypatch.setattr(Admin, "survey", sometimes)
    words = ("cluster", "status", "--watch", "--count", "3", "--interval", "100ms")
    drawn = own_visor.ok(*words, terminal="o", NO_COLOR="1").text
    assert r"! nobody\x1b[2J is there; the rows are of before, trying again" in drawn
    assert drawn.count("all is well") == 2
    asked = 1
    assert own_visor(*words).code == 6
