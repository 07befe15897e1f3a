"""When commits were made: milliseconds that never go back, in little memory.

The newest are plain, 8 bytes each, so that a commit only appends one. What a checkpoint has is **sealed**, `BLOCK`
times together: the first of them, and of each of them the lower 2 bytes (4 where the block spans more than a minute, 8
where more than seven weeks). As none is less than the first, that is all there is to know:

    times     70 000   70 001   131 072   131 073          firsts  70 000
    lower      4 464    4 465         0         1          block   4 464  4 465  0  1

    131 072  =  70 000 + ((0 - 4 464) mod 65 536)

`Times` is a sequence: the place of a time in it is that of its commit behind `History.base`.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable
from typing import Final, Literal, overload

BLOCK: Final = 1024
"""Times of a block."""
TOGETHER: Final = 16 * BLOCK
"""Times that are sealed at once, at least: those that stay plain have to be moved to the front each time."""
_WIDTHS: Final[tuple[tuple[Literal["H", "I"], int], ...]] = (("H", 1 << 16), ("I", 1 << 32))


class Times:
    """Ascending times. Add with `append`."""

    __slots__ = ("_blocks", "_firsts", "_plain", "_skipped", "append")

    def __init__(self) -> None:
        self._plain = array("q")
        self._blocks: list[array[int]] = []
        self._firsts: list[int] = []
        self._skipped = 0
        """How many of the first block have been dropped."""
        self.append: Callable[[int], None] = self._plain.append

    @property
    def _sealed(self) -> int:
        """Times in blocks, with the dropped ones of the first."""
        return len(self._blocks) * BLOCK

    def __len__(self) -> int:
        return self._sealed - self._skipped + len(self._plain)

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> array[int]: ...
    def __getitem__(self, place: int | slice) -> int | array[int]:
        if isinstance(place, slice):
            start, stop, _ = place.indices(len(self))
            return self._between(start + self._skipped, stop + self._skipped)
        if place < 0:
            place += len(self)
        place += self._skipped
        if place >= self._sealed:
            return self._plain[place - self._sealed]
        number, within = divmod(place, BLOCK)
        return self._in_block(number, within)

    def _in_block(self, number: int, within: int) -> int:
        block = self._blocks[number]
        mask = (1 << (8 * block.itemsize)) - 1
        return self._firsts[number] + (block[within] - block[0] & mask)

    def _between(self, start: int, stop: int) -> array[int]:
        """Return the times from one place to before another; places count what was skipped."""
        found, sealed = array("q"), self._sealed
        for number in range(start // BLOCK, -(-min(stop, sealed) // BLOCK)):
            block, first = self._blocks[number], self._firsts[number]
            low, mask = block[0], (1 << (8 * block.itemsize)) - 1
            part = block[max(0, start - number * BLOCK) : stop - number * BLOCK]
            found.extend([first + (each - low & mask) for each in part])
        found.extend(self._plain[max(0, start - sealed) : max(0, stop - sealed)])
        return found

    def extend(self, times: array[int]) -> None:
        """Add times, none less than the last."""
        self._plain.extend(times)

    def seal(self, count: int) -> None:
        """Keep the first `count` times, or nearly so many, in less memory."""
        plain, blocks = self._plain, (count + self._skipped - self._sealed) // BLOCK
        if blocks * BLOCK < TOGETHER:
            return
        for start in range(0, blocks * BLOCK, BLOCK):
            part = plain[start : start + BLOCK]
            self._firsts.append(part[0])
            self._blocks.append(_lower(part))
        del plain[: blocks * BLOCK]

    def drop(self, count: int) -> None:
        """Forget the first `count` times."""
        count += self._skipped
        sealed = self._sealed
        if count >= sealed:
            del self._blocks[:], self._firsts[:], self._plain[: count - sealed]
            self._skipped = 0
            return
        whole, self._skipped = divmod(count, BLOCK)
        del self._blocks[:whole], self._firsts[:whole]

    def up_to(self, time: int) -> int:
        """Return how many times are at or before `time`."""
        if not self._blocks or (self._plain and self._plain[0] <= time):
            return self._sealed - self._skipped + bisect_right(self._plain, time)
        number = bisect_right(self._firsts, time) - 1
        if number < 0:
            return 0
        within = bisect_right(range(BLOCK), time, key=lambda place: self._in_block(number, place))
        return max(0, number * BLOCK + within - self._skipped)


def _lower(times: array[int]) -> array[int]:
    """Return the lower bytes of some times, as many as tell how far each is behind the first."""
    span = times[-1] - times[0]
    for code, beyond in _WIDTHS:
        if span < beyond:
            parts = memoryview(times).cast("B").cast(code)
            each = times.itemsize // parts.itemsize
            first = 0 if sys.byteorder == "little" else each - 1
            return array(code, parts[first::each].tobytes())
    return times
