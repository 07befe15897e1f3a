"""Two machines, one that applies what was proposed and one that reads the same bytes from a log: always the same.

    bytes of a client -> Decoder -> writes -> command -> the leader's form  -> machine A \\
                                       `-> its bytes -> read by a follower  -> machine B  > equal outcomes and accounts
                                              `-> all of them again, later  -> machine C /

Pure and fast: no cluster, no disk. `inside` does the same with whole nodes.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tests.hostile.accounts import Account, outcomes_of
from tests.hostile.mutants import Mutants
from visor.protocol.frames import Decoder
from visord.serving.conversation import WRITES
from visord.state import command as commands
from visord.state.command import UnknownFormat
from visord.state.machine import Machine

FRAME: Final = 8 << 20
COMPARE_EVERY: Final = 200
"""Commands between two comparisons of everything; outcomes are compared each time."""
LIFE: Final = 1500
"""Commands after which everything begins anew, and a third machine reads the whole log."""


@dataclass
class Found:
    """What came of a run. `problems` is empty when everything was equal."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def problem(self, text: str) -> None:
        self.problems.append(text[:600])


class Twins:
    """One life of the machines."""

    def __init__(self, rng: Random, found: Found) -> None:
        self._rng = rng
        self._found = found
        self._mutants = Mutants(rng)
        self._machines = (Machine(), Machine())
        self._accounts = (Account(), Account())
        self._log: list[bytes] = []
        self._time = 1_700_000_000_000
        self._term = 1

    def step(self) -> bool:
        """Propose and apply one command; false when something differed."""
        rng = self._rng
        self._time += rng.choice((0, 1, 1, 5, 1000, 60_000))
        self._term += rng.random() < 0.01
        groups = [self._group() for _ in range(rng.randint(1, 3))]
        command = self._command(groups)
        if command is None:
            return True
        data = bytes(command)
        self._log.append(data)
        self._found.counts["commands"] += 1
        index = len(self._log)
        told = []
        for machine, form in zip(self._machines, (command, data), strict=True):
            try:
                told.append(outcomes_of(machine.apply(index, self._term, form)))
            except UnknownFormat as error:
                self._found.problem(f"entry {index} cannot be read: {error}")
                return False
        if told[0] != told[1]:
            self._found.problem(f"entry {index}: outcomes {told[0]!r:.200} and {told[1]!r:.200}")
            return False
        return index % COMPARE_EVERY != 0 or self._compare()

    def _group(self) -> list[Any]:
        rng = self._rng
        session = self._mutants.session()
        decoder = Decoder(FRAME)
        messages = decoder.feed(b"".join(self._mutants.write() for _ in range(rng.choice((1, 2, 5, 20)))))
        self._found.counts["cut at a bad byte"] += decoder.violation is not None
        frames = [one for one in messages if _is_write(one)]
        self._found.counts["writes"] += len(frames)
        return [
            session,
            rng.choice(("fuzz", "é" * 200, "")),
            frames,
            rng.choice(("127.0.0.1", "127.0.9.1", "")),
        ]

    def _command(self, groups: list[list[Any]]) -> commands.Command | None:
        """As the proposer does: what no command can carry is refused alone."""
        groups = [group[: 4 if commands.FORMAT > 1 else 3] for group in groups]
        try:
            return commands.encode(self._time, groups)
        except ValueError:
            self._found.counts["refused: no command can carry it"] += 1
        groups = [[*group[:2], [one for one in group[2] if self._fits(one)], *group[3:]] for group in groups]
        try:
            return commands.encode(self._time, groups)
        except ValueError as error:
            self._found.problem(f"writes that fit alone do not fit together: {error}")
            return None

    @staticmethod
    def _fits(frame: Any) -> bool:
        try:
            commands.encode(0, [[None, "", [frame], ""][: 4 if commands.FORMAT > 1 else 3]])
        except ValueError:
            return False
        return True

    def _compare(self) -> bool:
        first, second = (
            account.take(one) for account, one in zip(self._accounts, self._machines, strict=True)
        )
        if first != second:
            self._found.problem(f"after {len(self._log)} entries one machine is {first}, the other {second}")
        return first == second

    def end(self) -> bool:
        """Read the whole log again, as a node does that was restarted; false when that differs."""
        if not self._compare():
            return False
        third, term_of_all = Machine(), self._machines[0].term
        try:
            for index, data in enumerate(self._log, 1):
                third.apply(index, term_of_all, data)
        except UnknownFormat as error:
            self._found.problem(f"the log cannot be read again: {error}")
            return False
        return True


def _is_write(message: list[Any]) -> bool:
    """What a conversation hands to the proposer."""
    return message[0] in WRITES and len(message) > 1 and type(message[1]) is int and message[1] > 0


def run(seconds: float, seed: int, found: Found | None = None, *, lives: int = 1 << 30) -> Found:
    """Go on for so long, or for so many lives, or until something differs."""
    found = Found() if found is None else found
    end, life = time.monotonic() + seconds, 0
    while time.monotonic() < end and life < lives and not found.problems:
        twins = Twins(Random(f"{seed}/{life}"), found)
        for _ in range(LIFE):
            if not twins.step() or time.monotonic() > end:
                break
        if not found.problems:
            twins.end()
        if found.problems:
            found.problems.append(f"(seed {seed}, life {life})")
        found.counts["lives"] += 1
        life += 1
    return found


__all__ = ["Found", "run"]
