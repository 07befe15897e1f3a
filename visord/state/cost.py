"""What reads and writes cost, in units of about a microsecond: how no request holds the loop.

Cost is counted, never timed: entries looked at, what a glob may have to compare (`Glob.cost`), rows and bytes shown. So
it is the same on every machine, tests can name it, and replicas agree on it. The constants are measured, roughly, and
rather too high than too low; change one only with a measurement.

    read       PAGE      the answer ends with a cursor, maybe without a row
    write      WRITE     refused as `too_large`: before it is proposed where that can be told, at apply in any case
    command    COMMAND   takes no further write; one write that costs more goes alone

A read counts as it goes and stops, at the latest, with the entry that takes it over its budget. A write is planned
before anything is touched, so one that costs too much leaves no trace; what it would enumerate is counted *before* it
is enumerated, from what directories know of themselves, so that being refused is cheap as well.
"""

from __future__ import annotations

from typing import Final, NamedTuple

PAGE: Final = 5_000
"""Units of one answer to SCAN (also its `count`), LIST, LOG, DIFF or LEASES."""

WRITE: Final = 20_000
"""Units that deciding one write may cost: looking, comparing, reading; beyond that it is refused."""

COMMAND: Final = 10_000
"""Units that all writes of one command may cost together, by estimate; one write that costs more goes alone."""
MAX_CHANGES: Final = 16_384
"""Changes of one commit, and directories that come into being with it: carrying them out takes about 100 ms."""


class Bounds(NamedTuple):
    """What one write may cost at most. It belongs to the format of its command: what was committed under other bounds
    is judged by those when a log is read again."""

    write: int
    """Units for deciding it."""
    changes: int
    levels: int
    """Of all paths that it changes: directories come and go with what is in them, and that takes time."""
    compared: int
    """Units for what a REVERT compares."""
    entries: int | None = None
    """Where it is a number: of all that a transaction looks at only these are counted, entries that it lists and files
    that it finds below directories, up to so many; directories that it makes are not."""

    @property
    def by_owner(self) -> bool:
        """Commands say where clients come from, and what they keep here is counted by that."""
        return self.entries is None


TODAY: Final = Bounds(WRITE, MAX_CHANGES, 16 * MAX_CHANGES, WRITE)
FORMAT_1: Final = Bounds(1 << 20, 65_536, 1 << 62, 2 * 262_144, 131_072)
"""Of commands of format 1: exactly what the version that wrote them had, so that members of both agree on each."""

VISIT: Final = 1
"""An entry, or a change, that is looked at."""
ROW: Final = 1
"""A row that is shown, beside the look at its entry: made, and packed."""
CHANGE_ROW: Final = 4
"""A change that LOG shows, or a path that DIFF compares."""
UNIT_BYTES_BITS: Final = 11
"""2**11 bytes of values are shown for a unit."""


# -- writes

SET: Final = 2
"""A value for a file that is there: decided and carried out."""
OPERATION: Final = 2
"""A guard or an operation of a transaction, decided."""
CHANGE: Final = 4
"""A change, carried out."""
DIRECTORY: Final = 4
"""A directory that comes into being."""
