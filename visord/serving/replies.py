"""What a conversation says: packed into one buffer, sent in pieces, and noted where the peer does not read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Final, Protocol

from visor.protocol import verbs
from visor.protocol.frames import Encoder
from visord.serving.shares import Patience, Shares
from visord.state.refusal import Refusal
from visord.tls.identity import Certified

OK: Final = verbs.OK
PIECE: Final = 256 * 1024
"""Packed bytes that leave at once, before more is packed."""


SMALL: Final = 16 * 1024
"""Bytes that are copied rather than sent by themselves."""


class Wire(Protocol):
    """What a conversation needs of its connection."""

    @property
    def certificate(self) -> Certified | None:
        """Who the client has proven to be by a certificate."""

    def write(self, data: bytes) -> None:
        """Send bytes, in order, never blocking."""

    def write_all(self, pieces: Sequence[bytes]) -> None:
        """The same of several pieces, with as few calls of the system as there can be."""

    def pause(self) -> None:
        """Stop reading until `resume`."""

    def resume(self) -> None:
        """Read again."""

    def close(self) -> None:
        """Send what was written, then close."""

    def abort(self) -> None:
        """Close at once."""

    def unsent(self) -> int:
        """Return the bytes that were written and not taken by the peer."""

    def greeted(self) -> None:
        """The client has said who it is."""

    def strange(self, why: str) -> None:
        """What came first is nothing that a client says."""


class NoWire:
    """The wire of a conversation whose connection is gone."""

    certificate = None

    def write(self, data: bytes) -> None: ...

    def write_all(self, pieces: Sequence[bytes]) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...

    def unsent(self) -> int:
        return 0

    def greeted(self) -> None: ...

    def strange(self, why: str) -> None: ...


def _cut(page: bytes) -> Iterable[bytes]:
    """Yield it in pieces: a transport keeps each object that it was given until its last byte is sent."""
    if len(page) <= PIECE:
        return (page,)
    return (page[start : start + PIECE] for start in range(0, len(page), PIECE))


def unheard(_: bytes) -> None:
    """Send to nobody."""


NOWHERE: Final = NoWire()
MUTE: Final = Encoder()


class Replies(ABC):
    """The half of a conversation that speaks. `Conversation` makes its attributes."""

    __slots__ = ("_encoder", "_shares", "_wire", "blocked", "closed", "owner", "send")

    _encoder: Encoder
    _shares: Shares
    _wire: Wire
    blocked: bool
    """The peer does not take what was sent; the hub keeps its watches back meanwhile."""
    closed: bool
    owner: str
    """Whose what this client has counts as: its host, or its user where it is on this machine."""
    send: Callable[[bytes], None]
    """Send an encoded message of a watch. While the peer takes what is sent this is the transport's own `write`,
    without a call in between: a commit may be for thousands."""

    @abstractmethod
    def overdue(self, limits: Patience) -> str:
        """Return what takes too long here; "" when nothing does."""

    @abstractmethod
    def expel(self, code: str, text: str) -> None:
        """End the conversation for the sake of others: nothing is waited for."""

    def _send_noted(self, data: bytes) -> None:
        """What `send` is while the peer does not take what is sent."""
        self._wire.write(data)
        if not self.closed:
            self._shares.note_unsent(self, self._wire.unsent())

    def send_all(self, pieces: Sequence[bytes]) -> None:
        """Send an encoded message of a watch that is in pieces."""
        if not self.closed:
            self._wire.write_all(pieces)
            if self.blocked:  # by these pieces, or by what came before them
                self._shares.note_unsent(self, self._wire.unsent())

    def _flush(self) -> None:
        data = self._encoder.take()
        if not data or self.closed:
            return
        if len(data) <= 2 * PIECE:
            self._wire.write(data)
            return
        # A transport keeps each object that it was given until its last byte is sent: whole, it would be as much again
        # as what it tells of as unsent.
        for start in range(0, len(data), PIECE):
            self._wire.write(data[start : start + PIECE])
        if self.blocked and not self.closed:  # by the first of these pieces
            self._shares.note_unsent(self, self._wire.unsent())

    def _finish(self) -> None:
        """Send the last of some answers; what has been packed into is not kept for nothing."""
        self._flush()
        if self._encoder.spent:
            self._encoder.renew()

    def _send_page(self, beginning: bytes, page: Sequence[bytes]) -> None:
        """Send an answer whose page is packed already, behind what was packed before it."""
        self._flush()
        if self.closed:
            return
        if len(page) == 1 and len(page[0]) <= SMALL:
            self._wire.write(beginning + page[0])
            return
        self._wire.write_all((beginning, *chain.from_iterable(map(_cut, page))))
        if self.blocked and not self.closed:
            self._shares.note_unsent(self, self._wire.unsent())

    def _refuse(self, request: int, refusal: Refusal) -> None:
        self._encoder.pack((verbs.ERROR, request, refusal.code, refusal.text, refusal.details))

    def _ok(self, request: int, result: Any) -> None:
        self._encoder.pack((OK, request, result))
