"""`python -m tests.gateway.siege`: floods of HTTP against a gateway that is a process, and who calls beside them.

    python -m tests.gateway.siege                            each flood for three seconds
    python -m tests.gateway.siege --seconds 10 --only heads,silent --slack 4

Attackers are a process of their own. Beside them somebody reads a file through the gateway, and somebody reads it from
the registry itself, again and again: neither may see a failure, and their waits are told beside those without a flood.
The gateway's memory may grow by what its budgets allow. `--slack` widens what depends on the machine. Exit code 1 with
reasons where something did not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import re
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import visor
from tests.node_process import NodeProcess, environment
from tests.patience import PATIENCE
from visor.testing.authority import Authority

VALUE: Final = b"v" * 1_000_000
HEAD: Final = b"PUT /v1/files/x/%d HTTP/1.1\r\nhost: localhost\r\n"
PUT: Final = HEAD + b"content-length: %d\r\n\r\n"
GET: Final = b"GET /v1/files/siege/%b HTTP/1.1\r\nhost: localhost\r\n\r\n"
POST: Final = (
    b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
)
FACTOR: Final = 10.0
"""How many times longer than alone the slowest hundredth of the calls beside a flood may take ..."""
FLOOR_SECONDS: Final = 0.25
"""... or as long as this, whatever it was."""

GROWS: Final = 64
Place = tuple[str, int]
Attack = Callable[[Place], None]


@dataclass(frozen=True, slots=True)
class Flood:
    """One attack: what a connection does, how many do it at once, and what is counted of it."""

    name: str
    attack: Attack
    at_once: int
    counted: str = ""
    """By which reason; "": it is no request that is refused."""
    grows: int = GROWS
    """MiB that the gateway's memory may grow by."""
    secure: bool = False
    """It is for a gateway that speaks TLS."""


FLOODS: Final[dict[str, Flood]] = {}


def flood(
    name: str, at_once: int, counted: str = "", grows: int = GROWS, *, secure: bool = False
) -> Callable[[Attack], Attack]:
    """Register an attack; it is called again and again, by as many threads as `at_once` says."""

    def register(attack: Attack) -> Attack:
        FLOODS[name] = Flood(name, attack, at_once, counted, grows, secure)
        return attack

    return register


@contextmanager
def connected(place: Place) -> Iterator[socket.socket]:
    with socket.create_connection(place, PATIENCE) as one, contextlib.suppress(OSError):
        one.settimeout(1.0)
        yield one


