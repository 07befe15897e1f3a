"""Looking at the registry: at each member, at the latest commits, and at how long a read takes.

`Looking` does it when it is told to. `Background` has two threads do it, so that the screen never waits for a member
that is away:

    looker  each interval: asks each member how it is, and reads the latest commits
    prober  beside it: how long linearizable reads take, one by one

Whatever fails there is told by the next picture, and tried again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from visor import select
from visor.cli.top.figures import Look, look_of
from visor.cli.top.hot import COMMITS, Churn, changes_of
from visor.errors import Denied, VisorError

if TYPE_CHECKING:
    from visor.blocking import Client

KEPT: Final = 600
"""Looks that wait to be shown: those of ten minutes of a pause."""
PROBES: Final = 1000
"""Times of reads that wait for the next look."""
EACH: Final = 4
"""Reads that are timed in one interval."""
ANSWER_SECONDS: Final = 2.0
"""How long a member may take to say how it is, and a read to be answered."""
JOIN_SECONDS: Final = 0.2
"""How long an end waits for the threads: one may wait for a member that is away, and ends by itself."""


class Looking:
    """See the module. `clock()` is monotonic seconds."""

    def __init__(self, client: Client[bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._took: deque[float] = deque(maxlen=PROBES)
        self._rev: int | None = None
        """The latest one when it was looked last."""

    def look(self) -> Look:
        """Return how all of it is. Raises what a client raises when nobody can tell, or it is not allowed."""
        began = self._clock()
        survey = self._client.admin.survey(timeout=ANSWER_SECONDS)
        changes, untold = self._changes()
        took = [self._took.popleft() for _ in range(len(self._took))]
        return look_of(survey, began, datetime.now(UTC), took, changes, untold)

    def _changes(self) -> tuple[Churn | None, str]:
        """Return what was changed since the last look, or why that cannot be told."""
        try:
            rev, before = self._client.rev(stale=True, timeout=ANSWER_SECONDS), self._rev
            self._rev = rev
            if before is None or rev <= before:
                return changes_of((), 0), ""
            first = max(before + 1, rev - COMMITS + 1)
            commits = self._client.history(
                select.tree("/"), first=first, last=rev, keys=True, limit=COMMITS, timeout=ANSWER_SECONDS
            )
            return changes_of(commits, rev - before), ""
        except Denied as error:
            return None, f"not told: {error}"
        except VisorError:  # compacted meanwhile, or nobody answers: that is told elsewhere
            return None, ""

    def probe(self) -> None:
        """Time one linearizable read. That it cannot be answered is for the look to tell."""
        began = self._clock()
        with contextlib.suppress(VisorError, OSError):
            self._client.rev(timeout=ANSWER_SECONDS)
            self._took.append(1000 * (self._clock() - began))


class Background:
    """The threads: `with Background(client, 1.0, came) as looking`. `came()` is called from them when there is news."""

    def __init__(self, client: Client[bytes], interval: float, came: Callable[[], object]) -> None:
        self._looking = Looking(client)
        self._interval = interval
        self._came = came
        self._over = threading.Event()
        self._looks: deque[Look] = deque(maxlen=KEPT)
        self.failure: Exception | None = None
        """Why nothing could be told the last time."""
        self.defect: BaseException | None = None
        """What has ended a thread that should never end."""
        self._threads = [
            threading.Thread(target=self._run, args=job, name="visor-top", daemon=True)
            for job in ((self._look, interval), (self._looking.probe, interval / EACH))
        ]

    def __enter__(self) -> Background:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)

    def taken(self) -> list[Look]:
        """Return the looks that came since the last time, the oldest first."""
        return [self._looks.popleft() for _ in range(len(self._looks))]

    def _run(self, step: Callable[[], None], every: float) -> None:
        try:
            while not self._over.is_set():
                due = time.monotonic() + every
                step()
                self._over.wait(max(0.0, due - time.monotonic()))
        except BaseException as error:  # a defect, which the thread that draws tells
            self.defect = error
            self._came()

    def _look(self) -> None:
        try:
            self._looks.append(self._looking.look())
            self.failure = None
        except (VisorError, OSError) as error:
            self.failure = error
        self._came()
