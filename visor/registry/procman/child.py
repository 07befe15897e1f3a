"""One real process: started so that it cannot outlive its manager, ended with patience first and without afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shlex
import signal
import socket
import sys
from collections.abc import Mapping

PR_SET_PDEATHSIG = 1


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


class Child:
    """A process in a group of its own. `port` is in its environment as PORT."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port

    @classmethod
    async def start(cls, command: str, variables: Mapping[str, str]) -> Child:
        """Start `command` (split as a shell does) with these variables; OSError or ValueError when that fails."""
        words = shlex.split(command)
        if not words:
            raise ValueError("the command is empty")
        port = free_port()
        environment = {"PATH": os.environ.get("PATH", os.defpath), **variables, "PORT": str(port)}
        process = await asyncio.create_subprocess_exec(
            *words,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        return cls(process, port)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def wait(self) -> str | None:
        """Wait for its end: None when it exited with 0, else why not."""
        code = await self._process.wait()
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}" if code else None

    async def end(self, grace: float) -> None:
        """Ask it to end, and end it after `grace` seconds."""
        self._tell(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), grace)
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        """End it at once."""
        self._tell(signal.SIGKILL)

    def _tell(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _die_with_parent() -> None:
    """Have the kernel kill the process when its manager dies, however that happens: the registry calls it lost then."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
