"""Requests that cost much: reads, transactions, globs, reverts, deletions, watches. Rows S6, S7, S10, S11, S27."""

from __future__ import annotations

import contextlib
import time
from itertools import product

from tests.hostile.field import Field, Pipe, fill, packed, pipes
from tests.hostile.scenario import scenario
from tests.wire import Closed, Refused
from visor.protocol import verbs


def _many_files(field: Field) -> None:
    with field.wire() as wire:
        fill(wire, (f"/d/{number:05d}" for number in range(30_000)))


def _long_paths(field: Field) -> None:
    with field.wire() as wire:
        parts = "/".join(["a" * 200] * 4)
        fill(wire, (f"/long/{parts}/{number:05d}" + "a" * 150 for number in range(6000)))


@scenario("scans", "S7", prepare=_many_files, seconds=5.0)
def scans(field: Field) -> None:
    """Eighty SCANs in one packet that look at every file and find nothing, again and again."""
    _ask(field, [[verbs.SCAN, 0, [verbs.SEL_GLOB, "/**zz"], None, verbs.STALE] for _ in range(80)])


@scenario("counts", "S7", prepare=_many_files, seconds=5.0)
def counts(field: Field) -> None:
    """Counting every file, with and without globs, many times a packet; and DIFFs, LOGs and LISTs of everything."""
    everything = [verbs.SEL_TREE, "/"]
    _ask(field, [
        *([verbs.SCAN, 0, everything, None, verbs.STALE, None, 0, {"count": True}] for _ in range(40)),
        *([verbs.SCAN, 0, [verbs.SEL_GLOB, "/**9"], None, verbs.STALE, None, 0, {"count": True}] for _ in range(20)),
        *([verbs.DIFF, 0, everything, 1, 2 + number] for number in range(20)),
        *([verbs.LOG, 0, [verbs.SEL_GLOB, "/**zz"], 1] for _ in range(20)),
        *([verbs.LIST, 0, "/d", None, verbs.STALE, None, 0, {"values": True}] for _ in range(20)),
    ])  # fmt: skip


@scenario("globs", "S11", prepare=_long_paths, seconds=5.0)
def globs(field: Field) -> None:
    """SCANs with globs of many wildcards over thousands of long paths."""
    bad = "/" + "**a" * 30 + "b"
    other = "/long/" + "*a" * 30 + "?"
    _ask(field, [
        [verbs.SCAN, 0, [verbs.SEL_GLOB, glob], None, verbs.STALE, None, 0, {"count": number % 3 == 0}]
        for number in range(20) for glob in (bad, other)
    ])  # fmt: skip


def _ask(field: Field, requests: list[list[object]]) -> None:
    """Send requests in one packet on three connections, again when the answers have come."""
    made = pipes(field.leader, 3)
    number = 1
    try:
        for _ in field.turns(1000):
            for pipe in made:
                for request in requests:
                    number += 1
                    request[1] = number
                pipe.send(packed(requests), 1.0)
            for pipe in made:
                pipe.drain(0.05)
    finally:
        for pipe in made:
            pipe.close()


@scenario("reading-transactions", "S6", prepare=_many_files, seconds=5.0)
def reading_transactions(field: Field) -> None:
    """A thousand transactions in one packet that each list a directory of 30 000 files."""
    made = pipes(field.leader, 2)
    try:
        number = 1
        for _ in field.turns(20):
            for pipe in made:
                number += 1000
                pipe.send(
                    packed(
                        [verbs.TXN, number + n, number + n, [], [[verbs.T_LIST, "/d"]]] for n in range(1000)
                    ),
                    2.0,
                )
                pipe.drain(0.2)
    finally:
        for pipe in made:
            pipe.close()


def _values(field: Field) -> None:
    with field.wire() as wire:
        wire.set("/value", b"v" * 1_000_000)


@scenario("read-only-gets", "S6", prepare=_values, seconds=5.0)
def read_only_gets(field: Field) -> None:
    """Transactions that read a megabyte four thousand times, and never write."""
    gets = [[verbs.T_GET, "/value"]] * 4096
    with Pipe(field.leader) as pipe:
        for number in field.turns(100):
            pipe.send(packed([[verbs.TXN, number + 2, number + 2, [], gets]] * 3), 1.0)
            pipe.drain(0.1)


@scenario("guards", "S6", prepare=_many_files, seconds=5.0)
def guards(field: Field) -> None:
    """Transactions whose guards look at whole directories, thousands of times."""
    rows = [[verbs.G_SINCE, "/d", 1 << 40]] * 4000
    with Pipe(field.leader) as pipe:
        for number in field.turns(300):
            pipe.send(packed([[verbs.TXN, number + 2, number + 2, rows, [[verbs.T_SET, "/g", b""]]]]), 1.0)
            pipe.drain(0.02)


@scenario("reverts", "S6", prepare=_many_files, seconds=6.0, kept=60)
def reverts(field: Field) -> None:
    """REVERTs and recursive deletions of everything below a directory, most of which are refused at their end."""
    with Pipe(field.leader) as pipe:
        for turn in field.turns(40):
            number = turn * 100 + 2
            piece = [[verbs.REVERT, number + n, number + n, "/d", 1] for n in range(10)]
            piece += [[verbs.DELETE, number + 10 + n, number + 10 + n, "/d", True] for n in range(10)]
            piece += [
                [verbs.TXN, number + 20 + n, number + 20 + n, [],
                 [[verbs.T_SET, f"/d/{n}x", b""], [verbs.T_DELETE, "/d", True], [verbs.T_DELETE, "/not/there"]]]
                for n in range(10)
            ]  # fmt: skip
            pipe.send(packed(piece), 1.0)
            pipe.drain(0.1)