def until_closed(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while one.recv(1 << 16):
            continue


# -- the floods -----------------------------------------------------------------------------------------------
@flood("heads", 200)
def heads(place: Place) -> None:
    """A head, a byte at a time."""
    with connected(place) as one:
        for byte in HEAD % 1:
            one.sendall(bytes([byte]))
            time.sleep(0.1)


@flood("silent", 8, counted="crowded")
def silent(place: Place) -> None:
    """More connections than there is place for, and not a word on them."""
    with contextlib.ExitStack() as held:
        for _ in range(400):
            held.enter_context(connected(place))
        time.sleep(0.5)


@flood("bodies", 120, counted="crowded", grows=340)
def bodies(place: Place) -> None:
    """Bodies that are large, and never whole."""
    with connected(place) as one:
        one.sendall(PUT % (1, 4 << 20) + b"x" * (4000 << 10))
        time.sleep(2.0)


@flood("headers", 8, counted="head_too_large")
def headers(place: Place) -> None:
    """A head without an end."""
    with connected(place) as one:
        one.sendall(HEAD % 1 + b"".join(b"x%d: %s\r\n" % (number, b"y" * 100) for number in range(2000)))
        until_closed(one)


@flood("chunks", 8, counted="body_too_large")
def chunks(place: Place) -> None:
    """A body that is nothing but what stands between its parts."""
    with connected(place) as one:
        one.sendall(HEAD % 1 + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(400):
            one.sendall(b"1;" + b"x" * (64 << 10) + b"\r\nx\r\n")
        until_closed(one)


@flood("ahead", 8, counted="pipelined")
def ahead(place: Place) -> None:
    """Requests without an end, and none of the answers is read."""
    with connected(place) as one:
        one.sendall((GET % b"small") * 100_000)


@flood("unread", 150, grows=340)
def unread(place: Place) -> None:
    """Large answers that nobody takes."""
    with connected(place) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.sendall((GET % b"large") * 4)
        time.sleep(1.0)


@flood("json", 4, counted="body_too_large", grows=96)
def small_things(place: Place) -> None:
    """Four megabytes of JSON that would take eighty times as much."""
    with connected(place) as one:
        body = b'{"then":[' + b"[]," * 1_000_000 + b"[]]}"
        one.sendall(POST % (b"/v1/txn", len(body), body))
        one.recv(1000)


@flood("deep", 4, counted="usage")
def deep(place: Place) -> None:
    """JSON that goes down and down."""
    with connected(place) as one:
        body = b'{"then":' * 100_000
        one.sendall(POST % (b"/v1/txn", len(body), body))
        one.recv(1000)


_NUMBERS = itertools.count()


@flood("tokens", 8, counted="bad_token", grows=96)
def tokens(place: Place) -> None:
    """Tokens that somebody made up, each another one."""
    with connected(place) as one:
        for _ in range(20):
            one.sendall(
                b"GET /v1/rev HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer vis_%d\r\n\r\n"
                % next(_NUMBERS)
            )
            one.recv(4096)


@flood("names", 8)
def names(place: Place) -> None:
    """One caller that says of itself that it is thousands."""
    with connected(place) as one:
        for _ in range(20):
            one.sendall(
                b"GET /v1/rev HTTP/1.1\r\nhost: localhost\r\nvisor-actor: %d\r\n\r\n" % next(_NUMBERS)
            )
            one.recv(4096)


@flood("selectors", 60, grows=96)
def selectors(place: Place) -> None:
    """Streams that ask for as much as one may ask for, while there are commits that each has to judge."""
    with connected(place) as one:
        globs = {f"{number:03d}" * 30: "/" + "*s*i*" * 12 + f"/{number}" for number in range(32)}
        body = json.dumps(globs).encode()
        one.sendall(POST % (b"/v1/watch?from=1", len(body), body))
        with connected(place) as other:
            other.sendall(PUT % (next(_NUMBERS) % 1000, 1) + b"x")
        until_closed(one)


@flood("strangers", 8, counted="wrong_host")
def strangers(place: Place) -> None:
    """Pages that came by another name, and ask for large globs."""
    with connected(place) as one:
        for _ in range(50):
            one.sendall(b"GET /v1/scan?glob=/" + b"{a,b}" * 1000 + b" HTTP/1.1\r\nhost: evil.example\r\n\r\n")
            one.recv(4096)


@flood("sign-in", 8, counted="bad_token", grows=96)
def sign_in(place: Place) -> None:
    """Browsers that sign in with tokens that somebody made up."""
    with connected(place) as one:
        for _ in range(20):
            body = b'{"token":"vis_%d"}' % next(_NUMBERS)
            one.sendall(POST % (b"/v1/session", len(body), body))
            one.recv(4096)


COSTLY: Final = (
    *(
        "density?buckets=1000&glob=/**",
        "diff?a=1&glob=/**",
        "commits?limit=1000&glob=/**&values=1",
        "blame/siege",
    ),
    *(
        "history/siege?limit=1000&values=1",
        "scan?glob=/**&values=1&limit=1000",
        "fleet",
        "cluster/live?largest=50",
    ),
)


@flood("costly", 16, grows=96)
def costly(place: Place) -> None:
    """Requests that are good, and ask for as much as one may."""
    with connected(place) as one:
        url = COSTLY[next(_NUMBERS) % len(COSTLY)].encode()
        one.sendall(b"GET /v1/%b HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n" % url)
        until_closed(one)


@flood("come-and-go", 16)
def come_and_go(place: Place) -> None:
    """Streams that are left as soon as they have begun, or before."""
    with connected(place) as one:
        one.sendall(b"GET /v1/watch?glob=/**&state=1 HTTP/1.1\r\nhost: localhost\r\n\r\n")
        if next(_NUMBERS) % 2:
            one.recv(4096)


def first_words() -> bytes:
    """Return how a handshake begins."""
    outgoing = ssl.MemoryBIO()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="x")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


@flood("hands", 8, counted="crowded", grows=96, secure=True)
def hands(place: Place) -> None:
    """Handshakes that begin, and stop when it is the client's turn."""
    words = first_words()
    with contextlib.ExitStack() as held:
        for _ in range(100):
            held.enter_context(connected(place)).sendall(words)
        time.sleep(0.5)


@flood("noise", 8, counted="no_tls", secure=True)
def noise(place: Place) -> None:
    """What is nearly TLS, or not at all."""
    words = bytearray(first_words())
    number = next(_NUMBERS)
    words[number % len(words)] ^= 1 + number % 255
    with connected(place) as one:
        one.sendall(
            (bytes(words), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x40\x00" + b"x" * 20_000)[number % 3]
        )
        one.shutdown(socket.SHUT_WR)
        until_closed(one)


def attack(name: str, place: Place, seconds: float) -> None:
    """Attack for so long: what a process of its own does."""
    one = FLOODS[name]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(8192, hard)), hard))
    end = time.monotonic() + seconds

    def go_on() -> None:
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                one.attack(place)

    threads = [threading.Thread(target=go_on, daemon=True) for _ in range(one.at_once)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)


