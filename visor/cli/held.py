"""Running a command while something is held, or holding it until somebody ends that.

    acquired -- start CMD -- CMD ends -- release -- exit with its code
                  |  signals are passed on to it
                  `- lost: tell, end CMD, exit with 10

What was lost may be somebody else's already: CMD is asked to end at once, and made to after `GRACE` seconds. It ends
with this process too, however that ends: see `tied`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from visor.cli import exits
from visor.cli.child import INHERITED
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.settings import Settings
from visor.cli.tied import Tied, start

if TYPE_CHECKING:
    from visor.blocking import Lock

GRACE = 5.0
"""Seconds that the command gets to end by itself after the loss."""
LOOK = 1.0
"""Seconds after which a signal is dealt with at the latest; nearly always it is at once."""
PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
FROM_THE_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)
"""On a terminal the command has these already: it is in the same foreground group."""
_SIGNALS = (*PASSED_ON, *FROM_THE_KEYBOARD)


def run_held(settings: Settings, lock: Lock, words: Sequence[str], described: Mapping[str, str]) -> int:
    """Run the command while `lock` is held, release, and return the exit code."""
    keeper = _Keeper(settings, lock, words)
    lock.on_lost(keeper.lost)
    try:
        return keeper.run(_environment(settings, described))
    finally:
        lock.release()


def hold(lock: Lock) -> NoReturn:
    """Hold it until a signal ends the process, or it is lost: then Problem is raised."""
    ended = threading.Event()
    lock.on_lost(lambda _: ended.set())
    try:
        while not lock.lost:
            ended.wait(1.0)
    finally:
        lock.release()
    raise _lost(f"{lock.directory} was lost")


def _environment(settings: Settings, described: Mapping[str, str]) -> dict[str, str]:
    environment = dict(settings.environment)
    for name in INHERITED:
        if name in settings.flags:
            environment[f"VISOR_{name.upper()}"] = settings.flags[name]
    environment.update({f"VISOR_{name}": text.replace("\0", "") for name, text in described.items()})
    return environment


class _Keeper:
    """The command under way."""

    def __init__(self, settings: Settings, lock: Lock, words: Sequence[str]) -> None:
        self._settings = settings
        self._lock = lock
        self._words = list(words)
        self._interactive = settings.streams.stdin_is_terminal
        self._tied: Tied | None = None
        self._early: list[int] = []
        self._told = False
        self._mutex = threading.RLock()

    def run(self, environment: dict[str, str]) -> int:
        with self._signals():
            with self._mutex:
                if self._lock.lost:
                    return self._loss()
                # Off a terminal it has a process group of its own, so that what it has started ends with it.
                tied = self._tied = start(
                    self._words, environment, own_group=not self._interactive, signals=_SIGNALS
                )
                for number in self._early:
                    self._pass_on(number)
            code = _ended(tied.process)
            tied.release()
        if self._lock.lost:
            return self._loss()
        return code if code >= 0 else exits.SIGNAL - code

    # -- signals --------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Pass signals on instead of ending by them. One that is ignored is so for the command too."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        taken = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._arrived) for number in taken}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self._tied is None:
            self._early.append(number)
        elif not (self._interactive and number in FROM_THE_KEYBOARD):
            self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        process = self._running()
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._interactive:
                process.send_signal(number)
            else:
                os.killpg(process.pid, number)

    def _running(self) -> subprocess.Popen[bytes] | None:
        process = self._tied.process if self._tied is not None else None
        return process if process is not None and process.poll() is None else None

    # -- loss -----------------------------------------------------------------------------------------
    def lost(self, lock: object) -> None:
        """End the command: what it relies on is gone. Runs in a thread of its own."""
        with self._mutex:
            process = self._running()
        if process is None:
            return
        if not self._settings.wants_json:  # what is for programs comes once, with the exit code
            self._told = True
            _tell(self._settings, f"{self._lock.directory} was lost; ending {self._words[0]}")
        self._pass_on(signal.SIGTERM)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._pass_on(signal.SIGKILL)

    def _loss(self) -> int:
        if self._told:
            return exits.LOST
        raise _lost(f"{self._lock.directory} was lost before {self._words[0]} had ended")


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for the command and return its code.

    Not by `wait` itself: a signal that comes just before it waits would be dealt with only when the command has ended.
    """
    over = threading.Event()

    def look() -> None:
        process.wait()
        over.set()

    threading.Thread(target=look, name="visor command", daemon=True).start()
    while not over.wait(LOOK):
        pass
    return process.wait()


def _lost(text: str) -> Problem:
    return Problem(text, code="lost", exit_code=exits.LOST)


def _tell(settings: Settings, text: str) -> None:
    settings.streams.stderr.write(f"visor: {text}\n")
    settings.streams.stderr.flush()


def finish(code: int) -> None:
    """End the command line with an exit code."""
    if code:
        raise click.exceptions.Exit(code)


def announce(output: Output, lock: Lock) -> None:
    """Print what was acquired."""
    shape = {"path": lock.directory, "fence": lock.fence, "file": lock.path}
    output.result(shape, str(lock.fence), f"fence {lock.fence}")
    output.flush()
