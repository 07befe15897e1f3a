"""Whatever clients write in whatever order, a command ends no member: all apply the same, and again at each start.

Two machines get the same commands; one of them is told in a checkpoint and made anew on the way. Fields are mostly what
they should be, of few paths, sessions and users, so that writes meet each other; now and then one is anything at all.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

import pytest

from visor.protocol import verbs as v
from visord.state import command
from visord.state.digest import state_hash
from visord.state.exporting import export_columns
from visord.state.importing import import_columns
from visord.state.listing import Deferred
from visord.state.machine import Machine
from visord.state.refusal import Refusal
from visord.state.tables import export_tables, import_tables

PATHS: Final = ["/", "/a", "/a/b", "/d", "/d/0", "/d/1", "/d/2", "/d/3", "/d/4", "/d/4/x", "/none"]
SESSIONS: Final = [None, None, b"s" * 16, b"t" * 16]
JUNK: Final[list[Any]] = [
    None, True, -1, 0, 1, 5, 1 << 63, 2.5, "", "a", "/d/", b"", b"x" * 40, [], [[]], [1, "/d"], {}, {"a": [1]},
    [[0, "/d/0", b""]],
]  # fmt: skip


class Writer:
    """Makes writes up."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.number = 0
        self.sent: list[list[Any]] = []
        self.rev = 0

    def path(self) -> str:
        return self.rng.choice(PATHS)

    def a_rev(self) -> int:
        return self.rng.randint(0, self.rev + 1)

    def value(self) -> bytes:
        return self.rng.choice([b"", b"secret", b"x" * self.rng.randrange(300)])

    def guard(self) -> list[Any]:
        kind = self.rng.randrange(8)
        return [kind, self.path(), self.value() if kind == v.G_VALUE else self.a_rev()]

    def operation(self) -> list[Any]:
        kind = self.rng.choice([v.T_SET, v.T_SET, v.T_DELETE, v.T_GET, v.T_LIST, v.T_LIST])
        fields: dict[int, list[Any]] = {v.T_SET: [self.value()], v.T_DELETE: [self.rng.random() < 0.5]}
        more = fields.get(kind, [])
        return [kind, self.path(), *more]

    def operations(self) -> list[Any]:
        return [self.operation() for _ in range(self.rng.randrange(5))]

    def fields(self) -> tuple[int, list[Any]]:
        """Return a verb and its fields, as they should be."""
        rng, lease = self.rng, self.rng.randrange(4)
        made: list[Callable[[], tuple[int, list[Any]]]] = [
            lambda: (v.SET, [self.path(), self.value(), *rng.choice([[], [0, 0, lease], [v.G_REV, self.a_rev()]])]),
            lambda: (v.SET, [f"/d/{rng.randrange(8)}", self.value()]),
            lambda: (v.DELETE, [self.path(), rng.random() < 0.5]),
            lambda: (v.TXN, [[self.guard() for _ in range(rng.randrange(2))], self.operations(), self.operations()]),
            lambda: (v.TXN, [[], self.operations(), [], "why"]),
            lambda: (v.REVERT, [[v.SEL_TREE, self.path()], self.a_rev()]),
            lambda: (v.NOP, []),
            lambda: (v.RETAIN, [rng.choice([None, 5, 40]), None]),
            lambda: (v.GRANT, [rng.choice([1_000, 60_000])]),
            lambda: (v.REVOKE, [lease]),
            lambda: (v.EXPIRE_LEASE, [lease, 1]),
            lambda: (v.REDACT, [self.path(), 1, None, "leaked"]),
            lambda: (v.REDACT, [self.path(), self.a_rev()]),
        ]  # fmt: skip
        return rng.choice(made)()

    def write(self) -> list[Any]:
        rng = self.rng
        if self.sent and rng.random() < 0.15:
            self.number += 1
            return [v.RETRY, self.number, rng.choice(self.sent)]
        self.number += 1
        verb, fields = self.fields()
        while fields and rng.random() < 0.06:
            fields[rng.randrange(len(fields))] = rng.choice(JUNK)
        frame = [verb, self.number, max(0, self.number - rng.randrange(40)), *fields]
        self.sent = [*self.sent[-20:], frame]
        return frame


def applied(machine: Machine, index: int, entry: bytes) -> list[Any]:
    """Apply a command; return what its writes are told."""
    outcomes = [outcome for batch in machine.apply(index, 1, entry) for outcome in batch]
    return [one.told(machine.store) if isinstance(one, Deferred) else one for one in outcomes]


def restarted(machine: Machine) -> Machine:
    """Return what a start makes of a checkpoint of the machine; of one that has trimmed nothing."""
    fresh, store = Machine(), machine.store
    while fresh.store.rev < store.rev:
        columns = export_columns(store, fresh.store.rev + 1, store.rev, 1 << 20)
        import_columns(fresh.store, columns)
    import_tables(fresh, export_tables(machine))
    return fresh


@pytest.mark.parametrize("seed", range(40))
def test_no_command_ends_a_member_and_all_do_the_same(seed: int) -> None:
    writer, one, other = Writer(seed), Machine(), Machine()
    refused = 0
    for index in range(1, 250):
        batch = [
            [
                writer.rng.choice(SESSIONS),
                "me",
                [writer.write() for _ in range(writer.rng.randint(1, 3))],
                "10.0.0.7",
            ]
            for _ in range(writer.rng.randint(1, 2))
        ]
        entry = bytes(command.encode(1_000 + index * 100, batch))
        told = [applied(machine, index, entry) for machine in (one, other)]
        assert told[0] == told[1]
        refused += sum(isinstance(outcome, Refusal) for outcome in told[0])
        writer.rev = one.store.rev
        if index % 50 == 0:
            other = restarted(other)
            assert state_hash(one.store) == state_hash(other.store)
    assert refused and one.store.rev > 10, "some of each"
