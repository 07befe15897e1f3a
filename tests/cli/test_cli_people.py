"""What people get that programs do not: numbers with a word, suggestions, narrow tables, news while they wait."""

from __future__ import annotations

import json
import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.cli_harness import Visor
from tests.patience import GROWING
from visor import guard
from visor.cli.guards import judge, words
from visor.cli.screen import cut, width
from visor.cli.table import FIRST, GAP, LEAST, LEAST_FIRST, WHOLE, fitted
from visor.values import Node, Stat


# -- numbers ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("set", "/a", "1"), r"rev \d+"),
        (("create", "/b", "1"), r"rev \d+"),
        (("touch", "/a"), r"rev \d+"),
        (("del", "/a"), r"rev \d+"),
        (("rev",), r"rev \d+"),
        (("nop",), r"rev \d+"),
        (("ping",), r"[\d.]+ ms to \S+"),
        (("lease", "grant", "10s"), r"lease \d+"),
        (("init",), r"schema \d+"),
        (("app", "register", "web"), r"rev \d+"),
    ],
)
def test_a_bare_number_has_a_word_on_a_terminal_only(
    visor: Visor, arguments: tuple[str, ...], shown: str
) -> None:
    visor.ok("set", "/a", "0")
    assert re.fullmatch(shown, visor.ok(*arguments, terminal="o").text.rstrip("\n"))
    if arguments[0] in ("rev", "nop", "ping", "init", "touch", "lease"):
        assert re.fullmatch(r"[\d.]+\n", visor.ok(*arguments).text)
        assert re.fullmatch(r"[\d.]+\n", visor.ok(*arguments, "-o", "plain", terminal="o").text)
        assert json.loads(visor.ok(*arguments, "--json", terminal="o").out)


def test_amounts_are_counted(visor: Visor) -> None:
    visor.ok("init")
    for words_ in (
        ("app", "register", "web"),
        ("rev", "register", "web", "v1"),
        ("proc", "register", "web", "w"),
    ):
        visor.ok(*words_)
    assert visor.ok("scale", "web", "v1", "w", "3", terminal="o").text == "3 instances\n"
    assert visor.ok("scale", "web", "v1", "w", "-2", terminal="o").text == "1 instance\n"
    assert visor.ok("scale", "web", "v1", "w").text == "1\n"


def test_the_hint_for_what_is_there_already_fits_what_it_is(visor: Visor) -> None:
    visor.ok("init")
    visor.ok("app", "register", "web")
    visor.ok("create", "/a", "1")
    assert "visor set" not in visor("app", "register", "web").err
    assert "a plain 'visor set' replaces it" in visor("create", "/a", "1").err


def test_the_latest_events_only(visor: Visor) -> None:
    visor.ok("init")
    for name in ("a", "b", "c"):
        visor.ok("app", "register", name)
    everything = visor.ok("event", "ls").lines
    assert len(everything) == 3
    assert visor.ok("event", "ls", "--limit", "2").lines == everything[1:]
    assert visor.ok("event", "ls", "--limit", "9").lines == everything
    assert visor("event", "ls", "--limit", "0").code == 2


# -- what was meant -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gett", "/a"), "No such command 'gett'; did you mean 'get'? See 'visor --help'"),
        (("put", "/a", "1"), "No such command 'put'; did you mean 'set'? See 'visor --help'"),
        (("instnce",), "did you mean 'instance'?"),
        (("app", "regster", "web"), "No such command 'regster'; did you mean 'register' or 'unregister'?"),
        (("cluster", "statsu"), "did you mean 'status'?"),
        (("get", "/a", "--jsn"), "--json"),
        (("xyzzy",), "No such command 'xyzzy'; see 'visor --help'"),
        (("set", "/a", "-1"), "a value that begins with '-' goes after '--': visor set /a -- -1"),
        (("set", "/a", "-5", "--note", "x y"), "visor set /a --note 'x y' -- -5"),
        (("elect", "boss", "-1"), "No such option '-1'; see 'visor elect --help'"),
    ],
)
def test_what_was_meant_is_named(bare: Visor, arguments: tuple[str, ...], said: str) -> None:
    answer = bare(*arguments)
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1