def _deep_files(field: Field) -> None:
    with field.wire() as wire:
        for branch in range(5):
            fill(wire, (f"/deep/{branch}/" + "x/" * 20 + f"{number}" for number in range(4000)))


@scenario("deletions", "S6", prepare=_deep_files, seconds=6.0, kept=40)
def deletions(field: Field) -> None:
    """Recursive deletions of 4000 files at a time, and bringing them back."""
    with field.wire() as wire:
        rev = wire.rev()
        for turn in field.turns(100):
            for request in (
                [verbs.DELETE, f"/deep/{turn % 5}", True],
                [verbs.REVERT, f"/deep/{turn % 5}", rev],
            ):
                with contextlib.suppress(Refused, Closed):
                    wire.call(*request)


@scenario("watch-globs", "S10", seconds=8.0, kept=30)
def watch_globs(field: Field) -> None:
    """Thousands of watches with different globs, then writes of long paths by anybody."""
    with Pipe(field.leader) as pipe, field.wire() as other:
        for number in range(0, 4096, 64):
            if field.left() < 3.0:
                break
            pipe.send(packed(
                [verbs.WATCH, 10 + number + n, [verbs.SEL_GLOB, "/**" + "a" * 100 + f"{number + n:04d}b"]]
                for n in range(64)
            ), 1.0)  # fmt: skip
            pipe.drain(0.01)
        parts = "/".join(["a" * 200] * 4)
        for turn in field.turns(50):
            group = [
                [verbs.T_SET, f"/{parts}/{number:06d}" + "a" * 180, b"%d" % turn] for number in range(100)
            ]
            with contextlib.suppress(Refused, Closed, TimeoutError):
                other.call(verbs.TXN, [], group, [], timeout=max(0.1, field.left()))
            pipe.drain(0.01)


@scenario("watchers-of-all", "S10", seconds=5.0, kept=30)
def watchers_of_all(field: Field) -> None:
    """Fifty connections with twenty watches of everything, with state and previous values, that do not read."""
    made = pipes(field.leader, 50)
    flags = verbs.W_STATE | verbs.W_PREVIOUS
    try:
        for pipe in made:
            pipe.send(packed(
                [verbs.WATCH, 10 + number, [verbs.SEL_TREE, "/"], None, flags] for number in range(20)
            ), 0.5)  # fmt: skip
        with field.wire() as wire:
            for turn in field.turns(500):
                with contextlib.suppress(Refused):
                    wire.set(f"/all/{turn % 50}", b"v" * 20_000)
    finally:
        for pipe in made:
            pipe.close()


def _large_files(field: Field) -> None:
    with field.wire() as wire:
        for number in range(200):
            wire.set(f"/heavy/{number // 10:02d}/{number % 10}", b"v" * (1 << 20))


@scenario("previous-values", "S10", prepare=_large_files, seconds=10.0)
def previous_values(field: Field) -> None:
    """Deleting 200 MiB, most of them at once, beside watches of ten connections that want what was before, of all or
    some files, live and from history; half of them do not read."""
    made = pipes(field.leader, 10)
    try:
        with field.wire(timeout=30.0) as wire:
            rev = wire.rev()
            for turn, gone in zip(field.turns(), ("00", "01", "02", "03", ""), strict=False):
                first = 100 + 20 * turn
                asked = [
                    [
                        verbs.WATCH,
                        first + number,
                        [verbs.SEL_RANGE, f"/heavy/{path}", None],
                        start,
                        verbs.W_PREVIOUS,
                    ]
                    for number, (path, start) in enumerate(
                        product(("00", f"{gone}/7", "01", "19/5", "19/6", "19/7"), (None, rev + 1))
                    )
                ]
                for pipe in made:
                    pipe.send(packed(asked), 0.3)
                with contextlib.suppress(Refused):
                    wire.call(verbs.DELETE, f"/heavy/{gone}".rstrip("/"), True)
                for pipe in made[::2]:
                    pipe.drain(0.1)
        field.rest()
    finally:
        for pipe in made:
            pipe.close()


@scenario("large-commands", "S27", seconds=8.0, kept=40)
def large_commands(field: Field) -> None:
    """Frames of nearly eight megabytes of float32, which are twice as large when they are packed again."""
    floats = b"\xdc\x1f\xff" + b"\xca\x3f\x80\x00\x00" * 8191
    rows = 190
    frame = b"\xdc\x00" + bytes([3 + rows]) + b"\x20\x05\x05" + floats * rows
    with Pipe(field.leader) as pipe:
        for _ in field.turns(6):
            if not pipe.send(frame, 3.0):
                return
            pipe.drain(0.3)
            time.sleep(0.2)


@scenario("large-writes", "S27", seconds=5.0, kept=200)  # what was overwritten is history, and kept
def large_writes(field: Field) -> None:
    """Transactions of four megabytes as fast as they go, over the same few files, on four connections."""
    made = pipes(field.leader, 4)
    group = [[verbs.T_SET, f"/large/{number}", b"v" * 900_000] for number in range(4)]
    try:
        for turn in field.turns(12):
            for place, pipe in enumerate(made):
                number = turn * 10 + place + 2
                pipe.send(packed([[verbs.TXN, number, number, [], group]]), 0.5)
    finally:
        for pipe in made:
            pipe.close()
