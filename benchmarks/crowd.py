"""Ten thousand connections with a watch each: what they take of a node's memory, and how soon one commit is with all.

Told as etcd tells it: a node's memory grows by c1 for each connection, by c2 for the first watch on it, and by c3
for each further watch. Nothing else grows with them. Memory is what the system calls resident, so it holds what the
allocator and the event loop take, too; the kernel's sockets it does not hold.

The crowd is a process of its own that does as little as it can for an arrival: it takes the bytes and notes the
time. `cpu_us` is what the nodes spend on each delivery, `user_us` what of that is not the kernel's.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import Row, latencies
from benchmarks.mirrors import Nodes
from benchmarks.process import Child, cpu_times, rss_mb
from benchmarks.wire import Address, hello
from benchmarks.workload import ROOT, VALUE_BYTES, key
from visor.protocol import verbs
from visor.protocol.frames import Decoder, encode

GRACE: Final = 300.0
WATCH: Final = [verbs.SEL_TREE, ROOT]
FURTHER: Final = 10
"""Watches more, on each of some connections."""
EACH: Final = 2000
"""Connections of one source address: a node has places for 4096 of one."""
WARM: Final = 100
"""Connections that come before anything is measured."""
MOST: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many connections to some nodes, spread evenly, and so many commits one after the other."""

    addresses: tuple[Address, ...]
    pids: tuple[int, ...]
    connections: int
    commits: int
    authority: str = ""
    """The file with the certificate of the authority, within TLS."""


def rows(seconds: float, quick: bool = False) -> Iterator[Row]:
    """Yield c1, c2, c3 and deliveries: to one node in clear, to one within TLS, to three."""
    many, commits = (300, 3) if quick else (9_800, max(20, int(8 * seconds)))
    with tempfile.TemporaryDirectory(prefix="visor-benchmark-") as name:
        folder = Path(name)
        with _node(folder / "clear") as (address, pid):
            yield from _measured("one node", Crowd((address,), (pid,), many, commits))
        yield from _within_tls(folder, min(many, 3_000), commits)
    with Nodes() as nodes:
        addresses = tuple(_address(text) for text in nodes.addresses)
        crowd = Crowd(addresses, nodes.pids, many, commits)
        yield _delivered("three nodes", crowd, _run(crowd))


def _within_tls(folder: Path, many: int, commits: int) -> Iterator[Row]:
    from visor.testing.authority import Authority

    authority = Authority(folder)
    cert, private = authority.issue("server", hosts=("127.0.0.1",))
    secured = ["--set", f"listen.tls_cert={cert}", "--set", f"listen.tls_key={private}"]
    with _node(folder / "tls", secured) as (address, pid):
        crowd = Crowd((address,), (pid,), many, commits, str(authority.certificate))
        yield from _measured("one node within TLS", crowd)


@contextlib.contextmanager
def _node(data: Path, more: list[str] | None = None) -> Iterator[tuple[Address, int]]:
    command = [
        sys.executable,
        "-m",
        "visord",
        "serve",
        "--bootstrap",
        "--name",
        "n1",
        "--data-dir",
        str(data),
    ]
    command += ["--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0", "--set", "log.level=error"]
    with Child([*command, *(more or [])]) as child:
        ready = child.line("visord ready on ", 60.0).removeprefix("visord ready on ")
        yield _address(ready), child.pid
    shutil.rmtree(data, ignore_errors=True)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _run(crowd: Crowd) -> dict[str, Any]:
    with Child([sys.executable, "-m", "benchmarks.crowd", json.dumps(asdict(crowd))]) as child:
        result: dict[str, Any] = json.loads(child.line("{", GRACE))
    return result


def _measured(name: str, crowd: Crowd) -> Iterator[Row]:
    result = _run(crowd)
    memory = {key: round(result[key]) for key in ("c1_bytes", "c2_bytes", "c3_bytes")}
    seconds, rss = result["greeting_s"], rss_mb(crowd.pids[0])
    yield f"crowd, {name}: connections", crowd.connections, seconds, {**memory, "rss_mb": rss}
    yield _delivered(name, crowd, result)


def _delivered(name: str, crowd: Crowd, result: dict[str, Any]) -> Row:
    extra = {key: result[key] for key in ("p50_us", "p99_us", "max_us", "cpu_us", "user_us", "worst_ms")}
    title = f"crowd, {name}: a commit to {crowd.connections}"
    return title, crowd.connections * crowd.commits, result["commits_s"], extra


# -- the crowd, in a process of its own -----------------------------------------------------------------------


