"""The state machine alone: commands to outcomes, from decoded frames as the proposing node has them.

No sockets, no log. Each command holds one group of `FRAMES` writes of one session, unless said otherwise.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from time import process_time
from typing import Any

from benchmarks.figures import Row
from benchmarks.workload import Workload, key
from visor.protocol.verbs import DELETE, G_REV, G_SINCE, SET, TXN
from visord.state import command
from visord.state.machine import Machine

FRAMES = 256
KEYS = 100_000
SESSION = b"benchmark-------"
WINDOW = 64
"""Writes of the session that are under way: what it acknowledges lies that far behind."""

Frame = Callable[[int, int], list[Any]]
"""(write id, turn) to a frame."""


class Bench:
    """A machine and the next write id."""

    def __init__(self, keys: int) -> None:
        self.machine = Machine()
        self.workload = Workload(keys=keys)
        self.write = 0

    def run(self, name: str, turns: int, frame: Frame, *, frames: int = FRAMES, decoded: bool = True) -> Row:
        """Apply `turns` frames; the seconds are CPU time in `apply` alone."""
        apply, spent = self.machine.apply, 0.0
        for first in range(0, turns, frames):
            group: list[Any] = []
            for turn in range(first, min(first + frames, turns)):
                self.write += 1
                group.append(frame(self.write, turn))
            made = command.encode(1_700_000_000_000 + self.write, [[SESSION, "bench", group, "127.0.0.1"]])
            # Through msgpack: strings of a connection are never the ones that the store holds.
            data = command.decode(bytes(made)) if decoded else bytes(made)
            start = process_time()
            apply(self.machine.index + 1, 1, data)
            spent += process_time() - start
        return (name, turns, spent, {"us_frame": round(spent / turns * 1e6, 2)})


def rows(seconds: float = 1.0, quick: bool = False) -> Iterator[Row]:
    """Yield the rows; `seconds` is not used, as the work is fixed."""
    keys = KEYS // 10 if quick else KEYS
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield from _rows(Bench(keys), keys)
    finally:
        gc.enable()
        gc.unfreeze()


def _rows(bench: Bench, keys: int) -> Iterator[Row]:
    drawn, value = bench.workload.draw(2 * keys), bench.workload.value
    store = bench.machine.store

    def head(verb: int, write: int, number: int) -> list[Any]:
        return [verb, write, max(0, write - WINDOW), key(number)]

    def overwrite(write: int, turn: int) -> list[Any]:
        number = drawn[turn]
        return [*head(SET, write, number), value(number, turn)]

    def hot(write: int, turn: int) -> list[Any]:
        return [*head(SET, write, turn % 100), value(turn % 100, turn)]

    def remove(write: int, turn: int) -> list[Any]:
        if turn % 2:
            return [*head(SET, write, turn - 1), b"again"]
        return head(DELETE, write, turn)

    yield bench.run("create", keys, lambda w, t: [*head(SET, w, t), value(t)])
    yield bench.run("set, one of 100 files", keys, hot)
    yield bench.run("set, any file", 2 * keys, overwrite)
    yield bench.run("set, decoding the command", keys, overwrite, decoded=False)
    yield bench.run(
        "set, not changed since", keys, lambda w, t: [*overwrite(w, t), G_SINCE, store.rev + FRAMES]
    )
    yield bench.run("set, refused", keys, lambda w, t: [*overwrite(w, t), G_REV, 1 << 40])
    yield bench.run("set, a command each", keys // 4, overwrite, frames=1)
    yield bench.run("delete and create", keys // 2, remove)

    def transaction(write: int, turn: int) -> list[Any]:
        sets = [[0, key(drawn[turn * 1000 + i]), value(i, turn)] for i in range(1000)]
        return [TXN, write, max(0, write - WINDOW), [], sets]

    name, turns, spent, _ = bench.run("transaction of 1000 sets", 2 * keys // 1000, transaction, frames=1)
    yield (name, turns, spent, {"ms_txn": round(spent / turns * 1e3, 2)})
