"""Standard streams that are not there, signals while the command waits, and commands that must not outlive it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.cli_harness import ROOT, Visor
from tests.patience import PATIENCE


def shell(visor: Visor, line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of `sh` in which `$VISOR` is the command."""
    env = {**os.environ, **visor.environment, "VISOR": f"{sys.executable} -m visor", **environment}
    return subprocess.run(
        ["sh", "-c", line], env=env, cwd=ROOT, capture_output=True, timeout=PATIENCE, check=False
    )


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def until(true: Callable[[], object]) -> None:
    """Wait until it is true; the suite's timeout bounds it."""
    while not true():
        time.sleep(0.02)


# -- closed streams -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("set /a - <&-", "cannot read standard input: it is closed"),
        ("set /a --file - <&-", "cannot read standard input: it is closed"),
        ("txn <&-", "cannot read standard input: it is closed"),
        ("txn - <&-", "cannot read standard input: it is closed"),
        ("elect /e - -- true <&-", "cannot read standard input: it is closed"),
        # What runs below another `visor` has something under the number 0, and still nothing to read.
        ("lock /l -- $VISOR set /a - <&-", "cannot read standard input: "),
    ],
)
def test_a_closed_input_is_not_an_empty_one(visor: Visor, line: str, told: str) -> None:
    visor.ok("set", "/a", "keep me")
    done = shell(visor, f"exec $VISOR {line}")
    assert done.returncode == 2, done
    assert told in done.stderr.decode()
    assert visor.ok("get", "/a").out == b"keep me"
    assert visor.ok("find").lines == ["/a"]


def test_an_input_that_does_not_wait_is_waited_for(visor: Visor) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with visor.start("set", "/a", "-", stdin=reader, stdout=subprocess.PIPE) as process:
        os.close(reader)
        os.write(writer, b"one ")
        time.sleep(0.05)
        os.write(writer, b"two")
        os.close(writer)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert visor.ok("get", "/a").out == b"one two"


@pytest.mark.parametrize(
    "words", ["get /a", "set /a new", "--help", "--version", "get --help", "ls --json", "del /a"]
)
def test_a_closed_output_fails_before_anything_is_done(visor: Visor, words: str) -> None:
    visor.ok("set", "/a", "old")
    done = shell(visor, f"exec $VISOR {words} >&-")
    assert done.returncode == 1, done
    assert done.stderr.count(b"\n") == 1
    assert b"standard output" in done.stderr and b"closed" in done.stderr
    if "--json" in words:
        assert json.loads(done.stderr)["error"]["code"] == "output"
    assert visor.ok("get", "/a").out == b"old"


def test_a_command_that_prints_nothing_needs_no_output(visor: Visor) -> None:
    assert shell(visor, "exec $VISOR lock /l -- $VISOR version >&-").returncode == 1
    assert shell(visor, "exec $VISOR lock /l -- true >&-").returncode == 0


def test_files_and_sockets_never_get_the_number_of_a_standard_stream(visor: Visor) -> None:
    line = "exec $VISOR lock /l -- sh -c 'readlink /proc/$PPID/fd/0 /proc/$PPID/fd/1 /proc/$PPID/fd/2' <&-"
    done = shell(visor, line)
    assert done.returncode == 0, done
    assert done.stdout.split()[0] == b"/dev/null"


# -- signals ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_whatever_ends_a_waiter_it_leaves_the_queue(visor: Visor, number: signal.Signals) -> None:
    with visor.start("lock", "/l", "--", "sh", "-c", "echo in; read line", stdin=subprocess.PIPE) as holder:
        assert first_line(holder) == b"in\n"
        with visor.start("lock", "/l", "--ttl", "1h", "--", "true") as waiter:
            until(lambda: len(visor("ls", "/l").lines) == 2)
            waiter.send_signal(number)
            _, err = waiter.communicate(timeout=PATIENCE)
        assert (waiter.returncode, err) == (128 + number, b"")
        assert len(visor.ok("ls", "/l").lines) == 1
        holder.communicate(b"\n", timeout=PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
def test_the_other_signals_end_a_watch_as_well(visor: Visor, number: signal.Signals) -> None:
    rev = visor.rev("set", "/a", "1")
    with visor.start("watch", "--rev", rev) as process:
        assert first_line(process)
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (128 + number, b"")


def test_a_signal_that_was_ignored_from_the_start_stays_so(visor: Visor) -> None:
    """As under `nohup`; the command that runs under the lock ignores it too."""
    script = "echo in; kill -HUP $$ $PPID; echo still here"
    line = f"trap '' HUP; exec $VISOR lock /l -- sh -c '{script}'"
    done = shell(visor, line)
    assert (done.returncode, done.stdout) == (0, b"in\nstill here\n"), done


# -- what must not outlive it -------------------------------------------------------------------------
def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_killed_holder_takes_its_command_along(visor: Visor, tmp_path: Path) -> None:
    """With all that it has started; whoever ignores the request is made to."""
    note = tmp_path / "polite"
    stubborn = tmp_path / "stubborn.sh"
    stubborn.write_text("trap '' TERM; echo $$; while :; do sleep 0.05; done")
    polite = f"trap 'echo ended > {note}; exit' TERM; echo $$; while :; do sleep 0.05; done"
    script = f"sh {stubborn} & {polite}"
    with visor.start("lock", "/l", "--", "sh", "-c", script) as holder:
        numbers = [int(first_line(holder)) for _ in range(2)]
        assert all(map(alive, numbers))
        holder.kill()
        holder.communicate(timeout=PATIENCE)  # ends when nobody has its streams any more
    until(lambda: not any(map(alive, numbers)))
    assert note.read_text() == "ended\n"


def test_what_a_command_leaves_running_may_stay(visor: Visor, tmp_path: Path) -> None:
    """When it has ended by itself: it asked for that."""
    note = tmp_path / "later"
    script = f"(sleep 0.3; echo there > {note}) >/dev/null 2>&1 & exit 4"
    with visor.start("lock", "/l", "--", "sh", "-c", script) as holder:
        holder.communicate(timeout=PATIENCE)
    assert holder.returncode == 4
    until(note.exists)


def test_the_command_finds_its_environment_as_it_should_be(visor: Visor) -> None:
    """Nothing of the way there shows: blocked or ignored signals, descriptors, variables."""
    script = "grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status; ls /proc/self/fd; env | grep -c ^PYTHON"
    plain = subprocess.run(["sh", "-c", script], capture_output=True, check=False, stdin=subprocess.DEVNULL)
    with visor.start("lock", "/l", "--", "sh", "-c", script) as process:
        out, _ = process.communicate(timeout=PATIENCE)
    assert out == plain.stdout


@pytest.mark.parametrize("words", [["/"], ["/no/such"], [""], [b"\xff".decode("utf-8", "surrogateescape")]])
def test_a_command_that_cannot_be_run_is_named(visor: Visor, words: list[str]) -> None:
    answer = visor("lock", "/l", "--", *words)
    assert answer.code == 1
    assert answer.err.startswith("visor: cannot run ") and answer.err.count("\n") == 1
    assert visor("ls", "/l").code == 3, "the lock was released"
