"""A blocking client of the bare protocol: what tests of the server say and hear, byte by byte if need be.

    with Wire(node.address) as wire:
        rev = wire.set("/a", b"1")
        wire.call(verbs.GET, "/a")              # [rev, version], or raises Refused
        wire.send([verbs.PING, wire.next_id()]) # without waiting
        wire.read()                             # the next message

It shares nothing with the client library but the frames. No reconnect, no retry: tests do those themselves.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from types import TracebackType
from typing import Any, ClassVar

from tests.patience import PATIENCE
from visor.protocol import verbs
from visor.protocol.frames import Decoder, Message, encode

LIMIT = 64 << 20
TIMEOUT = PATIENCE


class Refused(Exception):  # noqa: N818 - it is an answer
    """The server answered with ERROR."""

    def __init__(self, code: str, text: str, details: dict[str, Any]) -> None:
        super().__init__(f"{code}: {text} {details}")
        self.code = code
        self.text = text
        self.details = details


class Closed(Exception):  # noqa: N818 - it is an event
    """The server ended the connection. `goaway` is its (code, text), None when it said nothing."""

    def __init__(self, goaway: tuple[str, str] | None) -> None:
        super().__init__(f"closed by the server: {goaway}")
        self.goaway = goaway


def connect(address: str, timeout: float = TIMEOUT, source: str | None = None) -> socket.socket:
    """Connect to HOST:PORT (from the address `source`), or to a Unix socket when `address` begins with `/`."""
    if address.startswith("/"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(address)
        return sock
    host, _, port = address.rpartition(":")
    sock = socket.create_connection(
        (host.strip("[]"), int(port)), timeout, source_address=None if source is None else (source, 0)
    )
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Wire:
    """One connection, greeted unless `hello` is None."""

    proof: ClassVar[str | None] = None
    """The token that all show which say no other: of who judges a closed registry."""
    secure: ClassVar[ssl.SSLContext | None] = None
    """What all speak TLS with: with a registry within it."""

    def __init__(
        self,
        address: str,
        *,
        session: bytes | None = None,
        hello: dict[str, Any] | None = {},  # noqa: B006 - never changed
        timeout: float = TIMEOUT,
        first_id: int = 1,
        source: str | None = None,
    ) -> None:
        self.session = session
        self.answers: dict[int, Message] = {}
        self.pushed: list[Message] = []
        self.welcome: dict[str, Any] = {}
        self._connect(address, timeout, source, first_id)
        while hello is not None and not self.welcome:
            try:
                self.welcome = self.greet(**hello)
            except Closed as closed:
                if closed.goaway is None or closed.goaway[0] != "deadline":
                    raise
                self.close()  # the machine stood still for longer than a greeting may take
                self._connect(address, timeout, source, first_id)

    def _connect(self, address: str, timeout: float, source: str | None, first_id: int) -> None:
        self.sock = connect(address, timeout, source)
        if self.secure is not None:
            self.sock = self.secure.wrap_socket(self.sock, server_hostname=address.rpartition(":")[0])
        self.goaway: tuple[str, str] | None = None
        self.decoder = Decoder(LIMIT, elements=1 << 20)
        self.arrived: list[Message] = []
        self._id = first_id - 1

    # -- saying ---------------------------------------------------------------------------------------

    def next_id(self) -> int:
        self._id += 1
        return self._id

    def greet(self, **fields: Any) -> dict[str, Any]:
        hello = {"versions": [1], "client": "tests", "actor": "tester", "session": self.session, **fields}
        if self.proof is not None:
            hello.setdefault("token", self.proof)
        welcome: dict[str, Any] = self.call(verbs.HELLO, hello)
        return welcome

    def send(self, *messages: Any) -> None:
        """Send messages in one piece."""
        self.sock.sendall(b"".join([encode(message) for message in messages]))

    def send_bytes(self, data: bytes) -> None:
        self.sock.sendall(data)

    def ask(self, verb: int, *fields: Any) -> int:
        """Send one request; return its id. Writes are sent with `acked` = their own id."""
        request = self.next_id()
        acked = [request] if verbs.FIRST_WRITE <= verb <= verbs.LAST_WRITE and verb != verbs.RETRY else []
        self.send([verb, request, *acked, *fields])
        return request

    def call(self, verb: int, *fields: Any, timeout: float | None = None) -> Any:
        """Send one request and return its result; watch messages are put aside. Raises `Refused`, `Closed`."""
        return self.answer(self.ask(verb, *fields), timeout=timeout)

    # -- hearing --------------------------------------------------------------------------------------

    def read(self, timeout: float | None = None) -> Message:
        """Return the next message of any kind. Raises `Closed`, or TimeoutError after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.arrived:
            if deadline is not None:
                self.sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self.sock.recv(1 << 18)
            except ConnectionError:
                data = b""
            finally:
                if deadline is not None:
                    self.sock.settimeout(TIMEOUT)
            if not data:
                raise Closed(self.goaway)
            self.arrived = self.decoder.feed(data)
            assert self.decoder.violation is None, self.decoder.violation
        message = self.arrived.pop(0)
        if message[0] == verbs.GOAWAY:
            self.goaway = (message[1], message[2])
        return message

    def answer(self, request: int, timeout: float | None = None) -> Any:
        """Return the result of `request`, whatever comes before it. Raises `Refused`, `Closed`."""
        while request not in self.answers:
            message = self.read(timeout)
            if message[0] in (verbs.OK, verbs.ERROR):
                self.answers[message[1]] = message
            elif message[0] != verbs.GOAWAY:
                self.pushed.append(message)
        kind, _, *rest = self.answers.pop(request)
        if kind == verbs.ERROR:
            raise Refused(*rest)
        return rest[0]

    def push(self, timeout: float | None = None) -> Message:
        """Return the next message of a watch; answers that come before it are put aside."""
        while not self.pushed:
            message = self.read(timeout)
            if message[0] in (verbs.OK, verbs.ERROR):
                self.answers[message[1]] = message
            else:
                self.pushed.append(message)
        return self.pushed.pop(0)

    def silence(self, seconds: float) -> bool:
        """Tell whether nothing arrives for so long."""
        try:
            self.arrived.insert(0, self.read(seconds))
        except TimeoutError:
            return True
        return False

    def end(self, timeout: float = TIMEOUT) -> tuple[str, str] | None:
        """Read until the server closes; return its GOAWAY."""
        try:
            while True:
                self.read(timeout)
        except Closed as closed:
            return closed.goaway

    # -- the commonest requests -----------------------------------------------------------------------

    def set(self, path: str, value: bytes, *more: Any) -> int:
        rev: int = self.call(verbs.SET, path, value, *more)
        return rev

    def get(self, path: str, at: int | None = None) -> bytes | None:
        version = self.call(verbs.GET, path, at)[1]
        return None if version is None else version[1]

    def rev(self) -> int:
        rev: int = self.call(verbs.REV)[0]
        return rev

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.call(verbs.STATUS)
        return status

    def commits(self, first: int = 1, last: int | None = None, path: str = "/") -> list[Any]:
        """Return all commits from `first` to `last` below `path`, over as many pages as it takes."""
        found: list[Any] = []
        cursor: int | None = first
        while cursor is not None:
            _, commits, cursor = self.call(verbs.LOG, [verbs.SEL_TREE, path], cursor, last)
            found += commits
        return found

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def new_session() -> bytes:
    """Return a fresh session id."""
    return os.urandom(16)
