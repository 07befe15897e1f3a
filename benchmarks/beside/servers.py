"""One node of a peer, on free ports of 127.0.0.1, with a folder of its own: ended by its pid, the folder removed."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from benchmarks.beside.peers import Peer, Places
from benchmarks.process import ChildError

PATIENCE = 90.0
"""Seconds that a server may take until it listens; a JVM on a busy machine takes some."""


class Server:
    """A running node of a peer. Leaving the block ends it."""

    def __init__(self, peer: Peer, places: Places, parent: Path | None) -> None:
        self.peer = peer
        self._folder = Path(tempfile.mkdtemp(prefix=f"visor-beside-{peer.name}-", dir=parent))
        self.port, second = _free(), _free()
        try:
            data = self._folder / "node"
            data.mkdir()
            command = peer.command(places, data, self.port, second)
            with (self._folder / "output.log").open("wb") as log:
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Server:
        try:
            self._wait(time.monotonic() + PATIENCE)
        except BaseException:
            self._end()
            raise
        return self

    def _wait(self, deadline: float) -> None:
        """Return when it takes connections; the client that fills it sees whether it serves."""
        while True:
            code = self._process.poll()
            if code is None and self._listens():
                return
            if code is not None or time.monotonic() > deadline:
                how = f"did not listen within {PATIENCE:.0f} s" if code is None else f"ended with code {code}"
                said = (self._folder / "output.log").read_text(errors="replace")[-2000:].strip()
                raise ChildError(f"{self.peer.title} {how}: {said or 'it said nothing'}")
            time.sleep(0.05)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as line:
            # The system may give a line to a port that nobody listens on that very port: it speaks with itself.
            return bool(line.getsockname() != line.getpeername())
        return False

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()


def _free() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        port: int = line.getsockname()[1]
        return port
