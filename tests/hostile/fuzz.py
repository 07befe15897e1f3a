"""Differential fuzzing: whatever bytes a client or a member can send, all members come to the same state.

Three levels share the time: `twins` (two machines, fast), `inside` (three members on virtual time), `outside` (three
processes). Prints what was done; exit code 1 when something differed, stopped, or grew.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Final

from tests.hostile import inside, outside, twins
from tests.hostile.plants import planted
from tests.hostile.twins import Found
from tests.sim.campaign import quiet

DEFAULT_SECONDS: Final = 60.0


def run(options: argparse.Namespace) -> int:
    """Run the levels that `options.level` names, one after another."""
    quiet()
    seconds = options.seconds or DEFAULT_SECONDS
    levels = [options.level] if options.level != "all" else ["twins", "inside", "outside"]
    shares = {"twins": 0.3, "inside": 0.3, "outside": 0.4}
    total = sum(shares[level] for level in levels)
    failed = False
    for level in levels:
        found = Found()
        begun = time.monotonic()
        _level(level, options.plant)(seconds * shares[level] / total, options.seed, found)
        failed = failed or bool(found.problems)
        print(f"{level}: {time.monotonic() - begun:.1f} s, seed {options.seed}")
        for name, count in sorted(found.counts.items()):
            print(f"  {name}: {count}")
        for problem in found.problems:
            print(f"  PROBLEM: {problem}")
    print("something differed" if failed else "no difference")
    return 1 if failed else 0


def _level(name: str, plant: str | None) -> Callable[[float, int, Found], Found]:
    if name == "outside":  # the members are other processes
        return lambda seconds, seed, found: outside.run(seconds, seed, found, plant=plant)
    module = twins if name == "twins" else inside

    def level(seconds: float, seed: int, found: Found) -> Found:
        with planted(plant):
            return module.run(seconds, seed, found)

    return level
