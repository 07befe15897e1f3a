"""Going on after a majority was lost for ever: one survivor becomes the whole of a new cluster. `visord recover`.

This gives up the promise that the cluster lives by, so it is done by hand, on a stopped node, and says loudly what may
be lost. What it does, in this order, so that a crash in between leaves a node that does not start or finds no majority:

1. `identity`: another cluster id (the next *generation*). No member of the old cluster lets this node in, nor the other
   way round, whichever comes back; clients of the old cluster get `wrong_cluster` instead of revs with other meanings.
2. `manifest`: the same id.
3. the log: a new term, and a configuration of this member alone; the ids of all others are removed for ever.

Worked example, n1 of n1, n2, n3 survives. Its checkpoint is at entry 90, its log ends at 100 of term 7; it knew that 97
were committed when it stopped, but nothing on its disk says so.

    entries 1..90    were committed
    entries 91..100  are kept: acknowledged or not, nobody can tell any more, and clients were told of some of them
    entry 101        term 8: [n1], removed: n2, n3. Alone, n1 commits 91..101 when it starts
    entries that only n2 and n3 had, 101 and after of theirs, are lost, although they may have been acknowledged
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final, NamedTuple

from visord.members.divergence import check as check_divergence
from visord.progress import Tell, untold
from visord.raft import recovery
from visord.raft.configuration import FIRST_BYTE, Configuration, Member, decode, encode
from visord.raft.log import RaftLog
from visord.raft.segments import Options
from visord.raft.vote import read_vote
from visord.state.machine import Machine
from visord.storage import guard, loading, pending
from visord.storage import manifest as manifests
from visord.storage.directory import (
    DataDirectory,
    Identity,
    RandomBits,
    lock_directory,
    lock_to_read,
    require_directory,
    require_identity,
    write_identity,
)
from visord.storage.disk import Disk, Lock
from visord.storage.errors import DamageError, IdentityError, missing_entries
from visord.storage.manifest import Manifest
from visord.storage.worker import Inline

Entry = recovery.Entry

ADVICE: Final = "Restore this directory from a backup, or recover from another survivor."


class NothingToRecoverError(Exception):
    """This node cannot, or need not, become a cluster of its own; the text says why."""


class Survivor(NamedTuple):
    """What a stopped node holds, and what it would become."""

    identity: Identity
    manifest: Manifest | None
    applied: tuple[int, int]
    """(index, term) of the checkpoint; (1, 0) without one."""
    last: tuple[int, int]
    """(index, term) of the last entry: the survivor with the highest (term, index) has most."""
    term: int
    """The highest term that it knows."""
    rev: int
    """The rev that it will start with."""
    me: Member
    before: Configuration

    @property
    def after(self) -> Configuration:
        """This member alone; nobody else ever returns."""
        others = tuple(one.id for one in self.before.members if one.id != self.me.id)
        return Configuration(
            (self.me._replace(voter=True, wants_vote=False),), (*self.before.removed, *others)
        )

    def lines(self) -> list[str]:
        """Tell people what this means."""
        others = [f"{one.name} ({one.id})" for one in self.before.members if one.id != self.me.id]
        lines = [
            f"{self.me.name} ({self.me.id}) of cluster {self.identity.cluster}",
            f"  holds the state up to rev {self.rev}; its log ends at entry {self.last[0]} of term {self.last[1]}",
            "  of several survivors, recover the one with the highest term, then the highest entry",
            "It becomes the only member of a new cluster:",
            f"  removed for ever: {', '.join(others)}",
            "  LOST: every write that was acknowledged and has not reached this node",
        ]
        unsure = self.last[0] - self.applied[0]
        if unsure:
            lines.append(f"  KEPT: the end of its log ({unsure}), also what no client was ever told of")
        return [
            *lines,
            "  revs after the above are given anew: what clients remember of them means something else now",
            "  clients of the old cluster are refused (wrong_cluster) until they dial anew",
        ]


def survey(disk: Disk, path: str, tell: Tell = untold) -> Survivor:
    """Look at a stopped node's directory without changing it; `tell` hears how far the reading is, in bytes.

    Raises `LockedError`, `DamageError`, `FormatError`, `IdentityError` (also for a directory of another user),
    `UnknownFormat` or `UnknownConfiguration` as a start would, and `NothingToRecoverError`.
    """
    lock = _lock(disk, path, lock_to_read)
    try:
        return _survey(disk, DataDirectory(disk, path, lock, require_identity(disk, path)), tell)
    finally:
        lock.release()


def recover(disk: Disk, path: str, rng: RandomBits, tell: Tell = untold) -> Survivor:
    """Make the node in `path` a cluster of its own. Raises like `survey`, and `OSError`; it may be repeated then."""
    lock = _lock(disk, path, lock_directory)
    try:
        found = _survey(disk, DataDirectory(disk, path, lock, require_identity(disk, path)), tell)
        identity = _next_generation(found.identity, rng)
        write_identity(disk, path, identity)
        if found.manifest is not None:
            manifest = dataclasses.replace(found.manifest, cluster=identity.cluster)
            manifests.write(disk, path, manifests.encode(manifest))
        pending.remove(disk, path)
        _append(disk, DataDirectory(disk, path, lock, identity).log, found, rng)
        return found._replace(identity=identity)
    finally:
        lock.release()


def _lock(disk: Disk, path: str, how: Callable[[Disk, str], Lock]) -> Lock:
    require_directory(disk, path)
    guard.require_safe(disk, path)
    return how(disk, path)


def _next_generation(identity: Identity, rng: RandomBits) -> Identity:
    return identity._replace(
        cluster=f"{rng.getrandbits(128):032x}",
        generation=identity.generation + 1,
        before=(*identity.before, identity.cluster),
    )


def _survey(disk: Disk, directory: DataDirectory, tell: Tell) -> Survivor:
    identity = directory.identity
    check_divergence(disk, directory.path)
    manifest = _manifest(disk, directory)
    machine = Machine()
    if manifest is not None:
        loading.load(disk, directory, manifest, machine, tell)
    applied = max((machine.index, machine.term), (1, 0))
    entries = _entries_after(recovery.read(disk, directory.log).entries, applied, directory.log)
    before = _configuration(identity, manifest)
    for command, index, term in entries:
        machine.apply(index, term, command)
        if command[:1] == FIRST_BYTE:
            before = decode(command)
    last = entries[-1][1:] if entries else applied
    me = _check(identity, before)
    term = max(read_vote(disk, directory.log).term, last[1])
    return Survivor(identity, manifest, applied, (last[0], last[1]), term, machine.store.rev, me, before)


def _manifest(disk: Disk, directory: DataDirectory) -> Manifest | None:
    identity = directory.identity
    manifest = manifests.read(disk, directory.path, None)
    # One of a generation before is what a recovery leaves that was interrupted.
    if manifest is not None and manifest.cluster not in (identity.cluster, *identity.before):
        raise IdentityError(
            f"{directory.path}: the checkpoint is of cluster {manifest.cluster}, the directory of {identity.cluster}"
        )
    return manifest


def _entries_after(entries: list[Entry], applied: tuple[int, int], path: str) -> list[Entry]:
    """Return the entries that follow the checkpoint; none where the log is another branch, as the engine judges."""
    index, term = applied
    first = entries[0][1] if entries else index
    if index < first:
        raise missing_entries(path, index, first, ADVICE)
    position = index - first
    if position >= len(entries) or entries[position][2] != term:
        return []
    return entries[position + 1 :]


def _configuration(identity: Identity, manifest: Manifest | None) -> Configuration:
    if manifest is not None and manifest.config is not None:
        return decode(manifest.config)
    founder = Member(identity.member, identity.node, "", "", True, False)
    return Configuration((founder,)) if identity.founder else Configuration()


def _check(identity: Identity, before: Configuration) -> Member:
    me = before.find(identity.member)
    if identity.member in before.removed or me is None:
        raise NothingToRecoverError(
            f"{identity.node} ({identity.member}) is no member of a cluster: it was removed, or never taken in"
        )
    if len(before.members) == 1:
        raise NothingToRecoverError(
            f"{me.name} ({me.id}) is the only member of its cluster already: just start it"
        )
    return me


def _append(disk: Disk, path: str, found: Survivor, rng: RandomBits) -> None:
    """Put the new configuration into the log, in a term that nobody has voted in, durable on return."""
    inline = Inline()
    log = RaftLog.open(
        disk,
        path,
        options=Options(ahead=0),
        sync=inline,
        background=inline,
        random32=lambda: rng.getrandbits(32),
        create=False,
    )
    try:
        index, term = found.applied
        if log.term_at(index) != term:
            log.reset(index, term)
        if log.last_index != found.last[0]:
            raise DamageError(path, None, f"a last entry {found.last[0]}", f"{log.last_index}", ADVICE)
        log.setCurrentTerm(found.term + 1, found.me.id)
        log.add(encode(found.after), log.last_index + 1, found.term + 1)
        log.flush()
        if log.durable_index != log.last_index:
            why = log.failure or log.full
            raise OSError(
                f"{path}: the new members could not be written: {why}; free some space, and try again"
            )
    finally:
        log.close()
