"""Plain load for measurements: only when writes were acknowledged is noted, and one client is looked at closely."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from dataclasses import dataclass, field

from tests.cluster.workload import dial
from visor.errors import VisorError


@dataclass(slots=True)
class Series:
    """Writes of somebody: `(began, ended)` of each that was acknowledged, in seconds of the monotonic clock."""

    done: list[tuple[float, float]] = field(default_factory=list)
    failed: int = 0

    def first_after(self, moment: float) -> float | None:
        """Return the seconds from a moment until the first write that was begun after it was acknowledged."""
        found = since(self.done, moment)
        return found[0][1] - moment if found else None

    def longest_gap(self, first: float, last: float) -> float:
        """Return the longest time between two moments in which nothing was acknowledged."""
        ends = [ended for _, ended in self.done if first <= ended <= last]
        moments = [first, *sorted(ends), last]
        return max(after - before for before, after in itertools.pairwise(moments))

    def rate(self, first: float, last: float) -> float:
        """Return acknowledged writes a second between two moments."""
        return sum(first <= ended < last for _, ended in self.done) / (last - first)


def since(done: list[tuple[float, float]], moment: float) -> list[tuple[float, float]]:
    """Return the writes that began at or after a moment, oldest first; looks from the end."""
    found = []
    for row in reversed(done):
        if row[0] < moment:
            break
        found.append(row)
    return found[::-1]


class Writers:
    """Some clients that write one after another for ever; `series` is theirs together, `probe` that of one more."""

    def __init__(self, addresses: list[str], count: int, *, size: int = 100, pause: float = 0.0) -> None:
        self._addresses = addresses
        self._count = count
        self._value = b"v" * size
        self._pause = pause
        self._tasks: list[asyncio.Task[None]] = []
        self.series = Series()
        self.probe = Series()
        self._begun = asyncio.Event()
        self.probe_address: str | None = None
        """Where the probe is connected."""

    async def start(self) -> None:
        """Begin."""
        for number in range(self._count):
            self._tasks.append(asyncio.create_task(self._write(number, self.series, self._pause)))
        self._tasks.append(asyncio.create_task(self._write(-1, self.probe, 0.0)))
        await self._begun.wait()

    async def _write(self, number: int, series: Series, pause: float) -> None:
        client = await dial(self._addresses, f"load{number}", 10.0)
        value = self._value
        async with client:
            for turn in itertools.count():
                began = time.monotonic()
                try:
                    await client.set(f"/load/{number}/{turn % 100}", value)
                except VisorError:
                    series.failed += 1
                    await asyncio.sleep(0.01)
                    continue
                series.done.append((began, time.monotonic()))
                if number < 0:
                    self.probe_address = client.address
                    self._begun.set()
                if pause:
                    await asyncio.sleep(pause)

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Burners:
    """Processes that use up the processors."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._processes: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Burners:
        for _ in range(self._count):
            code = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100000))"
            self._processes.append(await asyncio.create_subprocess_exec(sys.executable, "-c", code))
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            await process.wait()
