"""Each line that says that something is wrong has its row in the runbook, and the page shows that row."""

from __future__ import annotations

import re

import pytest

from tests.gateway.running import Caller
from visor.gateway import runbook
from visor.members import Given, Member, Membership, Report, Survey
from visord.serving.metrics import ALARMS


@pytest.mark.parametrize("alarm", ALARMS)
def test_each_alarm_has_a_row(alarm: str) -> None:
    row = runbook.find(f"{alarm}: something about it")
    assert row is not None
    assert f"`{alarm}: " in row.seen
    assert row == runbook.find(f"n3: {alarm}: as a survey says it")


def surveys() -> tuple[Survey, Survey]:
    """Return two in which everything is wrong that a survey can tell."""
    one = Member("a", "n1", "p1", "c1", voter=True, leader=False, answers=True, silent=9.0, behind=9999)
    two = Member("b", "n2", "p2", "c2", voter=True, leader=False, answers=False)
    three = Member("c", "n3", "p3", "c3", voter=True, leader=True, answers=False)
    reports = (
        Report(one, {"leader": None, "alarms": ["certificate not renewed: 2 times since it was due: x"]}),
        Report(two, None, "no answer at c2: refused"),
        Report(two, None, "it advertises no address for clients"),
        Report(two, None, "somebody else answers at c2: n9"),
    )
    leading = Membership("k", "a", "c", 1, 9999, 1, (one, two, three))
    alone = Membership("k", "a", None, 1, 9999, 1, (one, two, three))
    stranger = (Given("10.0.0.9:1", "other", "m2", "z", 1),)
    return Survey(leading, reports, stranger, 5), Survey(alone, reports)


def test_each_problem_of_a_survey_has_a_row() -> None:
    lines = {line for each in surveys() for line in each.problems}
    assert len(lines) >= 9
    assert [line for line in sorted(lines) if runbook.find(line) is None] == []


def test_what_is_no_trouble_has_no_row() -> None:
    assert runbook.find("all is well") is None
    assert runbook.find("") is None


def test_the_page_has_every_row_and_each_its_own_place(http: Caller) -> None:
    text = http.get(runbook.PAGE).text
    anchors = re.findall(r"<tr id='([a-z-]+\d*)'>", text)
    assert anchors == [row.anchor for row in runbook.rows()]
    assert len(set(anchors)) == len(anchors)
    for place in re.findall(r"href='#([a-z-]+)'", text):
        assert f"<h2 id='{place}'>" in text
    assert "visor cluster remove n3 --yes" in text
