"""Everything that a machine holds, as one number to compare: files, history, sessions, leases, retention.

    account = Account()
    account.take(machine)        # (commits so far, all files, the tables): equal for equal machines

`of_directory` gives that of a member that has ended, from its checkpoint and its log.
"""

from __future__ import annotations

import random
import zlib
from typing import Any, Final

import msgpack

from visord.raft import recovery
from visord.state.digest import state_hash
from visord.state.machine import Machine
from visord.state.tables import export_tables
from visord.storage.checkpoint import Checkpointer
from visord.storage.directory import DataDirectory
from visord.storage.disk import OsDisk
from visord.storage.worker import Inline

OWN: Final = ("index", "term")
"""What two members that hold the same may differ in: a leader's empty entries change nothing else."""


def plain(value: Any) -> Any:
    """Return what msgpack can carry, for values that only show themselves as text."""
    return repr(value)


class Account:
    """Of one machine that goes on: commits are taken once each."""

    def __init__(self) -> None:
        self._crc = 0
        self._rev = 0

    def take(self, machine: Machine) -> tuple[int, str, int]:
        """Return the account of what the machine holds now."""
        store = machine.store
        if store.rev > self._rev:
            first = max(self._rev + 1, store.floor + 1)
            for commit in store.commits(first, store.rev):
                self._crc = zlib.crc32(msgpack.packb(commit, default=plain), self._crc)
            self._rev = store.rev
        return self._crc, str(state_hash(store)), tables_of(machine)


def tables_of(machine: Machine) -> int:
    """Return the digest of everything but the store."""
    tables = {name: value for name, value in export_tables(machine).items() if name not in OWN}
    return zlib.crc32(msgpack.packb(tables, default=plain))


def outcomes_of(outcomes: Any) -> bytes:
    """Return outcomes as bytes that are equal for equal outcomes."""
    data: bytes = msgpack.packb(outcomes, default=plain)
    return data


def of_directory(path: str, name: str, index: int) -> tuple[int, str, int]:
    """Return the account of what a member that has ended has on disk: its checkpoint, and its log up to `index`."""
    disk = OsDisk()
    directory = DataDirectory.open(disk, path, node=name, rng=random.Random(1), cluster=None)
    try:
        machine = Machine()
        Checkpointer(disk, directory, Inline()).load(machine)
        for command, place, term in recovery.read(disk, directory.log).entries:
            if machine.index < place <= index:
                machine.apply(place, term, command)
        return Account().take(machine)
    finally:
        directory.close()
