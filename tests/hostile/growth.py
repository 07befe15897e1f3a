"""What is replicated and kept: files, sessions, outcomes, leases. Rows S12, S15, S16, S17."""

from __future__ import annotations

import contextlib
import os
import time

from tests.fuzz.messages import pack
from tests.hostile.field import Field, Pipe, packed
from tests.hostile.scenario import scenario
from tests.wire import Closed, Refused, Wire
from visor.protocol import verbs

MIB = 1 << 20


@scenario(
    "state-growth",
    "S12",
    settings=(f"storage.state_bytes={64 * MIB}",),
    quota=True,
    seconds=8.0,
    kept=160,
    peak=512,
    by_right=("NoSpace",),
)
def state_growth(field: Field) -> None:
    """Values of a megabyte beyond the quota: refused as no_space; deletions go on, and then writes do again."""
    with field.wire(timeout=60.0) as wire:
        refused = ""
        for number in range(400):
            try:
                wire.set(f"/growth/{number}", os.urandom(16) * 60_000)
            except Refused as answer:
                refused = answer.code
                break
        if refused != "no_space":
            field.problems.append(f"400 MB were written, the last answer was {refused or 'OK'}")
        try:
            wire.call(verbs.DELETE, "/growth", True)
            wire.call(verbs.RETAIN, 1)
        except Refused as answer:
            field.problems.append(f"a deletion under pressure was refused: {answer}")
            return
        for _ in range(100):
            with contextlib.suppress(Refused):
                wire.set("/growth/again", b"x")
                return
            time.sleep(0.1)
        field.problems.append("after everything was deleted, writes are still refused")


@scenario(
    "many-files",
    "S12",
    settings=(f"storage.state_bytes={64 * MIB}",),
    quota=True,
    seconds=8.0,
    kept=200,
    by_right=("NoSpace",),
)
def many_files(field: Field) -> None:
    """A million empty files with long names, as many as are taken."""
    with field.wire(timeout=60.0) as wire:
        for turn in field.turns(250):
            group = [[verbs.T_SET, f"/many/{turn}/" + "n" * 200 + f"{number}", b""] for number in range(4000)]
            try:
                wire.call(verbs.TXN, [], group, [])
            except Refused as answer:
                if answer.code not in ("no_space", "overloaded"):
                    field.problems.append(f"refused with {answer}")
                return


@scenario("refused-writes", "S15", seconds=6.0, kept=64)
def refused_writes(field: Field) -> None:
    """Writes of a session that are refused with long texts and never acknowledged: what is kept of them is bounded."""
    hello = pack([0, 1, {"versions": [1], "session": b"S" * 16, "actor": "x"}]) or b""
    path = "/" + "/".join(["p" * 250] * 4)
    with Pipe(field.leader, hello=hello) as pipe:
        for turn in field.turns(200):
            number = turn * 500 + 2
            pipe.send(packed(
                [verbs.SET, number + n, 0, path, b"", verbs.G_REV, 7 + n] for n in range(500)
            ), 1.0)  # fmt: skip


@scenario("tiny-outcomes", "S15 S16", seconds=8.0, kept=200)
def tiny_outcomes(field: Field) -> None:
    """Hundreds of thousands of small outcomes in many sessions that nobody acknowledges."""
    for turn in field.turns(250):
        hello = pack([0, 1, {"versions": [1], "session": turn.to_bytes(16, "big"), "actor": "x"}]) or b""
        with contextlib.suppress(OSError), Pipe(field.leader, hello=hello) as pipe:
            pipe.send(packed([verbs.NOP, number, 0] for number in range(2, 4000)), 1.0)
            pipe.drain(0.02)


@scenario("sessions", "S16", seconds=20.0, kept=100)
def sessions(field: Field) -> None:
    """Twenty-one thousand sessions of one address: whoever is connected or came lately keeps his."""
    for turn in field.turns(21_000):
        hello = pack([0, 1, {"versions": [1], "session": (1 << 64 | turn).to_bytes(16, "big")}]) or b""
        with contextlib.suppress(OSError), Pipe(field.leader, hello=hello) as pipe:
            pipe.send(packed([[verbs.NOP, 2, 0]]), 1.0)
            pipe.drain(0.0)


@scenario("leases", "S17", seconds=8.0, kept=60)
def leases(field: Field) -> None:
    """A hundred thousand leases for a year, as many as are granted: others still get theirs."""
    year = 366 * 86_400_000
    with Pipe(field.leader) as pipe:
        for turn in field.turns(110):
            number = turn * 1000 + 2
            pipe.send(packed([verbs.GRANT, number + n, number + n, year] for n in range(1000)), 1.0)
            pipe.drain(0.02)
    _needs_a_lease(field, field.leader)


def _needs_a_lease(field: Field, address: str) -> None:
    try:
        with Wire(address, timeout=5.0) as wire:
            wire.call(verbs.GRANT, 10_000)
    except (Refused, Closed, OSError) as error:
        field.problems.append(f"another client gets no lease: {error!s:.200}")


@scenario("short-leases", "S17", seconds=6.0, kept=60)
def short_leases(field: Field) -> None:
    """Leases of a second with many files, which end all at once, again and again."""
    with field.wire() as wire:
        for turn in field.turns(30):
            made = []
            with contextlib.suppress(Refused):
                for _ in range(10):
                    made.append(wire.call(verbs.GRANT, 1000)[1])
                for lease in made:
                    wire.call(verbs.TXN, [], [
                        [verbs.T_SET, f"/short/{turn}/{lease}/{number}", b"", lease] for number in range(500)
                    ], [])  # fmt: skip


@scenario("notes", "S15", seconds=5.0, kept=80)
def notes(field: Field) -> None:
    """Long notes and actors' names in thousands of commits."""
    hello = pack([0, 1, {"versions": [1], "actor": "a" * 256}]) or b""
    with Pipe(field.leader, hello=hello) as pipe:
        for turn in field.turns(30):
            number = turn * 100 + 2
            pipe.send(packed(
                [verbs.SET, number + n, 0, f"/notes/{n}", b"", 0, 0, 0, "é" * 2000] for n in range(100)
            ), 1.0)  # fmt: skip
            pipe.drain(0.02)
