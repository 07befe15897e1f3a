"""Reads of the past that wait for the disk, while the loop goes on.

    DIFF /a 7..900   ->  answered from what is at hand: 12 blocks are missing, the answer is worth nothing
                     ->  the reading thread reads and decodes them     the request waits, as others wait for a rev
                     ->  answered again: everything is at hand

What is missing shows only by trying; what a page of rows needs is known after one try, mostly (two where nobody has
looked through a file since the start). After `TRIES` it is
read right here: so that no request waits for ever where others push out what it had read. A request waits by the rules
of all that do (`waits`), so what may wait at once is bounded; what one of them has read at a time is, too
(`past_reader.MOST_ASKED`).

What cannot be read (a flipped bit, a file that is gone) is refused as `history_damaged`, with file and offset: to that
request alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final, Protocol

from visor.protocol import verbs
from visor.protocol.frames import Message
from visord.state import refusal
from visord.state.past_values import Absent, Unreadable
from visord.state.query import answer
from visord.state.store import Store
from visord.storage.past_reader import PastReader
from visord.storage.worker import Submitter

TRIES: Final = 6
"""How often a request is answered from what is at hand, before it is read on the loop."""
JOBS: Final = 4
"""Of the reading thread at once: what they have read is in memory beside the cache."""
AT: Final = 3
_LATEST: Final = frozenset((verbs.GET, verbs.STAT, verbs.LIST, verbs.SCAN))
"""Reads that are of the latest rev when they name none."""
_PAST: Final = frozenset((*_LATEST, verbs.LOG, verbs.DIFF))


class Asker(Protocol):
    """Whose request waits."""

    def warm(self, message: Message) -> None:
        """What the request needs may be at hand now: try again, if it still waits."""


class Cold:
    """No answer yet: the request has to wait for the disk."""


COLD: Final = Cold()


class ColdReads:
    """See the module."""

    def __init__(self, store: Store, reading: Submitter) -> None:
        self._store = store
        self._reading = reading
        self._tries: dict[tuple[Asker, int], int] = {}
        self._missing: Collection[Any] = ()
        self._queue: OrderedDict[tuple[Asker, int], tuple[Message, Collection[Any]]] = OrderedDict()
        """What requests that wait lack, and is not being read yet: who waits no more is not read for."""
        self._jobs = 0
        """Under way."""
        self.waited = 0
        """How often a request waited for the disk."""

    def answer(self, asker: Asker, message: Message) -> Any:
        """Return what the read is answered; `COLD` where it has to wait: then `fetch` it, or `complete` it."""
        reader = self._store.past_values
        latest = message[0] in _LATEST and (len(message) <= AT or message[AT] is None)
        if reader is None or latest or message[0] not in _PAST or not isinstance(reader, PastReader):
            return self._answered(message)
        if self._tries.get((asker, message[1]), 0) >= TRIES:
            self.complete(asker, message[1])
            return self._answered(message)
        reader.begin_asking()
        try:
            result: Any = self._answered(message)
        except Absent:
            result = COLD
        finally:
            asked = reader.end_asking()
        if asked:
            self._missing = asked
            return COLD
        self.complete(asker, message[1])
        return result

    def at_hand(self, path: str, rev: int) -> Any:
        """Return what GET of a `rev` up to now tells, where what that takes is in memory; else COLD."""
        reader = self._store.past_values
        if not isinstance(reader, PastReader):
            return COLD if reader is not None else self._store.get(path, rev)
        reader.begin_asking()
        try:
            version: Any = self._store.get(path, rev)
        except (Absent, Unreadable):
            return COLD
        finally:
            asked = reader.end_asking()
        return COLD if asked else version

    def _answered(self, message: Message) -> Any:
        try:
            return answer(self._store, message)
        except Unreadable as error:
            return refusal.history_damaged(error.path, error.offset, str(error))

    def fetch(self, asker: Asker, message: Message) -> None:
        """Read what the last answer lacked, then wake the asker."""
        key = (asker, message[1])
        self.waited += 1
        self._tries[key] = self._tries.get(key, 0) + 1
        self._queue[key] = (message, self._missing)
        self._read_next()

    def _read_next(self) -> None:
        """Have the thread read for who has waited longest."""
        if self._queue and self._jobs < JOBS:
            self._jobs += 1
            reader = self._store.past_values
            assert isinstance(reader, PastReader)
            (asker, _), (message, places) = self._queue.popitem(last=False)
            job = partial(reader.read, reader.missing(places))
            self._reading.submit(job, self._done(reader, asker, message))

    def _done(self, reader: PastReader, asker: Asker, message: Message) -> Callable[..., None]:
        def done(blocks: Any, error: BaseException | None) -> None:
            key = (asker, message[1])
            if error is None:
                reader.keep(blocks)
            elif key in self._tries:
                self._tries[key] = TRIES  # what is wrong shows when it is read right here
            self._jobs -= 1
            self._read_next()
            asker.warm(message)

        return done

    def complete(self, asker: Asker, request: int) -> None:
        """The request has its answer."""
        if self._tries:
            self._tries.pop((asker, request), None)

    def forget(self, asker: Asker, request: int) -> None:
        """The request waits no more: nothing is read for it."""
        self.complete(asker, request)
        self._queue.pop((asker, request), None)
