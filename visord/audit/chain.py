"""Is a chain whole: `visord audit verify`. Each line must hold the hash of the line before, over all files.

    found = verify([(name, lines), ...])      # the files of one chain, in any order
    found.problem                             # "" or which line is broken, and how

What it cannot tell: lines that are missing at the end, and a chain that was made anew as a whole. Whoever may write the
files can do both; the last hash, kept elsewhere (each start logs it), shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final, NamedTuple

from visord.audit.line import FIRST, MOST, START, ChainEnd, hash_of, read

NO_END: Final = "the last line has no end: it is torn"


class ChainReport(NamedTuple):
    """What was read, and the first problem."""

    lines: int
    first: int
    """Number of the first line; 0: there is none."""
    last: ChainEnd
    problem: str = ""

    @property
    def told(self) -> str:
        """Return it in one line."""
        if self.problem:
            return f"BROKEN: {self.problem}"
        if not self.lines:
            return "no lines"
        return f"whole: lines {self.first} to {self.last.number}, last hash {self.last.hash}"

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "lines": self.lines,
            "first": self.first,
            "last": self.last.number,
            "hash": self.last.hash,
            "problem": self.problem or None,
        }


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file with their ends; of one that is too long no more than makes that plain."""
    while line := stream.readline(MOST + 1):
        yield line


def verify(files: Iterable[tuple[str, Iterable[bytes]]]) -> ChainReport:
    """Verify files of one chain, in order: the first may begin anywhere."""
    place, first, count = START, 0, 0
    for name, lines in files:
        for position, line in enumerate(lines, 1):
            problem = _wrong(line, place, first)
            if problem:
                return ChainReport(count, first, place, f"{name}, line {position}: {problem}")
            data = line[:-1]
            number, _ = read(data) or (0, "")
            first = first or number
            place = ChainEnd(number, hash_of(data))
            count += 1
    return ChainReport(count, first, place)


def _wrong(line: bytes, before: ChainEnd, first: int) -> str:
    if not line.endswith(b"\n"):
        return NO_END if len(line) <= MOST else f"longer than {MOST} bytes: no line of the audit"
    found = read(line[:-1])
    if found is None:
        return "no line of the audit"
    number, held = found
    if not first:
        wrong = number == 1 and held != FIRST
        return "the first line holds the hash of another before it" if wrong else ""
    if number != before.number + 1:
        return f"number {number} follows {before.number}: lines are missing, or were moved"
    if held != before.hash:
        return f"it does not hold the hash of line {before.number}: one of the two was changed"
    return ""


def first_number(line: bytes) -> int:
    """Return the number of a file's first line, by which files are put in order; 0: it has none."""
    found = read(line.rstrip(b"\n"))
    return 0 if found is None else found[0]
