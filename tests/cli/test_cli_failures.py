"""Every exit code, what is said with it, and that it is said in the right place."""

from __future__ import annotations

import inspect
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import visor as visor_package
from tests.cli.cli_harness import ROOT, Node, Visor
from tests.patience import PATIENCE
from visor import errors
from visor.cli import exits, failure

ALL = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.VisorError) and kind is not errors.VisorError
]

CODES = {
    "NotFound": 3,
    "NoMember": 3,
    "IsDirectory": 4,
    "NotDirectory": 4,
    "BadRequest": 2,
    "Unsafe": 4,
    "RevMismatch": 4,
    "Exists": 4,
    "GuardFailed": 4,
    "Conflict": 4,
    "LeaseExists": 4,
    "LeaseNotFound": 3,
    "LeaseLost": 10,
    "LockLost": 10,
    "BadPath": 2,
    "BadGlob": 2,
    "Unsendable": 2,
    "Denied": 5,
    "Compacted": 8,
    "FutureRev": 8,
    "NoSpace": 6,
    "NotLeader": 6,
    "NoQuorum": 6,
    "Overloaded": 6,
    "Closing": 6,
    "Diverged": 6,
    "HistoryDamaged": 6,
    "Cancelled": 6,
    "Unavailable": 6,
    "DeadlineExceeded": 124,
    "OutcomeUnknown": 7,
    "WriteTimeout": 7,
    "LostLeadership": 7,
    "SessionLost": 7,
    "Unsettled": 7,
    "InternalError": 7,
}
"""Exit codes are a contract: written down here a second time. What is not named ends with 1."""


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_has_its_exit_code(kind: type[errors.VisorError]) -> None:
    assert exits.exit_code(kind("words")) == CODES.get(kind.__name__, 1)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_is_one_line_and_one_json_object(kind: type[errors.VisorError]) -> None:
    error = kind("first\nsecond\x1b[2J", path="/a", data=b"\xff", rows=[1, b"x"])
    (line,) = failure.report(error, as_json=False).splitlines()
    (document,) = failure.report(error, as_json=True).splitlines()
    assert line.startswith("visor: first\\nsecond\\x1b[2J")
    shape = json.loads(document)["error"]
    assert shape["code"] == kind.code
    assert shape["exit_code"] == exits.exit_code(error)
    assert shape["details"] == {"path": "/a", "data": {"base64": "/w=="}, "rows": [1, {"base64": "eA=="}]}


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the next connection be refused with `error`."""

    def dial(*args: Any, **kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr(visor_package, "dial", dial)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (errors.Denied("denied: no token"), 5, "visor: denied: no token; check the token"),
        (errors.WrongCluster(expected="a", actual="b"), 1, "cluster b"),
        (errors.SessionLost("session lost"), 7, "look before you run it again"),
        (errors.NoQuorum("no quorum"), 6, "nothing was changed; run it again"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_a_node_refuses(
    bare: Visor, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: str
) -> None:
    fail_with(monkeypatch, error)
    answer = bare("get", "/a")
    assert (answer.code, answer.out) == (code, b"")
    assert words in answer.err


def test_without_a_node_the_registry_is_unavailable(bare: Visor) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        words = ("--addr", f"127.0.0.1:{port}", "--timeout", "100ms", "set", "/a", "1")
        answer, told = bare(*words), bare("--json", *words)
    assert answer.code == told.code == 6
    assert answer.err.startswith(f"visor: no connection to 127.0.0.1:{port} within 0.1 s")
    assert json.loads(told.err)["error"]["exit_code"] == 6
    assert answer.err.count("\n") == told.err.count("\n") == 1


@contextmanager
def frozen(node: Node) -> Iterator[None]:
    """Stop the node's process meanwhile: its sockets stay, nothing answers."""
    node.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        node.process.send_signal(signal.SIGCONT)


