"""A real `visord` process under measurement: started on a free port, stopped or killed, started again."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from benchmarks.process import Child, rss_mb
from benchmarks.wire import Address, Wire

COMMAND = [sys.executable, "-m", "visord", "dev", "--listen", "127.0.0.1:0", "--data-dir", "{data}"]
"""How a node is started; `{data}` stands for its data directory."""

READY = "visord ready on "


class Registry:
    """One node with a data directory of its own. Leaving the block ends it and removes the data."""

    def __init__(self, command: Sequence[str] = (), parent: Path | None = None) -> None:
        self._command = list(command) or COMMAND
        self.data = Path(tempfile.mkdtemp(prefix="visor-benchmark-", dir=parent))
        self._child: Child | None = None
        self.address: Address = ("127.0.0.1", 0)

    @property
    def pid(self) -> int:
        assert self._child is not None, "the node is not running"
        return self._child.pid

    def start(self, timeout: float = 120.0) -> float:
        """Start the node; return the seconds until it has answered a client. Raises ChildError."""
        begin = time.monotonic()
        self._child = Child([part.replace("{data}", str(self.data)) for part in self._command])
        host, _, port = self._child.line(READY, timeout).removeprefix(READY).rpartition(":")
        self.address = (host, int(port))
        with self.wire() as wire:
            wire.rev()
        return time.monotonic() - begin

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """End the node with the signal; return the seconds that it took."""
        begin = time.monotonic()
        if self._child is not None:
            self._child.end(number)
            self._child = None
        return time.monotonic() - begin

    def tell(self, number: signal.Signals) -> None:
        """Send the node a signal that does not end it."""
        if self._child is not None:
            self._child.kill(number)

    def wire(self) -> Wire:
        return Wire(self.address)

    def memory(self) -> float:
        """Return the node's resident memory in MB."""
        return rss_mb(self.pid)

    def disk(self) -> int:
        """Return the bytes that its data takes on disk."""
        total = 0
        for folder, _, names in os.walk(self.data):
            for name in names:
                total += (Path(folder) / name).stat().st_blocks * 512
        return total

    def __enter__(self) -> Registry:
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(signal.SIGTERM if error is None else signal.SIGKILL)

    def _end(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.stop(number)
        shutil.rmtree(self.data, ignore_errors=True)