def test_what_is_advised_works(visor: Visor) -> None:
    visor.ok("set", "/a", "--", "-1")
    assert visor.ok("get", "/a").out == b"-1"


@pytest.mark.parametrize("address", ["http://127.0.0.1:8046", "https://h", "tcp://h:1"])
def test_an_address_is_no_url(bare: Visor, address: str) -> None:
    for answer in (bare("get", "/a", "--addr", address), bare("get", "/a", VISOR_ADDR=address)):
        assert answer.code == 2
        assert f"write HOST:PORT, without {address.partition(':')[0]}://" in answer.err


# -- JSON ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        (("nonsense",), 2),
        (("get", "--bad"), 2),
        (("get", "/none"), 3),
        (("lock", "/"), 2),
        (("lock", "/l", "--bad", "--", "true"), 2),
        (("del", "-r", "/d"), 2),
        (("get", "/a\udcff"), 2),
        (("txn",), 2),
        (("--addr", "http://h", "rev"), 2),
    ],
)
@pytest.mark.parametrize("ask", [("--json",), ("-o", "jsonl"), ("-ojson",), ("--output=json",)])
def test_a_failure_is_one_line_of_json(
    visor: Visor, arguments: tuple[str, ...], code: int, ask: tuple[str, ...]
) -> None:
    visor.ok("set", "/d/a", "1")
    answer = visor(*ask, *arguments, terminal="i")
    assert (answer.code, answer.out) == (code, b"")
    assert answer.err.count("\n") == 1
    assert json.loads(answer.err)["error"]["exit_code"] == code


def test_the_words_of_a_command_are_not_ours(visor: Visor) -> None:
    answer = visor("lock", "/l", "--bad", "--", "x", "--json")
    assert answer.code == 2
    assert answer.err.startswith("visor: ")


# -- words that are no text ---------------------------------------------------------------------------
BYTES = b"a\xff".decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", f"/{BYTES}"),
        ("set", "/a", "1", "--note", BYTES),
        ("set", "/a", "1", "--actor", BYTES),
        ("find", BYTES),
        ("lock", BYTES, "--", "true"),
        ("elect", f"/{BYTES}", "me", "--", "true"),
        ("app", "register", BYTES),
        ("app", "register", "web", "--var", f"A={BYTES}"),
        ("get", "/a", "--root", f"/{BYTES}"),
        ("get", "/a", "--addr", BYTES),
        ("context", "add", BYTES, "--addr", "h"),
        ("context", "add", "x", "--addr", "h", "--cert", BYTES, "--key", BYTES),
        (BYTES,),
        (f"--{BYTES}",),
    ],
)
def test_words_that_are_no_text_are_refused(visor: Visor, arguments: tuple[str, ...]) -> None:
    answer = visor(*arguments)
    assert answer.code == 2, answer
    assert answer.err.count("\n") == 1
    assert "\\udcff" in answer.err


@pytest.mark.parametrize("name", ["ADDR", "ROOT", "ACTOR", "CONTEXT", "TIMEOUT", "OUTPUT", "TOKEN"])
def test_variables_that_are_no_text_are_refused(visor: Visor, name: str) -> None:
    answer = visor("set", "/a", "1", **{f"VISOR_{name}": BYTES})
    assert answer.code == 2, answer
    assert f"VISOR_{name}" in answer.err
    assert answer.err.count("\n") == 1


def test_values_and_names_of_files_are_bytes(visor: Visor) -> None:
    visor.ok("set", "/a", BYTES)
    assert visor.ok("get", "/a").out == b"a\xff"
    visor.ok("set", "/a", "--value", BYTES)
    assert "cannot read" in visor("set", "/a", f"@{BYTES}").err


@pytest.mark.parametrize("command", ["lock", "elect"])
@pytest.mark.parametrize("name", ["/", "", "//", "/a//b", "/a/", "/a b", "/.."])
def test_what_cannot_be_a_queue_is_refused(visor: Visor, command: str, name: str) -> None:
    words_ = (command, name) if command == "lock" else (command, name, "me")
    answer = visor(*words_, "--", "true")
    assert answer.code == 2, answer
    assert answer.err.count("\n") == 1


