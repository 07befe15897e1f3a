"""Versions of one file of which only the revs are in memory: what they said is on disk (`past_values.py`).

All but the newest versions of a file, once a checkpoint has them. A plain past is just the revs, 4 bytes each: the
first created the file, and each of the others wrote it. Anything else takes a `Lives`:

    set at rev 3, 8, 9                          b"<3><8><9>", little more than 12 bytes
    set at 3, deleted at 8, set at 9 and 12     Lives(revs 3 8 9 12, gone 8, first version: created by 3, the 1st write)

    stub(past, 1)        (8, UNREAD, 3, 2, 0)   what rev 8 wrote, but for the value: `Store.filled` reads that

When it was created and how often it had been written follows from the revs. A value never does, nor does the lease
where any version had one: those versions are `LEASED`, and what shows a lease reads them too.

Up to `FEW` revs are packed bytes; more are an array, which grows in place. Revs beyond 32 bits take 8 bytes.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias, cast

from visord.state.version import Version, tombstone

FEW: Final = 64
"""Revs that are kept as bytes: an array's own size is that of twenty."""
NARROW: Final = (1 << 32) - 1
"""The highest rev that 4 bytes hold."""


class Unread:
    """What stands where a value is that was not read: nothing that could be packed, measured or compared by mistake."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


UNREAD: Final = cast("bytes", Unread("UNREAD"))
"""The value is on disk; there is no lease."""
LEASED: Final = cast("bytes", Unread("LEASED"))
"""The value is on disk, and so is the lease, if there was one."""

Packed: TypeAlias = "bytes | array[int]"


class Lives:
    """The past of a file that was deleted in between, begins with another version than its creation, or had leases.

    `gone`: the revs that deleted it. `created`, `count`: those of the first version, unless that is a deletion.
    """

    __slots__ = ("count", "created", "gone", "leased", "packed")

    def __init__(self, packed: Packed, gone: Packed, created: int, count: int, *, leased: bool) -> None:
        self.packed = packed
        self.gone = gone
        self.created = created
        self.count = count
        self.leased = leased


Past: TypeAlias = "bytes | array[int] | Lives"


def revs(past: Past) -> Sequence[int]:
    """Return the revs, ascending."""
    return _unpacked(past.packed if type(past) is Lives else past)  # type: ignore[arg-type]


def stub(past: Past, position: int) -> Version:
    """Return the version at a position, without its value; a deletion as it is."""
    if type(past) is not Lives:
        numbers = _unpacked(past)  # type: ignore[arg-type]
        return (numbers[position], UNREAD, numbers[0], position + 1, 0)
    numbers = _unpacked(past.packed)
    rev = numbers[position]
    gone = _unpacked(past.gone)
    before = bisect_left(gone, rev)
    if before < len(gone) and gone[before] == rev:
        return tombstone(rev)
    value = LEASED if past.leased else UNREAD
    if not before:
        return (rev, value, past.created, past.count + position, 0)
    born = bisect_right(numbers, gone[before - 1])
    return (rev, value, numbers[born], position - born + 1, 0)


def is_gone(past: Past, position: int) -> bool:
    """Tell whether the version at a position is a deletion."""
    if type(past) is not Lives:
        return False
    rev, gone = _unpacked(past.packed)[position], _unpacked(past.gone)
    place = bisect_left(gone, rev)
    return place < len(gone) and gone[place] == rev


def in_force(past: Past, rev: int) -> Version | None:
    """Return the version that `rev`, which is below all that is in memory, sees; None when the file came later."""
    position = bisect_right(revs(past), rev)
    return stub(past, position - 1) if position else None


def position(past: Past, rev: int) -> int:
    """Return where the version is that `rev` wrote, which is one of them."""
    return bisect_left(revs(past), rev)


def followed(past: Past | None, version: Version) -> Past:
    """Return the past with this version, which follows it."""
    packed = b"" if past is None else past
    if type(packed) is bytes:  # as mostly
        rev, value, _, count, lease = version
        if value is not None and not lease and len(packed) == 4 * (count - 1) < 4 * FEW and rev <= NARROW:
            return packed + rev.to_bytes(4, sys.byteorder)
    return extended(past, (version,))


def extended(past: Past | None, versions: Sequence[Version]) -> Past:
    """Return the past with these versions, at least one, which follow it."""
    added = [version[0] for version in versions]
    if past is None:
        if _plain(versions, 0):
            return _grown(b"", added)
        first = versions[0]
        past = Lives(b"", b"", first[2], first[3], leased=False)
    elif type(past) is not Lives:
        if _plain(versions, len(revs(past))):
            return _grown(past, added)  # type: ignore[arg-type]
        past = Lives(past, b"", revs(past)[0], 1, leased=False)  # type: ignore[arg-type]
    past.packed = _grown(past.packed, added)
    gone = [version[0] for version in versions if version[1] is None]
    if gone:
        past.gone = _grown(past.gone, gone)
    if any(version[4] for version in versions):
        past.leased = True
    return past


def copied(past: Past) -> Past:
    """Return a past of its own, for who changes it."""
    if type(past) is Lives:
        packed, gone = _copied(past.packed), _copied(past.gone)
        return Lives(packed, gone, past.created, past.count, leased=past.leased)
    return _copied(past)  # type: ignore[arg-type]


def packed(past: Past) -> Any:
    """Return what msgpack carries, in the order of this machine's bytes."""
    if type(past) is Lives:
        numbers = [_told(past.packed), _told(past.gone)]
        return [*numbers, past.created, past.count, past.leased]
    return _told(past)  # type: ignore[arg-type]


