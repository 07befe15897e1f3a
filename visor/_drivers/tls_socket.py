"""A socket whose bytes go within TLS, for threads: to who uses it, it is a socket like any other.

One thread may be in `recv` while others `send`: bytes are ciphered in memory (an `SSLObject` serves one thread at a
time, so a lock is held for that, never while the system is waited for), and the socket below does what it always does:
its timeouts, `poll`, MSG_DONTWAIT and SO_RCVTIMEO mean what they mean without TLS.

What was ciphered has to leave. A `send` that the system does not take whole keeps the ciphered rest, and says of the
last byte that it was not taken: so the caller comes again with it, and nothing is forgotten.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from visor._core.address import Address
from visor._core.tls import TLS
from visor._drivers.tls_files import context_of, name_of, problem

RECEIVE = 65_536
PIECE = 262_144
"""Bytes that are ciphered before they are sent."""
RECORD = 16_384
"""Bytes of one record at most: as much comes of a read, however much is asked for, and is allocated for it."""


def secure(plain: socket.socket, tls: TLS, address: Address, left: Callable[[], float]) -> socket.socket:
    """Shake hands on a connection, within `left()` seconds, and return what speaks TLS on it.

    OSError says what is wrong, also with a file; the connection is closed then.
    """
    secured = TlsSocket(plain)
    try:
        secured.shake(context_of(tls), name_of(tls, address), left)
    except ValueError as error:  # a file that can no longer be used, or a name that no certificate can carry
        secured.close()
        raise OSError(str(error)) from error
    except BaseException:
        secured.close()
        raise
    return secured


class TlsSocket(socket.socket):
    """See the module. It takes the place of the socket that it is made of."""

    def __init__(self, plain: socket.socket) -> None:
        timeout = plain.gettimeout()
        super().__init__(plain.family, plain.type, plain.proto, fileno=plain.detach())
        self.settimeout(timeout)
        self._guard = threading.Lock()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: Any = None
        self._pending = b""
        """Ciphered bytes that the system has not taken."""
        self._owed = False
        """The last byte that was said not to be taken is in `_pending`."""
        self._ahead = False
        """Bytes came with the end of the handshake."""

    def shake(self, context: ssl.SSLContext, name: str, left: Callable[[], float]) -> None:
        """Shake hands; OSError when it fails."""
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        while True:
            self.settimeout(max(0.001, left()))
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                super().sendall(self._outgoing.read())
            except ssl.SSLError as error:
                self._tell(self._outgoing.read())
                raise ConnectionError(problem(error)) from error
            else:
                break
            data = super().recv(RECEIVE)
            if not data:
                raise ConnectionError("the node closed the connection while TLS shook hands")
            self._incoming.write(data)
        super().sendall(self._outgoing.read())
        self._ahead = self._incoming.pending > 0

    def _tell(self, alert: bytes) -> None:
        """Tell the node why this side leaves; it may have gone."""
        try:
            super().sendall(alert)
        except OSError:
            return

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Send what the system takes; see the module."""
        with self._guard:
            taken = 0
            if self._owed:
                if not self._flush(flags):
                    raise BlockingIOError("the ciphered bytes of before wait")
                self._owed, taken = False, 1
            whole = memoryview(data)
            while taken < len(whole):
                taken += self._cipher(whole[taken : taken + PIECE])
                if not self._flush(flags):
                    self._owed = True
                    return taken - 1
            return taken

    def _cipher(self, piece: memoryview) -> int:
        done = 0
        while done < len(piece):  # a record at a time
            done += self._tls.write(piece[done:])
        self._pending += self._outgoing.read()
        return done

    def _flush(self, flags: int) -> bool:
        """Send ciphered bytes; say whether none wait."""
        while self._pending:
            try:
                taken = super().send(self._pending, flags)
            except BlockingIOError:
                return False
            self._pending = self._pending[taken:]
        return True

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send everything, however long it takes."""
        with self._guard:
            self._cipher(memoryview(data))
            pending, self._pending = self._pending, b""
            super().sendall(pending, flags)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Return what has arrived, all that is whole (about `size` bytes); b"" at the end."""
        while True:
            if not self._ahead:
                data = super().recv(size, flags)
                if not data:
                    return b""
                self._incoming.write(data)
            self._ahead = False
            with self._guard:
                plain = self._decipher()
                if self._outgoing.pending:  # an answer of TLS itself, as to a change of keys
                    self._pending += self._outgoing.read()
                    self._flush(socket.MSG_DONTWAIT)
            if plain is not None:
                return plain

    def _decipher(self) -> bytes | None:
        """Return what is whole of what has arrived; None: nothing yet, b"": the node has ended it."""
        pieces: list[bytes] = []
        try:
            while piece := self._tls.read(RECORD):
                pieces.append(piece)
                if not self._incoming.pending and not self._tls.pending():
                    break
            else:
                return b"".join(pieces)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            return b"".join(pieces)
        except ssl.SSLError as error:
            raise ConnectionError(problem(error)) from error
        return b"".join(pieces) if pieces else None