def test_a_write_without_an_answer_is_unknown_a_read_is_late(
    own_visor: Visor, own_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    dial = visor_package.dial

    def dial_and_freeze(*args: Any, **kwargs: Any) -> Any:
        client = dial(*args, **kwargs)
        own_node.process.send_signal(signal.SIGSTOP)
        return client

    monkeypatch.setattr(visor_package, "dial", dial_and_freeze)
    for arguments, code in ((("set", "/a", "1"), 7), (("get", "/a"), 124)):
        answer = own_visor(*arguments, "--timeout", "600ms")
        own_node.process.send_signal(signal.SIGCONT)
        assert answer.code == code, answer
        assert "within 0.6 s" in answer.err


def test_a_node_that_never_greets_is_unavailable(own_visor: Visor, own_node: Node) -> None:
    with frozen(own_node):
        assert own_visor("get", "/a", "--timeout", "300ms").code == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense",), "No such command 'nonsense'; see 'visor --help'"),
        (("get",), "Missing argument 'PATH'; see 'visor get --help'"),
        (("get", "/a", "--rev", "x"), "Invalid value for '--rev'"),
        (("get", "/a", "--rev", "-1"), "Invalid value for '--rev'"),
        (("get", "a"), "'a' is not a path"),
        (("scan", "a*"), "'a*' is not a glob"),
        (("get", "/a//b"), "not a path"),
        (("scan", "/a/***/[b]"), "not a glob"),
        (("scan", "{}"), "'{}' is not a glob: it stands for ''"),
        (("watch", "/a", "{,/a/**}"), "'{,/a/**}' is not a glob: it stands for ''"),
        (("wait", *(f"/{n}" for n in range(33))), "33 globs are over the 32 of one request"),
        (("get", "/a", "--timeout", "soon"), "'soon' is not a duration"),
        (("get", "/a", "--timeout", "0"), "must be above 0"),
        (("--addr", "host:port", "get", "/a"), "not a port: 'port'"),
        (("--root", "x", "get", "/a"), "a root begins with a slash"),
        (("--output", "yaml", "get", "/a"), "'yaml' is not one of"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_was_expected(
    visor: Visor, arguments: tuple[str, ...], words: str
) -> None:
    answer = visor(*arguments)
    assert (answer.code, answer.out) == (2, b"")
    assert words in answer.err
    assert answer.err.startswith("visor: ")
    assert answer.err.count("\n") == 1


def test_usage_errors_come_as_json_too(visor: Visor) -> None:
    answer = visor("get", "--json")
    assert answer.code == 2
    assert json.loads(answer.err)["error"]["code"] == "usage"


def test_no_command_prints_the_help_and_ends_with_2(bare: Visor) -> None:
    answer = bare()
    assert (answer.code, answer.out) == (2, b"")
    assert "Common options:" in answer.err
    for word in ("get", "watch", "txn", "blame", "completion"):
        assert f"  {word} " in answer.err


@pytest.mark.parametrize("command", ["get", "set", "watch", "txn", "revert", "context", "completion"])
def test_every_command_has_help(bare: Visor, command: str) -> None:
    text = bare.ok(command, "--help").text
    assert text.startswith(f"Usage: visor {command}")
    assert "--addr HOST:PORT" in text


@pytest.mark.parametrize("arguments", [["version"], ["version", "--json"]])
def test_a_plain_install_says_what_to_install(arguments: list[str]) -> None:
    """As after `pip install visor-registry`: the extra's package cannot be imported."""
    code = (
        "import sys\nsys.modules['click'] = None\n"
        f"from visor.cli import main\nsys.exit(main({arguments!r}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE
    )
    assert done.returncode == 2, done
    assert done.stderr.count("\n") == 1
    if "--json" in arguments:
        said = json.loads(done.stderr)["error"]["message"]
    else:
        assert done.stderr.startswith("visor: ")
        said = done.stderr.removeprefix("visor: ")
    assert said.startswith("the command line needs 'click'")
    assert "pip install 'visor-registry[cli]'" in said


def test_a_broken_installation_is_not_mistaken_for_a_missing_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import visor.cli

    monkeypatch.setitem(sys.modules, "visor.cli.run", None)
    assert visor.cli.main([]) == 1
    assert capsys.readouterr().err.startswith("visor: this installation is broken: ")


def test_a_defect_is_one_line_and_its_place_on_demand(visor: Visor, monkeypatch: pytest.MonkeyPatch) -> None:
    def dial(*args: Any, **kwargs: Any) -> Any:
        raise KeyError("a mistake\nof ours")

    monkeypatch.setattr(visor_package, "dial", dial)
    answer = visor("get", "/a")
    assert (answer.code, answer.out) == (1, b"")
    assert answer.err.startswith("visor: defect: KeyError: ")
    assert answer.err.count("\n") == 1
    told = visor("get", "/a", "--json")
    assert json.loads(told.err)["error"]["code"] == "defect"
    placed = visor("get", "/a", VISOR_TRACEBACK="1")
    assert placed.code == 1
    assert "Traceback" in placed.err and "in dial" in placed.err


def test_nobody_is_told_to_join_a_node_that_has_no_peer_address(visor: Visor) -> None:
    answer = visor("cluster", "add", "n9")
    assert (answer.code, answer.out) == (1, b"")
    assert "it has no peer address" in answer.err


def test_an_address_that_nobody_answers_at_is_told_with_where_it_comes_from(bare: Visor) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{unused.getsockname()[1]}"
        bare.ok("context", "add", "here", "--addr", at)
        words = ("--timeout", "100ms", "ping")
        assert "(the address is of --addr)" in bare("--addr", at, *words).err
        assert "(the address is of context 'here')" in bare("--context", "here", *words).err
        assert "(the address is of VISOR_ADDR)" in bare(*words, VISOR_ADDR=at).err


def test_an_empty_address_is_refused_and_one_that_is_none_not_to_be_tried_again(
    bare: Visor, tmp_path: Path
) -> None:
    empty = bare("--addr", "", "ping")
    assert (empty.code, empty.err) == (2, "visor: --addr is empty: HOST:PORT was expected\n")
    missing = bare("--addr", f"unix:{tmp_path}/none", "--timeout", "100ms", "ping")
    assert missing.code == 6
    assert missing.err.endswith("; nothing was changed; check the address\n")
