"""What the command line understands: times, values, transactions, and lines under completion."""

from __future__ import annotations

import io
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visor import guard, op
from visor.cli import moment, payload, script, words
from visor.cli.complete import split
from visor.cli.display import Display, harmless
from visor.cli.patch import unified
from visor.cli.problem import Problem

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


# -- times --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("10", 10),
        ("1.5s", 1.5),
        ("2m", 120),
        ("1h30m", 5400),
        ("1 d", 86400),
        ("2w", 1209600),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert moment.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "10x", "-5s", "1h-3m", "5 minutes", "1e9", "200000w", "m"])
def test_what_is_no_duration_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a duration|over 100 years"):
        moment.duration(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T11:59:00Z", "2026-03-01T11:59:00.000Z"),
        ("2026-03-01 12:59:00+01:00", "2026-03-01T11:59:00.000Z"),
        ("1m", "2026-03-01T11:59:00.000Z"),
        ("1m ago", "2026-03-01T11:59:00.000Z"),
        ("1772366340", "2026-03-01T11:59:00.000Z"),
        ("1772366340000", "2026-03-01T11:59:00.000Z"),
        ("1772366340.25", "2026-03-01T11:59:00.250Z"),
    ],
)
def test_times(text: str, expected: str) -> None:
    found = moment.instant(text, NOW)
    assert moment.rfc3339(round(found.timestamp() * 1000)) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-03-01T11:59:00", "ago", "x ago", "2026-13-01T00:00:00Z"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a|no offset"):
        moment.instant(text, NOW)


def test_a_time_out_of_range_is_shown_as_its_number() -> None:
    assert moment.rfc3339(10**18) == str(10**18)


# -- values in ----------------------------------------------------------------------------------------
def test_a_value_is_the_text_a_file_or_standard_input(tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_bytes(b"\x00\xff\r\n")
    stdin = io.BytesIO(b"\x80 in")
    assert payload.from_argument("plain", stdin) == b"plain"
    assert payload.from_argument(f"@{file}", stdin) == b"\x00\xff\r\n"
    assert payload.from_argument("@@home", stdin) == b"@home"
    assert payload.from_argument("-", stdin) == b"\x80 in"
    assert payload.from_argument("\udcff", stdin) == b"\xff"  # an argument that was not UTF-8


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"cannot read .*missing: No such file"):
        payload.from_argument(f"@{tmp_path}/missing", io.BytesIO())
    with pytest.raises(Problem, match="needs the name of a file"):
        payload.from_argument("@", io.BytesIO())
    with pytest.raises(Problem, match="cannot read"):
        payload.from_argument("@a\0b", io.BytesIO())


def test_an_endless_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload, "LIMIT", 10)
    with pytest.raises(Problem, match="standard input is over 10 bytes"):
        payload.from_argument("-", io.BytesIO(b"x" * 11))


# -- values out ---------------------------------------------------------------------------------------
def test_a_value_is_text_or_base64_in_json() -> None:
    assert Display().fields("ä".encode()) == {"value": "ä"}
    assert Display().fields(b"\xff\x00") == {"value_base64": "/wA="}
    assert Display("json").fields(b'{"a": [1]}') == {"value": '{"a": [1]}', "decoded": {"a": [1]}}
    assert Display("json").fields(b"{") == {"value": "{"}
    assert Display("msgpack").fields(b"\xc4\x01\xff")["decoded"] == {"base64": "/w=="}


@given(st.binary(max_size=200), st.sampled_from(["bytes", "text", "json", "msgpack", "int", "list", "ints"]))
def test_showing_a_value_never_fails_and_never_writes_control_characters(data: bytes, codec: str) -> None:
    display = Display(codec)
    display.fields(data)
    assert all(each.isprintable() or each in "\n\t" or ord(each) > 159 for each in display.screen(data))
    assert "\n" not in display.cell(data)
    assert len(display.cell(data)) <= 60


def test_escape_sequences_of_others_do_not_reach_the_terminal() -> None:
    assert harmless("a\x1b[2Jb\u202ec\rd") == "a\\x1b[2Jb\\u202ec\\rd"
    assert harmless("Käse 値 ok") == "Käse 値 ok"


def test_writing_with_a_codec_checks_and_converts() -> None:
    assert Display("json").encode(b'{"b": 1, "a": 2}') == b'{"a":2,"b":1}'
    assert Display("msgpack").encode(b'{"a": 1}') == b"\x81\xa1a\x01"
    assert Display("int").encode(b" 7\n") == b"7"
    assert Display("list").encode(b"a  b\n") == b"a b"
    for codec, data in (("json", b"{"), ("int", b"x"), ("text", b"\xff")):
        with pytest.raises(ValueError, match=r".+"):
            Display(codec).encode(data)


# -- patches ------------------------------------------------------------------------------------------
def test_a_patch_reads_like_diff_u() -> None:
    assert unified("/a", b"1\n2\n", b"1\n3\n").decode() == "--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n"
    assert unified("/a", None, b"x").decode() == (
        "--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n"
    )
    assert unified("/a", b"", None) == b"--- a/a\n+++ /dev/null\n"
    assert unified("/a", b"\xff", b"x") == b"Binary values differ: a/a b/a\n"


