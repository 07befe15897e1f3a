"""The proxy itself: what is cut is held and comes later, in order; what is broken is told; each link by its name."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import msgpack
import pytest

from tests.cluster import ports
from tests.cluster.links import BROKEN, CUT, Links, between, towards
from tests.cluster.proxy import Rule
from tests.patience import PATIENCE


class Echo:
    """A server that answers each arrival with the same bytes."""

    def __init__(self) -> None:
        self._listening = socket.create_server((ports.HOST, 0))
        self.address = f"{ports.HOST}:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    @staticmethod
    def _serve(sock: socket.socket) -> None:
        with sock:
            try:
                while data := sock.recv(65536):
                    sock.sendall(data)
            except OSError:
                return

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def links() -> Iterator[Links]:
    with Links() as made:
        yield made


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


def door(links: Links, echo: Echo, member: str, kind: str) -> str:
    address = ports.address()
    links.open_door(member, kind, address, echo.address)
    return address


def dial(address: str, timeout: float = 5.0) -> socket.socket:
    return socket.create_connection(ports.split(address), timeout)


def hello(address: str) -> bytes:
    content: bytes = msgpack.packb(["visor-peer", 1, {"address": address}])
    return len(content).to_bytes(4, "big") + content


def silent(sock: socket.socket, seconds: float) -> bool:
    sock.settimeout(seconds)
    try:
        return not sock.recv(1, socket.MSG_PEEK) and False
    except TimeoutError:
        return True
    finally:
        sock.settimeout(PATIENCE)


def read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece, "closed"
        data += piece
    return data


def test_a_cut_link_holds_bytes_and_delivers_them_in_order(links: Links, echo: Echo) -> None:
    with dial(door(links, echo, "n1", "client")) as sock:
        sock.sendall(b"one")
        assert read(sock, 3) == b"one"
        number = links.add(dict.fromkeys(towards(["n1"], ["client"]), CUT))
        sock.sendall(b"two")
        sock.sendall(b"three")
        assert silent(sock, 0.2)
        links.heal(number)
        assert read(sock, 8) == b"twothree"


def test_a_broken_link_ends_connections_and_refuses_new_ones(links: Links, echo: Echo) -> None:
    address = door(links, echo, "n1", "client")
    with dial(address) as sock:
        sock.sendall(b"one")
        read(sock, 3)
        number = links.add(dict.fromkeys(between(["n1"], ["client"]), BROKEN), reset=True)
        assert ended(sock)
    with dial(address) as sock:
        assert ended(sock)
    links.heal(number)
    with dial(address) as sock:
        sock.sendall(b"two")
        assert read(sock, 3) == b"two"


def ended(sock: socket.socket) -> bool:
    try:
        return not sock.recv(1)
    except ConnectionError:
        return True


def test_members_are_told_apart_by_their_hello(links: Links, echo: Echo) -> None:
    address = door(links, echo, "n1", "peer")
    others = {name: door(links, echo, name, "peer") for name in ("n2", "n3")}
    links.add(dict.fromkeys(towards(["n2"], ["n1"]), CUT))
    with dial(address) as second, dial(address) as third:
        for sock, name in ((second, "n2"), (third, "n3")):
            sock.sendall(hello(others[name]))
        expected = hello(others["n3"])
        assert read(third, len(expected)) == expected
        assert silent(second, 0.2)


def test_who_hangs_up_on_a_cut_link_is_noticed_when_it_is_healed(links: Links, echo: Echo) -> None:
    listening = socket.create_server((ports.HOST, 0))
    address = ports.address()
    links.open_door("n1", "client", address, f"{ports.HOST}:{listening.getsockname()[1]}")
    sock = dial(address)
    far, _ = listening.accept()
    with listening, far:
        sock.sendall(b"one")
        assert read(far, 3) == b"one"
        number = links.add(dict.fromkeys(between(["n1"], ["client"]), CUT))
        sock.sendall(b"two")
        sock.close()
        assert silent(far, 0.2)
        links.heal(number)
        assert read(far, 3) == b"two"
        assert ended(far)


def test_slow_links(links: Links, echo: Echo) -> None:
    with dial(door(links, echo, "n1", "client")) as sock:
        links.add(dict.fromkeys(between(["n1"], ["client"]), Rule(delay=0.1)))
        began = time.monotonic()
        sock.sendall(b"one")
        assert read(sock, 3) == b"one"
        assert time.monotonic() - began >= 0.2


def test_narrow_links_and_a_sender_that_must_wait(links: Links, echo: Echo) -> None:
    size = 400_000
    with dial(door(links, echo, "n1", "client")) as sock:
        links.add(dict.fromkeys(towards(["client"], ["n1"]), Rule(rate=1_000_000.0)))
        sender = threading.Thread(target=sock.sendall, args=(bytes(size),))
        began = time.monotonic()
        sender.start()
        read(sock, size)
        sender.join()
        assert time.monotonic() - began >= 0.25


def test_faults_add_up_and_heal_one_by_one(links: Links, echo: Echo) -> None:
    with dial(door(links, echo, "n1", "client")) as sock:
        slow = links.add(dict.fromkeys(between(["n1"], ["client"]), Rule(delay=0.01)))
        cut = links.add(dict.fromkeys(between(["n1"], ["client"]), CUT))
        sock.sendall(b"one")
        assert silent(sock, 0.1)
        links.heal(cut)
        assert read(sock, 3) == b"one"
        links.heal(slow)
        links.heal(slow)
        sock.sendall(b"two")
        assert read(sock, 3) == b"two"
