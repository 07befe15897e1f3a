"""How far something is that a person waits for: one line at the bottom of a terminal, drawn over itself.

    reading  ████████▌              34 %  16.3 of 48.0 MB  8.1 MB/s  4 s left

    with ProgressBar(write, "reading", time=time.monotonic) as bar:
        for block in blocks:
            bar(done, of)                # cheap: mostly nothing happens

Whoever makes one has looked that a person is there: that `write(text)` goes to standard error, and that to a terminal,
and that no JSON was asked for. What takes less than half a second draws nothing; afterwards the line is gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, Self

from visor._core.drawing import eighths
from visor._core.harmless import harmless

PATIENCE: Final = 0.5
"""Seconds in which nothing is drawn."""
EVERY: Final = 0.1
MEMORY: Final = 50
"""Pictures over which the rate is taken: of five seconds."""
LEAST, MOST = 4, 30
"""Columns of the bar."""
CLEAR: Final = "\r\x1b[K"
LONGEST: Final = 100 * 3600.0


class Unit(NamedTuple):
    """What is counted, and how much of it makes one."""

    name: str
    size: float
    digits: int


MEGABYTES: Final = Unit("MB", 1e6, 1)
FILES: Final = Unit("files", 1, 0)


class ProgressBar:
    """See the module. `of` 0 or less: nobody knows how much it will be."""

    def __init__(
        self,
        write: Callable[[str], object],
        what: str,
        *,
        time: Callable[[], float],
        columns: Callable[[], int] = lambda: 80,
        blocks: bool = True,
        unit: Unit = MEGABYTES,
    ) -> None:
        self._write = write
        self._what = what
        self._time = time
        self._columns = columns
        self._blocks = blocks
        self._unit = unit
        self._due = time() + PATIENCE
        self._seen: deque[tuple[float, int]] = deque([(time(), 0)], maxlen=MEMORY)
        self._drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def __call__(self, done: int, of: int) -> None:
        """So much is done, of so much; when it is all, the line goes."""
        if 0 < of <= done:
            self.end()
            return
        now = self._time()
        if now < self._due:
            return
        self._due = now + EVERY
        if self._seen and done < self._seen[-1][1]:  # another part begins
            self._seen.clear()
        self._seen.append((now, done))
        then, before = self._seen[0]
        rate = (done - before) / (now - then) if now > then else 0.0
        self._drawn = True
        self._write(CLEAR + line(self._what, done, of, rate, self._columns(), self._blocks, self._unit))

    def end(self) -> None:
        """Take the line away."""
        if self._drawn:
            self._drawn = False
            self._write(CLEAR)


def line(
    what: str, done: int, of: int, rate: float, columns: int, blocks: bool = True, unit: Unit = MEGABYTES
) -> str:
    """Return the line, narrower than the terminal; `rate` is how much a second. Pure.

    >>> line("reading", 12_000_000, 48_000_000, 6e6, 60, blocks=False)
    'reading  [##......]  25 %  12.0 of 48.0 MB  6.0 MB/s  6 s left'
    """
    amounts = _amounts(done, of, unit)
    speed = [f"{rate / unit.size:.{unit.digits}f} {unit.name}/s"] if rate > 0 else []
    rest = [left(of - done, rate)] if of > done and rate > 0 else []
    share = [f"{min(100, 100 * done // of):>3} %"] if of > 0 else []
    head = harmless(what)
    for words in ((amounts, speed, rest), (amounts, rest), (rest,), ()):
        said = "  ".join([*share, *(word for group in words for word in group)])
        room = columns - len(head) - len(said) - 7
        if room >= LEAST or not words:
            break
    if not share or room < LEAST:
        return f"{head}  {said}"[: columns - 1]
    return f"{head}  {picture(done / of, min(room, MOST), blocks)}  {said}"


def _amounts(done: int, of: int, unit: Unit) -> list[str]:
    here, whole = (f"{amount / unit.size:.{unit.digits}f}" for amount in (done, of))
    # As wide for little as for much: the line stands still.
    return [f"{here.rjust(len(whole))} of {whole} {unit.name}" if of > 0 else f"{here} {unit.name}"]


def picture(part: float, room: int, blocks: bool) -> str:
    """Draw a part (0 to 1) of so many columns, between edges."""
    part = min(1.0, max(0.0, part))
    if not blocks:
        full = int(part * room)
        return f"[{'#' * full}{'.' * (room - full)}]"
    return f"▕{eighths(int(part * room * 8)).ljust(room)}▏"


def left(amount: float, rate: float) -> str:
    """Say how long the rest takes at that rate: `6 s left`, `3 min left`."""
    seconds = min(amount / rate, LONGEST)
    if seconds < 90:
        return f"{seconds:.0f} s left"
    return f"{seconds / 60:.0f} min left" if seconds < 5400 else f"{seconds / 3600:.0f} h left"
