"""What a day takes: 100 writes a second, kept for ever, written as fast as the node takes them.

A hundred thousand keys, values of 128 bytes. After each two hours' worth a checkpoint is asked for, so that only what
has to be in memory still is; then the memory curve has a point.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import load
from benchmarks.figures import Row
from benchmarks.registry import Registry

KEYS = 100_000
RATE = 100
"""Writes a second."""
HOURS = 24
STEP = 2
"""Hours between two points."""
SMALL = 1_000
"""What `--quick` divides keys and writes by."""
SETTLE = 3.0
"""Seconds in which a checkpoint that was asked for has been made, and what it has is let go of."""


def rows(quick: bool = False, parent: Path | None = None) -> Iterator[Row]:
    """Yield memory and disk after each two hours' worth of writes."""
    scale = SMALL if quick else 1
    keys, writes = KEYS // scale, RATE * 3600 * STEP // scale
    with Registry(parent=parent) as node:
        before = node.memory()
        for hours in range(STEP, HOURS + 1, STEP):
            result = load.run(load.fill(node.address, keys, writes), node.pid)
            for _ in range(2):
                node.tell(signal.SIGUSR1)
                time.sleep(SETTLE / scale)
            memory = node.memory()
            yield (
                f"after {hours} h, {hours // STEP * writes:,} revs",
                result["ops"],
                result["seconds"],
                {
                    "rss_mb": memory,
                    "rev_bytes": (memory - before) * 1e6 / writes,
                    "disk_mb": node.disk() / 1e6,
                },
            )
            before = memory
