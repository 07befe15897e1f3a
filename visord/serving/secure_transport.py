"""What stands between an accepted socket and the protocol that serves it: nothing, or TLS.

    factory = ListenerFactory(credentials, loop.time)       # one for all ports of a node
    loop.create_server(factory.around(make), ...)           # with `credentials` None: `make` itself

It is a protocol to the socket and a transport to its guest. The guest is there from `accept` on, so that its
places, its deadline and its address count before anybody has shaken hands; bytes come to it when TLS is established and
the certificate was judged. What is spent on handshakes is bounded: so many at once, so many of one address, the oldest
goes (`places`); no state of TLS is made before the first bytes are here.

Whoever does not speak TLS is told so in its own words, once, in clear: a client by GOAWAY, a browser by HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, cast

import msgpack

from visor._core.tls_faults import told
from visor.protocol import verbs
from visor.protocol.frames import TLS_FIRST
from visord.peers.telling import Seldom
from visord.serving.owners import owner_of
from visord.serving.places import Places
from visord.tls.credentials import Credentials
from visord.tls.identity import Certified, identity_of

logger = logging.getLogger("visord.tls")

HANDSHAKES: Final = 1024
"""Handshakes under way at once; each takes about 60 KB."""
HANDSHAKES_EACH: Final = 512
"""The same of one address."""
COMPLAINTS: Final = 256
"""Kinds of complaints that are logged within a minute, each once."""
RECORD: Final = 16 * 1024
"""Bytes of one record at most: as much comes of a read, however much is asked for, and is allocated for it."""
IN_CLEAR: Final = (
    "TLS is spoken at this port, and these bytes are in clear: dial with TLS (tls=..., VISOR_CACERT or VISOR_TLS, a "
    "context's cacert)"
)
HTTP_IN_CLEAR: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"TLS is spoken at this port: use https://\n"
)


class Guest(Protocol):
    """The protocol that is served through TLS."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...

    def data_received(self, data: bytes) -> None: ...

    def eof_received(self) -> bool | None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...

    def connection_lost(self, exc: Exception | None) -> None: ...

    def turn_away(self, why: str) -> None:
        """Its certificate is refused: say why, and close."""


class ListenerFactory:
    """See the module. `now()`: monotonic seconds."""

    def __init__(self, credentials: Credentials | None, now: Callable[[], float]) -> None:
        self.credentials = credentials
        self.shaking: Places[SecureTransport] = Places(HANDSHAKES, HANDSHAKES_EACH)
        self._seldom: Seldom[str] = Seldom(now, COMPLAINTS)
        self.failed = 0
        """Handshakes that came to nothing, since the start."""

    def around(self, make: Callable[[], Guest]) -> Callable[[], asyncio.Protocol]:
        """Return what makes the protocol of a new connection: `make` itself, or one of TLS around what it makes."""
        credentials = self.credentials
        if credentials is None:
            return cast("Callable[[], asyncio.Protocol]", make)
        return lambda: SecureTransport(self, credentials, make())

    def complain(self, peer: str, what: str) -> None:
        """Log why a connection came to nothing; the same of the same host seldom."""
        self.failed += 1
        if self._seldom.may(f"{peer.rpartition(':')[0]} {what:.60}"):
            logger.warning("client %s: %s", peer, what)


