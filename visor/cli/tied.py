"""Starting a command that must not outlive this process; `leash` says how that is done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from visor.cli import exits
from visor.cli.problem import Problem

SCRIPT = os.path.join(os.path.dirname(__file__), "leash.py")  # noqa: PTH118, PTH120
"""Found without `pathlib`, which loads six modules more."""
DONE = b"."


class Tied:
    """A command under way. `release` when it has ended: what it has left running may stay."""

    def __init__(self, process: subprocess.Popen[bytes], life: int | None) -> None:
        self.process = process
        self._life = life

    def release(self) -> None:
        """Send the watchdog home."""
        life, self._life = self._life, None
        if life is not None:
            try:
                os.write(life, DONE)
            except OSError:  # it is gone
                pass
            finally:
                os.close(life)


def start(
    words: Sequence[str], environment: Mapping[str, str], *, own_group: bool, signals: Collection[int]
) -> Tied:
    """Start the command, in a process group of its own or in this one. Raises Problem when it cannot be run.

    `signals` do not reach it before it can deal with them by itself.
    """
    if not (sys.executable and os.path.exists(SCRIPT)):  # noqa: PTH110  # packed, or inside another program
        return Tied(_popen(words, words[0], environment, own_group, ()), None)
    status_in, status_out = os.pipe()
    life_in, life_out = os.pipe() if own_group else (-1, -1)
    try:
        with _blocked(signals) as blocked:
            numbers = (status_out, life_in, os.getpid(), ",".join(str(int(number)) for number in blocked))
            line = [sys.executable, "-I", "-S", SCRIPT, *map(str, numbers), *words]
            passed = [each for each in (status_out, life_in) if each >= 0]
            process = _popen(line, words[0], environment, own_group, passed)
    except BaseException:
        _close(status_in, status_out, life_in, life_out)
        raise
    _close(status_out, life_in)
    with os.fdopen(status_in, "rb") as status:
        failed = status.read()
    tied = Tied(process, life_out if life_out >= 0 else None)
    if failed:
        process.wait()
        tied.release()
        raise _cannot(words[0], os.strerror(int(failed)))
    return tied


def _popen(
    line: Sequence[str], name: str, environment: Mapping[str, str], own_group: bool, passed: Sequence[int]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            line, env=environment, process_group=0 if own_group else None, pass_fds=passed
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _cannot(name, reason) from None


def _cannot(name: str, reason: str) -> Problem:
    return Problem(
        f"cannot run {name or 'a command without a name'}: {reason}", code="child", exit_code=exits.FAILED
    )


def _close(*descriptors: int) -> None:
    for each in descriptors:
        if each >= 0:
            os.close(each)


@contextmanager
def _blocked(signals: Collection[int]) -> Iterator[set[int]]:
    """Block signals in this thread meanwhile; give those that were not blocked before."""
    if threading.current_thread() is not threading.main_thread():
        yield set()
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield {int(number) for number in signals} - {int(number) for number in before}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
