"""Deterministic simulation: `python -m tests.sim --seeds 500 --start 1 --jobs 2`. Exit 1 when a seed fails.

A seed and a commit reproduce a run exactly; `--trace` tells what happens in it.
"""

from __future__ import annotations

import argparse
import os
import sys

HASH_SEED = "0"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many [100]")
    parser.add_argument("--start", type=int, default=1, help="the first one [1]")
    parser.add_argument("--jobs", type=int, default=1, help="processes [1]")
    parser.add_argument("--nodes", type=int, default=0, help="members in the beginning [3 or 5]")
    parser.add_argument("--clients", type=int, default=0, help="clients [as the seed says]")
    parser.add_argument("--seconds", type=float, default=15.0, help="virtual seconds of faults [15]")
    parser.add_argument("--faults", default=None, help="the only kinds to have, by commas (`--faults list`)")
    parser.add_argument(
        "--hostile", type=float, default=0.2, help="part of the seeds with people who mean harm [0.2]"
    )
    parser.add_argument(
        "--rights", type=float, default=0.25, help="part of the seeds with users who are revoked [0.25]"
    )
    parser.add_argument(
        "--redactions", type=float, default=0.25, help="part of the seeds with secrets to redact [0.25]"
    )
    parser.add_argument("--plant", default=None, help="plant a bug, to see it found (`--plant list`)")
    parser.add_argument("--first", action="store_true", help="stop at the first seed that fails")
    parser.add_argument("--trace", action="store_true", help="tell what happens")
    options = parser.parse_args()

    from tests.sim.campaign import Campaign, quiet
    from tests.sim.faults import KINDS
    from tests.sim.plants import PLANTS
    from tests.sim.world import Plan

    if options.plant == "list":
        for name, plant in PLANTS.items():
            print(f"{name:<12} {plant.__doc__}")
        return 0
    if options.faults == "list":
        print("\n".join(KINDS))
        return 0
    kinds = tuple(options.faults.split(",")) if options.faults else ()
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        parser.error(f"there are no faults {unknown}: {', '.join(KINDS)}")
    if options.plant is not None and options.plant not in PLANTS:
        parser.error(f"there is no bug {options.plant!r}: {', '.join(PLANTS)}")
    quiet()
    campaign = Campaign(
        Plan(
            nodes=options.nodes,
            clients=options.clients,
            seconds=options.seconds,
            kinds=kinds,
            plant=options.plant,
            hostile=options.hostile,
            rights=options.rights,
            redactions=options.redactions,
            trace=options.trace,
        )
    )
    campaign.run(
        range(options.start, options.start + options.seeds), options.jobs, tell=True, first=options.first
    )
    print(campaign.report())
    return 0 if campaign.passed else 1


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        # Sets iterate in the order of hashes: the same seed must mean the same run everywhere.
        os.environ["PYTHONHASHSEED"] = HASH_SEED
        os.execv(sys.executable, [sys.executable, "-m", "tests.sim", *sys.argv[1:]])
    sys.exit(main())