# -- transactions -------------------------------------------------------------------------------------
TEXT = """
# who leads
guard rev /leader 17
guard missing /lock
guard value /mode "on call"
then
set /leader "node b"     # a comment
set /blob base64:AP8=
set /at @@home
delete -r /old
get /leader
else
ls /
note "node a is gone"
"""

JSON = """
{"guards": [{"kind": "rev", "path": "/leader", "rev": 17}, {"kind": "missing", "path": "/lock"},
            {"kind": "value", "path": "/mode", "value": "on call"}],
 "then": [{"set": "/leader", "value": "node b"}, {"set": "/blob", "value_base64": "AP8="},
          {"set": "/at", "value": "@home"}, {"delete": "/old", "recursive": true}, {"get": "/leader"}],
 "else": [{"ls": "/"}], "note": "node a is gone"}
"""


@pytest.mark.parametrize("text", [TEXT, JSON])
def test_both_forms_of_a_transaction_say_the_same(text: str) -> None:
    found = script.parse(text.encode())
    assert found.guards == [
        ("/leader", guard.rev(17)),
        ("/lock", guard.missing()),
        ("/mode", guard.value(b"on call")),
    ]
    assert found.then == [
        op.set("/leader", b"node b"),
        op.set("/blob", b"\x00\xff"),
        op.set("/at", b"@home"),
        op.delete("/old", recursive=True),
        op.get("/leader"),
    ]
    assert found.orelse == [op.ls("/")]
    assert found.note == "node a is gone"


def test_every_guard_has_a_form() -> None:
    text = "guard exists /a\nguard since /b 3\nguard below /c 4\nguard above /d 5\n"
    assert [each for _, each in script.parse(text.encode()).guards] == [
        guard.exists(),
        guard.since(3),
        guard.below(4),
        guard.above(5),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("set /a", "line 1: expected 'set PATH VALUE', found 1 words"),
        ("\nput /a 1", "line 2: 'put' is not understood"),
        ("guard rev /a x", "'x' is not a rev"),
        ("guard nope /a", "'nope' is no guard"),
        ("set /a 1\nguard missing /a", "guards come before"),
        ("set /a base64:***", "is not base64"),
        ('set /a "open', 'line 1: the quote " at column 8 is not closed'),
        ("set /a @/no/such/file", "line 1: cannot read /no/such/file"),
        ("", "is empty"),
        ("{", "is not JSON"),
        ('{"when": []}', "unknown key 'when'"),
        ('{"then": [{"set": "/a"}]}', r"then\[0\] must have exactly one of value"),
        ('{"then": [{"set": "/a", "value": "x", "valu": 1}]}', "unknown key 'valu'"),
        ('{"then": [{"set": "/a", "value": 7}]}', r"then\[0\].value must be text"),
        ('{"then": [{"get": "/a", "set": "/b"}]}', "exactly one of set, delete"),
        ('{"then": {}}', "then must be a list"),
        ('{"guards": [{"kind": "rev", "path": "/a", "rev": true}]}', "must be a whole number"),
        ('{"guards": [{"kind": "rev", "path": 3, "rev": 1}]}', r"guards\[0\].path must be text"),
        ('{"then": [{"delete": "/a", "recursive": 1}]}', "must be true or false"),
        ("[" * 100_000, "is not understood|is not JSON"),
    ],
)
def test_a_wrong_transaction_is_refused_with_the_place_and_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(Problem, match=complaint) as caught:
        script.parse(text.encode())
    assert caught.value.exit_code == 2


@given(st.binary(max_size=300))
def test_any_bytes_make_a_transaction_or_a_problem(data: bytes) -> None:
    try:
        script.parse(data)
    except Problem:
        return


@given(st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=20), max_size=5))
def test_quoted_words_come_back(texts: list[str]) -> None:
    assert words.split(shlex.join(texts)) == texts


@given(st.text(st.sampled_from("ab '\"\\\t"), max_size=12))
def test_words_are_those_of_a_shell(line: str) -> None:
    try:
        expected = shlex.split(line)
    except ValueError:
        with pytest.raises(ValueError, match=r"not closed|escapes nothing"):
            words.split(line)
        return
    assert words.split(line) == expected


def test_a_comment_begins_at_a_word() -> None:
    assert words.split("a#b c # d 'e") == ["a#b", "c"]


def test_a_large_transaction_is_read_at_once() -> None:
    text = "".join(f'set /d/{number} "{"x" * 1_000_000}"\n' for number in range(4))
    assert len(script.parse(text.encode()).then) == 4


# -- completion ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("visor ", ([], "")),
        ("visor get", ([], "get")),
        ("visor get ", (["get"], "")),
        ("visor --addr localhost:1234 get /a:b", (["--addr", "localhost:1234", "get"], "/a:b")),
        ("visor get '/a b", (["get"], "/a b")),
        ('visor get "/a', (["get"], "/a")),
        ("visor get /a\\ b", (["get"], "/a b")),
        ("visor set /a 'x y' ", (["set", "/a", "x y"], "")),
    ],
)
def test_a_line_is_split_as_the_shell_does(line: str, expected: tuple[list[str], str]) -> None:
    assert split(line) == expected
