"""Child processes of a benchmark: started, waited for, measured, and always ended.

with Child([sys.executable, "-m", "benchmarks.echo", ...]) as child:
    line = child.line("ready", timeout=10)
    before = cpu_seconds(child.pid)
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

_TICKS = os.sysconf("SC_CLK_TCK")


class ChildError(Exception):
    """A child process ended early, stayed silent for too long, or reported an error."""


class Child:
    """One child process with a readable stdout; its stderr goes to ours. Leaving the block ends it."""

    def __init__(self, command: Sequence[str], *, cwd: Path | None = None) -> None:
        self.command = list(command)
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=cwd
        )
        self._buffered = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self, start: str, timeout: float) -> str:
        """Return the next stdout line that begins with `start`, without its newline.

        Raises ChildError when the process ends or `timeout` seconds pass before it comes.
        """
        deadline = time.monotonic() + timeout
        while True:
            while b"\n" in self._buffered:
                line, self._buffered = self._buffered.split(b"\n", 1)
                text = line.decode("utf-8", "replace")
                if text.startswith(start):
                    return text
            self._buffered += self._more(deadline, start)

    def _more(self, deadline: float, wanted: str) -> bytes:
        stdout = self._stdout()
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise ChildError(f"no line {wanted!r} in time from: {' '.join(self.command)}")
        data = os.read(stdout.fileno(), 65_536)
        if not data:
            code = self._process.wait(10)
            raise ChildError(f"ended with code {code} before {wanted!r}: {' '.join(self.command)}")
        return data

    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def kill(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def running(self) -> bool:
        return self._process.poll() is None

    def end(self, number: signal.Signals = signal.SIGTERM, timeout: float = 30.0) -> int:
        """End the process with the signal, by force after `timeout` seconds; return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._stdout().close()
        return self._process.returncode

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(signal.SIGTERM if error is None else signal.SIGKILL)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that process `pid` has used, in seconds; 0.0 where /proc does not tell."""
    return sum(cpu_times(pid))


def cpu_times(pid: int) -> tuple[float, float]:
    """Return the same by what used it: the process itself, and the kernel for it."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) / _TICKS, int(fields[12]) / _TICKS
    return 0.0, 0.0


def rss_mb(pid: int) -> float:
    """Return the resident memory of process `pid` in MB (10**6 bytes); 0.0 where /proc does not tell."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def busy_seconds() -> float:
    """Return the CPU time that all processes of the machine have used, in seconds; 0.0 without /proc."""
    with contextlib.suppress(OSError):
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        idle, waiting = fields[3], fields[4]
        return (sum(fields) - idle - waiting) / _TICKS
    return 0.0
