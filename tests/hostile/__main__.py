"""`python -m tests.hostile`: all scenarios, against one member and against three. Exit 1 with reasons when one fails.

python -m tests.hostile --seconds 600 --seed 3         as many rounds as fit
python -m tests.hostile --scenario idle --members 3
python -m tests.hostile speed                          10 000 silent connections beside a good client
python -m tests.hostile fuzz --seconds 1800 --seed 3   do all members come to the same state, whatever is sent?
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.hostile.scenario import Scenario, load
from tests.hostile.stage import Verdict, perform


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument(
        "what", nargs="?", default="scenarios", choices=["scenarios", "speed", "fuzz", "list"]
    )
    parser.add_argument("--seconds", type=float, default=0.0, help="go on for so long [each scenario once]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenario", default="", help="only these, by commas")
    parser.add_argument("--members", type=int, choices=[1, 3], default=0, help="only with so many [both]")
    parser.add_argument("--attack-seconds", type=float, default=0.0, help="for each attack [its own]")
    parser.add_argument(
        "--slack", type=float, default=1.0, help="factor of the longest wait allowed, 250 ms [1]"
    )
    parser.add_argument(
        "--level", default="all", choices=["all", "twins", "inside", "outside"], help="of fuzz [all]"
    )
    parser.add_argument("--plant", default=None, help="a bug that the members have")
    options = parser.parse_args()
    scenarios = load()
    if options.what == "speed":
        from tests.hostile.speed import measure

        return measure(options)
    if options.what == "fuzz":
        from tests.hostile.fuzz import run

        return run(options)
    if options.what == "list":
        for one in scenarios.values():
            print(f"{one.name:<28} {one.rows:<8} {one.about}")
        return 0
    names = [name for name in options.scenario.split(",") if name]
    unknown = [name for name in names if name not in scenarios]
    if unknown:
        parser.error(f"there are no scenarios {unknown}: {', '.join(scenarios)}")
    return play(options, [one for name, one in scenarios.items() if not names or name in names])


def play(options: argparse.Namespace, chosen: list[Scenario]) -> int:
    """Run scenarios, each once or until time is up; print what came of them."""
    end = time.monotonic() + options.seconds
    rng = random.Random(options.seed)
    verdicts: list[Verdict] = []
    seed = options.seed
    while True:
        rounds = [(one, size) for one in chosen for size in one.sizes if options.members in (0, size)]
        if options.seconds:
            rng.shuffle(rounds)
        for one, size in rounds:
            verdict = perform(one, size, seconds=options.attack_seconds, seed=seed, slack=options.slack,
                              plant=options.plant)  # fmt: skip
            verdicts.append(verdict)
            print(verdict.line(), flush=True)
            for problem in verdict.problems:
                print(f"    {problem}", flush=True)
            if options.seconds and time.monotonic() > end and len(verdicts) >= len(rounds):
                break
        seed += 1
        if time.monotonic() >= end:
            break
    return tell(verdicts)


def tell(verdicts: list[Verdict]) -> int:
    """Print the table; return the exit code."""
    print()
    print(f"{'scenario':<28} rows      members  longest wait  alone  stall   before during after MiB")
    for one in verdicts:
        if one.skipped:
            continue
        mark = "  FAILED" if one.problems else ""
        print(f"{one.scenario:<28} {one.rows:<9} {one.members:>7}  {one.longest * 1000:>9.0f} ms "
              f"{one.alone * 1000:>4.0f} ms {one.stall * 1000:>4.0f} ms  "
              f"{one.before:>6} {one.during:>6} {one.after:>5}{mark}")  # fmt: skip
    failed = [one for one in verdicts if one.problems]
    waits = [one.longest for one in verdicts if not one.skipped]
    print(f"{len(verdicts)} runs, {len(failed)} failed, {sum(bool(one.skipped) for one in verdicts)} skipped; "
          f"the longest wait of all was {max(waits, default=0.0) * 1000:.0f} ms")  # fmt: skip
    for one in failed:
        for problem in one.problems[:3]:
            print(f"FAILED {one.scenario} with {one.members}: {problem[:300]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
