"""The term and the vote of a node: durable before any message reflects them.

A node that forgets its vote may vote twice in one term, and two leaders then overwrite each other's
commits. So the file must survive a crash in the middle of a write *and* tell the newest vote when one bit
of it flips.

The file has two slots of 4 KiB, each with a counter and a crc. `store` writes the new content to one slot,
syncs, writes it to the other, syncs. Blocks are allocated once, so a full disk cannot keep a node from
voting.

Worked example: both slots hold (counter 7, term 3, vote "a"); now (8, 4, "b") is stored.

    crash in the first write   slot 0 torn, slot 1 = 7     -> 7; nobody was told of 8
    crash between the writes   slot 0 = 8,  slot 1 = 7     -> 8; allowed, a vote may be stored and never told
    crash in the second write  slot 0 = 8,  slot 1 torn    -> 8
    afterwards, a bit flips    one slot unreadable         -> 8, from the other
    both unreadable            damage: the node must not guess
"""

from __future__ import annotations

import struct
import zlib
from typing import Final, NamedTuple

from visord.storage.disk import Disk, File, join, read_all
from visord.storage.errors import DamageError

NAME: Final = "vote"
_SLOT_SIZE: Final = 4096
_HEAD: Final = struct.Struct("<8sQQhxx")
_MAGIC: Final = b"VISORVOT"
_NOBODY: Final = -1
MAX_NODE_ID: Final = 255
"""Bytes of a node's id in UTF-8."""


class Vote(NamedTuple):
    """The current term, and the node that this one voted for in it (None: none yet)."""

    term: int
    node: str | None


class VoteFile:
    """The open vote file of a log. `current` is what is durable."""

    def __init__(self, file: File, counter: int, current: Vote) -> None:
        self._file = file
        self._counter = counter
        self.current = current

    def store(self, term: int, node: str | None) -> None:
        """Make term and vote durable. Raises `OSError`; the node must stop then."""
        if self.current == (term, node):
            return
        self._counter += 1
        data = _pack(self._counter, term, node)
        for slot in (0, 1):
            self._file.pwrite_sync(data, slot * _SLOT_SIZE)
        self.current = Vote(term, node)

    def close(self) -> None:
        """Give the descriptor back."""
        self._file.close()


def _pack(counter: int, term: int, node: str | None) -> bytes:
    name = b"" if node is None else node.encode()
    if len(name) > MAX_NODE_ID:
        raise ValueError(f"a node id has at most {MAX_NODE_ID} bytes, this one has {len(name)}")
    data = _HEAD.pack(_MAGIC, counter, term, _NOBODY if node is None else len(name)) + name
    return data + zlib.crc32(data).to_bytes(4, "little")


def _unpack(data: bytes) -> tuple[int, Vote] | None:
    if len(data) < _HEAD.size + 4:
        return None
    magic, counter, term, length = _HEAD.unpack_from(data)
    end = _HEAD.size + max(length, 0)
    if magic != _MAGIC or length > MAX_NODE_ID or length < _NOBODY:
        return None
    if zlib.crc32(data[:end]) != int.from_bytes(data[end : end + 4], "little"):
        return None
    return counter, Vote(term, None if length == _NOBODY else data[_HEAD.size : end].decode())


def open_vote(disk: Disk, directory: str, *, create: bool) -> VoteFile:
    """Open the vote file; with `create`, make it (term 0, no vote) when it is missing.

    Raises `DamageError` when neither slot can be read, or when it is missing and must not be.
    """
    path = join(directory, NAME)
    if create and not disk.exists(path):
        return _create(disk, directory)
    counter, current, equal = _read(disk, path)
    file = disk.open(path)
    if not equal:  # a crash between the two writes, or damage to one: make them equal again
        for slot in (0, 1):
            file.pwrite_sync(_pack(counter, *current), slot * _SLOT_SIZE)
    return VoteFile(file, counter, current)


def read_vote(disk: Disk, directory: str) -> Vote:
    """Return the durable term and vote without changing anything. Raises `DamageError`."""
    return _read(disk, join(directory, NAME))[1]


def _read(disk: Disk, path: str) -> tuple[int, Vote, bool]:
    """Return (counter, vote, whether both copies are the same)."""
    if not disk.exists(path):
        raise DamageError(path, None, "the node's term and vote", "no such file", _ADVICE)
    data = read_all(disk, path, 2 * _SLOT_SIZE)
    slots = [_unpack(data[slot * _SLOT_SIZE : (slot + 1) * _SLOT_SIZE]) for slot in (0, 1)]
    valid = [slot for slot in slots if slot is not None]
    if not valid:
        raise DamageError(path, 0, "a readable term and vote", "two unreadable copies", _ADVICE)
    return *max(valid), slots[0] == slots[1]


def _create(disk: Disk, directory: str) -> VoteFile:
    # Written beside and renamed, so that a file under this name always has both slots.
    path = join(directory, NAME)
    data = _pack(0, 0, None).ljust(_SLOT_SIZE, b"\0") * 2
    file = disk.open(path + ".tmp", create=True)
    file.pwrite(data, 0)
    file.sync()
    disk.rename(path + ".tmp", path)
    disk.sync_dir(directory)
    file.path = path
    return VoteFile(file, 0, Vote(0, None))


_ADVICE: Final = (
    "A node that forgot its vote can break the cluster's promises: remove this node from the cluster and "
    "join it again with an empty data directory, or restore a backup."
)
