"""The socket of the blocking client within TLS: whatever the system takes, every byte arrives once and in order."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from pathlib import Path
from random import Random

import pytest

import visor
from tests.patience import PATIENCE
from visor._core.address import Address
from visor._drivers.tls_socket import TlsSocket, secure
from visor.testing.authority import Authority

HERE = Address("127.0.0.1", 1)


class Reader:
    """The other end: reads slowly, and keeps what it reads."""

    def __init__(self, sock: socket.socket, files: tuple[Path, Path], answer: bytes = b"") -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        self._sock, self._context, self._answer = sock, context, answer
        self.got = bytearray()
        self.may = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        with self._context.wrap_socket(self._sock, server_side=True, suppress_ragged_eofs=True) as secured:
            if self._answer:
                secured.sendall(self._answer)
            self.may.wait(PATIENCE)
            while data := secured.recv(5000):
                self.got += data


def pair(authority: Authority, files: tuple[Path, Path], answer: bytes = b"") -> tuple[TlsSocket, Reader]:
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    reader = Reader(far, files, answer)
    deadline = time.monotonic() + PATIENCE
    secured = secure(near, visor.TLS(str(authority.certificate)), HERE, lambda: deadline - time.monotonic())
    assert isinstance(secured, TlsSocket)
    secured.settimeout(None)
    return secured, reader


@pytest.mark.parametrize("seed", range(6))
def test_what_is_sent_in_pieces_without_waiting_arrives_whole(
    authority: Authority, server_files: tuple[Path, Path], seed: int
) -> None:
    chance = Random(seed)
    secured, reader = pair(authority, server_files)
    whole = chance.randbytes(700_000)
    left, out, blocked = memoryview(whole), b"", 0
    while left or out:
        if not out:
            size = chance.choice((1, 2, 100, 16_384, 40_000, 300_000))
            out, left = bytes(left[:size]), left[size:]
        elif left and chance.random() < 0.3:  # more comes while the rest waits, as in the driver
            out, left = out + bytes(left[:7]), left[7:]
        try:
            taken = secured.send(out, socket.MSG_DONTWAIT)
        except BlockingIOError:
            taken = 0
        assert 0 <= taken <= len(out)
        out = out[taken:]
        if out:
            blocked += 1
            reader.may.set()
            time.sleep(0)
    reader.may.set()
    secured.shutdown(socket.SHUT_WR)
    reader.thread.join(PATIENCE)
    assert bytes(reader.got) == whole
    assert blocked  # or nothing was tried
    secured.close()


def test_what_comes_with_the_end_of_the_handshake_is_not_waited_for(
    authority: Authority, server_files: tuple[Path, Path]
) -> None:
    secured, reader = pair(authority, server_files, b"x" * 50_000)
    got = b""
    while len(got) < 50_000:
        got += secured.recv(65_536)
    assert got == b"x" * 50_000
    reader.may.set()
    secured.close()
    reader.thread.join(PATIENCE)


def test_its_timeouts_are_those_of_any_socket(authority: Authority, server_files: tuple[Path, Path]) -> None:
    secured, reader = pair(authority, server_files)
    secured.settimeout(0.001)
    with pytest.raises(TimeoutError):
        secured.recv(100)
    secured.setblocking(False)
    with pytest.raises(BlockingIOError):
        secured.recv(100)
    reader.may.set()
    secured.close()
    reader.thread.join(PATIENCE)