class Gathered:
    """The connections of a crowd."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._context = ssl.create_default_context(cafile=crowd.authority) if crowd.authority else None
        self.sockets: list[socket.socket] = []

    def come(self, count: int) -> None:
        """Connect and say HELLO, a few at a time."""
        while count > 0:
            some = [self._connect() for _ in range(min(count, 50))]
            for one in some:
                if not one.recv(MOST):
                    raise ConnectionError("a node closed a connection of the crowd")
            count -= len(some)

    def _connect(self) -> socket.socket:
        number = len(self.sockets)
        # On Linux all of 127.0.0.0/8 is this machine: a crowd has more than one address.
        here = f"127.0.0.{1 + number // EACH}" if sys.platform == "linux" else "127.0.0.1"
        to = self._crowd.addresses[number % len(self._crowd.addresses)]
        line = socket.create_connection(to, 60.0, source_address=(here, 0))
        if self._context is not None:
            line = self._context.wrap_socket(line, server_hostname="127.0.0.1")
        line.sendall(encode([verbs.HELLO, 1, *hello(os.urandom(16))]))
        self.sockets.append(line)
        return line

    def watch(self, lines: list[socket.socket], first: int, count: int) -> None:
        """Begin watches, and wait until they have begun."""
        asked = b"".join(encode([verbs.WATCH, number, WATCH]) for number in range(first, first + count))
        for line in lines:
            line.sendall(asked)
            _answers(line, count)

    def unwatch(self, lines: list[socket.socket], first: int, count: int) -> None:
        """End them."""
        numbers = range(first, first + count)
        asked = b"".join(encode([verbs.UNWATCH, 100 + number, number]) for number in numbers)
        for line in lines:
            line.sendall(asked)
            _answers(line, count)


def _answers(line: socket.socket, count: int) -> None:
    decoder = Decoder(1 << 20)
    while count > 0:
        for message in decoder.feed(line.recv(MOST)):
            if message[0] == verbs.ERROR:
                raise ConnectionError(f"a node refused a watch: {message!r:.200}")
            count -= message[0] == verbs.OK


def be(crowd: Crowd) -> dict[str, Any]:
    """Come, watch, and take commits; return what that took."""
    found: dict[str, Any] = {}
    gathered = Gathered(crowd)
    gathered.come(WARM)
    before, begun = _memory(crowd), time.perf_counter()
    gathered.come(crowd.connections - WARM)
    found["greeting_s"] = time.perf_counter() - begun
    counted = gathered.sockets[WARM:]
    after = _memory(crowd)
    found["c1_bytes"] = (after - before) / len(counted)
    gathered.watch(gathered.sockets, 2, 1)
    before, after = after, _memory(crowd)
    found["c2_bytes"] = (after - before) / len(gathered.sockets)
    some = gathered.sockets[: 2 + crowd.connections // 5]
    gathered.watch(some, 3, FURTHER)
    before, after = after, _memory(crowd)
    found["c3_bytes"] = (after - before) / len(some) / FURTHER
    gathered.unwatch(some, 3, FURTHER)
    gathered.come(1)
    writer = gathered.sockets.pop()
    return found | commits(crowd, gathered.sockets, writer)


def _memory(crowd: Crowd) -> float:
    """Return the bytes of the first node that are resident, once it has done what it was asked for."""
    time.sleep(0.5)
    return rss_mb(crowd.pids[0]) * 1e6


def commits(crowd: Crowd, lines: list[socket.socket], writer: socket.socket) -> dict[str, Any]:
    """Set one key after the other, each when all have the one before; return when which of them had it."""
    delays: list[float] = []
    worst = 0.0
    busy = [cpu_times(pid) for pid in crowd.pids]
    begun = time.perf_counter()
    with contextlib.closing(select.epoll()) as poll:
        by_number = {line.fileno(): line for line in lines}
        for number in by_number:
            poll.register(number, select.EPOLLIN)
        for turn in range(crowd.commits):
            sent = time.perf_counter()
            number = 1000 + turn
            writer.sendall(encode([verbs.SET, number, number, key(turn), bytes(VALUE_BYTES)]))
            _all(poll, by_number, sent, delays)
            worst = max(worst, time.perf_counter() - sent)
            _answers(writer, 1)
    spent = time.perf_counter() - begun
    used = [cpu_times(pid) for pid in crowd.pids]
    user, system = (sum(now[k] - then[k] for now, then in zip(used, busy, strict=True)) for k in (0, 1))
    each = 1e6 / (len(lines) * crowd.commits)
    return {
        **latencies(delays),
        "commits_s": spent,
        "worst_ms": round(worst * 1e3, 1),
        "cpu_us": (user + system) * each,
        "user_us": round(user * each, 2),
    }


def _all(poll: select.epoll, by_number: dict[int, socket.socket], sent: float, delays: list[float]) -> None:
    """Return when every connection has got the commit, which is small: it arrives whole."""
    missing = len(by_number)
    clock = time.perf_counter
    while missing:
        ready = poll.poll(GRACE)
        if not ready:
            raise TimeoutError(f"{missing} connections have not got a commit within {GRACE:g} s")
        for number, _ in ready:
            if not by_number[number].recv(MOST):
                raise ConnectionError("a node closed a connection of the crowd")
            delays.append(clock() - sent)
        missing -= len(ready)


def main() -> None:
    given = json.loads(sys.argv[1])
    addresses = tuple((host, port) for host, port in given["addresses"])
    crowd = replace(Crowd(**given), addresses=addresses, pids=tuple(given["pids"]))
    print(json.dumps(be(crowd)), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
