"""Take the processors away in bursts, as a busy neighbour or the host of a virtual machine does.

    python -m benchmarks.disturbance 20 100            20 ms of every 100 ms, all processors at once, until interrupted
    python -m benchmarks.disturbance 20 100 --fair     the same as one busy process more on each, that has to share
    python -m benchmarks requests --disturb 20/100     beside any benchmark

Without `--fair` nobody else runs meanwhile: each process has real-time priority (which takes root, or CAP_SYS_NICE),
and all are busy at the same moments, told by the clock. The kernel leaves 5 % to others (`sched_rt_runtime_us`), so a
burst is less than 950 ms of a second. With `--fair` they have the priority that everybody has, and who wakes up often
waits for them often.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

PRIORITY = 1


@dataclass(frozen=True, slots=True)
class Disturbance:
    """So many ms of every so many."""

    busy: float
    every: float
    fair: bool = False

    @classmethod
    def parse(cls, text: str) -> Disturbance:
        """Read `BUSY/EVERY` in ms, with `/fair` behind it or not. Raises ArgumentTypeError, or ValueError."""
        busy, every, *more = text.split("/")
        found = cls(float(busy), float(every), more == ["fair"])
        if more not in ([], ["fair"]) or not 0 < found.busy < found.every:
            raise argparse.ArgumentTypeError(
                f"{text}: BUSY/EVERY or BUSY/EVERY/fair was expected, in ms, with BUSY below EVERY"
            )
        return found

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Disturb until the block is left."""
        command = [sys.executable, "-m", "benchmarks.disturbance", str(self.busy), str(self.every)]
        with subprocess.Popen([*command, "--fair"] if self.fair else command) as child:
            try:
                yield
            finally:
                child.send_signal(signal.SIGTERM)


def take(processor: int, busy: float, every: float, fair: bool) -> None:
    """Take one processor in bursts, until a signal ends it or its parent is gone."""
    parent = os.getppid()
    os.sched_setaffinity(0, {processor})
    if not fair:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    clock = time.monotonic
    while os.getppid() == parent:
        time.sleep(every - clock() % every)
        while clock() % every < busy:
            pass


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.disturbance", description=__doc__.split("\n")[0]
    )
    parser.add_argument("busy", type=float, help="ms that each burst takes")
    parser.add_argument("every", type=float, help="ms from one burst to the next")
    parser.add_argument("--fair", action="store_true", help="share the processors with who else is busy")
    options = parser.parse_args()
    if not 0 < options.busy < options.every:
        parser.error("a burst takes longer than 0 ms, and less than from one to the next")
    children = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        for processor in sorted(os.sched_getaffinity(0)):
            child = os.fork()
            if not child:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                take(processor, options.busy / 1000, options.every / 1000, options.fair)
            children.append(child)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
