"""The store alone: reads at the latest and at old revs, restart from rows, export, digest, trimming, memory.

No sockets and no log. `rows` fills one store of a million keys and three million revs (`quick`: a fiftieth).
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator
from functools import partial
from os import getpid
from time import process_time
from typing import Any

import msgpack

from benchmarks.figures import Row
from benchmarks.process import rss_mb
from benchmarks.workload import ROOT, Workload, key
from visor.protocol.verbs import GET, LIST, LOG, SCAN, SEL_TREE, STAT
from visord.state.digest import state_hash
from visord.state.exporting import export_commits
from visord.state.importing import import_commits
from visord.state.query import answer
from visord.state.store import Store
from visord.state.trim import trim

KEYS = 1_000_000
REVS_BY_KEY = 3
BLOCK = 4096
"""Commits that are imported at a time."""

HOT = "/hot/file"
HOT_VERSIONS = 4096


def rows(seconds: float = 1.0, quick: bool = False) -> Iterator[Row]:
    """Yield the rows; the seconds of each are CPU time of this process, about `seconds` for the reads."""
    keys = KEYS // 50 if quick else KEYS
    workload = Workload(keys=keys)
    store = Store()
    yield _restart(store, workload)
    yield _heat(store)
    yield from _reads(store, keys, seconds)
    yield _timed("export commits", store.rev, lambda: _export(store))
    yield _timed("digest of a rev", keys, lambda: state_hash(store))
    yield _timed(
        "count all files", 1, lambda: answer(store, [SCAN, 1, [SEL_TREE, "/"], None, 0, None, 0, COUNT])
    )
    yield _trim(store)


COUNT = {"count": True}


def _restart(store: Store, workload: Workload) -> Row:
    """Import three revs a key; without the cost of decoding them, and with what they take in memory."""
    chosen = random.Random(workload.seed)
    total = REVS_BY_KEY * workload.keys
    order = list(range(workload.keys))
    chosen.shuffle(order)

    def commit(rev: int) -> list[Any]:
        number = order[rev - 1] if rev <= workload.keys else chosen.randrange(workload.keys)
        kind = 1 if rev <= workload.keys else 2
        change = [kind, key(number), workload.value(number, rev), 0]
        return [rev, 1_700_000_000_000 + rev // 50, "bench", None, [change]]

    gc.collect()
    gc.disable()  # as a server does while it restores
    spent, before = 0.0, rss_mb(getpid())
    for first in range(1, total + 1, BLOCK):
        last = min(first + BLOCK, total + 1)
        # Through msgpack, so that no object is shared that a restart would not share.
        block = msgpack.unpackb(msgpack.packb([commit(rev) for rev in range(first, last)]))
        start = process_time()
        import_commits(store, block)
        spent += process_time() - start
    gc.freeze()
    gc.enable()
    used = (rss_mb(getpid()) - before) * 1e6
    extra = {
        "bytes_rev": round(used / total),
        "bytes_key": round(used / workload.keys),
        "rss_mb": rss_mb(getpid()),
    }
    return (f"import {workload.keys} keys, {total} revs", total, spent, extra)


def _heat(store: Store) -> Row:
    """Give one file thousands of versions."""
    store.commit(store.time, "bench", None, [(HOT, b"0", 0)])
    file = store.files[HOT]
    start = process_time()
    for number in range(HOT_VERSIONS):
        store.overwrite(file, file.versions[-1], b"%d" % number, store.time, "bench")
    return ("overwrite one file", HOT_VERSIONS, process_time() - start, {})


def _reads(store: Store, keys: int, seconds: float) -> Iterator[Row]:
    paths = [key(number) for number in random.Random(2).choices(range(keys), k=50_000)]
    latest, first_of_hot = store.rev, store.files[HOT].versions[0][0]
    get = store.get
    for name, chosen, rev in (
        ("get a hot file, latest", [HOT] * 50_000, latest),
        ("get a hot file, first of 4096 versions", [HOT] * 50_000, first_of_hot),
        ("get any file, latest", paths, latest),
        ("get any file, all revs ago", paths, keys),
    ):
        yield _repeated(name, len(chosen), seconds, partial(_get_all, get, chosen, rev))
    tree = [SEL_TREE, ROOT]
    for name, messages in (
        ("answer GET", [[GET, 1, path] for path in paths]),
        ("answer STAT", [[STAT, 1, path] for path in paths]),
        ("answer LIST, 1000 entries", [[LIST, 1, path.rpartition("/")[0]] for path in paths[:20]]),
        ("answer SCAN, 100 of a tree", [[SCAN, 1, tree, None, 0, path, 100] for path in paths[:100]]),
        ("answer LOG, 100 of a tree", [[LOG, 1, tree, rev, None, 100] for rev in range(1, 100)]),
    ):
        yield _repeated(name, len(messages), seconds, partial(_answer_all, store, messages))


def _get_all(get: Callable[[str, int], object], paths: list[str], rev: int) -> None:
    for path in paths:
        get(path, rev)


def _answer_all(store: Store, messages: list[list[Any]]) -> None:
    for message in messages:
        answer(store, message)


def _export(store: Store) -> None:
    for first in range(1, store.rev + 1, BLOCK):
        export_commits(store, first, min(first + BLOCK - 1, store.rev))


def _trim(store: Store) -> Row:
    """Drop all but a thousand revs in slices of a thousand changes; the longest slice is what a loop would feel."""
    dropped = store.rev - 1000
    store.raise_floor(dropped)
    longest = total = 0.0
    more = True
    while more:
        start = process_time()
        more = trim(store, 1000)
        spent = process_time() - start
        longest, total = max(longest, spent), total + spent
    return ("trim", dropped, total, {"longest_ms": round(longest * 1e3, 1), "rss_mb": rss_mb(getpid())})


def _timed(name: str, ops: int, work: Callable[[], object]) -> Row:
    start = process_time()
    work()
    return (name, ops, process_time() - start, {})


def _repeated(name: str, ops: int, seconds: float, work: Callable[[], object]) -> Row:
    """Run `work`, which does `ops` operations, for about `seconds`."""
    work()
    turns, start = 0, process_time()
    while process_time() - start < seconds:
        work()
        turns += 1
    return (name, turns * ops, process_time() - start, {})