# -- waiting ------------------------------------------------------------------------------------------
def test_a_rev_that_does_not_come_is_told_with_the_latest(visor: Visor) -> None:
    rev = visor.rev("set", "/a", "1")
    for arguments in (
        ("get", "/a", "--rev", rev + 500),
        ("ls", "/", "--rev", rev + 500),
        ("diff", rev, rev + 500),
        ("app", "ls", "--rev", rev + 500),
    ):
        for seconds in GROWING:
            answer = visor(*arguments, "--timeout", f"{seconds}s")
            if answer.code == 8:  # what does not wait says so at once
                break
            assert answer.code == 124, answer
            told = rf"rev {rev + 500} was not there within {seconds:g} s: the latest is rev \d+"
            if re.search(told, answer.err):  # or there was no time to ask for the latest
                break
        else:
            pytest.fail(answer.err)


def refusing() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def test_a_person_is_told_soon_that_nobody_answers(bare: Visor) -> None:
    address = f"127.0.0.1:{refusing()}"
    answer = bare("get", "/a", "--addr", address, "--timeout", "1200ms", terminal="ioe")
    assert answer.code == 6
    first, last = answer.err.splitlines()
    assert first.startswith(f"visor: no connection to {address} yet: ")
    assert first.endswith("; trying for 1.2 s, Ctrl-C ends it")
    assert last.startswith(f"visor: no connection to {address} within 1.2 s: ")
    told = bare("get", "/a", "--addr", address, "--timeout", "1200ms", "--json", terminal="ioe")
    assert json.loads(told.err)["error"]["exit_code"] == 6


def test_on_a_terminal_a_call_has_its_whole_time(visor: Visor) -> None:
    """Connecting in two steps shortens no deadline of what comes after it."""
    rev = visor.rev("set", "/a", "1")
    answer = visor("get", "/a", "--rev", rev + 500, "--timeout", "1500ms", terminal="e")
    assert answer.code == 124
    assert "within 1.5 s" in answer.err


# -- guards -------------------------------------------------------------------------------------------
def test_the_guard_that_does_not_hold_is_named(visor: Visor) -> None:
    rev = visor.rev("set", "/a", "1")
    program = f"guard exists /a\nguard rev /a {rev}\nguard missing /a\nguard rev /b 9\nset /c 1\n"
    answer = visor("txn", stdin=program.encode())
    assert answer.code == 4
    assert (
        f"visor: guard missing /a does not hold: /a is there, at rev {rev}; nothing was changed" in answer.err
    )
    details = json.loads(visor("--json", "txn", stdin=program.encode()).err)["error"]["details"]
    assert details == {"path": "/a", "guard": "missing", "expected": None, "actual": rev}
    assert visor("stat", "/c").code == 3


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("rev /a 99", "/a has rev {rev}"),
        ("rev /none 9", "/none is not there"),
        ("rev /d 9", "/d is a directory"),
        ("missing /a", "/a is there, at rev {rev}"),
        ("exists /none", "/none is not there"),
        ("since /d 1", "/d was changed at rev "),
        ("value /a 'other'", "/a has another value, at rev {rev}"),
        ("value /none x", "/none is not there"),
        ("below /a 1", "/a has rev {rev}"),
        ("above /a 99999", "/a has rev {rev}"),
    ],
)
def test_every_guard_says_what_it_found(visor: Visor, line: str, found: str) -> None:
    visor.ok("set", "/d/x", "1")
    rev = visor.rev("set", "/a", "value")
    answer = visor("txn", stdin=f"guard {line}\nset /c 1\n".encode())
    assert answer.code == 4
    assert f"does not hold: {found.format(rev=rev)}" in answer.err


REVS = st.integers(0, 6)


