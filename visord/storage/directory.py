"""The data directory of a node: who owns it, what it is called, what lies where.

    <data>/                 mode 0700
      lock                  held by flock while a node runs; the pid inside is for people
      identity              cluster id, node name, format version; written once
      manifest              the newest checkpoint
      history/              history segments, named by the manifest
      log/                  the Raft log, its mark, term and vote

An unknown format is refused before anything is touched.
"""

from __future__ import annotations

import os
import zlib
from typing import Any, Final, Protocol

import msgpack

from visord.storage.disk import Disk, Lock, join, read_all, write_atomic
from visord.storage.errors import DamageError, FormatError, IdentityError, LockedError

FORMAT: Final = 1
"""Version of the directory's layout as a whole."""
LOCK: Final = "lock"
IDENTITY: Final = "identity"
HISTORY: Final = "history"
LOG: Final = "log"
MANIFEST: Final = "manifest"

_MAGIC: Final = b"VISORID\n"
ADVICE: Final = "Restore this file from a backup of the directory, or restore the whole directory."


class RandomBits(Protocol):
    """Where a new cluster's id comes from."""

    def getrandbits(self, count: int, /) -> int:
        """Return an integer of `count` random bits."""


class DataDirectory:
    """An open and locked data directory. Make it with `open`, give it back with `close`."""

    def __init__(self, disk: Disk, path: str, lock: Lock, cluster: str, node: str) -> None:
        self.disk = disk
        self.path = path
        self.cluster = cluster
        """The cluster's id: 32 hexadecimal digits, chosen when its first node started."""
        self.node = node
        """The node's name."""
        self.log = join(path, LOG)
        self.history = join(path, HISTORY)
        self._lock = lock

    @classmethod
    def open(
        cls, disk: Disk, path: str, *, node: str, rng: RandomBits, cluster: str | None = None
    ) -> DataDirectory:
        """Open the directory, making it when it is missing or empty.

        `cluster` is the id to join (None: whatever the directory says, or a new one). Raises `LockedError`
        when another process uses it, `IdentityError` when it belongs to another node or cluster,
        `FormatError`, `DamageError` or `OSError`.
        """
        if not disk.exists(path):
            disk.mkdir(path)
            disk.sync_dir(path.rstrip("/").rpartition("/")[0] or ("/" if path.startswith("/") else "."))
        lock = lock_directory(disk, path)
        try:
            found = read_identity(disk, path)
            if found is None:
                _check_empty(disk, path)
                found = (cluster or f"{rng.getrandbits(128):032x}", node)
                write_identity(disk, path, *found)
            _check_identity(path, found, cluster, node)
            for name in (LOG, HISTORY):
                disk.mkdir(join(path, name))
            disk.sync_dir(path)
        except BaseException:
            lock.release()
            raise
        return cls(disk, path, lock, *found)

    def close(self) -> None:
        """Let others open the directory. Idempotent."""
        self._lock.release()


def lock_directory(disk: Disk, path: str) -> Lock:
    """Lock the directory for this process. Raises `LockedError` when another one has it."""
    lock = disk.lock(join(path, LOCK), f"{os.getpid()}\n".encode())
    if lock is None:
        raise LockedError(path, _owner(disk, path))
    return lock


def _owner(disk: Disk, path: str) -> int | None:
    try:
        return int(read_all(disk, join(path, LOCK)))
    except (OSError, ValueError):
        return None


def read_identity(disk: Disk, path: str) -> tuple[str, str] | None:
    """Return the (cluster id, node name) of a directory; None when it has no identity yet.

    Raises `FormatError` for an unknown version, `DamageError` when it cannot be read.
    """
    file = join(path, IDENTITY)
    if not disk.exists(file):
        return None
    data = read_all(disk, file)
    if len(data) < 12 or data[:8] != _MAGIC or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise DamageError(file, 0, "an identity with a valid checksum", f"{len(data)} other bytes", ADVICE)
    fields: dict[str, Any] = msgpack.unpackb(data[8:-4])
    if fields["format"] != FORMAT:
        raise FormatError(
            f"{path} has data format {fields['format']}, this version reads {FORMAT}: use the version of "
            "visord that wrote it"
        )
    return fields["cluster"], fields["node"]


def require_identity(disk: Disk, path: str) -> tuple[str, str]:
    """Return the identity of a directory that must have one. Raises `DamageError` when it is missing, too."""
    found = read_identity(disk, path)
    if found is None:
        raise DamageError(join(path, IDENTITY), None, "the directory's identity", "no such file", ADVICE)
    return found


def write_identity(disk: Disk, path: str, cluster: str, node: str) -> None:
    """Write the identity, durable on return."""
    data = _MAGIC + msgpack.packb({"format": FORMAT, "cluster": cluster, "node": node})
    write_atomic(disk, path, IDENTITY, (data, zlib.crc32(data).to_bytes(4, "little")))


def _check_empty(disk: Disk, path: str) -> None:
    strangers = [name for name in disk.listdir(path) if name not in (LOCK, IDENTITY + ".tmp")]
    if MANIFEST in strangers or LOG in strangers:
        raise DamageError(join(path, IDENTITY), None, "the directory's identity", "no such file", ADVICE)
    if strangers:
        raise IdentityError(f"{path} is not empty and not a data directory: it holds {strangers[0]!r}")


def _check_identity(path: str, found: tuple[str, str], cluster: str | None, node: str) -> None:
    if cluster is not None and found[0] != cluster:
        raise IdentityError(f"{path} belongs to cluster {found[0]}, not to {cluster}")
    if found[1] != node:
        raise IdentityError(f"{path} belongs to node {found[1]!r}, not to {node!r}")
