"""What an auditor has around it, without a loop: a disk that can be full, and a thread that runs when it is told to."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any

from visord.audit.auditor import Auditor
from visord.audit.book import ChainBounds
from visord.audit.chain import ChainReport
from visord.audit.verifying import verify_files
from visord.storage.disk import OsDisk
from visord.storage.worker import Done, Job

BOUNDS = ChainBounds(bytes=1 << 20, files=3, reserve=0)


class Thread:
    """Runs what was submitted when it is told to."""

    def __init__(self) -> None:
        self.jobs: deque[tuple[Job, Done]] = deque()

    def submit(self, job: Job, done: Done) -> None:
        self.jobs.append((job, done))

    def run(self) -> None:
        while self.jobs:
            job, done = self.jobs.popleft()
            try:
                result = job()
            except OSError as error:
                done(None, error)
            else:
                done(result, None)


class FullDisk(OsDisk):
    """A disk that is full while `free_bytes` says so."""

    def __init__(self) -> None:
        self.free_bytes = 1 << 30

    def free(self, path: str) -> int:
        return self.free_bytes


class World:
    """See the module."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.disk = FullDisk()
        self.background = Thread()
        self.now = 0.0

    def clock_ms(self) -> int:
        return 1_764_435_600_000 + round(self.now * 1000)

    def auditor(self, bounds: ChainBounds = BOUNDS) -> Auditor:
        return Auditor(self, lambda: self.now, str(self.directory), "n1", bounds)

    def pass_time(self, auditor: Auditor, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.now += 1.0
            auditor.tick()
            self.background.run()

    def lines(self, chain: str) -> list[dict[str, Any]]:
        """Return all lines of a chain, over all of its files."""
        files = [*sorted(self.directory.glob(f"{chain}-*.log")), *self.directory.glob(f"{chain}.log")]
        return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]

    def found(self, chain: str) -> ChainReport:
        return verify_files([self.directory])[str(self.directory / chain)]
