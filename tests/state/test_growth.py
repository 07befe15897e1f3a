"""What the state takes, as it is counted while it changes: equal to what a count of everything gives."""

from __future__ import annotations

import random
from typing import Any

import msgpack
import pytest

from visor.protocol import verbs as v
from visord.state import growth, past
from visord.state.command import encode
from visord.state.exporting import export_commits
from visord.state.importing import import_commits
from visord.state.machine import Machine
from visord.state.tables import export_tables, import_tables
from visord.state.trim import trim
from visord.state.version import BYTES, ENTRY, SPILLED


def counted(machine: Machine) -> int:
    """Count everything."""
    store = machine.store
    versions = [version for file in store.files.values() for version in file.versions]
    spilled = sum(past.size(file.past) for file in store.files.values())
    return (
        SPILLED * spilled
        + sum(BYTES + len(version[1] or b"") for version in versions)
        + sum(map(len, store.files))
        + sum(
            len(one.path) + ENTRY * len(one.changes)
            for one in store.directories.values()
            if one is not store.root
        )
    )


def change(rng: random.Random, number: int) -> list[Any]:
    path = "/" + "/".join(rng.choice("abc") * rng.randint(1, 3) for _ in range(rng.randint(1, 4)))
    value = b"x" * rng.randrange(300)
    return rng.choice(
        [
            [v.SET, number, 0, path, value],
            [v.SET, number, 0, path, value, 0, 0, 0, "a note"],
            [v.DELETE, number, 0, path, True],
            [v.TXN, number, 0, [], [[0, path, value], [0, path + "x", value], [1, "/a/b", True]]],
            [v.TXN, number, 0, [], [[0, path, value]]],
        ]
    )


@pytest.mark.parametrize("seed", range(8))
def test_it_is_counted_as_it_changes_and_given_back_by_trimming(seed: int) -> None:
    rng = random.Random(seed)
    machine = Machine()
    for index in range(1, 400):
        machine.apply(index, 1, encode(index, [[None, f"me{index % 5}", [change(rng, index)], ""]]))
        if rng.random() < 0.1:
            machine.store.raise_floor(rng.randint(machine.store.floor, machine.store.rev))
            while trim(machine.store, rng.choice([3, 500])):
                pass
    assert machine.store.held == counted(machine)
    assert growth.held(machine) > machine.store.held
    rev = machine.store.rev
    for file in list(machine.store.files):
        machine.apply(machine.index + 1, 1, encode(1000, [[None, "me", [[v.DELETE, 1, 0, file]], ""]]))
    machine.store.raise_floor(machine.store.rev)
    while trim(machine.store, 10_000):
        pass
    assert machine.store.rev > rev
    assert machine.store.held == counted(machine) == 0
    assert machine.store.history.extra < 200


def test_it_is_counted_after_a_checkpoint_as_before() -> None:
    rng = random.Random(1)
    machine = Machine()
    for index in range(1, 300):
        path = f"/{rng.choice('abc')}/{rng.randrange(40)}"
        frame = [v.SET, index, 0, path, b"x" * 50] if rng.random() < 0.8 else [v.DELETE, index, 0, path]
        machine.apply(index, 1, encode(index, [[None, "me", [frame], ""]]))
    fresh = Machine()
    import_commits(fresh.store, export_commits(machine.store, 1, machine.store.rev))
    import_tables(fresh, msgpack.unpackb(msgpack.packb(export_tables(machine)), strict_map_key=False))
    assert fresh.store.held == machine.store.held == counted(machine)


@pytest.mark.parametrize(
    ("frame", "yes"),
    [
        ([v.SET], True),
        ([v.REVERT, 1], True),
        ([v.GRANT, 1], True),
        ([v.RETRY, 1, [v.SET]], True),
        ([v.RETRY, 1, [v.DELETE]], False),
        ([v.RETRY, 1, [v.RETRY, 1, [v.SET]]], False),
        ([v.TXN, 1, 0, [], [[0, "/a", b""]]], True),
        ([v.TXN, 1, 0, [], [], [[1, "/b"], [0, "/a", b""]]], True),
        ([v.TXN, 1, 0, [], [[1, "/a"], [2, "/b"]], []], False),
        ([v.TXN, 1, 0, [], 5, [None, [], [[]]]], False),
        ([v.DELETE, 1, 0, "/a"], False),
        ([v.RETAIN, 1, 0, 5], False),
        ([v.REVOKE, 1, 0, 5], False),
        ([v.NOP, 1, 0], False),
        ([v.EXPIRE_LEASE, 1, 0, 5, 5], False),
        ([], False),
        (None, False),
        ([[v.SET]], False),
        ([v.RETRY], False),
    ],
)
def test_what_grows_is_told_from_its_shape(frame: Any, yes: bool) -> None:
    assert growth.grows(frame) is yes
