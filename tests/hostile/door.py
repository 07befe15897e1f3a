"""Attacks on the clients' port before and after HELLO: connections, bytes, memory. Rows S3 to S5, S13, S14, S23."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from itertools import count

from tests.fuzz.attack import Attacker
from tests.hostile.field import HELLO, Crowd, Field, Pipe, open_socket, packed, pipes, raise_descriptors
from tests.hostile.scenario import scenario
from visor.protocol import verbs

MIB = 1 << 20


@scenario("arrays-before-hello", "S3")
def arrays_before_hello(field: Field) -> None:
    """Eight megabytes of empty arrays on each of 20 connections, the last element missing, before HELLO."""
    _hold(field, b"\xdd\x00\x80\x00\x00", b"\x90" * (8 * MIB - 1), hello=b"", connections=20)


@scenario("arrays-after-hello", "S3")
def arrays_after_hello(field: Field) -> None:
    """The same after HELLO, in the place of a transaction's operations."""
    _hold(
        field, b"\x96\x20\x05\x05\x90\xdc\x1f\xff", (b"\xdc\x1f\xff" + b"\x90" * 8190) * 400, connections=20
    )


@scenario("maps-after-hello", "S3")
def maps_after_hello(field: Field) -> None:
    """Lists of small maps with long keys, unfinished: what is decoded is many times what arrives."""
    one = b"\x81\xa1a\x80"
    _hold(field, b"\x96\x20\x05\x05\x90\xdc\x1f\xff", (b"\xdc\x1f\xff" + one * 8190) * 200, connections=20)


@scenario("nested-headers", "S4")
def nested_headers(field: Field) -> None:
    """Three kilobytes of nested array headers of 8192 elements, before HELLO, on 400 connections."""
    raise_descriptors()
    with Crowd() as crowd:
        crowd.open(field.leader, 400, first=b"\xdc\x20\x00" * 1000, seconds=field.left() / 2)
        field.rest()
        field.notes.append(f"{len(crowd.sockets)} opened, {crowd.refused} refused")


@scenario("nested-headers-after-hello", "S4")
def nested_headers_after_hello(field: Field) -> None:
    """The same after HELLO."""
    raise_descriptors()
    with Crowd() as crowd:
        crowd.open(field.leader, 400, first=HELLO + b"\xdc\x20\x00" * 1000, seconds=field.left() / 2)
        field.rest()
        field.notes.append(f"{len(crowd.sockets)} opened, {crowd.refused} refused")


@scenario("unfinished", "S14", seconds=5.0)
def unfinished(field: Field) -> None:
    """Six megabytes of a message that never ends, on each of 60 connections, after HELLO."""
    _hold(field, b"\x95\x1e\x05\x05\xa2/x\xc6\x00\x7f\xff\xff", b"v" * (6 * MIB), connections=60)


def _hold(field: Field, head: bytes, body: bytes, *, connections: int, hello: bytes = HELLO) -> None:
    """Say the beginning of something large on many connections, and wait."""
    held = []
    try:
        for _ in range(connections):
            if field.left() < 1.0:
                break
            with contextlib.suppress(OSError):
                pipe = Pipe(field.leader, hello=hello)
                held.append(pipe)
                pipe.send(head + body, 1.0)
        field.rest()
        field.notes.append(f"{sum(not pipe.closed for pipe in held)} of {len(held)} left open")
    finally:
        for pipe in held:
            pipe.close()


@scenario("dribble", "S14", seconds=6.0)
def dribble(field: Field) -> None:
    """Two hundred connections that send a byte of a message every now and then, some before HELLO."""
    with Crowd() as crowd:
        crowd.open(field.leader, 100, seconds=1.0)
        crowd.open(field.leader, 100, first=HELLO, seconds=1.0)
        for place in field.turns(1000):
            crowd.say(HELLO[place % len(HELLO) :][:1] if place < len(HELLO) else b"\x91")
            time.sleep(0.2)


@scenario("silent", "S13")
def silent(field: Field) -> None:
    """Three thousand connections of one address that say nothing."""
    raise_descriptors()
    with Crowd() as crowd:
        crowd.open(field.leader, 3000, seconds=field.left() * 0.7)
        field.rest()
        field.notes.append(f"{len(crowd.sockets)} opened, {crowd.alive()} stay")


@scenario("idle", "S13", seconds=6.0)
def idle(field: Field) -> None:
    """Connections of one address that say HELLO and nothing more, as many as are let in (of 6000)."""
    raise_descriptors()
    with Crowd() as crowd:
        crowd.open(field.leader, 6000, first=HELLO, seconds=field.left() * 0.7)
        field.rest()
        field.notes.append(f"{len(crowd.sockets)} opened, {crowd.alive()} stay")


@scenario("all-places", "S13", settings=("listen.connections=300",), seconds=6.0)
def all_places(field: Field) -> None:
    """One address takes every place that there is: newcomers of other addresses still get in."""
    with Crowd() as crowd:
        crowd.open(field.leader, 400, first=HELLO, seconds=field.left() * 0.4)
        for number in field.turns(40):
            began = time.monotonic()
            try:
                with Pipe(field.leader, source=f"127.0.7.{number % 200 + 1}") as pipe:
                    pipe.send(packed([[verbs.PING, 1]]))
                    pipe.drain(0.05)
                    if pipe.closed:
                        field.problems.append("a newcomer of another address was not let in")
                        return
            except OSError as error:
                field.problems.append(f"a newcomer of another address was not let in: {error}")
                return
            if time.monotonic() - began > 2.0:
                field.problems.append(f"a newcomer waited {time.monotonic() - began:.1f} s")
            time.sleep(0.05)


