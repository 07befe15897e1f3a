"""Running a command for each commit of a watch."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from visor._core.harmless import json_text
from visor.cli import exits
from visor.cli.problem import Problem
from visor.cli.settings import Settings
from visor.cli.signals import ENDING
from visor.values import Commit

GRACE = 5.0
"""Seconds that a command gets to end by itself when the watch ends while it runs."""
INHERITED = ("addr", "root", "context")
"""Flags that the command should see as `VISOR_*`, so that a `visor` in it talks to the same registry."""


class Child:
    """A command that runs once for each commit, with the commit as JSON on its standard input."""

    def __init__(self, words: Sequence[str], keep_going: bool, settings: Settings) -> None:
        if not words:
            raise Problem("expected a command after '--'")
        self._words = list(words)
        self._keep_going = keep_going
        self._settings = settings

    def run(self, shape: Mapping[str, Any], commit: Commit[bytes]) -> None:
        """Run it for one commit. Raises Problem when it fails, unless it should keep going."""
        described = {
            "EVENT": "commit",
            "REV": str(commit.rev),
            "TIME": shape["time"],
            "BY": commit.actor,
            "NOTE": commit.note or "",
            "CHANGES": str(len(commit.changes)),
            "PATH": commit.changes[0].path if commit.changes else "",
            "KIND": commit.changes[0].kind.value if commit.changes else "",
        }
        self._run(shape, described, f"at rev {commit.rev}", f"--rev {commit.rev + 1} (or --rev {commit.rev})")

    def run_state(self, shape: Mapping[str, Any]) -> None:
        """Run it for the files that a watch starts from. Raises Problem as `run` does."""
        described = {"EVENT": "state", "REV": str(shape["rev"]), "CHANGES": str(len(shape["files"]))}
        self._run(shape, described, "for the state", "--state")

    def _run(self, shape: Mapping[str, Any], described: Mapping[str, str], where: str, resume: str) -> None:
        data = json_text(shape).encode() + b"\n"
        code = self._execute(data, self._environment(described))
        if code == 0:
            return
        ended = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
        message = f"{self._words[0]} {ended} {where}"
        if not self._keep_going:
            raise Problem(f"{message}; go on with {resume}", code="child", exit_code=exits.FAILED)
        self._settings.streams.stderr.write(f"visor: {message}\n")
        self._settings.streams.stderr.flush()

    def _environment(self, described: Mapping[str, str]) -> dict[str, str]:
        environment = dict(self._settings.environment)
        for name in INHERITED:
            if name in self._settings.flags:
                environment[f"VISOR_{name.upper()}"] = self._settings.flags[name]
        # A note may hold what no environment can.
        environment.update({f"VISOR_{name}": text.replace("\0", "") for name, text in described.items()})
        return environment

    def _execute(self, data: bytes, environment: dict[str, str]) -> int:
        """Run it to its end and return its code (negative: the signal that ended it)."""
        process: subprocess.Popen[bytes] | None = None
        try:
            with _signals_held():
                process = self._start(environment)
            process.communicate(data)  # a command that does not read its input is no failure
        except BaseException:
            if process is not None:
                _end(process)
            raise
        return process.returncode

    def _start(self, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(self._words, stdin=subprocess.PIPE, env=environment)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise Problem(
                f"cannot run {self._words[0]}: {reason}", code="child", exit_code=exits.FAILED
            ) from None


@contextmanager
def _signals_held() -> Iterator[None]:
    """Deal with signals that end us only at the end: a command that was just started must have a name by then."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[tuple[int, FrameType | None]] = []
    before = {
        number: signal.signal(number, lambda number, frame: arrived.append((number, frame)))
        for number in (signal.SIGINT, *ENDING)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for late, frame in arrived:
        after = before[signal.Signals(late)]
        if callable(after):
            after(late, frame)
        else:  # the default action, or none
            signal.raise_signal(late)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the command to end, then make it."""
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
