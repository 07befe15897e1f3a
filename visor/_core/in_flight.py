"""The requests of a client that have no answer yet: their ids, their bytes, and what is on its way.

submit       an id; the bytes go into `take()` at once when there is room, otherwise into the backlog
begin, register     the same in two steps, so that a lone call's bytes leave before anything is noted
abandon      nobody waits any more: never sent again, and cancelled at the server where that helps
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import msgpack

from visor._core.call import Call
from visor._core.sendable import check_shape, plain, unsendable
from visor.errors import TooLarge, Unsendable
from visor.protocol import verbs
from visor.protocol.frames import BUFFER
from visor.protocol.limits import DEFAULT, Limits

OFFLINE, GREETING, READY, LEAVING = range(4)
"""How a connection stands; the table of `visor._core.client` says what leads from one to the other."""

IN_CLEAR = (
    "it would be said in the clear: dial with TLS (tls=visor.TLS(...), VISOR_CACERT, the context's cacert)"
)


class InFlight:
    """Requests of one session, whatever connection they go over."""

    def __init__(self) -> None:
        self.state = OFFLINE
        self.limits: Limits = DEFAULT
        self._in_flight = DEFAULT.in_flight
        self._frame = DEFAULT.frame
        self.pending: dict[int, Call] = {}
        """Calls with an id, ascending: on the wire, in the backlog, or (uncertain writes) waiting for another try."""
        self._writes: dict[int, Call] = {}
        self._backlog: deque[Call] = deque()
        """Calls that wait for a connection or for room in flight."""
        self._pack: Callable[[Any], bytes] = msgpack.Packer(use_bin_type=True, buf_size=BUFFER).pack
        self._outgoing: list[bytes] = []
        self._last_id = 0
        self._packed = 0
        """The highest id whose bytes are in `_outgoing` or left before."""
        self._flushed = 0
        """The highest id whose bytes were taken: what is above has certainly not been sent."""
        self.heard = 0.0
        """When something was heard last."""
        self._owing = math.nan
        """`heard` when a call went unanswered: nothing was heard since then as long as they are equal."""
        self._overheard = False
        """Who is at the other end of this connection is not known, or somebody may listen."""
        self._silence = 0.0
        """Seconds of silence up to then. Calls that are given up one after the other must not hide it."""
        self.urgent = False
        """There is something that no caller will see to: bytes to flush, or that the connection is to be given up."""

    def submit(self, call: Call, now: float) -> None:
        """Give the call an id and send it, or keep it until it can be sent.

        Unsendable or TooLarge when no server would read it: then nothing here knows of it.
        """
        message = call.message
        message[1] = request = self._last_id + 1
        if call.write:
            # `acked`: the lowest write without an answer. Ids rise, so that is the first one of the dict.
            message[2] = next(iter(self._writes), request)
        data = self._bytes(message)
        self._last_id = call.id = request  # only now: what cannot be sent uses up no id
        pending = self.pending
        if not pending:
            if self.heard != self._owing:
                self.heard = now  # nobody was listening before: silence counts from here
            else:
                self._count_on(now)
        pending[request] = call
        if call.write:
            self._writes[request] = call
        if self.state == READY and not self._backlog and len(pending) <= self.limits.in_flight:
            call.sent = True
            self._packed = request
            self._outgoing.append(data)
        else:
            self._backlog.append(call)

    def _bytes(self, message: Any) -> bytes:
        """Return the bytes of a request; Unsendable or TooLarge when no server would read it, or others might."""
        if self._overheard and message[0] == verbs.PASSWORD and self.state == READY:
            raise Unsendable(what="a password", why=IN_CLEAR)
        try:
            data = self._pack(message)
        except Exception as error:  # the packer raises many kinds
            raise unsendable(message, error) from error
        if not plain(map(type, message)):
            check_shape(message)
        if len(data) > self._frame:
            # It would end the connection instead.
            raise TooLarge(what="a message", limit=self._frame, actual=len(data))
        return data

    def _count_on(self, now: float) -> None:
        """Count silence from here, and add what an unanswered call has seen of it before."""
        self._owing = self.heard = now - self._silence

    def begin(self, message: list[Any], write: bool) -> bytes | None:
        """Return the bytes of a request that goes out at once; None when it cannot, and `submit` must queue it.

        The bytes count as sent. `register` must follow, and may follow when they are on their way: what is
        done then costs no time. Unsendable or TooLarge when no server would read it.
        """
        if self.state != READY or self._backlog or len(self.pending) >= self._in_flight:
            return None
        message[1] = request = self._last_id + 1
        if write:
            message[2] = next(iter(self._writes), request)
        data = self._bytes(message)
        self._last_id = self._packed = self._flushed = request
        return data

    def register(self, call: Call, now: float) -> None:
        """Take in the call whose bytes `begin` made."""
        call.id = request = call.message[1]
        call.sent = True
        if not self.pending:
            if self.heard != self._owing:
                self.heard = now
            else:
                self._count_on(now)
        self.pending[request] = call
        if call.write:
            self._writes[request] = call

    def abandon(self, call: Call) -> None:
        """Nobody waits for this call any more: forget it, and never send it again."""
        if call.done:
            return
        call.done = True
        self._cancel(call)
        self._drop(call)

    def _cancel(self, call: Call) -> None:
        # A read may be waiting at the server for a rev to come; a write is decided as it arrives.
        if call.sent and not call.write and self.state in (READY, LEAVING):
            self._send_message((verbs.CANCEL, self._new_id(), call.id))

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _drop(self, call: Call) -> None:
        self.pending.pop(call.id, None)
        self._writes.pop(call.id, None)

    @property
    def unsent(self) -> int:
        """How many messages `take` would return."""
        return len(self._outgoing)

    def take(self) -> bytes:
        """Return the bytes to send now; they count as sent."""
        self._flushed = self._packed
        self.urgent = False
        if not self._outgoing:
            return b""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def _send_message(self, message: tuple[Any, ...]) -> None:
        self.urgent = True
        self._outgoing.append(self._pack(message))
