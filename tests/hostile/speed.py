"""How fast a good client is served beside 10 000 silent connections, 1 000 that never read and 100 that send garbage.

    turn 1: alone | crowd comes | beside | crowd goes        turn 2: the same ...        the medians are compared

The good client has a process and an address of its own and asks as fast as it is answered (eight SETs and eight GETs at
a time). The crowd comes from many addresses, as far as one may have so many; the limits of descriptors are raised for
this process and the server. Exit code 1 when the good client has less than 80 % of its speed alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from random import Random
from typing import Final

from tests.hostile.field import HELLO, Crowd, open_socket, packed, raise_descriptors
from tests.node_process import NodeProcess, environment
from tests.wire import Wire
from visor.protocol import verbs

SILENT: Final = 10_000
DEAF: Final = 1000
GARBAGE: Final = 100
ENOUGH: Final = 0.8
TURNS: Final = 4
TURN_SECONDS: Final = 3.0
SOURCES: Final = 64
"""Addresses that the crowd comes from."""
GARBAGE_EACH_SECOND: Final = 2.0
"""How often each of the hundred says something, in a new connection when the old one was cut."""
CALM_SECONDS: Final = 30.0
LARGE: Final = 4000
"""Bytes of each of the sixteen files that those who never read ask for, `ASKED` times: half a megabyte each of them."""
ASKED: Final = 8
AT_ONCE: Final = 8
SETTINGS: Final = (
    "listen.connections=13000",
    "storage.log_segment_bytes=16777216",
    "log.level=warning",
)


def measure(options: argparse.Namespace) -> int:
    """Run all turns; print each and the medians."""
    descriptors = raise_descriptors(1 << 20)
    print(
        f"{descriptors} descriptors; {SILENT} silent, {DEAF} never read, {GARBAGE} send garbage", flush=True
    )
    if descriptors < SILENT + DEAF + GARBAGE + 500:
        print("too few descriptors: raise the hard limit")
        return 2
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    rows = []
    folder = tempfile.TemporaryDirectory(prefix="visor-hostile-", dir=base)
    with folder as data, NodeProcess(Path(data) / "data", settings=SETTINGS) as node:
        with Wire(node.address) as wire:
            for number in range(16):
                wire.set(f"/large/{number}", b"l" * LARGE)
        asker = Asker(node.address)
        try:
            asker.rate(1.0)
            for turn in range(TURNS):
                rows.append(_turn(node, asker, Random(options.seed + turn)))
        finally:
            asker.close()
    alone, beside = (statistics.median(row[place] for row in rows) for place in (0, 1))
    print(f"alone {alone:.0f}/s, beside {beside:.0f}/s: {beside / alone:.0%} (at least {ENOUGH:.0%})")
    return 0 if beside >= ENOUGH * alone else 1


def _turn(node: NodeProcess, asker: Asker, rng: Random) -> tuple[float, float]:
    alone = asker.rate(TURN_SECONDS)
    with Crowd() as silent, Crowd() as deaf:
        begun = time.monotonic()
        for number in range(SOURCES):
            silent.open(node.address, SILENT // SOURCES + 1, source=_source(number), first=HELLO)
        ask = HELLO + packed([verbs.SCAN, 2 + number, [verbs.SEL_TREE, "/large"]] for number in range(ASKED))
        for number in range(SOURCES):
            deaf.open(node.address, DEAF // SOURCES + 1, source=_source(number), first=ask, buffer=4096)
        came = time.monotonic() - begun
        noise = Noise(node.address, rng)
        noise.start()
        try:
            calm = _await_calm(node)
            beside = asker.rate(TURN_SECONDS)
        finally:
            noise.stop()
        held, unread = silent.alive(), len(deaf.sockets)
        print(
            f"alone {alone:.0f}/s, beside {beside:.0f}/s ({beside / alone:.0%}); {held} silent, {unread} that never "
            f"read, {noise.said} pieces of garbage; they came within {came:.1f} s, all was "
            f"asked within {calm:.1f} s; {node.rss() >> 20} MiB",
            flush=True,
        )
    time.sleep(1.0)
    return alone, beside


def _await_calm(node: NodeProcess) -> float:
    """Wait until the server has done what the crowd asked for when it came; return the seconds that took."""
    begun = time.monotonic()
    calm = 0
    while time.monotonic() - begun < CALM_SECONDS and calm < 3:
        before = _processor(node)
        time.sleep(0.5)
        calm = calm + 1 if _processor(node) - before < 0.2 else 0
    return time.monotonic() - begun


def _processor(node: NodeProcess) -> float:
    """Return the seconds of processor time that the server has used."""
    fields = Path(f"/proc/{node.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _source(number: int) -> str:
    return f"127.0.{20 + number // 250}.{number % 250 + 1}"


class Noise(threading.Thread):
    """A hundred connections that send garbage, all the time; `said` counts."""

    def __init__(self, address: str, rng: Random) -> None:
        super().__init__(name="noise", daemon=True)
        self._address = address
        self._rng = rng
        self._over = threading.Event()
        self.said = 0

    def run(self) -> None:
        socks: list[socket.socket | None] = [None] * GARBAGE
        pause = 1.0 / GARBAGE / GARBAGE_EACH_SECOND
        try:
            while not self._over.wait(pause):
                place = self._rng.randrange(GARBAGE)
                try:
                    sock = socks[place] = socks[place] or open_socket(
                        self._address, _source(100 + place), timeout=0.5
                    )
                    sock.setblocking(False)
                    sock.send(self._rng.randbytes(self._rng.randrange(1, 2000)))
                    self.said += 1
                    if sock.recv(4096) == b"":
                        raise ConnectionResetError
                except BlockingIOError:
                    continue
                except OSError:
                    if (gone := socks[place]) is not None:
                        gone.close()
                    socks[place] = None
        finally:
            for sock in socks:
                if sock is not None:
                    sock.close()

    def stop(self) -> None:
        self._over.set()
        self.join()


class Asker:
    """The good client, in a process of its own."""

    def __init__(self, address: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.speed", address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def rate(self, seconds: float) -> float:
        """Return requests a second."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], seconds + 60.0)[0]:
            raise TimeoutError("the good client was not answered")
        rate: float = json.loads(self._process.stdout.readline())
        return rate

    def close(self) -> None:
        """End it. Idempotent."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _ask(address: str) -> None:
    with Wire(address) as wire:
        for line in sys.stdin:
            begun, done = time.monotonic(), 0
            while time.monotonic() - begun < float(line):
                asked = [wire.ask(verbs.SET, f"/good/{number}", b"v" * 100) for number in range(AT_ONCE)]
                asked += [wire.ask(verbs.GET, f"/good/{number}") for number in range(AT_ONCE)]
                for request in asked:
                    wire.answer(request)
                done += len(asked)
            print(json.dumps(done / (time.monotonic() - begun)), flush=True)


if __name__ == "__main__":
    _ask(sys.argv[1])
