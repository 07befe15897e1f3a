"""The log: events with keys that are a contract, levels that an alert can use, and lines that nobody breaks."""

from __future__ import annotations

import ast
import json
import logging
import re
from pathlib import Path

import pytest

from visord.logs import KEYS, JsonLines, Whose, about
from visord.serving import metrics

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "visord").rglob("*.py"))


def line(
    formatter: logging.Formatter, text: str, *words: object, level: int = logging.INFO, **fields: object
) -> dict:  # type: ignore[type-arg]
    record = logging.LogRecord("visord.node", level, __file__, 1, text, words, None)
    record.__dict__.update(about(**fields))
    found: dict[str, object] = json.loads(formatter.format(record))
    return found


def test_a_line_in_json_has_the_keys_of_its_event_and_of_its_node() -> None:
    whose = Whose(node="n1")
    formatter = JsonLines(whose)
    found = line(formatter, "term %d: %s leads", 5, "n2 (b)", term=5, leader="n2", leader_id="b")
    assert found.pop("ts")
    assert found == {
        "level": "info", "logger": "visord.node", "event": "term 5: n2 (b) leads",
        "node": "n1", "term": 5, "leader": "n2", "leader_id": "b",
    }  # fmt: skip
    whose.use(lambda: {"node": "n1", "node_id": "a", "term": 7, "rev": 42})
    found = line(formatter, "checkpoint made", rev=40)
    assert (found["term"], found["rev"], found["node_id"]) == (7, 40, "a")  # the event's own rev wins


def test_words_of_others_break_no_line() -> None:
    record = logging.LogRecord("visord", logging.WARNING, __file__, 1, "%s", ("a\nb\x1b[2J\u202e",), None)
    record.__dict__.update(about(member="x\ny\x7f"))
    text = JsonLines().format(record)
    assert text.isprintable()
    assert json.loads(text)["member"] == "x\ny\x7f"


def fields_of(tree: ast.AST) -> set[str]:
    """Return the keys that a source gives to `about`, and those of the dictionaries called `fields`."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "about":
            found |= {word.arg for word in node.keywords if word.arg}
    return found


def test_every_key_that_is_logged_is_one_of_the_contract() -> None:
    used = set().union(*(fields_of(ast.parse(path.read_text())) for path in SOURCES))
    vigil = (ROOT / "visord" / "serving" / "vigil.py").read_text()
    used |= set(re.findall(r'"(\w+)": [\w.(]', vigil))
    assert used <= set(KEYS), used - set(KEYS)
    assert {"member", "term", "rev", "node", "alarm"} <= set(KEYS)


def test_what_is_logged_names_no_object_of_python() -> None:
    """`add ['cd788b', 'n2', '127.0.0.1:8142', True]: the members are now ...` was a line of the log."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("logger."):
                words = [ast.unparse(one) for one in node.args]
                assert not any("%r" in word or "!r" in word for word in words), f"{path}:{node.lineno}"
                assert not any(word.endswith(".arguments") for word in words), f"{path}:{node.lineno}"


@pytest.mark.parametrize(
    "path,event,level",
    [
        ("visord/peers/link.py", "lost %s", "WARNING"),
        ("visord/peers/link.py", "cannot reach %s", "WARNING"),
        ("visord/peers/link.py", "connected to %s", "INFO"),
        ("visord/members/membership.py", "the members are now", "info"),
        ("visord/members/install.py", "took over a checkpoint", "info"),
        ("visord/maintenance.py", "checkpoint made", "info"),
        ("visord/maintenance.py", "no checkpoint: %s", "error"),
    ],
)
def test_trouble_is_a_warning_and_work_is_not(path: str, event: str, level: str) -> None:
    calls = [
        ast.unparse(node)
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Call) and event in "".join(map(ast.unparse, node.args))
    ]
    assert [one for one in calls if f"logger.{level}(" in one or f"logging.{level}" in one], calls


def test_every_alarm_is_a_figure_too() -> None:
    places = (ROOT / "visord" / "serving" / "health.py", ROOT / "visord" / "tls" / "upkeep.py")
    source = "".join(place.read_text() for place in places)
    words = set(re.findall(r'(?:yield|return) (?:\(\s*)?f?"([a-z][a-z ]+): ', source)) - {"failed"}
    words |= {"held bytes", "unsent bytes"}  # "{what} bytes"
    assert len(words) >= 14
    assert words == set(metrics.ALARMS)
