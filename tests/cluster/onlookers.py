"""Programs that look at a mirror of everything: what it shows is written down as a stale read, and judged as one."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

import visor.aio
from tests.checkers.history import STALE, Read
from tests.cluster.journal import Journal
from tests.cluster.workload import EPOCH_SECONDS, dial
from visor.errors import DeadlineExceeded, VisorError

ONLOOKERS: Final = 3000
"""Numbers of onlookers in the history begin here."""
LOOK_SECONDS: Final = 0.5
PATIENCE: Final = 0.2


class Onlooker:
    """One mirror, kept for the whole run. `last` tells the rev that it must reach, once that is known."""

    path = "a mirror of /"

    def __init__(self, journal: Journal, number: int, rng: random.Random) -> None:
        self._journal = journal
        self._number = ONLOOKERS + number
        self._rng = rng
        self.last: int | None = None
        self.reached = asyncio.Event()

    async def run(self, addresses: list[str]) -> None:
        """Look now and then, until `last` is reached."""
        while not self.reached.is_set():
            async with await dial(addresses, f"onlooker {self._number}", 8.0) as client:
                try:
                    async with visor.aio.Mirror(client, "/**") as mirror:
                        await self._look_on(mirror)
                except DeadlineExceeded:
                    continue  # not begun in time: again
                except VisorError as error:
                    self._journal.unexpected.append(f"a mirror ended: {error!r}")
                    return

    async def _look_on(self, mirror: visor.aio.Mirror[bytes]) -> None:
        while not self.reached.is_set():
            self._look(mirror)
            if self.last is None:
                await asyncio.sleep(self._rng.expovariate(1.0 / LOOK_SECONDS))
                continue
            try:
                await mirror.wait_for(self.last, timeout=PATIENCE)
            except DeadlineExceeded:
                if mirror.error is not None:
                    raise mirror.error from None
            else:
                self._look(mirror)
                self.reached.set()

    def _look(self, mirror: visor.aio.Mirror[bytes]) -> None:
        """Write down one directory: what there is altogether would be too much."""
        epoch = int(self._journal.since(time.monotonic()) / EPOCH_SECONDS)
        kind = self._rng.choice("kgc")
        path = self._rng.choice(
            (f"/{kind}/{epoch}", f"/{kind}/{max(0, epoch - 1)}", "/locks", "/leases", "/counted")
        )
        operation = self._journal.call(self._number, Read(path, True, STALE))
        snapshot = mirror.snapshot()
        rows = {
            file.path: (file.mod_rev, file.data, file.created, file.count, file.lease)
            for file in snapshot.files(path)
        }
        self._journal.done("look at a mirror", operation, snapshot.rev, rows)
