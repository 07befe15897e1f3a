"""Commits and files as protocol bytes, assembled from parts that are encoded once.

A COMMITS message is the concatenation of

    head      93 6e <watch>           `[110, watch, ...`: one for each subscription, made when it begins
    payload   9n <commit> <commit>    the same bytes for all that select the same changes
    commit    95 <rev> <time> <actor> <note> 9n <change> <change>
    change    93 <kind> <path> <version>, or 94 ... <previous>

so a change is packed twice at most for each shape (with or without values, with or without the previous
version), for the first group and for all others, however many subscriptions see it in however many combinations.

Large values are never copied: what has one is made of pieces, of which the value is one, the very object that the
store has, for all that get it. See `large`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgpack

from visor.protocol import verbs

Version: TypeAlias = Sequence[Any]
"""`(mod_rev, value, created, count, lease)`; value None is a tombstone."""
Change: TypeAlias = Sequence[Any]
"""`(kind, path, version, previous)`."""
Commit: TypeAlias = Sequence[Any]
"""`(rev, time_ms, actor, note, changes)`."""
Payload: TypeAlias = tuple[bytes, ...]
"""What follows the head of a message, in pieces; at least one."""

SPLIT_BYTES: Final = 1 << 10
"""Values from here on are not packed together with what they belong to; so everything else is below `VALUE_BYTES`."""
VALUE_BYTES: Final = 8 << 10
"""Values from here on are handed over as they are; what is smaller is copied."""

SHAPE: Final = verbs.W_PREVIOUS | verbs.W_KEYS
"""The flags that decide how a change is encoded."""


def array_header(length: int) -> bytes:
    """Return the msgpack header of an array of `length` elements."""
    if length < 16:
        return bytes((0x90 | length,))
    if length < 1 << 16:
        return b"\xdc" + length.to_bytes(2, "big")
    return b"\xdd" + length.to_bytes(4, "big")


def bin_header(length: int) -> bytes:
    """Return the msgpack header of `length` bytes."""
    if length < 1 << 8:
        return b"\xc4" + length.to_bytes(1, "big")
    if length < 1 << 16:
        return b"\xc5" + length.to_bytes(2, "big")
    return b"\xc6" + length.to_bytes(4, "big")


class Encoder:
    """Packs changes, commits and rows. One for each hub: a packer must not be shared between threads."""

    __slots__ = ("_pack",)

    def __init__(self) -> None:
        self._pack: Any = msgpack.Packer(use_bin_type=True).pack

    def message(self, fields: Sequence[Any]) -> bytes:
        """Return a whole message."""
        data: bytes = self._pack(fields)
        return data

    def integer(self, number: int) -> bytes:
        """Return an integer field."""
        data: bytes = self._pack(number)
        return data

    def head(self, kind: int, length: int, watch: int) -> bytes:
        """Return the beginning of a message of `length` fields (under 16): its kind and watch."""
        return bytes((0x90 | length, kind)) + self.integer(watch)

    def change(self, change: Change, shape: int) -> bytes:
        """Return one change in the shape that `shape` (W_PREVIOUS, W_KEYS) asks for."""
        data: bytes
        if not shape:
            data = self._pack(change[:3])
            return data
        kind, path, version, previous = change
        if shape & verbs.W_KEYS:
            version = _without_value(version)
            previous = _without_value(previous)
        fields = (kind, path, version, previous) if shape & verbs.W_PREVIOUS else (kind, path, version)
        data = self._pack(fields)
        return data

    def change_pieces(self, change: Change, shape: int) -> list[bytes]:
        """Return the same bytes as `change` does, large values as pieces of their own."""
        kind, path, version, previous = change
        before = previous if shape & verbs.W_PREVIOUS else None
        if shape & verbs.W_KEYS or not (_has_large(version) or _has_large(before)):
            return [self.change(change, shape)]
        head = self._pack((kind, path))[1:]  # an array of two, made one of three or four by its first byte
        if not shape & verbs.W_PREVIOUS:
            return [b"\x93" + head, *self._version_pieces(version)]
        return [b"\x94" + head, *self._version_pieces(version), *self._version_pieces(before)]

    def row_pieces(self, path: str, version: Version, shape: int) -> list[bytes]:
        """Return a row of STATE: `[path, version]`, a large value as a piece of its own."""
        if shape & verbs.W_KEYS:
            version = _bare(version)
        return [b"\x92" + self._pack(path), *self._version_pieces(version)]

    def _version_pieces(self, version: Version | None) -> list[bytes]:
        if version is None or not _has_large(version):
            return [self._pack(version)]
        pack = self._pack
        rev, value, created, count, lease = version
        header = bin_header(len(value))
        return [b"\x95" + pack(rev) + header, value, pack(created) + pack(count) + pack(lease)]

    def commit_head(self, commit: Commit) -> bytes:
        """Return a commit up to its changes: `95 <rev> <time> <actor> <note>`."""
        # An array of four, made one of five by its first byte.
        head: bytes = b"\x95" + self._pack(commit[:4])[1:]
        return head

    def commit(self, commit: Commit, changes: Sequence[Change], shape: int) -> bytes:
        """Return a commit with only `changes` of it."""
        parts = [self.commit_head(commit), array_header(len(changes))]
        parts.extend([self.change(change, shape) for change in changes])
        return b"".join(parts)


def _without_value(version: Version | None) -> Version | None:
    return None if version is None else _bare(version)


def _bare(version: Version) -> Version:
    return version if version[1] is None else (version[0], None, *version[2:])


def _has_large(version: Version | None) -> bool:
    return version is not None and version[1] is not None and len(version[1]) >= SPLIT_BYTES


class CommitParts:
    """One small commit during its live delivery: parts are encoded when asked for, and kept from the second group on.

    Two groups select from the commit `[a, b, c]`: a tree sees all three changes, a path sees b. The tree's
    bytes are head + 93 + a + b + c, the path's head + 91 + b, and b is packed for each; for a third it is there.
    """

    __slots__ = ("_changes", "_commit", "_encoder", "_head", "_whole")

    def __init__(self, encoder: Encoder, commit: Commit) -> None:
        self._encoder = encoder
        self._commit = commit
        self._head = b""
        self._changes: dict[tuple[int, int], bytes] | None = None
        """Made for the second group: often there is one."""
        self._whole: dict[int, bytes] = {}

    def encode(self, positions: Sequence[int], shape: int) -> bytes:
        """Return the commit with its changes at `positions` (ascending), at least one."""
        changes = self._commit[4]
        whole = len(positions) == len(changes)
        if whole and shape in self._whole:
            return self._whole[shape]
        encode = self._encoder.change
        if len(changes) == 1:
            parts = [encode(changes[0], shape)]
        elif not self._head:
            parts = [encode(changes[position], shape) for position in positions]
        else:
            parts = [self._change(position, shape) for position in positions]
        if not self._head:
            self._head = self._encoder.commit_head(self._commit)
        data = b"".join((self._head, array_header(len(positions)), *parts))
        if whole:
            self._whole[shape] = data
        return data

    def _change(self, position: int, shape: int) -> bytes:
        if self._changes is None:
            self._changes = {}
        data = self._changes.get((position, shape))
        if data is None:
            data = self._encoder.change(self._commit[4][position], shape)
            self._changes[(position, shape)] = data
        return data
