"""The watch hub alone: how many changes a second reach their readers, and what the uninterested cost.

No sockets and no log: commits go straight into a store, only the hub's time is measured. A delivered change
counts once for each reader that it was sent to.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from benchmarks.figures import Row
from benchmarks.workload import ROOT, Workload, key
from visor.protocol import verbs
from visord.state.refusal import Refusal
from visord.state.store import Store
from visord.watch.hub import Hub

DIRECTORY_KEYS = 100
"""Files that are written in turn; all in one directory."""


class CountingSink:
    """A reader whose socket takes everything."""

    blocked = False

    def __init__(self) -> None:
        self.bytes = 0

    def send(self, data: bytes) -> None:
        self.bytes += len(data)

    def send_all(self, pieces: Sequence[bytes]) -> None:
        self.bytes += sum(map(len, pieces))


class Bench:
    """A store with some files, a hub, and readers."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.store = Store()
        for number in range(DIRECTORY_KEYS):
            self.store.commit(1, "bench", None, [(key(number), workload.value(number), 0)])
        self.files = [self.store.files[key(number)] for number in range(DIRECTORY_KEYS)]
        self.hub = Hub(self.store)
        self.sinks: list[CountingSink] = []

    def watch(self, selector: list[Any], start: int | None = None, flags: int = 0) -> None:
        """Add a reader with one watch."""
        sink = CountingSink()
        first = self.hub.subscribe(sink, 1, selector, start, flags, verbs.ALL_KINDS, 0, 0.0)
        if isinstance(first, Refusal):
            raise ValueError(first.text)
        self.sinks.append(sink)

    def write(self, count: int, turn: int) -> None:
        """Commit `count` overwrites, one rev each."""
        store, files = self.store, self.files
        for number in range(count):
            chosen = (turn * count + number) % DIRECTORY_KEYS
            file = files[chosen]
            store.overwrite(file, file.versions[-1], self.workload.value(chosen, turn), 1, "bench")

    def credit(self) -> None:
        """Let every reader go on for ever."""
        for sink in self.sinks:
            self.hub.credit(sink, 1, 1 << 30)


def _publish(bench: Bench, name: str, commits: int, batch: int) -> Row:
    """Measure `commits` commits in pumps of `batch`."""
    seconds = 0.0
    before, sent = bench.hub.stats()["delivered"], sum(sink.bytes for sink in bench.sinks)
    for turn in range(commits // batch):
        bench.write(batch, turn)
        begun = perf_counter()
        bench.hub.pump()
        seconds += perf_counter() - begun
        if turn % 16 == 15:
            bench.credit()
    delivered = bench.hub.stats()["delivered"] - before
    extra = {
        "commits": commits,
        "us_a_commit": round(seconds / commits * 1e6, 2),
        "mb": round((sum(sink.bytes for sink in bench.sinks) - sent) / 1e6, 1),
    }
    return name, delivered or commits, seconds, extra


def fan_out(workload: Workload | None = None, commits: int = 4000, subscribers: int = 100) -> list[Row]:
    """Return rows for one tree watched by `subscribers`: ops are delivered changes."""
    rows = []
    for batch in (1, 20):
        bench = Bench(workload or Workload())
        for _ in range(subscribers):
            bench.watch([verbs.SEL_TREE, ROOT])
        rows.append(
            _publish(bench, f"watch hub, {subscribers} of one tree, batches of {batch}", commits, batch)
        )
    return rows


def selective(workload: Workload | None = None, commits: int = 4000) -> list[Row]:
    """Return rows for many watches of which few or none want a commit.

    Ops are delivered changes, or commits where nothing is delivered.
    """
    many = 10_000
    cases = [
        ("nobody watches", []),
        ("10 000 watch other paths", [[verbs.SEL_PATH, f"/other/{number}"] for number in range(many)]),
        ("10 000 watch other globs", [[verbs.SEL_GLOB, f"/other/{number}/*"] for number in range(many)]),
        ("10 000 watch other ranges", [[verbs.SEL_RANGE, f"/p{n:05d}", f"/p{n:05d}~"] for n in range(many)]),
        ("100 watch a path each", [[verbs.SEL_PATH, key(number)] for number in range(DIRECTORY_KEYS)]),
        ("100 globs that match", [[verbs.SEL_GLOB, f"{ROOT}/**{'?' * (n % 10)}*"] for n in range(100)]),
    ]
    rows = []
    for name, selectors in cases:
        for batch in (1, 20):
            bench = Bench(workload or Workload())
            for selector in selectors:
                bench.watch(list(selector))
            bench.hub.pump()
            rows.append(_publish(bench, f"watch hub, {name}, batches of {batch}", commits, batch))
    return rows


def catching_up(workload: Workload | None = None, commits: int = 50_000) -> list[Row]:
    """Return rows for reading history: ops are revs that were passed, whether they matched or not."""
    cases: list[tuple[str, list[Any], int, int]] = [
        ("everything, 1 reader", [verbs.SEL_TREE, "/"], 1, 0),
        ("everything, 20 readers", [verbs.SEL_TREE, "/"], 20, 0),
        ("keys only, 1 reader", [verbs.SEL_TREE, "/"], 1, verbs.W_KEYS),
        ("one path in 100, 1 reader", [verbs.SEL_PATH, key(0)], 1, 0),
        ("a glob at the root, 1 reader", [verbs.SEL_GLOB, "/**/none"], 1, 0),
    ]
    rows = []
    for name, selector, readers, flags in cases:
        bench = Bench(workload or Workload())
        bench.write(commits, 0)
        for _ in range(readers):
            bench.watch(selector, 1, flags)
        slowest = 0.0
        begun = perf_counter()
        more = True
        while more:
            turn = perf_counter()
            more = bench.hub.pump(256)
            slowest = max(slowest, perf_counter() - turn)
            bench.credit()
            more = more or bench.hub.busy
        seconds = perf_counter() - begun
        extra = {"slowest_turn_ms": round(slowest * 1e3, 2)}
        rows.append((f"watch history, {name}", commits * readers, seconds, extra))
    return rows


def subscriptions(count: int = 20_000) -> list[Row]:
    """Return rows for beginning and ending watches of different paths."""
    bench = Bench(Workload())
    begun = perf_counter()
    for number in range(count):
        bench.watch([verbs.SEL_PATH, f"/other/{number}"])
    middle = perf_counter()
    for sink in bench.sinks:
        bench.hub.drop(sink)
    ended = perf_counter()
    return [
        ("watch hub, begin a watch", count, middle - begun, {}),
        ("watch hub, end a watch", count, ended - middle, {}),
    ]


def rows() -> list[Row]:
    """Return all rows of the hub."""
    return [*fan_out(), *selective(), *catching_up(), *subscriptions()]


if __name__ == "__main__":
    for name, ops, seconds, extra in rows():
        print(f"{name:55} {ops / seconds:14,.0f}/s  {extra}")