@scenario("descriptors", "S5", nofile=640, seconds=6.0)
def descriptors(field: Field) -> None:
    """More connections than a member has descriptors (640), again and again, while the log needs new segments."""
    with field.wire() as wire:
        for _ in field.turns(40):
            with Crowd() as crowd:
                crowd.open(field.leader, 800, seconds=min(0.5, field.left()))
                for number in range(4):
                    with contextlib.suppress(Exception):
                        wire.set(f"/descriptors/{number}", b"x" * 100_000)


@scenario("over-limit", "S5", settings=("listen.connections=100",), nofile=512, seconds=6.0)
def over_limit(field: Field) -> None:
    """Dialling in a loop beyond the limit of connections: what is refused must not linger uncounted."""
    raise_descriptors()
    crowd = Crowd()
    try:
        crowd.open(field.leader, 100, first=HELLO)
        for _ in field.turns(20_000):
            crowd.open(field.leader, 50)
            if len(crowd.sockets) > 5000:
                crowd.close()
    finally:
        crowd.close()


@scenario("reconnect-storm", "S5")
def reconnect_storm(field: Field) -> None:
    """Connections that come, say HELLO and go, as fast as one process can."""
    for _ in field.turns(20_000):
        with contextlib.suppress(OSError):
            sock = open_socket(field.leader, timeout=1.0)
            sock.sendall(HELLO)
            sock.close()


@scenario("half-open", "S13")
def half_open(field: Field) -> None:
    """Connections closed in every way: reset, half closed and left, closed while answers are on their way."""
    data = HELLO + packed([[verbs.LIST, 2, "/"], [verbs.SCAN, 3, [verbs.SEL_TREE, "/"]]])
    left: list[socket.socket] = []
    try:
        for number in field.turns(4000):
            with contextlib.suppress(OSError):
                sock = open_socket(field.leader, timeout=1.0)
                left.append(sock)
                sock.sendall(data)
                if number % 3 == 0:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.close()
                elif number % 3 == 1:
                    sock.shutdown(socket.SHUT_WR)
                else:
                    sock.close()
            if len(left) > 500:
                left.pop(0).close()
    finally:
        for sock in left:
            sock.close()


def _large_files(field: Field) -> None:
    with field.wire() as wire:
        for number in range(16):
            wire.set(f"/large/{number}", b"l" * 200_000)


@scenario("never-reading", "S13", prepare=_large_files)
def never_reading(field: Field) -> None:
    """Two hundred clients that ask for everything, again and again, and never read."""
    raise_descriptors()
    ask = HELLO + packed([verbs.SCAN, 2 + number, [verbs.SEL_TREE, "/large"]] for number in range(50))
    with Crowd() as crowd:
        crowd.open(field.leader, 200, first=ask, seconds=field.left() / 2, buffer=4096)
        while field.left():
            crowd.say(packed([[verbs.LOG, 99, [verbs.SEL_TREE, "/"]]]))
            time.sleep(0.1)


@scenario("garbage", "S3 S4", seconds=6.0, by_right=("LockLost", "LeaseLost", "LeaseNotFound"))
def garbage(field: Field) -> None:
    """Noise, mutations and wrong fields, as `tests.fuzz` makes them."""
    attacker = Attacker(field.leader, field.rng)
    attacker.run(field.left())
    field.problems += attacker.problems[:5]


@scenario("floods", "S6", seconds=5.0)
def floods(field: Field) -> None:
    """PING, CANCEL, CREDIT and PROGRESS as fast as they go, of watches that are there and that are not."""
    numbers = count(10)
    with Pipe(field.leader) as pipe:
        pipe.send(packed([[verbs.WATCH, 5, [verbs.SEL_TREE, "/"]]]))
        for _ in field.turns(20_000):
            number = next(numbers)
            piece = packed([
                [verbs.PING, number], [verbs.CANCEL, number, 5], [verbs.CREDIT, 5, (1 << 64) - 1],
                [verbs.PROGRESS, 5], [verbs.CREDIT, number, 1], [verbs.UNWATCH, number, number],
            ])  # fmt: skip
            if not pipe.send(piece * 500, 1.0) and pipe.closed:
                return


@scenario("waiting-reads", "S6")
def waiting_reads(field: Field) -> None:
    """Reads that wait for a rev that never comes, on fifty connections, cancelled and asked again."""
    made = pipes(field.leader, 50)
    try:
        ask = packed([verbs.GET, number, "/x", 1 << 40] for number in range(2, 1200))
        cancel = packed([verbs.CANCEL, 5000 + number, number] for number in range(2, 1200))
        for _ in field.turns(200):
            for pipe in made:
                pipe.send(ask + cancel, 0.3)
                if not field.left():
                    break
    finally:
        for pipe in made:
            pipe.close()


@scenario("http-idle", "S23", http=True, seconds=5.0)
def http_idle(field: Field) -> None:
    """A hundred connections on the HTTP port that say nothing or half a request; probes are answered all the while."""
    with Crowd() as crowd:
        crowd.open(field.http, 50)
        crowd.open(field.http, 50, first=b"GET /livez HTTP/1.1\r\n")
        for number in field.turns(100):
            began = time.monotonic()
            try:
                with open_socket(field.http, source="127.0.0.1", timeout=3.0) as probe:
                    probe.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                    answer = probe.recv(100)
            except OSError as error:
                answer = repr(error).encode()
            if b" 200 " not in answer:
                field.problems.append(
                    f"probe {number} got {answer!r:.80} after {time.monotonic() - began:.1f} s"
                )
                return
            crowd.open(field.http, 2)
            time.sleep(0.05)
