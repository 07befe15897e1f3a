"""The newest checkpoint for members that need it: offered, and read by them piece by piece.

    outgoing = Outgoing(disk, directory, checkpointer, background, clock=loop.time, later=loop.call_later)
    offer = outgoing.offer()                     # a list that msgpack carries, or None: no checkpoint yet
    outgoing.read("5f...", offer[1], name, 0, 262144, answer)  # later: answer(bytes), or answer(None): get a new offer
    outgoing.tick()                              # every second or so

An offer is `[format, id, manifest]`: the bytes of the manifest name the files with their sizes and checksums. Its files
stay as they are while somebody reads them, although new checkpoints are made and old history is dropped: a history file
only grows behind the size that the manifest tells, and what a later checkpoint does not need any more is held. A hold
is bounded: so many offers, so many seconds without a read, so many bytes on disk that nobody else needs. Beyond that
the offer is let go; a member that still wants it gets None, starts over with a new one, and keeps all files that are in
both.

All reads together get `rate` bytes a second, so that a member that catches up does not slow the others down. Members
take turns: each has one read that waits and one that is being done, and a newer one takes the place of the one that
waits. So a member that asks without waiting for answers gets its share, and keeps no other from its own.

    waiting  c: 256 KiB   l: 1 MiB   d: 256 KiB        free at 100.004
             c is begun at 100.004, and asks again: it comes behind d
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from visord.storage.checkpoint import Checkpointer, Hold
from visord.storage.directory import DataDirectory
from visord.storage.disk import Disk, join
from visord.storage.manifest import Manifest
from visord.storage.segments import Part
from visord.storage.worker import Submitter

logger = logging.getLogger("visord.storage")

FORMAT: Final = 1
CHUNK: Final = 256 * 1024
"""Bytes that a reader asks for at once."""
MAX_CHUNK: Final = 4 * CHUNK
"""Bytes that it gets at most."""
RATE: Final = 64 << 20
"""Bytes a second, for all readers together."""
HOLD_SECONDS: Final = 60.0
"""An offer that nobody has read from for so long is let go."""
IDLE_SECONDS: Final = 3.0
"""After so long without a read, an offer makes room for a newer one. Asking for it is no read: a member that it does
not help, as the log that follows it is gone, would ask for it for ever."""
MAX_READERS: Final = 128
"""Members whose reads wait, or are being done: more than a cluster has."""
MAX_OFFERS: Final = 2
"""Offers of different checkpoints at once."""
MAX_HELD: Final = 4 << 30
"""Bytes on disk that are kept for the sake of offers alone."""

Answer: TypeAlias = Callable[[bytes | None], object]


class _Offer:
    __slots__ = ("encoded", "hold", "id", "index", "parts", "used")

    def __init__(self, name: str, manifest: Manifest, encoded: bytes, hold: Hold, now: float) -> None:
        self.id = name
        self.encoded = encoded
        self.index = manifest.index
        self.parts = {part.name: part for part in manifest.files()}
        self.hold = hold
        self.used = now


class _Read(NamedTuple):
    offer: _Offer
    part: Part
    offset: int
    size: int
    answer: Answer


class Outgoing:
    """See the module. `clock()` gives monotonic seconds, `later(seconds, callback)` calls back once.

    `helps(index)`: the log still holds what follows the entry `index`.
    """

    def __init__(
        self,
        disk: Disk,
        directory: DataDirectory,
        checkpointer: Checkpointer,
        background: Submitter,
        *,
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], object],
        rate: float = RATE,
        hold_seconds: float = HOLD_SECONDS,
        max_offers: int = MAX_OFFERS,
        max_held: int = MAX_HELD,
        helps: Callable[[int], bool] = lambda index: True,
    ) -> None:
        self._disk = disk
        self._history = directory.history
        self._checkpointer = checkpointer
        self._background = background
        self._clock = clock
        self._later = later
        self._rate = rate
        self._hold_seconds = hold_seconds
        self._max_offers = max_offers
        self._max_held = max_held
        self._helps = helps
        self._waiting: dict[str, _Read] = {}
        """The next read of each member, in the order in which they are done."""
        self._reading: set[str] = set()
        """Members whose read is being done."""
        self._timed = False
        self._offers: dict[str, _Offer] = {}
        """By id, the one first that was made first."""
        self._free_at = 0.0
        """When the rate allows the next read."""
        self.sent = 0
        """Bytes that were read for others since the start."""

    def offer(self) -> list[Any] | None:
        """Return the newest durable checkpoint for a member; None while there is none.

        Where there are as many offers as there may be, and all of them are being read, it gets the newest of them.
        """
        checkpointer = self._checkpointer
        manifest, encoded = checkpointer.manifest, checkpointer.encoded
        if checkpointer.index == 0 or checkpointer.index != manifest.index:
            return None
        # By its content: a member that asks again, or asks two who have the same, goes on where it was.
        name = f"{manifest.index}-{manifest.term}-{zlib.crc32(encoded):08x}"
        found = self._offers.get(name)
        now = self._clock()
        if found is None and len(self._offers) >= self._max_offers:
            quiet = min(self._offers.values(), key=lambda one: one.used)
            oldest = min(self._offers.values(), key=lambda one: one.index)
            if now - quiet.used > IDLE_SECONDS:
                self._let_go(quiet.id, "nobody reads from it, and a newer one is asked for")
            elif not self._helps(oldest.index):
                # Its reader would need another one afterwards: the files that are in both are not lost to it.
                self._let_go(oldest.id, "the log that follows it is gone, and a newer one is asked for")
            else:
                # Rather an older one than that others start over.
                found = next(reversed(self._offers.values()))
        if found is None:
            hold = checkpointer.hold(part.name for part in manifest.files())
            found = self._offers[name] = _Offer(name, manifest, encoded, hold, now)
        return [FORMAT, found.id, found.encoded]

    def read(self, reader: str, offer: Any, file: Any, offset: Any, size: Any, answer: Answer) -> None:
        """Read `size` bytes at `offset` of a file of an offer; `answer` gets them, fewer at the file's end.

        It gets None when the offer was let go, or never was, when the arguments are none, or the disk fails. It is
        called once, possibly within this call; never where the member `reader` asks for something else before.
        """
        known = self._offers.get(offer) if type(offer) is str else None
        part = known.parts.get(file) if known is not None and type(file) is str else None
        if known is None or part is None or type(offset) is not int or type(size) is not int:
            answer(None)
            return
        if not 0 <= offset < part.size or size <= 0:
            answer(None)
            return
        if reader not in self._waiting and len(self._waiting) >= MAX_READERS:
            answer(None)
            return
        known.used = self._clock()
        self._waiting[reader] = _Read(known, part, offset, min(size, part.size - offset, MAX_CHUNK), answer)
        self._go_on()

    def _go_on(self) -> None:
        """Begin the reads that may begin now, and come back when the rate allows the next one."""
        while (reader := self._next_reader()) is not None:
            now = self._clock()
            if self._free_at > now:
                if not self._timed:
                    self._timed = True
                    self._later(self._free_at - now, self._due)
                return
            read = self._waiting.pop(reader)
            self._free_at = now + read.size / self._rate
            self._start(reader, read)

    def _next_reader(self) -> str | None:
        return next((one for one in self._waiting if one not in self._reading), None)

    def _due(self) -> None:
        self._timed = False
        self._go_on()

    def _start(self, reader: str, read: _Read) -> None:
        offer, part, offset, size, answer = read
        if offer.id not in self._offers:
            answer(None)
            return
        path = join(self._history, part.name)

        def job() -> bytes:
            file = self._disk.open_read(path)
            try:
                return file.pread(size, offset)
            finally:
                file.close()

        def done(data: bytes | None, error: BaseException | None) -> None:
            self._reading.discard(reader)
            if error is not None or data is None or len(data) != size:
                logger.error("cannot give %s to a member that needs it: %s", path, error or "it is too short")
                data = None
            self.sent += len(data or b"")
            answer(data)
            self._go_on()

        self._reading.add(reader)
        self._background.submit(job, done)

    def tick(self) -> None:
        """Let go of what nobody reads any more, and of what holds back too much. To be called from time to time."""
        now = self._clock()
        for offer in list(self._offers.values()):
            if now - offer.used > self._hold_seconds:
                self._let_go(offer.id, "nobody has read from it for a while")
        while self._offers and self._checkpointer.held_bytes > self._max_held:
            self._let_go(next(iter(self._offers)), "it keeps too much on disk")

    def release(self, why: str = "the space is needed") -> None:
        """Let go of all offers: the disk is full, the node ends, or they hold what must not be given away any more."""
        for name in list(self._offers):
            self._let_go(name, why)

    @property
    def index(self) -> int | None:
        """The lowest log index of an offer; a member that takes it will want the entries after that. None without
        offers."""
        return min((offer.index for offer in self._offers.values()), default=None)

    def _let_go(self, name: str, why: str) -> None:
        offer = self._offers.pop(name)
        logger.info("checkpoint %s is not offered any more: %s", offer.id, why)
        offer.hold.release()
