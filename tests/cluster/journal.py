"""What a run has seen: the history that the checkers judge, and figures for people."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from tests.checkers.history import OK, REJECTED, History, Lease, Operation, Read, Write
from visor.errors import OutcomeUnknown, Rejected, Unavailable, VisorError
from visor.protocol.codes import UNAVAILABLE


@dataclass(slots=True)
class Journal:
    """See the module. Times are of the machine's monotonic clock."""

    history: History = field(default_factory=History)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(kind of operation, outcome) -> how many."""
    errors: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    events: list[tuple[float, str]] = field(default_factory=list)
    """What was done to the cluster, and when."""
    writes_ended: list[float] = field(default_factory=list)
    """When each acknowledged write was."""
    waits: list[float] = field(default_factory=list)
    """Seconds of each answered operation."""
    leases: dict[str, Lease] = field(default_factory=dict)
    """path -> the lease that it is attached to."""
    chances: list[tuple[float, bool]] = field(default_factory=list)
    """(when, whether the cluster could take writes from then on), see `chances`."""
    stall: float = 0.0
    """The longest time in seconds for which the clients' own process stood still."""
    locks: Counter[str] = field(default_factory=Counter)
    """What became of locks: acquired, lost, robbed."""
    revoked: int = 0
    """Leases that their holders gave back."""
    unexpected: list[str] = field(default_factory=list)
    """What must not happen, and no checker would see."""
    began: float = field(default_factory=time.monotonic)

    def call(self, client: int, what: Write | Read, asked: int | None = None) -> Operation:
        """Note that an operation begins now."""
        operation = Operation(client, what, time.monotonic(), asked=asked)
        self.history.operations.append(operation)
        return operation

    def done(self, kind: str, operation: Operation, rev: int, result: object = None) -> None:
        """Note that it was answered now."""
        operation.end = now = time.monotonic()
        operation.outcome = OK
        operation.rev = rev
        operation.result = result
        self.outcomes[kind, OK] += 1
        self.waits.append(now - operation.call)
        if operation.write is not None:
            self.writes_ended.append(now)

    def failed(self, kind: str, operation: Operation, error: VisorError) -> None:
        """Note what its failure means."""
        self.errors[error.code] += 1
        if isinstance(error, Rejected):
            operation.end = time.monotonic()
            operation.outcome = REJECTED
            operation.result = (error.code, dict(error.details))
        elif isinstance(error, Unavailable) and operation.write is not None:
            operation.end = time.monotonic()
            operation.outcome = REJECTED
            operation.result = (
                "unavailable",
                {"code": error.code, "at": round(self.since(operation.end), 3)},
            )
        elif not isinstance(error, OutcomeUnknown | Unavailable):
            self.unexpected.append(f"{kind}: {type(error).__name__}: {error}")
        self.outcomes[kind, UNAVAILABLE if isinstance(error, Unavailable) else operation.outcome] += 1

    def event(self, text: str) -> None:
        """Note what was done to the cluster."""
        self.events.append((time.monotonic(), text))

    def since(self, moment: float) -> float:
        """Return seconds from the beginning of the run to a moment."""
        return moment - self.began

    def gaps(self, least: float) -> list[tuple[float, float]]:
        """Return the times without an acknowledged write that took longer than `least` seconds: (when, seconds)."""
        writes = sorted([self.began, *self.writes_ended])
        return [(before, after - before) for before, after in pairwise(writes) if after - before > least]

    def longest_gap(self, first: float, last: float) -> tuple[float, float]:
        """Return the longest time without an acknowledged write between two moments: (seconds, when it began)."""
        longest, when, before = 0.0, first, first
        for moment in [*sorted(end for end in self.writes_ended if first <= end <= last), last]:
            if moment - before > longest:
                longest, when = moment - before, before
            before = moment
        return longest, when
