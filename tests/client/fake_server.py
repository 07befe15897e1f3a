"""A small server under a script: it speaks the protocol, and misbehaves on request.

    with FakeServer() as server:
        server.on(verbs.GET, lambda connection, message: None)     # says nothing
        client = visor.dial(server.address)

By default it keeps a dict of files with revs and exactly-once outcomes by session, enough for get, set,
delete, rev, nop, ping and watches on everything. A handler set with `on` comes first; it may return PASS to
let the default answer. One thread a connection; `server.connections` are the live ones, `server.seen`
every message that arrived, in order.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tests.patience import PATIENCE
from visor.protocol import verbs
from visor.protocol.frames import Decoder, encode

PASS = object()
Handler = Callable[["FakeConnection", list[Any]], object]


class FakeConnection:
    """One client's connection."""

    def __init__(self, server: FakeServer, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self.session: bytes | None = None
        self.hello: dict[str, Any] = {}
        self.watches: set[int] = set()
        self.muted = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def send(self, *messages: Any) -> None:
        if not self.muted:
            self.send_bytes(b"".join(encode(message) for message in messages))

    def send_bytes(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.sock.sendall(data)

    def ok(self, message: list[Any], result: Any) -> None:
        self.send((verbs.OK, message[1], result))

    def refuse(self, message: list[Any], code: str, **details: Any) -> None:
        self.send((verbs.ERROR, message[1], code, code, details))

    def cut(self) -> None:
        """Break the connection at once."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        decoder = Decoder(16 << 20)
        with contextlib.suppress(OSError):
            while data := self.sock.recv(65536):
                for message in decoder.feed(data):
                    self.server.handle(self, message)
        with self.server.changed:
            self.server.connections.discard(self)
            self.server.changed.notify_all()
        self.sock.close()


class FakeServer:
    """Listens on a free loopback port from the start."""

    def __init__(self, cluster: str = "fake") -> None:
        self.cluster = cluster
        self.changed = threading.Condition()
        self.files: dict[str, list[Any]] = {}
        self.rev = 0
        self.log: list[list[Any]] = []
        self.outcomes: dict[tuple[bytes | None, int], Any] = {}
        self.connections: set[FakeConnection] = set()
        self.accepted = 0
        self.seen: list[list[Any]] = []
        self.limits: dict[str, int] = {}
        self._handlers: dict[int, Handler] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def on(self, verb: int, handler: Handler) -> None:
        self._handlers[verb] = handler

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                with self.changed:
                    self.accepted += 1
                    self.connections.add(FakeConnection(self, sock))
                    self.changed.notify_all()

    def wait(self, true: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until something about this server is true."""
        with self.changed:
            assert self.changed.wait_for(true, seconds)

    def saw(self, verb: int) -> list[list[Any]]:
        return [message for message in list(self.seen) if message[0] == verb]

    def cut_all(self) -> None:
        for connection in list(self.connections):
            connection.cut()

    def stop_listening(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(PATIENCE)

    def listen_again(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def stop(self) -> None:
        self.stop_listening()
        self.cut_all()
        for connection in list(self.connections):
            connection.thread.join(PATIENCE)

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- what it does -------------------------------------------------------------------------------
    def handle(self, connection: FakeConnection, message: list[Any]) -> None:
        with self.changed:
            self.seen.append(message)
            self.changed.notify_all()
        handler = self._handlers.get(message[0])
        if handler is not None and handler(connection, message) is not PASS:
            return
        with self.changed:
            self._default(connection, message)
            self.changed.notify_all()

    def _default(self, connection: FakeConnection, message: list[Any]) -> None:
        verb = message[0]
        if verb == verbs.HELLO:
            self._greet(connection, message)
        elif verb == verbs.GET:
            connection.ok(message, [self.rev, self.files.get(message[2])])
        elif verb == verbs.REV:
            connection.ok(message, [self.rev, 1, 0])
        elif verb in (verbs.PING, verbs.CANCEL, verbs.UNWATCH):
            connection.ok(message, None)
        elif verb == verbs.WATCH:
            first = self.rev + 1 if message[3] is None else message[3]
            connection.ok(message, first)
            connection.watches.add(message[1])
            commits = [commit for commit in self.log if commit[0] >= first]
            if commits:
                connection.send((verbs.COMMITS, message[1], commits))
        elif verb == verbs.PROGRESS:
            connection.send((verbs.MARK, message[1], self.rev))
        elif verbs.FIRST_WRITE <= verb <= verbs.LAST_WRITE:
            self._write(connection, message)

    def _greet(self, connection: FakeConnection, message: list[Any]) -> None:
        connection.hello = message[2]
        connection.session = message[2]["session"]
        wanted = message[2]["cluster"]
        if wanted is not None and wanted != self.cluster:
            connection.refuse(message, "wrong_cluster", expected=self.cluster, actual=wanted)
            return
        welcome = {"version": 1, "features": [], "server": "fake", "cluster": self.cluster, "node": "n1"}
        welcome |= {"leader": None, "rev": self.rev, "floor": 1, "time": 0, "limits": self.limits}
        connection.ok(message, welcome)

    def _write(self, connection: FakeConnection, message: list[Any]) -> None:
        write = message[2] if message[0] == verbs.RETRY else message
        key = connection.session, write[1]
        if key not in self.outcomes:
            self.outcomes[key] = self._apply(write)
        connection.ok(message, self.outcomes[key])

    def _apply(self, write: list[Any]) -> Any:
        if write[0] == verbs.NOP:
            return self.rev
        self.rev += 1
        path = write[3]
        old = self.files.get(path)
        if write[0] == verbs.DELETE:
            self.files.pop(path, None)
            change = [verbs.REMOVE, path, [self.rev, None, 0, 0, 0]]
        else:
            created, count = (old[2], old[3] + 1) if old else (self.rev, 1)
            self.files[path] = [self.rev, write[4], created, count, 0]
            change = [verbs.UPDATE if old else verbs.CREATE, path, self.files[path]]
        commit = [self.rev, 1_700_000_000_000 + self.rev, "fake", None, [change]]
        self.log.append(commit)
        for connection in list(self.connections):
            for watch in connection.watches:
                connection.send((verbs.COMMITS, watch, [commit]))
        return self.rev


def process_threads() -> set[str]:
    """Return the names of this process's threads that are not a fake server's."""
    return {thread.name for thread in threading.enumerate() if "visor" in thread.name}


def open_files() -> int:
    """Return how many files this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
