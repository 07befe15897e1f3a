"""Applies the commands in a file with the version that is installed: `python applying.py COMMANDS RESULT [TABLES]`.

It runs with either version. COMMANDS: a msgpack list of entries, and of texts that say what to do in between:
`"checkpoint"` takes the state out and puts it into a new machine.
"""

import hashlib
import sys
from pathlib import Path

import msgpack

from visord.state.digest import state_hash
from visord.state.machine import Machine
from visord.state.refusal import Refusal

if not hasattr(Machine, "export_tables"):  # the version before has these as methods
    from visord.state.tables import export_tables, import_tables

    Machine.export_tables, Machine.import_tables = export_tables, import_tables


def told(outcome):
    """Return what matters of an outcome: how a refusal is put into words may change."""
    if hasattr(outcome, "told"):
        raise AssertionError("a command of format 1 has no deferred results")
    return ["refused", outcome.code] if isinstance(outcome, Refusal) else outcome


def short(outcomes):
    packed = msgpack.packb(outcomes)
    return outcomes if len(packed) < 1000 else hashlib.sha256(packed).hexdigest()


def again(machine):
    """Return a machine that has taken over the tables: what the store holds is not what is asked here."""
    tables = msgpack.unpackb(msgpack.packb(machine.export_tables()), strict_map_key=False)
    assert tables["format"] == 1
    store = machine.store
    machine.import_tables(tables)
    assert machine.store is store
    return machine


def main(commands, result):
    machine, outcomes = Machine(), []
    index = 0
    for command in msgpack.unpackb(Path(commands).read_bytes()):
        if command == "checkpoint":
            machine = again(machine)
            continue
        index += 1
        outcomes.append(short([[told(one) for one in group] for group in machine.apply(index, 1, command)]))
    sessions, leases = machine.sessions, machine.store.leases
    rows = [
        [row[0], row[1], row[2], row[3], [write for write, _ in row[4]], row[5]] for row in sessions.export()
    ]
    state = {
        "rev": machine.store.rev,
        "hash": state_hash(machine.store),
        "sessions": hashlib.sha256(msgpack.packb(rows)).hexdigest(),
        "number": len(rows),
        "forgotten": sessions.forgotten,
        "leases": [[row[0], row[1]] for row in leases.export()[1]],
        "next": leases.next,
    }
    Path(result).write_bytes(msgpack.packb([outcomes, state]))


main(*sys.argv[1:])
