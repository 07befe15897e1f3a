"""Kill a writing node again and again, and look after each restart whether it kept its promises.

    round:  start -> verify what the last kill left -> writers retry, then write; a watcher reads along
            -> SIGUSR1 (a checkpoint) now and then -> SIGKILL at a random moment, also while it starts

After a restart:
- every write that was acknowledged is there, under its rev;
- every commit is the whole of one write; what was never acknowledged is wholly there or not at all;
- revs go on without a gap, none is given twice, none changes its contents: whatever LOG or a watch told before;
- a RETRY says the rev that the write was applied as, or applies it now: never both, never twice;
- the files are what the commits say, also at the floor.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.crash.record import Broken, Commit, Record, check_whole, replay, state_of
from tests.crash.writer import Writer
from tests.node_process import NodeProcess, NotReady
from tests.wire import Closed, Wire
from visor.protocol import verbs
from visor.protocol.frames import encode

WRITERS = 3
SETTINGS = (
    "storage.log_segment_bytes=262144",
    "storage.log_chunk_bytes=65536",
    "storage.log_keep_bytes=200000",
    "storage.history_segment_bytes=1048576",
    "storage.checkpoint_log_bytes=1500000",
    "log.level=error",
)
LONGEST = 0.5
"""Seconds of writing before a kill, at most."""
DEPTHS = (1, 1, 4, 32)
"""Writes of one connection under way, chosen anew for each round: few make many small entries of the log."""
KEEP = 3000
"""Revs that are kept when history is trimmed."""
SAMPLE = 300
"""Old revs that are read again after each restart."""


class Watcher:
    """Reads commits along with the writers: what it was told must be there after the crash."""

    def __init__(self, address: str, first: int) -> None:
        self.commits: list[Commit] = []
        self._wire = Wire(address)
        self._first = first
        self._thread = threading.Thread(target=self._run, name="watcher")
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(Closed, OSError), self._wire as wire:
            watch = wire.ask(verbs.WATCH, [verbs.SEL_TREE, "/"], self._first)
            wire.answer(watch)
            while True:
                message = wire.push()
                if message[0] == verbs.COMMITS:
                    self.commits += message[2]
                    wire.send([verbs.CREDIT, watch, len(encode(message))])

    def finish(self, record: Record) -> int:
        """Join, after the node was killed; check what was told. Return how many commits that were."""
        self._thread.join(30)
        for position, commit in enumerate(self.commits):
            if commit[0] != self._first + position:
                raise Broken(f"a watch from rev {self._first} told {commit[0]} as number {position}")
            check_whole(commit)
            record.see(commit)
        return len(self.commits)


class Campaign:
    """A node, its writers, and everything that was ever seen. `run` raises `Broken` at the first lie."""

    def __init__(self, data: Path, seed: int, *, trim: bool) -> None:
        self.rng = Random(seed)
        self.node = NodeProcess(data, settings=SETTINGS)
        self.record = Record()
        self.checked = 0
        """LOG was read and checked up to here."""
        self.state: dict[str, tuple[int, bytes]] = {}
        """The files at `checked`."""
        self.trim = trim
        self._data = data
        self.counts: Counter[str] = Counter()
        self.writers = [
            Writer(f"w{number}", self.rng.randbytes(16), Random(self.rng.random()))
            for number in range(WRITERS)
        ]

    def run(self, kills: int) -> None:
        """Kill it so often, verifying after each restart."""
        with contextlib.closing(self.node):
            self._establish()
            while self.counts["kills"] < kills:
                self._round()
                if self.rng.random() < 0.15:
                    self._kill_while_starting()
            self.node.start()
            self._verify(everything=True)

    def _establish(self) -> None:
        """Let each session write: a node that never heard of a session cannot know its retries.

        So much that the log keeps more entries than it must, and checkpoints give segments back.
        """
        self.node.start()
        self._write_until(time.monotonic() + 1.5, kill=False)
        self._verify(everything=True)

    # -- one round ------------------------------------------------------------------------------------------

    def _round(self) -> None:
        if not self.node.running():
            started = time.monotonic()
            self.node.start()
            self.counts["ms to start"] += int((time.monotonic() - started) * 1000)
            self._verify(everything=self.counts["kills"] % 25 == 0)
        self._write_until(time.monotonic() + self.rng.uniform(0.02, LONGEST), kill=True)

    def _write_until(self, end: float, *, kill: bool) -> None:
        stop = threading.Event()
        watcher = Watcher(self.node.address, self.checked + 1)
        arguments = (self.node.address, self.record.tokens, self.checked, stop)
        for writer in self.writers:
            writer.depth = self.rng.choice(DEPTHS) if kill else 1
        threads = [threading.Thread(target=writer.run, args=arguments) for writer in self.writers]
        for thread in threads:
            thread.start()
        try:
            self._disturb(end)
            if not kill:
                stop.set()
                for thread in threads:
                    thread.join(30)
            self.node.kill()
            self.counts["kills"] += kill
        finally:
            for thread in threads:
                thread.join(40)
        self.counts["commits seen by watches"] += watcher.finish(self.record)
        if not kill:
            self.node.start()

    def _disturb(self, end: float) -> None:
        """Wait until `end`; on the way ask for checkpoints, so that kills fall into them, and trim history."""
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, self.rng.uniform(0.0, 0.15)))
            if self.rng.random() < 0.5:
                self.node.signal(signal.SIGUSR1)
                self.counts["checkpoints asked for"] += 1
            if self.trim and self.rng.random() < 0.2:
                self._trim()
        if self.rng.random() < 0.5:
            self.node.signal(signal.SIGUSR1)
            time.sleep(self.rng.uniform(0, 0.04))
            self.counts["kills after asking"] += 1

    def _trim(self) -> None:
        with contextlib.suppress(Closed, OSError), Wire(self.node.address) as wire:
            keep = wire.rev() - KEEP
            if keep > 0:
                wire.call(verbs.RETAIN, None, None, keep)
                self.counts["trims"] += 1

    def _kill_while_starting(self) -> None:
        """Recovery writes too: cut it short."""
        self.node.launch()
        with contextlib.suppress(NotReady):
            self.node.line(self.rng.uniform(0.2, 0.8))
        self.node.kill()
        self.counts["kills while starting"] += 1
        self.counts["kills"] += 1

    # -- after a restart --------------------------------------------------------------------------------------

    def _verify(self, *, everything: bool) -> None:
        with Wire(self.node.address) as wire:
            rev, floor, _ = wire.call(verbs.REV)
            self._check_bounds(rev, floor)
            if self.checked > floor:
                first = floor + 1 if everything else self.rng.randint(floor + 1, self.checked)
                last = self.checked if everything else min(first + SAMPLE, self.checked)
                self.record.see_all(wire.commits(first, last), first, last)
            if floor > self.checked:  # trimmed in this round: what is below is the state at the floor
                self.checked, self.state = floor, state_of(wire, floor)
            new = wire.commits(self.checked + 1, rev)
            self.record.see_all(new, self.checked + 1, rev)
            for commit in new:
                check_whole(commit)
            replay(self.state, new)
            if state_of(wire) != self.state:
                raise Broken(f"the files at rev {rev} are not what the commits say")
            self.checked = rev
        self._check_writers()

    def _check_bounds(self, rev: int, floor: int) -> None:
        if rev < self.record.last:
            raise Broken(f"rev {self.record.last} was told, the node is at {rev}")
        if floor < self.record.floor:
            raise Broken(f"the floor went back from {self.record.floor} to {floor}")
        self.record.floor = floor

    def _check_writers(self) -> None:
        for writer in self.writers:
            if writer.problems:
                raise Broken("; ".join(writer.problems))
            for write in writer.take_settled():
                self.record.check_write(write)
                self.counts["acknowledged"] += write.rev is not None
                self.counts["retried"] += write.tries > 1
            present = sum(write.token in self.record.tokens for write in writer.pending.values())
            self.counts["unknown, there"] += present
            self.counts["unknown, not there"] += len(writer.pending) - present

    def report(self) -> str:
        """Return what happened, for people."""
        lines = [f"{self.counts['kills']} kills, rev {self.checked}, floor {self.record.floor}"]
        lines += [f"  {name}: {count}" for name, count in sorted(self.counts.items()) if name != "kills"]
        names = sorted(int(path.stem) for path in (self._data / "log").glob("*.log"))
        lines.append(f"  log segments used: {names[-1]}, dropped or used again: {names[0] - 1}")
        return "\n".join(lines)