class SecureTransport(asyncio.Transport, asyncio.Protocol):
    """One connection within TLS."""

    __slots__ = (
        "_credentials",
        "_deaf",
        "_factory",
        "_guest",
        "_incoming",
        "_open",
        "_outgoing",
        "_shaking",
        "_tls",
        "_transport",
        "identity",
    )

    def __init__(self, factory: ListenerFactory, credentials: Credentials, guest: Guest) -> None:
        self._factory = factory
        self._credentials = credentials
        self._guest = guest
        self._transport: asyncio.Transport | None = None
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._shaking = False
        """A handshake has begun and is not over."""
        self._open = False
        """Both ways are open: TLS is established, nobody has closed."""
        self._deaf = False
        """What still comes is thrown away."""
        self.identity: Certified | None = None
        """Who shows a certificate, once that is proven."""

    # -- a protocol, to the socket ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._guest.connection_made(self)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._open:
            self._incoming.write(data)
            self._deliver()
        else:
            self._shake(data)

    def eof_received(self) -> bool | None:
        self._deaf = True
        if self._shaking:
            self._fail("it hung up while TLS shook hands")
            return False
        return self._guest.eof_received()

    def pause_writing(self) -> None:
        self._guest.pause_writing()

    def resume_writing(self) -> None:
        self._guest.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._factory.shaking.leave(self)
        self._open, self._deaf, self._tls = False, True, None
        self._guest.connection_lost(exc)
        self._transport = None

    # -- the handshake ------------------------------------------------------------------------------------

    @property
    def idle_since(self) -> float | None:
        """All that shake hands are strangers: the oldest goes."""
        return 0.0

    def _shake(self, data: bytes) -> None:
        tls = self._tls
        if tls is None:
            if data[0] != TLS_FIRST:
                self._in_clear(data)
                return
            tls = self._tls = self._begin()
            if self._deaf:
                return
        self._incoming.write(data)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except (ssl.SSLError, ValueError) as error:
            self._flush()  # the alert that says why
            clock = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self._credentials.clock()))
            self._fail(f"no TLS: {told(error, 'the client', clock, ' (listen.tls_client_ca)')}")
            return
        self._flush()
        self._established(tls)

    def _begin(self) -> ssl.SSLObject:
        shaking, self._shaking = self._factory.shaking, True
        victim = shaking.enter(self, "" if self._transport is None else owner_of(self._transport))
        if victim is not None:
            victim.give_way()
        return self._credentials.context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def give_way(self) -> None:
        """So many shake hands that this one has to go."""
        self._fail("too many connections shake hands")
        self.abort()

    def _established(self, tls: ssl.SSLObject) -> None:
        self._shaking = False
        self._factory.shaking.leave(self)
        encoded, certificate = tls.getpeercert(binary_form=True), tls.getpeercert()
        if encoded is not None and certificate:
            self.identity = identity_of(certificate, encoded)
        self._open = True
        if not self.judge() and self._incoming.pending:
            self._deliver()

    def judge(self) -> bool:
        """Turn the guest away when its certificate is not good (any more); tell whether that is so."""
        why = "" if self.identity is None else self._credentials.refusal(self.identity)
        if why and self._open:
            self._factory.complain(self._peer(), why)
            self._guest.turn_away(why)
        return bool(why)

    def _in_clear(self, data: bytes) -> None:
        """Tell whoever does not speak TLS that it is spoken here."""
        if self._transport is not None and not self._transport.is_closing():
            in_clear = HTTP_IN_CLEAR if data[:1].isalpha() else _goaway()
            self._transport.write(in_clear)
        self._fail("it does not speak TLS, which is spoken at this port")

    def _fail(self, what: str) -> None:
        self._shaking, self._deaf = False, True
        self._factory.shaking.leave(self)
        self._factory.complain(self._peer(), what)
        # Closed by the peer, or when the guest loses patience: a reset could overtake what was said.
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(OSError):  # it was faster
                self._transport.write_eof()

    def _peer(self) -> str:
        peer: Any = None if self._transport is None else self._transport.get_extra_info("peername")
        return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "somebody"

    # -- bytes --------------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        """Give the guest, at once, all that has arrived whole."""
        tls, incoming = self._tls, self._incoming
        assert tls is not None
        pieces: list[bytes] = []
        ended = False
        try:
            while piece := tls.read(RECORD):
                pieces.append(piece)
                if not incoming.pending and not tls.pending():
                    break
            else:
                ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            ended = True
        except ssl.SSLError as error:
            self._factory.complain(self._peer(), f"TLS failed: {error}")
            self.abort()
            return
        if self._outgoing.pending:
            self._flush()
        if pieces:
            self._guest.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if ended and not self._deaf:
            self._deaf = True
            self._guest.eof_received()
            self.close()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # -- a transport, to the guest ------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, once TLS is established; before that and after the end nothing can be said."""
        tls = self._tls
        if not self._open or tls is None or not data:
            return
        done, size = tls.write(data), len(data)
        if done < size:  # one record at a time
            rest = memoryview(data)
            while done < size:
                done += tls.write(rest[done:])
        self._flush()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send pieces, short ones together: each record costs as much again as its bytes."""
        together = bytearray()
        for data in list_of_data:
            if len(together) + len(data) > RECORD:
                self.write(together)
                together = bytearray()
            if len(data) < RECORD:
                together += data
            else:
                self.write(data)
        self.write(together)

    def write_eof(self) -> None:
        """Say that nothing more comes; what the peer still sends is thrown away."""
        if self._deaf and not self._open:
            return
        self._end()
        if self._transport is not None:
            self._transport.write_eof()

    def _end(self) -> None:
        self._deaf = True
        if self._open and self._tls is not None:
            self._open = False
            with contextlib.suppress(ssl.SSLError):  # it wants to see the peer's end, too
                self._tls.unwrap()
            self._flush()

    def close(self) -> None:
        """Send what was written, then close."""
        self._end()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._open, self._deaf = False, True
        if self._transport is not None:
            self._transport.abort()

    def is_closing(self) -> bool:
        """Tell whether nothing can be sent any more."""
        return self._transport is None or self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport below knows."""
        return default if self._transport is None else self._transport.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Say how much may wait before the guest is asked to pause."""
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return the bytes that wait, as they go over the wire."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Read nothing until `resume_reading`."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self._transport is not None:
            self._transport.resume_reading()


def _goaway() -> bytes:
    return bytes(msgpack.packb([verbs.GOAWAY, "unsupported", IN_CLEAR]))
