"""A TCP proxy that cuts, swallows and stalls, between a client and a real server."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType

import visor
from tests.patience import PATIENCE


class Link:
    """One proxied connection."""

    def __init__(self, proxy: Proxy, near: socket.socket, far: socket.socket) -> None:
        self._proxy = proxy
        self.near = near
        self.far = far
        self.to_server = 0
        self.to_client = 0
        self.answers = 0
        """Pieces that came from the server."""
        self.threads = [
            threading.Thread(target=self._pump, args=(near, far, True), daemon=True),
            threading.Thread(target=self._pump, args=(far, near, False), daemon=True),
        ]
        for thread in self.threads:
            thread.start()

    def _pump(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._proxy.flowing.wait()
                if up:
                    self.to_server += len(data)
                else:
                    self.to_client += len(data)
                    self.answers += 1
                kept = self._proxy.filter(self, data, up)
                if kept is None:
                    break
                target.sendall(kept)
        self.cut()

    def cut(self) -> None:
        for sock in (self.near, self.far):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        for thread in self.threads:
            thread.join(PATIENCE)
        self.near.close()
        self.far.close()


class Proxy:
    """Listens on a free port and passes everything on to `target` (HOST:PORT).

    `filter(link, data, up)` returns what is passed on of a piece, None to cut the link there; `flowing`
    cleared stalls both directions without a word.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self.flowing = threading.Event()
        self.flowing.set()
        self.filter: Callable[[Link, bytes, bool], bytes | None] = lambda link, data, up: data
        self.links: list[Link] = []
        self.accepted = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(self._target, 5)
                except OSError:
                    near.close()
                    continue
                self.accepted += 1
                self.links.append(Link(self, near, far))

    def cut_all(self) -> None:
        for link in list(self.links):
            link.cut()

    def miss_history(self, writer: visor.Client[bytes]) -> None:
        """Cut everybody off, and let history go on without them: what they would have seen is compacted away."""
        self.flowing.clear()
        self.cut_all()
        for _ in range(3):
            rev = writer.set("/elsewhere", b"")
        writer.compact(rev)
        self.flowing.set()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flowing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)
        for link in self.links:
            link.close()
