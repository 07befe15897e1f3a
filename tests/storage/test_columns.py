"""Columns of commits: whichever way they are made, and in whatever pieces they are read, they tell the same history."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from tests.storage.storage_world import Writer, contents
from visor.protocol.verbs import SET
from visord.state.columns import Columns, from_rows, packable, part_of, to_rows, unpacked
from visord.state.command import encode
from visord.state.exporting import export_base, export_columns, export_commits
from visord.state.history import MAX_RECENT
from visord.state.importing import CorruptHistory, import_base, import_columns
from visord.state.machine import Machine
from visord.state.store import Store
from visord.state.tables import export_tables, import_tables
from visord.state.trim import trim


def written(seed: int, count: int = 600, odd: float = 0.02) -> Store:
    """Return a store most of whose commits set one file; `odd` is the share of others."""
    rng, machine = random.Random(seed), Machine()
    writer = Writer(machine, seed)
    while machine.store.rev < count:
        if rng.random() < odd:
            writer.write()
            continue
        frames = []
        for number in range(rng.randrange(1, 5)):
            path = f"/dir{rng.randrange(3)}/file{rng.randrange(30)}"
            frames.append([SET, machine.index * 10 + 100 + number, 0, path, rng.randbytes(rng.randrange(9))])
        actor = rng.choice(["me", "you", "somebody else"])
        machine.apply(machine.index + 1, 1, encode(machine.index * 7, [[None, actor, frames, ""]]))
    return machine.store


def all_columns(store: Store, rows: int, most: int = 1 << 20) -> list[Columns]:
    """Return the whole history, packed and unpacked as on disk."""
    found, rev = [], 1
    while rev <= store.rev:
        columns = export_columns(store, rev, min(store.rev, rev + rows - 1), most)
        assert columns.first == rev and columns.size > 0
        found.append(unpacked(rev, msgpack.unpackb(msgpack.packb(packable(columns)))))
        rev += columns.size
    return found


def known(store: Store) -> Any:
    return export_base(store, None, 1 << 30, store.rev), export_commits(store, store.cut + 1, store.rev)


WAYS: list[Callable[[Store], None]] = [
    lambda store: None,
    lambda store: store.history.drop_recent(store.rev),
    lambda store: store.history.drop_recent(store.rev // 2),
]


@pytest.mark.parametrize("prepare", WAYS)
@pytest.mark.parametrize("odd", [0.0, 0.01, 0.3])
def test_the_three_ways_to_export_tell_the_same(prepare: Callable[[Store], None], odd: float) -> None:
    for seed in range(4):
        store = written(seed, odd=odd)
        expected = export_commits(store, 1, store.rev)
        prepare(store)
        for rows in (1, 7, 100, 256):
            columns = all_columns(store, rows)
            assert [row for piece in columns for row in to_rows(piece)] == expected
            if odd == 0.0 and rows == 256:
                assert all(piece.born is not None for piece in columns)


def test_a_store_is_built_again_from_pieces_of_any_size() -> None:
    for seed in range(6):
        store = written(seed)
        expected, rng = known(store), random.Random(seed)
        for prepare in WAYS:
            prepare(store)
            fresh = Store()
            for piece in all_columns(store, 256):
                position = 0
                while position < piece.size:
                    stop = position + rng.randrange(1, 300)
                    import_columns(fresh, part_of(piece, position, stop))
                    position = min(stop, piece.size)
            assert known(fresh) == expected


def test_columns_stop_at_the_bytes_that_are_asked_for() -> None:
    store = Machine().store
    store.commit(1, "me", None, [("/d/first", b"", 0)])
    for number in range(300):
        assert store.create(f"/d/f{number:03}", bytes(1000), 1, "me")
    for prepare in WAYS[:2]:
        prepare(store)
        assert export_columns(store, 2, 250, 20_000).size == 20
        assert export_columns(store, 2, 250, 1).size == 1
        assert export_columns(store, 2, 11, 1 << 20).size == 10


def test_history_goes_on_above_a_base_whose_files_are_found_by_path() -> None:
    for seed in range(4):
        machine = Machine()
        machine.store = store = written(seed, 300, odd=0.0)
        at = 150
        rows, _ = export_base(store, None, 1 << 30, at)
        fresh = Store()
        import_base(fresh, at, store.history.time(at), rows)
        for piece in all_columns(store, 100):
            if piece.first + piece.size > at + 1:
                import_columns(fresh, part_of(piece, max(0, at + 1 - piece.first), 1000))
        assert export_commits(fresh, at + 1, store.rev) == export_commits(store, at + 1, store.rev)
        assert export_base(fresh, None, 1 << 30, store.rev) == export_base(store, None, 1 << 30, store.rev)


def test_a_file_that_came_with_others_and_one_that_came_again() -> None:
    store = Store()
    store.commit(1, "me", None, [("/d/a", b"1", 0), ("/d/b", b"1", 0)])
    for _ in range(40):
        store.overwrite(store.files["/d/b"], store.files["/d/b"].versions[-1], b"2", 1, "me")
    assert store.remove("/d/a", 1, "me")
    assert store.create("/d/a", b"again", 1, "me")
    for _ in range(40):
        store.overwrite(store.files["/d/a"], store.files["/d/a"].versions[-1], b"3", 1, "me")
    for prepare in WAYS:
        prepare(store)
        fresh = Store()
        for piece in all_columns(store, 256):
            import_columns(fresh, piece)
        assert known(fresh) == known(store)


def test_a_trimmed_store_imports_what_goes_on_from_it() -> None:
    store = written(5, 400, odd=0.0)
    behind = Store()
    pieces = all_columns(store, 50)
    for piece in pieces[:6]:
        import_columns(behind, piece)
    behind.raise_floor(behind.rev - 3)
    while trim(behind, 100):
        pass
    for piece in pieces[6:]:
        import_columns(behind, piece)
    assert export_commits(behind, 301, store.rev) == export_commits(store, 301, store.rev)
    assert export_base(behind, None, 1 << 30, store.rev) == export_base(store, None, 1 << 30, store.rev)


def test_what_is_recent_is_bounded_without_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_RECENT >= 1 << 20, "more than what comes between two checkpoints"
    monkeypatch.setattr("visord.state.machine.MAX_RECENT", 100)
    machine = Machine()
    for index in range(1, 400):
        machine.apply(
            index, 1, encode(index, [[None, "me", [[SET, index, 0, f"/d/f{index % 9}", b"x"]], ""]])
        )
        assert len(machine.store.history.recent) <= 100
    fresh = Machine()
    for piece in all_columns(machine.store, 256):
        import_columns(fresh.store, piece)
    import_tables(fresh, export_tables(machine))
    assert contents(fresh) == contents(machine)


def plain() -> Columns:
    store = Store()
    store.commit(1, "me", None, [("/d/a", b"1", 0)])
    for _ in range(40):
        store.overwrite(store.files["/d/a"], store.files["/d/a"].versions[-1], b"2", 1, "me")
    return export_columns(store, 1, store.rev, 1 << 20)


@pytest.mark.parametrize(
    "change",
    [
        {"times": b"1234567"},
        {"times": b"12345678"},
        {"times": 7},
        {"actors": [[], None]},
        {"actors": [["me"], [0]]},
        {"actors": [["me"], [5] * 41]},
        {"actors": 3},
        {"notes": [1]},
        {"counts": [1, 2]},
        {"counts": [1] * 40 + [2]},
        {"kinds": b"\x01"},
        {"kinds": b"\x02" * 41},
        {"kinds": b"\x01" * 41},
        {"kinds": b"\x09" * 41},
        {"kinds": None},
        {"paths": []},
        {"paths": ["/d/a", "/d/b"]},
        {"paths": [None]},
        {"paths": ["no path"]},
        {"values": []},
        {"values": [None] * 41},
        {"values": ["text"] * 41},
        {"leases": [0]},
        {"leases": [0] * 41},
        {"born": b"12345678"},
        {"born": (7).to_bytes(8, "little") * 41},
        {"born": (1 << 40).to_bytes(8, "little") * 41},
        {"born": (0).to_bytes(8, "little") * 41, "again": b"nothing"},
        {"born": (0).to_bytes(8, "little") * 41, "again": msgpack.packb(["/d/a"])},
        {"born": (0).to_bytes(8, "little") * 41, "again": msgpack.packb(["/d/a"] * 50)},
        {"born": None},
    ],
)
def test_columns_that_contradict_themselves_are_refused(change: dict[str, Any]) -> None:
    content = packable(plain())
    names = Columns._fields[1:]
    for name, value in change.items():
        content[names.index(name)] = value
    store = Store()
    with pytest.raises((ValueError, TypeError, LookupError, CorruptHistory)):
        import_columns(store, unpacked(1, msgpack.unpackb(msgpack.packb(content))))


def test_columns_that_do_not_go_on_from_the_store_are_refused() -> None:
    with pytest.raises(CorruptHistory):
        import_columns(Store(), part_of(plain(), 1, 5))
    store = Store()
    import_columns(store, plain())
    with pytest.raises(CorruptHistory):
        import_columns(store, plain())
    short = export_columns(store, 1, 41, 1 << 20)
    assert short.born is not None
    wrong = part_of(short, 40, 41)._replace(first=42, paths=[], born=(5).to_bytes(8, "little"))
    with pytest.raises(CorruptHistory, match="not created by"):
        import_columns(store, wrong)


def test_rows_become_columns_and_rows_again() -> None:
    rows = [
        [4, 10, "me", None, [[1, "/a", b"x", 0]]],
        [5, 11, "you", "why", [[2, "/a", b"y", 7], [1, "/b", b"", 0]]],
        [6, 11, "me", None, [[3, "/b", None, 0]]],
    ]
    assert to_rows(from_rows(rows)) == rows
    assert to_rows(part_of(from_rows(rows), 1, 3)) == rows[1:]
    assert to_rows(part_of(from_rows(rows), 1, 2)) == rows[1:2]
