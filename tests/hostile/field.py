"""What an attacker has: addresses, time, randomness, and raw sockets from addresses of his own.

It uses nothing of the server's code but numbers of the wire. All addresses are of 127.0.0.0/8, and everything that is
sent, opened and kept is bounded by a count and by `seconds`.
"""

from __future__ import annotations

import contextlib
import resource
import selectors
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.fuzz.messages import pack
from tests.wire import Refused, Wire

ATTACKER = "127.0.9.1"
"""Where attackers come from, unless they say otherwise. The good client comes from 127.0.0.1."""


@dataclass
class Field:
    """One attack's surroundings."""

    clients: list[str]
    """Where clients connect; the leader first."""
    peers: list[str] = field(default_factory=list)
    """Where members connect, in the same order."""
    members: list[str] = field(default_factory=list)
    """Their ids, in the same order."""
    cluster: str = ""
    term: int = 0
    committed: int = 0
    secret: str = ""
    """The peers' secret, for those who are said to have it."""
    http: str = ""
    seconds: float = 4.0
    seed: int = 1
    tokens: dict[str, str] = field(default_factory=dict)
    """Those that attackers may have, by user; see `guarded.py`."""
    authority: str = ""
    """The certificate of the authority of a registry within TLS; certificates of clients lie beside it."""
    folder: str = ""
    """A folder for what the attack needs between its parts."""
    problems: list[str] = field(default_factory=list)
    """What the attacker saw that may not be."""
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self._end = time.monotonic() + self.seconds

    def left(self) -> float:
        """Return the seconds that are left; never below 0."""
        return max(0.0, self._end - time.monotonic())

    def turns(self, most: int = 1 << 30) -> Iterator[int]:
        """Count until time or the number is used up."""
        for number in range(most):
            if not self.left():
                return
            yield number

    @property
    def leader(self) -> str:
        return self.clients[0]

    @property
    def replica(self) -> str:
        """A node that does not lead, where there is one."""
        return self.clients[-1]

    def wire(self, address: str | None = None, **more: Any) -> Wire:
        """Return a greeted connection, which comes from the attackers' address."""
        return Wire(address or self.leader, **{"source": ATTACKER, **more})

    def rest(self) -> None:
        """Wait until time is up: what was opened stays."""
        time.sleep(self.left())


def raise_descriptors(most: int = 40_000) -> int:
    """Raise this process's limit; return what it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def open_socket(
    address: str, source: str = ATTACKER, *, timeout: float = 5.0, buffer: int = 0
) -> socket.socket:
    """Connect from a source address; `buffer` is what the socket may keep of what arrives, in bytes."""
    host, _, port = address.rpartition(":")
    sock = socket.socket()
    try:
        sock.settimeout(timeout)
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: more than one range of ports
        sock.bind((source, 0))
        sock.connect((host, int(port)))
    except BaseException:
        sock.close()
        raise
    return sock


HELLO = pack([0, 1, {"versions": [1], "client": "hostile", "actor": "hostile"}]) or b""


class Crowd:
    """Many raw connections; those that are refused or cut are counted, nobody waits for anything."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.refused = 0
        self.cut = 0

    def open(self, address: str, count: int, *, source: str = ATTACKER, first: bytes = b"", seconds: float = 1e9,
             buffer: int = 0) -> None:  # fmt: skip
        """Open so many, each of which says `first`."""
        end = time.monotonic() + seconds
        for _ in range(count):
            if time.monotonic() > end:
                return
            try:
                sock = open_socket(address, source, timeout=2.0, buffer=buffer)
                if first:
                    sock.sendall(first)
                sock.setblocking(False)
            except OSError:
                self.refused += 1
                continue
            self.sockets.append(sock)

    def say(self, data: bytes) -> int:
        """Say something on all of them, as far as it gets without waiting; return how many took it."""
        taken = 0
        for sock in self.sockets:
            try:
                sock.send(data)
                taken += 1
            except BlockingIOError:
                continue
            except OSError:
                self.cut += 1
        return taken

    def alive(self) -> int:
        """Return how many of them the other side has not closed."""
        living = 0
        for sock in self.sockets:
            try:
                living += sock.recv(1 << 16) != b""
            except BlockingIOError:
                living += 1
            except OSError:
                continue
        return living

    def close(self) -> None:
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.close()
        self.sockets.clear()

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Pipe:
    """A greeted raw connection that sends without waiting and drains what comes back."""

    def __init__(self, address: str, source: str = ATTACKER, *, hello: bytes = HELLO) -> None:
        self.sock = open_socket(address, source)
        self.sock.sendall(hello)
        self.sock.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        self.received = 0
        self.closed = False

    def send(self, data: bytes, seconds: float = 2.0) -> bool:
        """Send all of it, reading meanwhile; False when that did not go in time, or the other side has closed."""
        view, end = memoryview(data), time.monotonic() + seconds
        while view and not self.closed:
            left = end - time.monotonic()
            if left <= 0:
                return False
            for _, events in self._selector.select(left):
                if events & selectors.EVENT_READ:
                    self._read()
                if events & selectors.EVENT_WRITE and not self.closed:
                    try:
                        view = view[self.sock.send(view[: 1 << 18]) :]
                    except BlockingIOError:
                        continue
                    except OSError:
                        self.closed = True
        return not self.closed

    def drain(self, seconds: float) -> None:
        """Read and throw away for so long."""
        end = time.monotonic() + seconds
        while not self.closed and (left := end - time.monotonic()) > 0:
            self._selector.modify(self.sock, selectors.EVENT_READ)
            if self._selector.select(left):
                self._read()
        if not self.closed:
            self._selector.modify(self.sock, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _read(self) -> None:
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.received += len(data)
        self.closed = self.closed or not data

    def close(self) -> None:
        self._selector.close()
        self.sock.close()

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def pipes(address: str, count: int, **more: Any) -> list[Pipe]:
    """Return as many of so many connections as are let in."""
    made = []
    for _ in range(count):
        with contextlib.suppress(OSError):
            made.append(Pipe(address, **more))
    return made


def packed(messages: Iterable[Any]) -> bytes:
    """Return messages as one piece."""
    return b"".join(pack(message) or b"" for message in messages)


def fill(wire: Wire, paths: Iterable[str], value: bytes = b"x") -> None:
    """Write many files, a thousand at a time."""
    group: list[list[Any]] = []
    for path in paths:
        group.append([0, path, value])
        if len(group) == 1000:
            _commit(wire, group)
            group = []
    if group:
        _commit(wire, group)


def _commit(wire: Wire, group: list[list[Any]]) -> None:
    while True:
        try:
            wire.call(32, [], group, [])
            return
        except Refused as refused:
            if refused.code not in ("overloaded", "no_quorum", "not_leader"):
                raise
            time.sleep(0.05)
