"""What of the audit is on the event loop: takes what happened, and has it written by the thread.

    auditor = Auditor(environment, directory, node, bounds)
    auditor.record(recorded.DENIED, user="ci", address="10.0.0.7", verb="SET", path="/a", reason="needs write on /a")
    auditor.tick()        # once a second
    auditor.close()       # writes what is there; the thread is closed after it

`record` only notes: nobody waits for the disk, and a full one stops nothing. That is a decision: were nothing done that
cannot be recorded, whoever fills the disk of a member would stop it. What cannot be written is kept (`WAITING` lines of
each chain) and tried again every second; what is beyond is counted, told in the chain as `lost` when there is room
again, and an alarm meanwhile. A crash takes what was not written yet, mostly the last milliseconds.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Protocol

from visord.audit import recorded
from visord.audit.book import Book, ChainBounds, Noted
from visord.audit.flood import Flood, Sum, Told
from visord.audit.line import ChainEnd, kept, stamp
from visord.storage.disk import Disk
from visord.storage.worker import Submitter

logger = logging.getLogger("visord.audit")

WAITING: Final = 4096
"""Lines of a chain that wait for the disk."""
VERBS: Final = 64
"""Different verbs that denials are counted by."""


class World(Protocol):
    """What an auditor takes from outside."""

    @property
    def disk(self) -> Disk: ...

    @property
    def background(self) -> Submitter: ...

    @property
    def clock_ms(self) -> Callable[[], int]: ...


class Silent:
    """Records nothing: of a node that keeps no audit. Counts as one that does."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        """How often each event was recorded, written one by one or not."""
        self.denied: Counter[str] = Counter()
        """Denials by verb."""
        self.failures: Counter[str] = Counter()
        """Failed logins by the word for why."""

    @property
    def trouble(self) -> str:
        """Why lines cannot be written; "" while they can."""
        return ""

    @property
    def lost(self) -> int:
        """Lines that were never written, since the start."""
        return 0

    @property
    def lines(self) -> int:
        """Lines that were written, since the start."""
        return 0

    def record(self, event: str, *, kind: str = "", **fields: Any) -> None:
        """Note an event of `recorded.CHAIN_OF`, with `line.FIELDS`. `kind`: a word for why a login failed.

        Costs microseconds, never raises for what stands in the fields. KeyError, TypeError for an event or a field
        that is not known: a defect of who calls.
        """
        recorded.CHAIN_OF[event]
        self.events[event] += 1
        if event == recorded.DENIED:
            self.denied[_counted(self.denied, str(fields.get("verb", "")))] += 1
        elif event == recorded.LOGIN_FAILED:
            self.failures[_counted(self.failures, kind or "other")] += 1

    def tick(self) -> None:
        """From time to time."""

    def close(self) -> None:
        """Nothing more comes."""


def _counted(counter: Counter[str], word: str) -> str:
    return word if word in counter or len(counter) < VERBS else "other"


class Auditor(Silent):
    """See the module. `now()`: monotonic seconds."""

    def __init__(
        self, world: World, now: Callable[[], float], directory: str, node: str, bounds: ChainBounds
    ) -> None:
        super().__init__()
        self._world = world
        self._now = now
        self._flood = Flood(now())
        self._chains = {name: _Chain(world, directory, name, node, bounds) for name in recorded.CHAINS}

    def record(self, event: str, *, kind: str = "", **fields: Any) -> None:
        super().record(event, kind=kind, **fields)
        shown = kept(fields)
        chain = recorded.CHAIN_OF[event]
        milliseconds = self._world.clock_ms()
        if chain == recorded.ACCESS:
            what = Sum(event, *(str(shown.get(name, "")) for name in ("user", "address", "verb")))
            if not self._flood.admits(what, self._now(), milliseconds):
                return
        self._chains[chain].put(Noted(milliseconds, event, shown))

    @property
    def trouble(self) -> str:
        return next((one.trouble for one in self._chains.values() if one.trouble), "")

    @property
    def lost(self) -> int:
        return sum(one.lost for one in self._chains.values())

    @property
    def lines(self) -> int:
        return sum(one.lines for one in self._chains.values())

    def tick(self) -> None:
        for told in self._flood.due(self._now()):
            self._tell(told)
        for chain in self._chains.values():
            chain.go_on()

    def close(self) -> None:
        for told in self._flood.rest():
            self._tell(told)
        for chain in self._chains.values():
            chain.close()

    def _tell(self, told: Told) -> None:
        fields = kept({**told.fields, "since": stamp(told.since_ms)})
        self._chains[recorded.ACCESS].put(Noted(self._world.clock_ms(), told.what.event, fields))


class _Chain:
    """Lines on their way into one book: one job is under way at a time, and takes all that wait."""

    def __init__(self, world: World, directory: str, name: str, node: str, bounds: ChainBounds) -> None:
        self._world = world
        self._name = name
        self._book = Book(world.disk, directory, name, node, bounds, world.clock_ms)
        self._waiting: list[Noted] = []
        self._writing: list[Noted] = []
        self._untold = 0
        """Lines that were lost, and of which the chain does not tell yet."""
        self._opened = self._closed = False
        self.trouble = ""
        self.lost = self.lines = 0

    def put(self, record: Noted) -> None:
        if len(self._waiting) + len(self._writing) >= WAITING:
            self.lost += 1
            self._untold += 1
            return
        self._waiting.append(record)
        if not self.trouble:  # else `tick` tries again
            self.go_on()

    def go_on(self) -> None:
        """Write what waits, unless something is being written."""
        if self._writing or self._closed or not (self._waiting or self._untold):
            return
        self._writing, self._waiting = self._waiting, []
        told, records = self._untold, self._writing
        if told:
            reason = f"{told} lines could not be written, and are lost"
            records = [
                *records,
                Noted(self._world.clock_ms(), recorded.LOST, kept({"reason": reason, "more": told})),
            ]
        book = self._book
        self._world.background.submit(
            lambda: book.append(records), lambda place, error: self._written(place, error, told)
        )

    def _written(self, place: ChainEnd | None, error: BaseException | None, told: int) -> None:
        records, self._writing = self._writing, []
        if place is None:
            self._waiting[:0] = records
            self._fail(error)
            return
        self._untold -= told
        self.lines += len(records)
        if self.trouble:
            logger.info("audit: lines of %s are written again", self._name)
        self.trouble = ""
        if not self._opened:
            self._opened = True
            logger.info("audit: %s goes on at line %d, hash %s", self._name, place.number, place.hash)
        if self._waiting or self._untold:
            self.go_on()

    def _fail(self, error: BaseException | None) -> None:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        trouble = f"lines of {self._name} cannot be written: {said}"
        if not self.trouble:
            logger.error("audit: %s; %d wait, they are tried again", trouble, len(self._waiting))
        self.trouble = trouble

    def close(self) -> None:
        """Write what waits, after what is being written."""
        if self._closed:
            return
        self._closed = True
        records, book = self._waiting, self._book

        def last() -> None:
            try:
                if records:
                    book.append(records)
            finally:
                book.close()

        self._world.background.submit(last, lambda result, error: None)
