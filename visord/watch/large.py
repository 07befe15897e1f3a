"""Large commits on their way to watches: measured first, then put together without copying what is large in them.

    lengths  ->  a bound for all groups, and only when that is too much the size of the commit for one group
                                    ->  more than a message may have: refused, nothing is encoded
                                    ->  else its pieces, some changes at a time

    pieces   [head, small change, small change, beginning of a change]   value   [end of it, small change ...]   value
              `- gathered: one object, 64 KiB -------------------------'    `- the store's own object

So a commit of a gigabyte in values costs what its paths cost, and two hundred watches that get the same values share
them. What is kept while a commit is delivered: four bytes for each change and shape (its size), encoded changes up to
`KEPT_BYTES`, and for each shape what a group is sent that wants all of the commit, up to one message without values.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from visord.watch.messages import VALUE_BYTES, Change, Commit, Encoder, Payload, array_header
from visord.watch.sizes import change_size

PIECE_BYTES: Final = 64 << 10
"""What is small is gathered in pieces of about so much."""
KEPT_BYTES: Final = 2 << 20
"""Encoded changes that are kept for other groups; beyond it they are encoded again."""
CHANGES: Final = 64
"""Changes that are measured or put together at once."""
_OVERHEAD: Final = 128
"""What keeping an encoded change takes beside its bytes."""


class Gathering:
    """The pieces of one message."""

    __slots__ = ("_pieces", "_small", "_waiting", "copied", "shared")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._small: list[bytes] = []
        self._waiting = 0
        self.copied = 0
        """Bytes in pieces that belong to this message alone."""
        self.shared = 0
        """Bytes in pieces that were handed on as they are."""

    @property
    def size(self) -> int:
        """The bytes of all that was added."""
        return self.copied + self.shared + self._waiting

    def add(self, pieces: Iterable[bytes]) -> None:
        """Put pieces behind what is there."""
        small, waiting = self._small, self._waiting
        for piece in pieces:
            size = len(piece)
            if size < VALUE_BYTES:
                small.append(piece)
                waiting += size
                if waiting < PIECE_BYTES:
                    continue
            self._waiting = waiting
            self._flush()
            waiting = 0
            if size >= VALUE_BYTES:
                self._pieces.append(piece)
                self.shared += size
        self._waiting = waiting

    def done(self) -> Payload:
        """Return all that was added."""
        self._flush()
        return tuple(self._pieces)

    def _flush(self) -> None:
        if self._small:
            self._pieces.append(b"".join(self._small))
            self.copied += self._waiting
            self._small.clear()
            self._waiting = 0


class LargeCommit:
    """One large commit during its live delivery. See the module."""

    __slots__ = ("_encoder", "_keeps", "_kept", "_room", "_sizes", "_whole", "changes", "head")

    def __init__(self, encoder: Encoder, commit: Commit, *, keeps: bool) -> None:
        self._encoder = encoder
        self.changes: Sequence[Change] = commit[4]
        self.head = encoder.commit_head(commit)
        self._sizes: dict[int, array[int]] = {}
        """By shape, the size of each change; 0: not known yet."""
        self._keeps = keeps
        """Whether there are several groups."""
        self._kept: dict[tuple[int, int], list[bytes]] = {}
        self._room = KEPT_BYTES
        self._whole: dict[int, tuple[int, Payload]] = {}
        """By shape, the size and payload of the whole commit."""

    def __len__(self) -> int:
        return len(self.changes)

    def begin(self, count: int) -> bytes:
        """Return what a message begins with that has this commit alone, with `count` of its changes."""
        return array_header(1) + self.head + array_header(count)

    def measure(self, positions: Sequence[int], shape: int) -> int:
        """Return how many bytes the changes at `positions` take."""
        sizes = self._sizes.get(shape)
        if sizes is None:
            sizes = self._sizes[shape] = array("I", bytes(4 * len(self.changes)))
        total = 0
        for position in positions:
            size = sizes[position]
            if not size:
                size = sizes[position] = change_size(self.changes[position], shape)
            total += size
        return total

    def add(self, positions: Sequence[int], shape: int, gathering: Gathering) -> None:
        """Put the changes at `positions` behind what is gathered."""
        if self._keeps:
            gathering.add(chain.from_iterable([self._encode(position, shape) for position in positions]))
        else:
            changes, encode = self.changes, self._encoder.change_pieces
            gathering.add(chain.from_iterable([encode(changes[position], shape) for position in positions]))

    def _encode(self, position: int, shape: int) -> list[bytes]:
        pieces = self._kept.get((position, shape))
        if pieces is None:
            pieces = self._encoder.change_pieces(self.changes[position], shape)
            self._room -= _OVERHEAD + sum([len(piece) for piece in pieces if len(piece) < VALUE_BYTES])
            if self._room < 0:
                self._kept.clear()
                self._room = KEPT_BYTES
            self._kept[(position, shape)] = pieces
        return pieces

    def whole(self, shape: int) -> tuple[int, Payload] | None:
        """Return the size and payload of the whole commit, when that is known; () stands for too large."""
        return self._whole.get(shape)

    def keep_whole(self, shape: int, size: int, payload: Payload) -> None:
        """Remember them for the groups that want the same."""
        self._whole[shape] = size, payload
