"""Commits and files as protocol bytes, assembled from parts that are encoded once.

A COMMITS message is the concatenation of

    head      93 6e <watch>           `[110, watch, ...`: one for each subscription, made when it begins
    payload   9n <commit> <commit>    the same bytes for everybody who selects the same changes
    commit    95 <rev> <time> <actor> <note> 9n <change> <change>
    change    93 <kind> <path> <version>, or 94 ... <previous>

so a change is packed at most once for each shape (with or without values, with or without the previous
version), however many subscriptions see it in however many combinations.
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

SHAPE: Final = verbs.W_PREVIOUS | verbs.W_KEYS
"""The flags that decide how a change is encoded."""


def array_header(length: int) -> bytes:
    """Return the msgpack header of an array of `length` elements."""
    if length < 16:
        return bytes((0x90 | length,))
    if length < 1 << 16:
        return b"\xdc" + length.to_bytes(2, "big")
    return b"\xdd" + length.to_bytes(4, "big")


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
        kind, path, version, previous = change
        if shape & verbs.W_KEYS:
            version = _without_value(version)
            previous = _without_value(previous)
        fields = (kind, path, version, previous) if shape & verbs.W_PREVIOUS else (kind, path, version)
        data: bytes = self._pack(fields)
        return data

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

    def row(self, path: str, version: Version, shape: int) -> bytes:
        """Return a row of STATE: `[path, version]`."""
        data: bytes = self._pack((path, _without_value(version) if shape & verbs.W_KEYS else version))
        return data


def _without_value(version: Version | None) -> Version | None:
    if version is None or version[1] is None:
        return version
    return (version[0], None, *version[2:])


class CommitParts:
    """One commit during its live delivery: every part is encoded when first asked for, then kept.

    Two groups select from the commit `[a, b, c]`: a tree sees all three changes, a path sees b. The tree's
    bytes are head + 93 + a + b + c, the path's head + 91 + b, and b is packed once.
    """

    __slots__ = ("_changes", "_commit", "_encoder", "_head", "_whole")

    def __init__(self, encoder: Encoder, commit: Commit) -> None:
        self._encoder = encoder
        self._commit = commit
        self._head = b""
        self._changes: dict[tuple[int, int], bytes] = {}
        self._whole: dict[int, bytes] = {}

    def encode(self, positions: Sequence[int], shape: int) -> bytes:
        """Return the commit with its changes at `positions` (ascending), at least one."""
        whole = len(positions) == len(self._commit[4])
        if whole and shape in self._whole:
            return self._whole[shape]
        if not self._head:
            self._head = self._encoder.commit_head(self._commit)
        parts = [self._head, array_header(len(positions))]
        parts.extend([self._change(position, shape) for position in positions])
        data = b"".join(parts)
        if whole:
            self._whole[shape] = data
        return data

    def _change(self, position: int, shape: int) -> bytes:
        data = self._changes.get((position, shape))
        if data is None:
            data = self._encoder.change(self._commit[4][position], shape)
            self._changes[(position, shape)] = data
        return data