def unpacked(told: Any) -> Past:
    """Return the past that `packed` told."""
    if type(told) is bytes:
        return _untold(told)
    if len(told) == 1:
        return _untold(told)
    numbers, gone, created, count, leased = told
    return Lives(_untold(numbers), _untold(gone), created, count, leased=leased)


def without(past: Past, count: int) -> Past | None:
    """Return the past without its first versions; None where that were all."""
    numbers = revs(past)
    if count >= len(numbers):
        return None
    if count <= 0:
        return past
    first = stub(past, count)
    kept = _cut(past.packed if type(past) is Lives else past, count)  # type: ignore[arg-type]
    if type(past) is not Lives:
        return Lives(kept, b"", first[2], first[3], leased=False)
    past.packed = kept
    past.created, past.count = first[2], first[3]
    past.gone = _cut(past.gone, bisect_left(_unpacked(past.gone), first[0]))
    return past


def size(past: Past | None) -> int:
    """Return how many versions there are."""
    return 0 if past is None else len(revs(past))


def _plain(versions: Sequence[Version], before: int) -> bool:
    """Tell whether these versions follow from their revs alone, behind so many of a plain past."""
    for version in versions:
        before += 1
        if version[1] is None or version[4] or version[3] != before:
            return False
    return True


def _copied(packed: Packed) -> Packed:
    return packed if type(packed) is bytes else packed[:]


def _told(packed: Packed) -> bytes | list[bytes]:
    """Return 4 bytes a rev as they are, 8 as the only element of a list."""
    if type(packed) is bytes:
        return packed
    content = packed.tobytes()  # type: ignore[union-attr]
    return content if packed.typecode == "I" else [content]  # type: ignore[union-attr]


def _untold(told: bytes | list[bytes]) -> Packed:
    if type(told) is bytes:
        return told if len(told) <= 4 * FEW else array("I", told)
    return array("q", bytes(told[0]))


def _unpacked(packed: Packed) -> Sequence[int]:
    if type(packed) is bytes:
        return memoryview(packed).cast("I")
    return packed


def _grown(packed: Packed, added: Iterable[int]) -> Packed:
    more = list(added)
    if type(packed) is bytes:
        if more[-1] <= NARROW and len(packed) // 4 + len(more) <= FEW:
            return packed + array("I", more).tobytes()
        packed = array("I" if more[-1] <= NARROW else "q", _unpacked(packed))
    if packed.typecode == "I" and more[-1] > NARROW:  # type: ignore[union-attr]
        packed = array("q", packed)
    packed.extend(more)  # type: ignore[union-attr]
    return packed


def _cut(packed: Packed, count: int) -> Packed:
    if type(packed) is bytes:
        return packed[count * 4 :]
    del packed[:count]  # type: ignore[union-attr]
    return packed


assert array("I").itemsize == 4, sys.platform  # as on everything that runs CPython today
