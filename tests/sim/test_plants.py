"""Planted bugs are found: what a simulation does not find when it is there, it could not find at all.

Each is planted by changing one method from outside, and looked for with the faults that bring it out; a seed finds it
within the first few, and has to within 500. (The default faults find each within 500 as well: `python -m tests.sim
--plant NAME --first`. The stale acknowledgement takes most, seed 274.)
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.plants import PLANTS

pytestmark = pytest.mark.soak

ROOT = Path(__file__).resolve().parent.parent.parent
MOST = 500
AT_A_TIME = 25

BROUGHT_OUT_BY = {
    "no-sync": ["--faults", "power cut,power cut everywhere,slow disk,stuck disk"],
    # In a cluster of three, whoever could acknowledge wrongly is in every majority: nobody is deceived. And the next
    # leader does not believe what this one did, so it has to stay the last one.
    "stale-ack": [
        "--faults",
        "an old reign returns",
        "--nodes",
        "5",
        "--clients",
        "4",
        "--seconds",
        "4",
        "--rights",
        "0",
    ],
    "drop-dedup": ["--faults", "kill,crash during a checkpoint,client connection broken"],
    "no-round": ["--faults", "split,isolation,two-way cut"],
    "half-commit": ["--faults", "client connection broken"],
    "core-denies": ["--faults", "split,isolation,two-way cut"],
    "core-keeps": ["--faults", "client connection broken"],
    "rights-at-the-door": ["--faults", "split,isolation,two-way cut"],
    "old-files-again": ["--faults", "kill", "--redactions", "1"],
    "rev-off": ["--faults", "kill"],
    "leaf-of-another": ["--faults", "kill"],
}
FINDS = {
    "no-sync": {
        "same command at same index",
        "replicas are equal",
        "survival",
        "progress",
        "nothing unexpected",
    },
    "stale-ack": {
        "progress",
        "same command at same index",
        "survival",
        "replicas are equal",
        "nothing unexpected",
    },
    "drop-dedup": {"replicas are equal", "exactly once", "survival", "commits"},
    "no-round": {
        "linearizable (real time)",
        "linearizable (by values)",
        "leases never early",
        "revs never go back",
    },
    "half-commit": {"watch promises"},
    "core-denies": {"survival", "linearizable (by values)"},
    "core-keeps": {"watch promises"},
    "rights-at-the-door": {"revoked"},
    "old-files-again": {"redaction"},
    "rev-off": {"reads", "replicas are equal", "linearizable (by values)", "watch promises"},
    "leaf-of-another": {"progress", "watch promises", "nothing unexpected"},
}


def search(name: str, start: int, count: int) -> str:
    """Run seeds with the bug; return what the simulation says."""
    command = [
        sys.executable,
        "-m",
        "tests.sim",
        "--start",
        str(start),
        "--seeds",
        str(count),
        "--plant",
        name,
    ]
    command += [*BROUGHT_OUT_BY[name], "--first"]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.parametrize("name", list(PLANTS))
@pytest.mark.timeout(600)
def test_a_planted_bug_is_found(name: str) -> None:
    for start in range(1, MOST, AT_A_TIME):
        told = search(name, start, AT_A_TIME)
        found = {property for property in FINDS[name] if f"{property}: " in told}
        if re.search(r"^seed \d+ FAILED", told, re.MULTILINE):
            assert found, told
            return
    pytest.fail(f"{name} was not found in {MOST} seeds")
