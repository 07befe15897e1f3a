"""The suite itself: every scenario says what it shows, and what is judged is judged."""

from __future__ import annotations

import re

from tests.hostile.scenario import load
from tests.hostile.stage import Verdict, tracebacks

LOG = """2026 INFO visord: ready
Traceback (most recent call last):
  File "/x/visord/node.py", line 5, in a
    b()
  File "/x/visord/proposer.py", line 7, in b
    outcomes[position]
    ~~~~~~~~^^^^^^^^^^
IndexError: list index out of range
2026 INFO visord: more
Traceback (most recent call last):
  File "/x/visord/node.py", line 5, in a
ValueError: other
"""


def test_every_scenario_says_what_it_does_and_for_which_row() -> None:
    scenarios = load()
    assert len(scenarios) > 40
    for one in scenarios.values():
        assert one.about.endswith("."), one.name
        assert re.fullmatch(r"S\d+( S\d+)*", one.rows), one.name
        assert one.sizes and set(one.sizes) <= {1, 3}


def test_tracebacks_are_told_by_their_last_place() -> None:
    assert [told.rpartition(": ")[0].split(",")[0].rpartition("/")[2] for told in tracebacks(LOG)] == [
        'proposer.py"',
        'node.py"',
    ]
    assert tracebacks("all is well") == []


def test_a_verdict_with_problems_reads_as_a_failure() -> None:
    well, ill = Verdict("a", "S1", 1), Verdict("b", "S1", 3, problems=["it broke"])
    assert " ok " in well.line()
    assert " FAIL " in ill.line()
