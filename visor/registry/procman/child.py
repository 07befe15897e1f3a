"""One instance as the manager sees it: started behind a keeper, ended with patience first and without afterwards.

The keeper (`keeper.py`) sees that nothing of it runs on: not when its first process has exited, nor when the manager
died, in whatever way and however often the instance has forked.

An instance may stop its keeper (`kill -STOP $PPID`). The keeper is told to go on with every word that it is sent, and
now and then; when it has not ended an instance `FORCE` seconds after it should have, that is done without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shlex
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from visor.registry.procman.environment import environment
from visor.registry.procman.keeper import PATIENCE, below

KEEPER: Final = str(Path(__file__).with_name("keeper.py"))
FORCE = PATIENCE + 2.0
"""Seconds after which an instance that should be ended is ended without its keeper."""
START = 30.0
"""Seconds that a keeper has to say that it has started an instance."""
LOOK = 2.0
"""Seconds after which a keeper that may have been stopped is told to go on."""


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


class Child:
    """An instance: its first process leads a session and a process group. `port` is in its environment as PORT."""

    def __init__(
        self, keeper: asyncio.subprocess.Process, report: asyncio.StreamReader, pid: int, port: int
    ) -> None:
        self._keeper = keeper
        self._over = asyncio.ensure_future(_end_of(keeper, report, pid))
        self._over.add_done_callback(self._settled)
        self._forcing: asyncio.TimerHandle | None = None
        self.pid = pid
        """The id of its first process, and of its process group."""
        self.port = port

    @classmethod
    async def start(cls, command: str, variables: Mapping[str, str]) -> Child:
        """Start `command` (split as a shell does) with these variables; OSError or ValueError when that fails.

        Variables that would change which code runs are left out (`environment.py`).
        """
        words = shlex.split(command)
        if not words:
            raise ValueError("the command is empty")
        port = free_port()
        heard, said = os.pipe()
        try:
            keeper = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", KEEPER, str(said)),
                *words,
                env=environment(variables, port),
                stdin=asyncio.subprocess.PIPE,
                pass_fds=(said,),
                start_new_session=True,
            )
        except BaseException:
            os.close(heard)
            raise
        finally:
            os.close(said)
        try:
            report = await _reader(heard)
            kind, number = await _beginning(keeper, report)
        except BaseException:  # the caller has given up: the keeper ends what it may have started
            if keeper.stdin is not None:
                keeper.stdin.close()
            raise
        if kind != "pid":
            await keeper.wait()
            raise OSError(int(number), os.strerror(int(number)), words[0])
        return cls(keeper, report, int(number), port)

    async def wait(self) -> str | None:
        """Wait until nothing of it is left: None when it exited with 0, else why not."""
        return await asyncio.shield(self._over)

    async def end(self, grace: float) -> None:
        """Ask all its processes to end, and end them after `grace` seconds."""
        self._tell(b"t")
        try:
            await asyncio.wait_for(self.wait(), grace)
        except TimeoutError:
            self.kill()
            await self.wait()

    def kill(self) -> None:
        """End all of it at once; what its keeper has not done in `FORCE` seconds is then done without it."""
        self._tell(b"k")
        if not self._over.done() and self._forcing is None:
            self._forcing = asyncio.get_running_loop().call_later(FORCE, _force, self._keeper)

    def _tell(self, word: bytes) -> None:
        stdin = self._keeper.stdin
        if not self._over.done() and stdin is not None and not stdin.is_closing():
            stdin.write(word)
            _signal(self._keeper, signal.SIGCONT)

    def _settled(self, over: asyncio.Future[str | None]) -> None:
        if self._forcing is not None:
            self._forcing.cancel()
        if not over.cancelled() and over.exception() is not None:  # nobody listens to this keeper any more
            _force(self._keeper)


def _signal(keeper: asyncio.subprocess.Process, number: int) -> None:
    if keeper.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(keeper.pid, number)


def _force(keeper: asyncio.subprocess.Process) -> None:
    """End an instance that its keeper does not end, and the keeper: while that is there, all are below it."""
    if keeper.returncode is None:
        for pid in below(keeper.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
    _signal(keeper, signal.SIGKILL)


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
    )
    return reader


async def _words(
    keeper: asyncio.subprocess.Process, report: asyncio.StreamReader, within: float | None = None
) -> list[str]:
    """Return the next line of a keeper, in words; none when it is gone or has said nothing for `within` seconds."""
    loop = asyncio.get_running_loop()
    until = None if within is None else loop.time() + within
    line, gone = asyncio.ensure_future(report.readline()), asyncio.ensure_future(keeper.wait())
    try:
        while not (line.done() or gone.done() or (until is not None and loop.time() >= until)):
            left = LOOK if until is None else min(LOOK, until - loop.time())
            await asyncio.wait({line, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            _signal(keeper, signal.SIGCONT)
        if gone.done():  # its last words are read at once; an end of the pipe may be in other hands
            await asyncio.wait({line}, timeout=LOOK)
        return line.result().decode(errors="replace").split() if line.done() else []
    finally:
        line.cancel()
        gone.cancel()


async def _beginning(keeper: asyncio.subprocess.Process, report: asyncio.StreamReader) -> tuple[str, str]:
    """Return how a keeper has begun: `pid` or `error`, and a number. OSError when it says neither."""
    match await _words(keeper, report, START):
        case [("pid" | "error") as kind, number] if number.isdecimal():
            return kind, number
    if report.at_eof():  # it ends, or has: that is heard of a moment later
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(keeper.wait(), START)
    if keeper.returncode is not None:
        raise OSError(errno.ECHILD, "its keeper was killed")
    _force(keeper)
    raise OSError(errno.ETIMEDOUT, f"its keeper has not answered for {START:g} s")


async def _end_of(keeper: asyncio.subprocess.Process, report: asyncio.StreamReader, pid: int) -> str | None:
    """Return how the instance ended, when all of it has."""
    said = await _words(keeper, report)
    if not said:
        # somebody has killed the keeper: what died with it is the first process, here goes its group
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    _signal(keeper, signal.SIGKILL)  # it has said all, and must not be stopped now
    await keeper.wait()
    if keeper.stdin is not None:
        keeper.stdin.close()
    if not said:
        return "its keeper was killed"
    return _reason(said)


def _reason(said: list[str]) -> str | None:
    """Return what the words of a keeper say: None for an end with 0."""
    match said:
        case [("exit" | "signal") as kind, number, *more] if number.isdecimal():
            left = f"; {more[-1]} of its processes could not be ended" if more else ""
            if kind == "signal":
                return f"killed by {_signal_name(int(number))}{left}"
            return f"exit code {number}{left}" if int(number) or left else None
    return f"its keeper said {' '.join(said)[:100]!r}"


def _signal_name(number: int) -> str:
    """Return the name of a signal; of the real-time signals, only the first and the last have one."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
