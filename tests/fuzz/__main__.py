"""`python -m tests.fuzz --seconds 600 --seed 1`: attack for so long; exit 1 when something did not hold.

--target node            a node, with bytes and messages that no client sends [the default]
--target command-line    the command `visor`, with words, input, environment and closed streams
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.fuzz import command_line, siege


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--target", choices=["node", "command-line"], default="node")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.seconds:g} s", flush=True)
    outcome: siege.Outcome | command_line.Outcome
    if options.target == "command-line":
        outcome = command_line.besiege(options.seconds, options.seed)
    else:
        with tempfile.TemporaryDirectory(prefix="visord-fuzz-") as folder:
            outcome = siege.besiege(Path(folder) / "data", options.seconds, options.seed)
    print(outcome.report())
    for problem in outcome.problems[:20]:
        print(f"PROBLEM: {problem}")
    print(f"{len(outcome.problems)} problems" if outcome.problems else "everything held")
    return 1 if outcome.problems else 0


sys.exit(main())