# -- who calls beside them ------------------------------------------------------------------------------------
def connection(place: Place, trust: ssl.SSLContext | None) -> http.client.HTTPConnection:
    if trust is None:
        return http.client.HTTPConnection(*place, timeout=PATIENCE)
    return http.client.HTTPSConnection(*place, timeout=PATIENCE, context=trust)


@dataclass
class Canary:
    """Reads a file through the gateway, and from the registry, by turns; `waits` are its waits in seconds."""

    place: Place
    client: visor.Client[bytes]
    trust: ssl.SSLContext | None = None
    """Whom it trusts, where TLS is spoken."""
    waits: dict[str, list[float]] = field(default_factory=lambda: {"gateway": [], "registry": []})
    failures: list[str] = field(default_factory=list)
    _connection: http.client.HTTPConnection | None = None

    def call(self) -> None:
        begun = time.monotonic()
        try:
            self._through()
        except (OSError, http.client.HTTPException, AssertionError) as error:
            self.failures.append(f"{type(error).__name__}: {error!s:.200}")
            self._connection = None
        between = time.monotonic()
        assert self.client.get("/siege/small").value == b"1"
        self.waits["gateway"].append(between - begun)
        self.waits["registry"].append(time.monotonic() - between)

    def _through(self) -> None:
        """One call; a connection that was idle may have gone meanwhile, as with every server: then another one."""
        for fresh in (False, True):
            if self._connection is None or fresh:
                self._connection = connection(self.place, self.trust)
            try:
                self._connection.request("GET", "/v1/files/siege/small", headers={"visor-actor": "canary"})
                answer = self._connection.getresponse()
                told = answer.status, answer.read()
            except (http.client.RemoteDisconnected, ConnectionError):
                if fresh:
                    raise
                continue
            if told[0] == 503 and answer.getheader("connection") == "close" and not fresh:
                continue  # said as it was idle, to make room
            assert told == (200, b"1"), told
            return

    def slow(self) -> dict[str, float]:
        """Return the wait that a hundredth of the calls exceed, and begin anew."""
        told = {name: sorted(waits)[len(waits) * 99 // 100] for name, waits in self.waits.items()}
        self.waits = {"gateway": [], "registry": []}
        return told


@dataclass
class Scene:
    """A registry and a gateway, each a process, and who calls."""

    place: Place
    pid: int
    canary: Canary
    log: IO[str]

    def logged(self) -> str:
        """Return what the gateway wrote into its log, and forget it."""
        self.log.seek(0)
        text = self.log.read()
        self.log.seek(0)
        self.log.truncate()
        return text

    def memory(self) -> int:
        """MiB that the gateway takes."""
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() >> 20

    def counted(self) -> dict[str, int]:
        """How many refusals there were by each reason."""
        asked = connection(self.place, self.canary.trust)
        asked.request("GET", "/metrics")
        text = asked.getresponse().read().decode()
        asked.close()
        found: dict[str, int] = {}
        for code, count in re.findall(r'_(?:refused|cut)_total\{(?:code|why)="(\w+)"\} (\d+)', text):
            found[code] = found.get(code, 0) + int(count)
        return found


@contextmanager
def scene(*, secure: bool = False) -> Iterator[Scene]:
    """Give a registry with a few files, and a gateway before it, which speaks TLS with `secure`."""
    dev = ["dev", "--listen", "127.0.0.1:0"]
    with (
        NodeProcess(None, arguments=dev) as node,
        visor.dial(node.address) as client,
        tempfile.TemporaryFile("w+") as log,
        tempfile.TemporaryDirectory() as folder,
    ):
        client.set("/siege/small", b"1")
        client.set("/siege/large", VALUE)
        for number in range(200):
            client.set(f"/siege/many/{number}", b"x" * 100)
        words = ["gateway", "--addr", node.address, "--listen", "127.0.0.1:0", "-o", "plain"]
        trust = None
        if secure:
            authority = Authority(Path(folder))
            cert, key = authority.issue("gateway", hosts=("127.0.0.1",))
            words += ["--tls-cert", str(cert), "--tls-key", str(key)]
            trust = ssl.create_default_context(cafile=str(authority.certificate))
        with subprocess.Popen(
            [sys.executable, "-m", "visor", *words],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment(),
        ) as process:
            assert process.stdout is not None
            host, _, port = process.stdout.readline().strip().partition("://")[2].rpartition(":")
            place = host, int(port)
            try:
                yield Scene(place, process.pid, Canary(place, client, trust), log)
            finally:
                process.terminate()
                process.wait(PATIENCE)


@dataclass
class Verdict:
    """What came of one flood."""

    name: str
    before: int
    peak: int
    alone: dict[str, float]
    beside: dict[str, float]
    calls: int
    problems: list[str]

    def line(self) -> str:
        waits = ", ".join(
            f"{name} {self.beside[name] * 1000:.1f} ms (alone {self.alone[name] * 1000:.1f})"
            for name in self.alone
        )
        return (
            f"{self.name:<10} {'ok  ' if not self.problems else 'FAIL'} p99 {waits}; "
            f"{self.calls} calls; MiB {self.before} -> {self.peak}"
        )


def play(scene: Scene, one: Flood, seconds: float, slack: float | None) -> Verdict:
    """Have a flood come, and look. Without `slack` waits are told, and not judged."""
    canary = scene.canary
    _call_for(canary, min(seconds, 1.0))
    alone, before, counted = canary.slow(), scene.memory(), scene.counted()
    word = [
        sys.executable,
        "-m",
        "tests.gateway.siege",
        "attack",
        one.name,
        f"{scene.place[0]}:{scene.place[1]}",
    ]

    def seen() -> bool:
        return not one.counted or scene.counted().get(one.counted, 0) > counted.get(one.counted, 0)

    # It lasts until it is what it says: where the machine is slow, hundreds of connections take their time.
    with subprocess.Popen([*word, str(seconds + PATIENCE)], env=environment()) as attacker:
        peak, end = before, time.monotonic() + seconds
        while time.monotonic() < end or (time.monotonic() < end + PATIENCE and not seen()):
            _call_for(canary, 0.05)
            peak = max(peak, scene.memory())
        attacker.terminate()
    calls = len(canary.waits["gateway"])
    beside = canary.slow()
    problems, canary.failures = [f"a caller saw {each}" for each in canary.failures[:5]], []
    if peak - before > one.grows:
        problems.append(f"the gateway grew by {peak - before} MiB, {one.grows} are its bound")
    if text := scene.logged():
        problems.append(f"{len(text)} characters of log: {text[-300:]!r}")
    if not seen():
        problems.append(f"nothing was counted as {one.counted}")
    for name, wait in beside.items() if slack is not None else ():
        most = max(FACTOR * alone[name], FLOOR_SECONDS) * (slack or 1.0)
        if wait > most:
            problems.append(f"a call of the {name} took {wait:.3f} s, over {most:.3f}")
    return Verdict(one.name, before, peak, alone, beside, calls, problems)


def _call_for(canary: Canary, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end or not canary.waits["gateway"]:
        canary.call()
        time.sleep(0.002)


def main() -> int:
    if sys.argv[1:2] == ["attack"]:
        host, _, port = sys.argv[3].rpartition(":")
        attack(sys.argv[2], (host, int(port)), float(sys.argv[4]))
        return 0
    parser = argparse.ArgumentParser(prog="python -m tests.gateway.siege", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--only", default="", help=f"of {', '.join(FLOODS)}")
    parser.add_argument("--slack", type=float, default=1.0)
    options = parser.parse_args()
    chosen = [name for name in options.only.split(",") if name] or list(FLOODS)
    failed = 0
    for secure in (False, True):
        floods = [FLOODS[name] for name in chosen if FLOODS[name].secure == secure]
        floods.sort(key=lambda each: each.grows)  # what one takes may hide what the next one does
        if floods:
            with scene(secure=secure) as place:
                failed += sum(shown(play(place, each, options.seconds, options.slack)) for each in floods)
    return 1 if failed else 0


def shown(verdict: Verdict) -> bool:
    """Print it; return whether something did not hold."""
    print(verdict.line(), flush=True)
    for problem in verdict.problems:
        print(f"    {problem}", flush=True)
    return bool(verdict.problems)


if __name__ == "__main__":
    sys.exit(main())
