"""A real node in a process of its own, for tests that kill it, look at its output, or measure it.

    with NodeProcess(data_dir) as node:           # visord serve, small log segments, 127.0.0.1:0
        Wire(node.address)
        node.kill(); node.wait()
        node.start()                              # again, on the same data

Leaving the block ends the process by force. `node.errors()` is everything it wrote to stderr.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
READY = "visord ready on "

SMALL = (
    "storage.log_segment_bytes=262144",
    "storage.log_chunk_bytes=65536",
    "storage.history_segment_bytes=1048576",
    "log.level=warning",
)
"""Settings that make log segments and history files turn over quickly."""


class NotReady(Exception):  # noqa: N818 - an observation
    """The process ended, or said something else, before it was ready."""


@functools.cache
def state_home() -> str:
    """Return where the nodes of this process leave copies of their secret: never the home of whoever runs it."""
    home = os.environ.get("XDG_STATE_HOME", "")
    if "visor-" not in home:
        home = tempfile.mkdtemp(prefix="visor-state-")
        atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home


def environment() -> dict[str, str]:
    """This process's environment without settings of visord, able to import it from anywhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VISORD_", "VISOR_"))}
    kept["XDG_STATE_HOME"] = state_home()
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH"))))
    return kept


def command(*arguments: str) -> list[str]:
    """The command line of `visord` with these arguments."""
    return [sys.executable, "-m", "visord", *arguments]


def run(*arguments: str, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run `visord` until it ends by itself."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=timeout, env=environment(), check=False
    )


class NodeProcess:
    """`visord serve` on a free loopback port, or `visord` with `arguments` as they are."""

    def __init__(
        self,
        data_dir: Path | None,
        *,
        settings: Sequence[str] = SMALL,
        listen: str = "127.0.0.1:0",
        arguments: Sequence[str] | None = None,
    ) -> None:
        if arguments is None:
            assigned = [word for setting in settings for word in ("--set", setting)]
            arguments = ["serve", "--bootstrap", "--listen", listen, "--peer-listen", "127.0.0.1:0"]
            arguments += ["--data-dir", str(data_dir), *assigned]
        self._arguments = list(arguments)
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        self._process: subprocess.Popen[bytes] | None = None
        self._buffered = b""
        self.address = ""
        self.ready_line = ""

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    def start(self, timeout: float = PATIENCE) -> NodeProcess:
        """Start it and return when it accepts clients. Raises `NotReady`; `code` and `errors` say why."""
        self.launch()
        self.ready_line = self.line(timeout)
        if not self.ready_line.startswith(READY):
            raise NotReady(f"{self.ready_line!r} instead of a ready line; {self.errors()}")
        self.address = self.ready_line.removeprefix(READY).strip()
        return self

    def launch(self) -> None:
        """Start it and return at once."""
        self._close_stdout()
        self._buffered = b""
        self._process = subprocess.Popen(
            command(*self._arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment(),
        )

    def line(self, timeout: float) -> str:
        """Return the next line of its stdout with the newline. Raises `NotReady` when none comes."""
        deadline = time.monotonic() + timeout
        stdout = self.process.stdout
        assert stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffered:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise NotReady(f"no line within {timeout:g} s; {self.errors()}")
                data = os.read(stdout.fileno(), 1 << 16)
                if not data:
                    raise NotReady(f"ended with {self.process.wait(PATIENCE)}: {self.errors()}")
                self._buffered += data
        line, _, self._buffered = self._buffered.partition(b"\n")
        return line.decode() + "\n"

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash does (SIGKILL), and wait until it has ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self, timeout: float = PATIENCE) -> int:
        """End it as an operator does (SIGTERM); return the exit code."""
        self.process.terminate()
        return self.wait(timeout)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end; return the exit code."""
        return self.process.wait(timeout)

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def errors(self) -> str:
        """Everything that its runs wrote to stderr."""
        # pread: the child shares the position and may be writing.
        return os.pread(self._stderr.fileno(), 1 << 24, 0).decode("utf-8", "replace")

    def complaints(self) -> str:
        """What its runs wrote to stderr beside alarms: these tell how full the machine, or the node, is."""
        return "".join(line for line in self.errors().splitlines(keepends=True) if "visord.vigil" not in line)

    def rss(self) -> int:
        """Resident memory in bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def open_files(self) -> int:
        """How many descriptors it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def _close_stdout(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()

    def close(self) -> None:
        """End it by force if it still runs. Idempotent."""
        if self._process is not None:
            self.kill()
            self._close_stdout()
        self._stderr.close()

    def __enter__(self) -> NodeProcess:
        return self if self.running() else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ValueError):
            self.close()
