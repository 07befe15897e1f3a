"""The command as a process: pipes, signals, terminals, colours."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.cli_harness import ROOT, Visor
from tests.patience import PATIENCE


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def test_python_dash_m_visor(visor: Visor) -> None:
    with visor.start("version") as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, b"")
    assert out.startswith(b"visor ")


def test_binary_values_through_real_pipes(visor: Visor) -> None:
    data = bytes(range(256)) * 1000
    with visor.start("set", "/a", "-", stdin=subprocess.PIPE) as process:
        process.communicate(data, timeout=PATIENCE)
    with visor.start("get", "/a") as process:
        out, _ = process.communicate(timeout=PATIENCE)
    assert out == data


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("words", [("watch",), ("watch", "--json"), ("wait", "/never")])
def test_a_signal_ends_a_watch_quietly(visor: Visor, number: int, code: int, words: tuple[str, ...]) -> None:
    rev = visor.rev("set", "/a", "1")
    # The first commit shows that the watch is there; `wait` shows nothing, so its connection has to do.
    arguments = (*words, "--rev", rev) if words[0] == "watch" else words
    with visor.start(*arguments) as process:
        if words[0] == "watch":
            assert first_line(process)
        else:
            wait_for_watches(visor, 1)
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (code, b"")


def wait_for_watches(visor: Visor, count: int) -> None:
    """Return when the node has that many watches; the suite's timeout bounds it."""
    while visor.json("status")["watches"] < count:
        pass


def test_a_signal_ends_the_command_of_a_watch_too(visor: Visor, tmp_path: Path) -> None:
    rev = visor.rev("set", "/a", "1")
    log = tmp_path / "log"
    script = f"trap 'echo ended >> {log}; exit 0' TERM; echo started; while :; do sleep 0.05; done"
    with visor.start("watch", "--rev", rev, "--", "sh", "-c", script) as process:
        assert first_line(process) == b"started\n"
        process.terminate()
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (143, b"")
    assert log.read_text() == "ended\n"


def test_a_reader_that_goes_away_ends_it_quietly(visor: Visor) -> None:
    """As `visor scan ... | head -1`."""
    big = "x" * 100_000
    visor.ok("txn", stdin="".join(f"set /d/{number} {big}\n" for number in range(20)).encode())
    with visor.start("scan", "/**", "--values") as process:
        assert first_line(process)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        process.wait(PATIENCE)
    assert (process.returncode, err) == (141, b"")


@pytest.mark.parametrize("arguments", [("--help",), ("version",), ("rev", "--json"), ("completion", "bash")])
def test_short_output_to_nobody(visor: Visor, arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with visor.start(*arguments, stdout=writer) as process:
        os.close(writer)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (141, b"")


@pytest.mark.parametrize("arguments", [("version",), ("--version",), ("--help",), ("scan", "/**")])
def test_a_full_disk_is_told(visor: Visor, arguments: tuple[str, ...]) -> None:
    visor.ok("set", "/a", "1")
    with open("/dev/full", "wb") as full, visor.start(*arguments, stdout=full) as process:
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert b"visor: cannot write to standard output: No space left on device" in err
    assert b"Traceback" not in err


def test_closed_standard_streams_do_no_harm(visor: Visor) -> None:
    """What has something to say does nothing at all where nobody can be told."""
    lock = f"lock /l --addr {visor.environment['VISOR_ADDR']} -- true"
    for arguments, code in (("version", 1), ("--help", 1), ("get", 2), ("set /a 1 --addr h:1", 1), (lock, 0)):
        command = f'exec "{sys.executable}" -m visor {arguments} >&- <&- 2>&-'
        assert (
            subprocess.run(["sh", "-c", command], check=False, cwd=ROOT, timeout=PATIENCE).returncode == code
        )


def on_a_terminal(visor: Visor, *arguments: str, **environment: str) -> bytes:
    """Run it with a pseudo-terminal as its standard output; return what came."""
    master, slave = pty.openpty()
    env = {**os.environ, **visor.environment, "TERM": "xterm-256color", **environment}
    with subprocess.Popen(
        [sys.executable, "-m", "visor", *arguments],
        stdout=slave,
        stdin=slave,
        stderr=slave,
        env=env,
        cwd=ROOT,
    ) as process:
        os.close(slave)
        pieces = []
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # how Linux says that the other side is closed
                break
            if not piece:
                break
            pieces.append(piece)
    os.close(master)
    assert process.returncode == 0, pieces
    return b"".join(pieces)


def test_tables_and_colour_only_on_a_terminal(visor: Visor) -> None:
    visor.ok("set", "/a", "1")
    on_terminal = on_a_terminal(visor, "history")
    assert b"REV" in on_terminal
    assert b"\x1b[" in on_terminal
    assert b"\x1b" not in on_a_terminal(visor, "history", NO_COLOR="1")
    assert b"\x1b" not in on_a_terminal(visor, "history", TERM="dumb")
    assert b"\x1b" not in visor.ok("history").out
    assert b"\x1b" not in visor.ok("history", "-o", "table").out
    assert b"\x1b[" in visor.ok("history", "-o", "table", FORCE_COLOR="1").out
    assert b"\x1b" not in visor.ok("history", "-o", "table", FORCE_COLOR="1", NO_COLOR="1").out
    assert b"\x1b" not in visor.ok("history", FORCE_COLOR="1").out  # plain is plain


def test_a_watch_on_a_terminal_says_how_to_end_it(visor: Visor) -> None:
    rev = visor.rev("set", "/a", "1")
    shown = on_a_terminal(visor, "watch", "--rev", str(rev), "--count", "1")
    assert f"watching from rev {rev}; Ctrl-C ends it".encode() in shown
    assert b"create" in shown


def test_tables_for_people(visor: Visor) -> None:
    visor.ok("set", "/s/a", "one", "--actor", "ann")
    visor.ok("set", "/s/b", "-", stdin=b"\xff\x00")
    assert visor.ok("ls", "/s", "-o", "table").lines[0].split() == ["NAME", "KIND", "SIZE", "REV"]
    tree = visor.ok("find", "-o", "table", "--values").lines
    assert tree[0] == "/"
    assert tree[1] == "└── s/"
    assert tree[2].split()[1:2] == ["a"]
    assert "ff 00 (2 bytes)" in tree[3]
    assert visor.ok("find", "/s/a", "-o", "table").lines[0].startswith("/s/a  rev ")
    assert "ann" in visor.ok("blame", "-o", "table").text
    assert "create" in visor.ok("diff", "0", "-o", "table").text
    assert "/s/a" in visor.ok("scan", "/**", "-o", "table", "--values").text
    assert visor.ok("scan", "/none/*", "-o", "table").out == b""
    assert "kind" in visor.ok("stat", "/s/a", "-o", "table").text
    assert visor.ok("del", "-r", "/s", "-n", "-o", "table").lines[1].split() == ["delete", "/s/a"]


def test_no_thread_is_left_behind(visor: Visor) -> None:
    import threading

    before = threading.active_count()
    for _ in range(5):
        visor.ok("rev")
    assert threading.active_count() <= before
