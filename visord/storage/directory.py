"""The data directory of a node: who owns it, what it is called, what lies where.

    <data>/                 mode 0700
      lock                  held by flock while a node runs; the pid inside is for people
      identity              cluster id, node name, format version; written once
      manifest              the newest checkpoint
      history/              history segments, named by the manifest
      log/                  the Raft log, its mark, term and vote
      authority/            the cluster's own authority, and this member's certificate (visord/authority)

An unknown format is refused before anything is touched.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from typing import Any, Final, NamedTuple, Protocol

import msgpack

from visord.storage import guard
from visord.storage.disk import Disk, Lock, join, read_all, write_atomic
from visord.storage.errors import DamageError, FormatError, IdentityError, LockedError

FORMAT: Final = 1
"""Version of the directory's layout as a whole."""
LOCK: Final = "lock"
IDENTITY: Final = "identity"
HISTORY: Final = "history"
LOG: Final = "log"
MANIFEST: Final = "manifest"
LOCK_BYTES: Final = 64
IDENTITY_BYTES: Final = 1 << 20
"""The ids of ten thousand generations before."""

_MAGIC: Final = b"VISORID\n"
ADVICE: Final = "Restore this file from a backup of the directory, or restore the whole directory."


class RandomBits(Protocol):
    """Where a new cluster's id comes from."""

    def getrandbits(self, count: int, /) -> int:
        """Return an integer of `count` random bits."""


class Identity(NamedTuple):
    """Whose directory it is; written once."""

    cluster: str
    """32 hexadecimal digits, chosen when the cluster's first node started."""
    node: str
    """The node's name."""
    member: str
    """16 hexadecimal digits: who this is among the members, also under another name or address."""
    founder: bool
    """This node began the cluster: without any other record it is its only member."""
    generation: int = 1
    """How often the cluster was begun, again after lost majorities; each has its own id."""
    before: tuple[str, ...] = ()
    """The ids of the generations before, the oldest first."""
    closed: bool = False
    """The cluster was founded with rights: whoever has not applied its first entry yet knows of nobody, and lets nobody
    do anything."""


class DataDirectory:
    """An open and locked data directory. Make it with `open`, give it back with `close`."""

    def __init__(self, disk: Disk, path: str, lock: Lock, identity: Identity) -> None:
        self.disk = disk
        self.path = path
        self.identity = identity
        self.cluster = identity.cluster
        self.node = identity.node
        self.log = join(path, LOG)
        self.history = join(path, HISTORY)
        self._lock = lock

    @classmethod
    def open(
        cls, disk: Disk, path: str, *, node: str, rng: RandomBits, cluster: str | None = None
    ) -> DataDirectory:
        """Open the directory, making it when it is missing or empty.

        `cluster` is the id to join (None: whatever the directory says, or a new one that this node founds). Raises
        `LockedError` when another process uses it, `IdentityError` when it belongs to another node or cluster, or
        (`OwnerError`) to another user, `FormatError`, `DamageError` or `OSError`. What is open to other users of the
        machine is closed to them.
        """
        if not disk.exists(path):
            disk.mkdir(path)
            disk.sync_dir(path.rstrip("/").rpartition("/")[0] or ("/" if path.startswith("/") else "."))
        guard.require_safe(disk, path)
        lock = lock_directory(disk, path)
        try:
            found = read_identity(disk, path)
            if found is None:
                _check_empty(disk, path)
                found = Identity(
                    cluster or f"{rng.getrandbits(128):032x}",
                    node,
                    f"{rng.getrandbits(64):016x}",
                    cluster is None,
                )
                write_identity(disk, path, found)
            _check_identity(path, found, cluster, node)
            guard.close(disk, path)
            for name in (LOG, HISTORY):
                disk.mkdir(join(path, name))
            disk.sync_dir(path)
        except BaseException:
            lock.release()
            raise
        return cls(disk, path, lock, found)

    def close(self) -> None:
        """Let others open the directory. Idempotent."""
        self._lock.release()


