"""`python -m tests.fuzz --seconds 600 --seed 1`: attack a node for so long; exit 1 when something did not hold."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.fuzz.siege import besiege


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.seconds:g} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="visord-fuzz-") as folder:
        outcome = besiege(Path(folder) / "data", options.seconds, options.seed)
    print(outcome.report())
    for problem in outcome.problems[:20]:
        print(f"PROBLEM: {problem}")
    print(f"{len(outcome.problems)} problems" if outcome.problems else "everything held")
    return 1 if outcome.problems else 0


sys.exit(main())
