"""All that a node takes from outside: time, randomness, disk, network. The simulation brings its own.

`Environment.real` is the operating system's. Nothing else in `visord` that a node runs may ask for the time, for
random numbers, for a file or for a socket by itself.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from visord.peers.network import Alone, Peers
from visord.progress import Tell, untold
from visord.raft.core import Timing
from visord.storage.disk import Disk, OsDisk
from visord.storage.kernel_sync import KernelSync
from visord.storage.worker import Inline, Submitter, Worker


class Timer(Protocol):
    """What `call_later` gives."""

    def cancel(self) -> None:
        """Do not call."""


class Loop(Protocol):
    """The part of asyncio's event loop that a node uses."""

    def time(self) -> float:
        """Return monotonic seconds."""

    def call_soon(self, callback: Callable[..., object], /, *args: Any) -> object:
        """Call in this turn of the loop, after what was asked for before."""

    def call_later(self, delay: float, callback: Callable[..., object], /, *args: Any) -> Timer:
        """Call after `delay` seconds."""


@dataclass(slots=True)
class Environment:
    """One node's world. `close` gives back what it holds, after the node was closed."""

    loop: Loop
    disk: Disk
    sync: Submitter
    """Runs the log's synced writes."""
    background: Submitter
    """Runs everything else that may block: checkpoints, preparing log files."""
    rng: random.Random
    clock_ms: Callable[[], int]
    """Wall-clock time, ms since 1970 UTC. It may jump."""
    peers: Callable[[str, str], Peers] = lambda member, cluster: Alone()
    """Makes the network between members, given the own member id and the cluster's id."""
    timing: Timing = field(default_factory=Timing)
    reading: Submitter = field(default_factory=Inline)
    """Reads values of the past that are not at hand, for clients who wait."""
    stopwatch: Callable[[], float] = time.perf_counter
    """Seconds that go on within a turn of the loop, to share its time."""
    loading: Tell = untold
    """Hears how far the checkpoint is that is loaded: a person may wait for it."""
    closers: list[Callable[[], None]] = field(default_factory=list)

    def close(self) -> None:
        """End the threads. Idempotent."""
        while self.closers:
            self.closers.pop(0)()

    @classmethod
    def real(
        cls,
        loop: asyncio.AbstractEventLoop,
        *,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> Environment:
        """Return the operating system's environment on a running loop."""
        thread = Worker("visord-sync", loop.call_soon_threadsafe)
        kernel = KernelSync.try_new(loop, thread)
        background = Worker("visord-disk", loop.call_soon_threadsafe)
        reading = Worker("visord-read", loop.call_soon_threadsafe)
        closers = [thread.close, background.close, reading.close]
        if kernel is not None:
            closers.insert(0, kernel.close)
        return cls(
            loop,
            OsDisk(),
            kernel or thread,
            background,
            random.SystemRandom(),
            clock_ms,
            reading=reading,
            closers=closers,
        )