def lock_directory(disk: Disk, path: str) -> Lock:
    """Lock the directory for this process. Raises `LockedError` when another one has it."""
    lock = disk.lock(join(path, LOCK), f"{os.getpid()}\n".encode())
    if lock is None:
        raise LockedError(path, _owner(disk, path))
    return lock


def lock_to_read(disk: Disk, path: str) -> Lock:
    """Keep nodes from the directory while it is read, writing nothing. Raises `LockedError` when one is there."""
    lock = disk.lock_shared(join(path, LOCK))
    if lock is None:
        raise LockedError(path, _owner(disk, path))
    return lock


def _owner(disk: Disk, path: str) -> int | None:
    """Return the process that wrote itself into the lock; None once it has ended: readers write nothing there."""
    try:
        pid = int(read_all(disk, join(path, LOCK), LOCK_BYTES))
        if pid <= 0:
            return None
        os.kill(pid, 0)
    except PermissionError:
        return pid
    except (OSError, ValueError, OverflowError):
        return None
    return pid


def read_identity(disk: Disk, path: str) -> Identity | None:
    """Return the identity of a directory; None when it has none yet.

    Raises `FormatError` for an unknown version, `DamageError` when it cannot be read.
    """
    file = join(path, IDENTITY)
    if not disk.exists(file):
        return None
    data = read_all(disk, file, IDENTITY_BYTES)
    if len(data) < 12 or data[:8] != _MAGIC or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise DamageError(file, 0, "an identity with a valid checksum", f"{len(data)} other bytes", ADVICE)
    fields: dict[str, Any] = msgpack.unpackb(data[8:-4])
    if fields["format"] != FORMAT:
        raise FormatError(
            f"{path} has data format {fields['format']}, this version reads {FORMAT}: use the version of "
            "visord that wrote it"
        )
    cluster, node = fields["cluster"], fields["node"]
    # Before there were clusters, every node was the founder of its own.
    member = fields.get("member") or hashlib.sha256(f"{cluster}/{node}".encode()).hexdigest()[:16]
    generation, before = fields.get("generation", 1), tuple(fields.get("before", ()))
    closed = fields.get("closed", False)
    return Identity(cluster, node, member, fields.get("founder", True), generation, before, closed)


def require_directory(disk: Disk, path: str) -> None:
    """Raise `IdentityError` where nothing shows that this is, or was, a data directory."""
    if not disk.exists(join(path, IDENTITY)) and not disk.exists(join(path, LOG)):
        raise IdentityError(f"{path} is not a data directory")


def _no_identity(path: str) -> DamageError:
    return DamageError(join(path, IDENTITY), None, "the directory's identity", "no such file", ADVICE)


def require_identity(disk: Disk, path: str) -> Identity:
    """Return the identity of a directory that must have one. Raises `DamageError` when it is missing, too."""
    found = read_identity(disk, path)
    if found is None:
        raise _no_identity(path)
    return found


def write_identity(disk: Disk, path: str, identity: Identity) -> None:
    """Write the identity, durable on return."""
    data = _MAGIC + msgpack.packb({"format": FORMAT, **identity._asdict()})
    write_atomic(disk, path, IDENTITY, (data, zlib.crc32(data).to_bytes(4, "little")))


def _check_empty(disk: Disk, path: str) -> None:
    strangers = [name for name in disk.listdir(path) if name not in (LOCK, IDENTITY + ".tmp")]
    if MANIFEST in strangers or LOG in strangers:
        raise _no_identity(path)
    if strangers:
        raise IdentityError(f"{path} is not empty and not a data directory: it holds {strangers[0]!r}")


def _check_identity(path: str, found: Identity, cluster: str | None, node: str) -> None:
    if cluster is not None and found.cluster != cluster:
        raise IdentityError(f"{path} belongs to cluster {found.cluster}, not to {cluster}")
    if found.node != node:
        raise IdentityError(f"{path} belongs to node {found.node!r}, not to {node!r}")
