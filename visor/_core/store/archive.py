"""The whole of a typed store as one message, and what must be done to bring a store to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgpack

from visor._core.dataclass import dataclass
from visor._core.store.errors import BadArchive, UnknownKind
from visor._core.store.kind import pack, unpack
from visor._core.store.reading import Reading
from visor._core.store.record import Record
from visor._core.store.tables import Table, Tables
from visor._core.store.transaction import Transaction

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Archive:
    """A saved store: `objects` by kind and id, as they are stored."""

    version: int
    objects: dict[str, dict[str, bytes]]


def save(reading: Reading, tables: Tables) -> bytes:
    """Return every object of the reading, of every kind."""
    kinds: dict[str, dict[str, bytes]] = {}
    for table in tables.by_type.values():
        records: list[Record] = reading.find(table.kind.type)
        kinds[table.kind.name] = {record.id: _stored(table, record) for record in records}
    packed: bytes = msgpack.packb({"format": FORMAT, "version": reading.version, "kinds": kinds})
    return packed


def _stored(table: Table, record: Record) -> bytes:
    data: bytes = table.kind.encode(record, record.meta.created_at, record.meta.updated_at)
    return data


def load(data: bytes, tables: Tables) -> Archive:
    """Return what `save` returned; BadArchive, UnknownKind."""
    try:
        found = msgpack.unpackb(data, raw=False)
        archive = Archive(found["version"], found["kinds"])
        if found["format"] != FORMAT:
            raise BadArchive(why=f"format {found['format']}, known is {FORMAT}")
        for kind, objects in archive.objects.items():
            if kind not in tables.by_name:
                raise UnknownKind(kind=kind)
            for id, stored in objects.items():
                record(tables.by_name[kind], id, stored)
    except (BadArchive, UnknownKind):
        raise
    except Exception as error:  # msgpack and the dataclasses raise many kinds
        raise BadArchive(why=f"{type(error).__name__}: {error}") from error
    return archive


def record(table: Table, id: str, stored: bytes) -> Record:
    """Return the object that was saved so."""
    created, updated, fields = unpack(stored)
    pack(created, updated, fields)
    found: Record = table.kind.build(id, created, updated, fields, 0, 0)
    return found


def steps(
    archive: Archive, tables: Tables, now: Reading, damaged: Iterable[str] = ()
) -> Iterator[tuple[Table, str, bytes | None]]:
    """Yield what differs between the archive and the store as it is now: what goes first, then what comes.

    The order lets names move between objects even when it takes several transactions. Files that cannot be read,
    whose paths are `damaged`, go as well, or are written anew.
    """
    for path in damaged:
        bad = tables.at(path)
        if bad is not None and bad.id(path) not in archive.objects.get(bad.kind.name, {}):
            yield bad, bad.id(path), None
    for table in tables.by_type.values():
        wanted = archive.objects.get(table.kind.name, {})
        present: list[Record] = now.find(table.kind.type)
        for held in present:
            if held.id not in wanted:
                yield table, held.id, None
    for table in tables.by_type.values():
        for id, stored in archive.objects.get(table.kind.name, {}).items():
            held_now: Record | None = now.get(table.kind.type, id)
            if held_now is None or _stored(table, held_now) != stored:
                yield table, id, stored


def restore_into(tx: Transaction, steps: list[tuple[Table, str, Any]]) -> None:
    """Write these steps into a transaction."""
    for table, id, stored in steps:
        if stored is None:
            tx.drop(table, id)
        else:
            tx.put(table, record(table, id, stored))
