"""One hostile client: `python -m tests.fuzz.attack ADDRESS SEED SECONDS` attacks, then prints what it did as JSON.

It looks at every answer: it must be a message of the protocol, and never an ERROR `internal`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

from tests.fuzz.messages import Maker, pack
from tests.wire import LIMIT, connect
from visor.protocol import verbs
from visor.protocol.codes import FAMILY
from visor.protocol.frames import Decoder

FIELDS = {
    verbs.OK: 3, verbs.ERROR: 5, verbs.COMMITS: 3, verbs.MARK: 3, verbs.ENDED: 5, verbs.STATE: 5, verbs.GOAWAY: 3,
}  # fmt: skip
"""How many elements each kind of server message has."""


class Attacker:
    """Attacks one address; `counts` and `problems` say what came of it."""

    def __init__(self, address: str, rng: Random) -> None:
        self.address = address
        self.rng = rng
        self.maker = Maker(rng)
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self._idle: list[socket.socket] = []
        self._attacks: list[Callable[[], None]] = [
            self.noise, self.wrong_fields, self.wrong_fields, self.right_fields, self.mutated, self.mutated,
            self.announcements, self.deep, self.cut_short, self.many_connections, self.slow_hello, self.never_read,
        ]  # fmt: skip

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            attack = self.rng.choice(self._attacks)
            try:
                attack()
                self.counts[attack.__name__] += 1
            except OSError as error:
                self.counts[f"cut off: {type(error).__name__}"] += 1
        for sock in self._idle:
            sock.close()

    # -- attacks ------------------------------------------------------------------------------------------

    def noise(self) -> None:
        self._converse(self.rng.randbytes(self.rng.randrange(1, 2000)), greet=self.rng.random() < 0.5)

    def wrong_fields(self) -> None:
        self._converse(self._packed(self.maker.wrong for _ in range(30)))

    def right_fields(self) -> None:
        self._converse(self._packed(self.maker.message for _ in range(60)))

    def mutated(self) -> None:
        """A right stream with a few bytes changed, left out or doubled."""
        data = bytearray(self._packed(self.maker.message for _ in range(20)))
        for _ in range(self.rng.randint(1, 4)):
            place = self.rng.randrange(len(data))
            kind = self.rng.randrange(4)
            if kind == 0:
                data[place] = self.rng.randrange(256)
            elif kind == 1:
                data[place] ^= 1 << self.rng.randrange(8)
            elif kind == 2:
                del data[place : place + self.rng.randint(1, 9)]
            else:
                data[place:place] = data[place : place + self.rng.randint(1, 40)]
        self._converse(bytes(data))

    def announcements(self) -> None:
        """Headers that announce far more than comes."""
        head = self.rng.choice([
            b"\xdd\xff\xff\xff\xff", b"\xdc\xff\xff", b"\xdc\x20\x00" * 50, b"\xdf\xff\xff\xff\xff", b"\xde\xff\xff",
            b"\xdb\xff\xff\xff\xff", b"\xda\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xc6\x00\x7f\xff\xff", b"\xc5\xff\xff",
            b"\xc9\xff\xff\xff\xff\x01", b"\xc7\x00\x05", b"\xd8\x01", b"\xc1",
        ])  # fmt: skip
        start = self.rng.choice([b"", b"\x95\x1e\x05\x05", b"\x93\x0a\x07", b"\x92\x00"])
        self._converse(start + head + self.rng.randbytes(self.rng.randrange(3000)))

    def deep(self) -> None:
        depth = self.rng.choice([100, 900, 1010, 1019, 1020, 1021, 1022, 1023, 1024, 2000, 50_000])
        start = self.rng.choice([b"", b"\x95\x1e\x05\x05", b"\x93\x20\x07", b"\x92\x0a", b"\x93\x0a\x05"])
        self._converse(
            start + self.rng.choice([b"\x91", b"\x81\xa1a"]) * depth + b"\x00" * self.rng.randrange(3)
        )

    def cut_short(self) -> None:
        """Ends anywhere in a right stream, in one of the ways that connections end."""
        data = self._packed(self.maker.message for _ in range(20))
        with self._open(greet=True) as sock:
            sock.sendall(data[: self.rng.randrange(len(data))])
            self._end(sock)

    def many_connections(self) -> None:
        socks = []
        try:
            for _ in range(100):
                socks.append(connect(self.address, 5))
                if self.rng.random() < 0.3:
                    socks[-1].sendall(self.rng.randbytes(self.rng.randrange(1, 20)))
        finally:
            for sock in socks:
                self._end(sock)
                sock.close()

    def slow_hello(self) -> None:
        """Leaves connections open that have said nothing, or half a HELLO."""
        sock = connect(self.address, 5)
        hello = pack([0, 1, self.maker.hello()]) or b""
        sock.sendall(hello[: self.rng.randrange(len(hello))])
        self._idle.append(sock)
        if len(self._idle) > 50:
            self._idle.pop(0).close()

    def never_read(self) -> None:
        """Asks for much and goes without reading."""
        data = self._packed((lambda: self.maker.message(verbs.SCAN)) for _ in range(60))
        with self._open(greet=True) as sock:
            sock.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                sock.sendall(data)
            self._end(sock)

    # -- the conversation ---------------------------------------------------------------------------------

    def _packed(self, makers: Iterable[Callable[[], object]]) -> bytes:
        return b"".join(filter(None, (pack(make()) for make in makers)))

    def _open(self, *, greet: bool) -> socket.socket:
        sock = connect(self.address, 5)
        if greet:
            sock.sendall(pack([0, 1, self.maker.hello()]) or b"")
        return sock

    def _converse(self, data: bytes, *, greet: bool = True) -> None:
        """Send in pieces, take what comes back for a moment, end somehow."""
        decoder = Decoder(LIMIT, elements=1 << 20)
        with self._open(greet=greet) as sock:
            position = 0
            while position < len(data):
                size = self.rng.choice([1, 7, 100, 5000, 100_000, 100_000])
                sock.sendall(data[position : position + size])
                position += size
                if position > 20 and self.rng.random() < 0.05:
                    self._read(sock, decoder, 0.0)
            self._read(sock, decoder, self.rng.choice([0.0, 0.0, 0.01, 0.03]))
            self._end(sock)

    def _read(self, sock: socket.socket, decoder: Decoder, seconds: float) -> None:
        end = time.monotonic() + seconds
        sock.settimeout(max(seconds, 0.0005))
        try:
            while data := sock.recv(1 << 16):
                for message in decoder.feed(data):
                    self._judge(message)
                if decoder.violation is not None:
                    self.problems.append(f"the server said what is no message: {decoder.violation}")
                    return
                if time.monotonic() >= end:
                    return
        except TimeoutError:
            pass
        finally:
            sock.settimeout(5)

    def _judge(self, message: list[object]) -> None:
        self.counts[f"answers {message[0]}"] += 1
        if len(message) != FIELDS.get(message[0]):  # type: ignore[call-overload]
            self.problems.append(f"not a message of the server: {message!r:.200}")
        elif message[0] in (verbs.ERROR, verbs.ENDED, verbs.GOAWAY):
            code = message[1] if message[0] == verbs.GOAWAY else message[2]
            self.counts[f"refused: {code}"] += 1
            if code not in FAMILY or code == "internal":
                self.problems.append(f"an unknown code: {message!r:.200}")

    def _end(self, sock: socket.socket) -> None:
        kind = self.rng.randrange(3)
        with contextlib.suppress(OSError):
            if kind == 0:  # reset
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif kind == 1:  # half open for a moment
                sock.shutdown(socket.SHUT_WR)
                sock.settimeout(0.01)
                sock.recv(1000)


def main() -> None:
    address, seed, seconds = sys.argv[1:]
    attacker = Attacker(address, Random(int(seed)))
    attacker.run(float(seconds))
    print(json.dumps({"counts": attacker.counts, "problems": attacker.problems[:20]}))


if __name__ == "__main__":
    main()
