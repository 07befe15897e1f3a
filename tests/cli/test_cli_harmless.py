"""Whatever somebody stored, no output form and no command hands it to a terminal, a log or a JSON reader raw."""

from __future__ import annotations

import io
import json
import logging
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.cli_harness import Visor
from visor import errors
from visor._core.harmless import Careful, harmless, json_text
from visor._core.log_lines import LogLines
from visor.cli.display import Display
from visor.cli.failure import report
from visor.cli.output import Output
from visor.cli.settings import FORMATS, Settings, Streams
from visor.cli.views import View, line, record
from visord.logs import JsonLines
from visord.serving.metrics import _labels
from visord.serving.notify import _one_line

EVERY_CONTROL = "".join(map(chr, (*range(0x20), *range(0x7F, 0xA0))))
HOSTILE = (
    EVERY_CONTROL,
    "\x1b]0;pwned\x07\x1b[2J",
    "\u009b2J",
    "a\u202eb\u2066c\u2069",
    "a\u200bb\u200d\ufeff\u2060",
    "a\u2028b\u2029c",
    "\u00ad\U000e0041",
    "one\nMAINPID=1\r\nlevel=error",
    "\ud800 alone",
    "\ue000 \U0010ffff",
)
texts = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(), max_size=30))


def raw(text: str, kept: str = "\n") -> list[str]:
    """What a terminal should never get."""
    wrong = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return [c for c in text if c not in kept and unicodedata.category(c) in wrong]


def settings(form: str, terminal: bool, out: io.BytesIO, err: io.StringIO) -> Settings:
    streams = Streams(io.BytesIO(), out, Careful(err), False, terminal, True)
    return Settings({"NO_COLOR": "1", "TERM": "dumb"}, streams, datetime.now(UTC), {"output": form})


VIEW: View[str] = View(
    lambda each: {"a": each, each: [each, {"b": each}], **Display("json").fields(json.dumps(each).encode())},
    lambda each: line(each, 1) + record("/a", 1, "set", each.encode("utf-8", "surrogatepass")),
    ("path", "value"),
    lambda each: [(each, Display().cell(each.encode("utf-8", "surrogatepass")))],
)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("form", FORMATS)
@given(text=texts)
def test_every_form_and_every_way_out(form: str, terminal: bool, text: str) -> None:
    out, err = io.BytesIO(), io.StringIO()
    output = Output(settings(form, terminal, out, err))
    output.rows({"head": text}, "rows", [text, text], VIEW)
    output.stream([text], VIEW)
    output.facts({"fact": text, "more": [text]})
    output.document({text: text})
    output.notice(text)
    if terminal:
        output.result({"a": text}, text)
        output.write(text.encode("utf-8", "surrogatepass"))
        output.say(text)
    assert not raw(err.getvalue())
    if form == "plain" and not terminal:  # the values themselves are for programs, byte by byte
        stored = text.encode("utf-8", "surrogatepass")
        rest = out.getvalue().replace(record("/a", 1, "set", stored), b"")
        assert not raw(rest.decode(), "\n\t")
        return
    shown = out.getvalue().decode()
    assert not raw(shown, "\n\t" if form in ("plain", "table") or terminal else "\n")


@given(text=texts, indent=st.sampled_from([None, 2]))
def test_json_says_what_it_was_given(text: str, indent: int | None) -> None:
    document = {"a": text, text: [text]}
    written = json_text(document, indent=indent)
    assert json.loads(written) == document
    assert not [c for c in written if unicodedata.category(c)[0] == "C" and c != "\n"]
    assert not set(written) & {"\u2028", "\u2029"}
    written.encode()


@given(text=texts)
def test_errors(text: str) -> None:
    for error in (
        errors.NotFound(text, path=text),
        errors.Denied(text),
        errors.RevMismatch(path=text, expected=1, actual=2),
    ):
        for as_json in (False, True):
            line = report(error, as_json=as_json)
            assert not raw(line) and line.count("\n") == 1
        assert json.loads(line)["error"]["exit_code"]


@given(text=texts)
def test_log_lines(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError as error:
        found = (type(error), error, error.__traceback__)
    record = logging.LogRecord(text.replace("%", ""), logging.ERROR, "f", 1, "said %s", (text,), found)
    for formatter in (LogLines("%(levelname)s %(name)s: %(message)s"), JsonLines()):
        lines = formatter.format(record)
        first, *more = lines.split("\n")
        assert not raw(lines, "\n\t") and "\t" not in first
        assert first.startswith(("ERROR", "{")) and "said" in first
        assert all(each.startswith("    ") for each in more)


@given(text=texts)
def test_service_manager_and_metrics(text: str) -> None:
    assert not raw(_one_line(f"STATUS={text}"), "") and _one_line(f"STATUS={text}").startswith("STATUS=")
    assert not raw(_labels({"peer": text}), "")


@given(text=texts)
def test_harmless_leaves_what_is_harmless(text: str) -> None:
    assert not raw(harmless(text), "")
    if not raw(text, ""):
        assert harmless(text) == text


VALUE = b"\x1b]0;pwned\x07\xc2\x9b2J\xe2\x80\xae\x7f end"
COMMANDS: list[tuple[Any, ...]] = [
    ("get", "/d/a"),
    ("get", "/d/a", "--codec", "text"),
    ("get", "/d/j", "--codec", "json"),
    ("stat", "/d/a"),
    ("ls", "/d", "-l"),
    ("scan", "/**"),
    ("scan", "/**", "--values"),
    ("find", "/d"),
    ("find", "/d", "--tree"),
    ("find", "/**", "--value", "e"),
    ("history", "/d/a"),
    ("history", "/d/a", "--graph"),
    ("diff", "1", "latest"),
    ("diff", "1", "latest", "--patch"),
    ("blame", "/d"),
    ("watch", "/**", "--rev", "1", "--count", "2"),
    ("elect", "/d/e"),
    ("lease", "ls"),
    ("cluster", "members"),
    ("cluster", "status"),
    ("cluster", "health"),
    ("top", "--once", "--interval", "100ms"),
]


@pytest.fixture
def hostile(own_visor: Visor) -> Visor:
    own_visor.ok("set", "/d/a", "-", "--note", VALUE.decode(), "--actor", "me\x1b[2J\x7f", stdin=VALUE)
    own_visor.ok(
        "set", "/d/j", "-", stdin=json.dumps({VALUE.decode(): VALUE.decode()}, ensure_ascii=False).encode()
    )
    return own_visor


def test_every_command(hostile: Visor) -> None:
    """End to end, on a terminal and, as JSON, off it as well."""
    ran = 0
    for command in COMMANDS:
        for form in FORMATS:
            for terminal in ("o", "") if form in ("json", "jsonl") else ("o",):
                answer = hostile("-o", form, *command, terminal=terminal, NO_COLOR="1", TERM="dumb")
                assert not raw(answer.text, "\n\t"), (command, form, answer)
                assert not raw(answer.err), (command, form, answer)
                ran += answer.code == 0
    assert ran > 60
    assert hostile.ok("-o", "plain", "get", "/d/a").out == VALUE
