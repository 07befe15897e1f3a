"""What rights cost: a node whose rights are off beside one that judges every request, in clear.

Both sides take turns within the same seconds, so that a busy machine disturbs them alike. `of_first` is the rate
divided by that of the node without rights, `cpu_us` the node's processor time for an operation and `cpu_of_first` that
of the node without rights divided by it. The user has few grants, trees and a glob; the last one grants what is asked.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import visor
from benchmarks.figures import Row
from benchmarks.process import cpu_seconds
from benchmarks.registry import Registry
from benchmarks.wire import hello
from benchmarks.workload import KEYS_BELOW_DIRECTORY, ROOT, Workload, key
from visor.auth import Grant
from visor.protocol import limits, verbs
from visor.protocol.frames import Decoder, encode

TURNS = 20
KEYS = 10_000
TOGETHER = 64
"""Requests in flight."""
GRANTS = ("/apps/**", "/hosts/*/info", "/services/**", f"{ROOT}/**")
DIRECTORY = key(0).rpartition("/")[0]


class Side(NamedTuple):
    """One node, and a connection to it whose ids go on."""

    name: str
    pid: int
    line: socket.socket
    decoder: Decoder
    ids: Iterator[int]

    def ask(self, frames: list[list[Any]]) -> None:
        """Send requests together, and take all answers; an id comes behind each verb."""
        data = bytearray()
        for verb, *fields in frames:
            number = next(self.ids)
            acked = [number - TOGETHER] if verbs.FIRST_WRITE <= verb <= verbs.LAST_WRITE else []
            data += encode([verb, number, *acked, *fields])
        self.line.sendall(data)
        missing = len(frames)
        while missing:
            for answer in self.decoder.feed(self.line.recv(1 << 18)):
                assert answer[0] == verbs.OK, answer
                missing -= 1


def rows(seconds: float, quick: bool = False) -> Iterator[Row]:
    """Yield gets and sets, alone and 64 together, and a list of 1000 files."""
    work = Workload(1000 if quick else KEYS)
    with contextlib.ExitStack() as stack:
        sides = [_side(stack, "rights off", work, closed=False), _side(stack, "rights on", work, closed=True)]
        value = work.value(7)
        paths = itertools.cycle(key(number) for number in range(0, work.keys, 7))
        gets: Make = lambda count: [[verbs.GET, next(paths)] for _ in range(count)]  # noqa: E731
        sets: Make = lambda count: [[verbs.SET, next(paths), value] for _ in range(count)]  # noqa: E731
        yield from _beside("get, one by one", sides, gets, 1, seconds)
        yield from _beside(f"get, {TOGETHER} in flight", sides, gets, TOGETHER, seconds)
        yield from _beside("set, one by one", sides, sets, 1, seconds)
        yield from _beside(f"set, {TOGETHER} in flight", sides, sets, TOGETHER, seconds)
        scan = [[verbs.SCAN, [verbs.SEL_TREE, DIRECTORY], None, 0, None, KEYS_BELOW_DIRECTORY]]
        yield from _beside("scan of 1000", sides, lambda count: scan, 1, seconds)


Make = Callable[[int], list[list[Any]]]


def _side(stack: contextlib.ExitStack, name: str, work: Workload, *, closed: bool) -> Side:
    node = stack.enter_context(Registry())
    with node.wire() as wire:
        wire.preload(work)
    greeting = hello(b"benchmark.rights")
    host, port = node.address
    if closed:
        with visor.dial(f"{host}:{port}") as client:
            grants = [Grant(right, files) for right in ("read", "write") for files in GRANTS]
            client.auth.set_role("few", grants)
            client.auth.set_user("ci", ["few"])
            client.auth.set_user("boss", ["root"])
            greeting[0]["token"] = client.auth.add_token("ci")
            client.auth.set_user("anonymous", [])
    line = stack.enter_context(socket.create_connection(node.address, 10))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.settimeout(60)
    line.sendall(encode([verbs.HELLO, 1, *greeting]))
    decoder = Decoder(limits.DEFAULT.frame)
    while not decoder.feed(line.recv(1 << 16)):
        pass
    return Side(name, node.pid, line, decoder, itertools.count(1 + TOGETHER))


def _beside(what: str, sides: list[Side], make: Make, together: int, seconds: float) -> Iterator[Row]:
    totals = {side.name: [0, 0.0, 0.0] for side in sides}
    for turn in range(TURNS + 1):
        for side in sides if turn % 2 else reversed(sides):
            cpu, began = cpu_seconds(side.pid), time.perf_counter()
            ops = 0
            while time.perf_counter() < began + seconds / TURNS:
                side.ask(make(together))
                ops += together
            if turn:  # the first one warms up
                total = totals[side.name]
                total[0] += ops
                total[1] += time.perf_counter() - began
                total[2] += cpu_seconds(side.pid) - cpu
    first = totals[sides[0].name]
    for name, (ops, spent, cpu) in totals.items():
        extra = {"of_first": ops / spent / (first[0] / first[1])}
        if cpu:  # it is counted in hundredths of a second
            extra |= {"cpu_us": cpu / ops * 1e6, "cpu_of_first": first[2] / first[0] / (cpu / ops)}
        yield f"{what}, {name}", int(ops), spent, extra