@given(
    st.sampled_from([Node.FILE, Node.MISSING, Node.DIRECTORY]),
    REVS,
    st.sampled_from(["rev", "missing", "exists", "since", "value", "below", "above"]),
    REVS,
    st.booleans(),
)
def test_guards_are_judged_as_the_registry_does(
    kind: Node, rev: int, name: str, arg: int, same: bool
) -> None:
    """Written down a second time, as `visord.state.guards` has it."""
    changed = rev if kind is not Node.FILE else max(rev, 1)
    stat = Stat("/a", 9, kind, 0, changed, 0, 0, 0)
    version = changed if kind is Node.FILE else 0
    one = {
        "rev": guard.rev(arg),
        "missing": guard.missing(),
        "exists": guard.exists(),
        "since": guard.since(arg),
        "value": guard.value(b"x"),
        "below": guard.below(arg),
        "above": guard.above(arg),
    }[name]
    holds = {
        "rev": version == arg,
        "missing": version == 0,
        "exists": version > 0,
        "since": changed <= arg,
        "value": version > 0 and same,
        "below": 0 < version < arg,
        "above": version > arg,
    }[name]
    found = judge(one, stat, (b"x" if same else b"y") if kind is Node.FILE else None)
    assert (found is None) == holds
    assert words("/a", one).startswith(f"guard {name} /a")


# -- tables -------------------------------------------------------------------------------------------
@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=40), st.integers(1, 30))
def test_a_text_is_cut_to_what_fits(text: str, most: int) -> None:
    short = cut(text, most)
    assert width(short) <= most
    if width(text) <= most:
        assert short == text
    else:
        assert short.endswith("…") and text.startswith(short[:-1])
        assert width(short) >= most - 1  # a letter that takes two columns may not fit


NAMES = st.sampled_from(("rev", "path", "who", "value", "why", "id", "what"))


@given(st.lists(st.tuples(NAMES, st.integers(1, 200)), min_size=1, max_size=8), st.integers(1, 150))
def test_columns_shrink_no_more_than_needed(columns: list[tuple[str, int]], most: int) -> None:
    names = [name for name, _ in columns]
    wide = [max(natural, len(name)) for name, natural in columns]
    shown = range(len(names))
    found = fitted(names, wide, shown, most)
    total = sum(found) + GAP * (len(names) - 1)
    for name, before, after in zip(names, wide, found, strict=True):
        assert after <= before
        floor = before if name in WHOLE else LEAST_FIRST if name in FIRST else LEAST
        assert after >= min(before, max(floor, len(name))) or after >= max(most, LEAST)
    shrinkable = [
        after > min(before, max(LEAST_FIRST if name in FIRST else LEAST, len(name)))
        for name, before, after in zip(names, wide, found, strict=True)
        if name not in WHOLE
    ]
    if total > most:
        assert not any(shrinkable)
    elif sum(wide) + GAP * (len(names) - 1) > most:
        assert total == most


@pytest.mark.parametrize("columns", [1, 30, 50, 80, 200])
def test_a_row_is_a_line_however_narrow_the_terminal_is(visor: Visor, columns: int) -> None:
    for number in range(3):
        visor.ok(
            *("set", f"/service/some-name/{number}", "a value of some length, " * 3),
            *("--note", "because somebody asked for it", "--actor", "somebody@some-host"),
        )
    lines = visor.ok("history", terminal="o", COLUMNS=str(columns), NO_COLOR="1").lines
    assert len(lines) == 4
    assert lines[0].split()[:3] == ["REV", "WHEN", "WHO"]
    if columns >= 50:
        assert max(map(width, lines)) <= columns
    assert "…" in lines[1] or columns == 200
    assert all(line.split()[3] == "create" for line in lines[1:])
    tree = visor.ok("find", "--values", terminal="o", COLUMNS=str(columns), NO_COLOR="1").lines
    assert len(tree) == 6
    wide = visor.ok("history", "-o", "table").lines  # to a file: nothing is cut
    assert all("because somebody asked for it" in line for line in wide[1:])


def test_columns_with_nothing_in_them_go_first(visor: Visor) -> None:
    visor.ok("init")
    for words_ in (
        ("app", "register", "web"),
        ("rev", "register", "web", "v1"),
        ("proc", "register", "web", "w"),
    ):
        visor.ok(*words_)
    visor.ok("scale", "web", "v1", "w", "2")
    wide = visor.ok("instance", "ls", terminal="o", COLUMNS="120", NO_COLOR="1").lines
    narrow = visor.ok("instance", "ls", terminal="o", COLUMNS="50", NO_COLOR="1").lines
    assert "HOST" in wide[0] and "HOST" not in narrow[0]
    assert len(narrow) == 3
    assert max(map(width, narrow)) <= 50
    identity = visor.ok("instance", "ls").lines[0].split("\t")[0]
    assert narrow[1].startswith(identity)
