"""A seed and a commit reproduce a run exactly: without that nothing that a simulation finds could be looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = """
import hashlib, logging
logging.disable(logging.CRITICAL)
from tests.sim.world import Plan, run
for seed in (4, 7):
    result = run(seed, Plan(seconds=6.0))
    told = repr((result.steps, result.seconds, sorted(result.counts.items()), sorted(result.branches.items()),
                 result.history.operations, result.history.commits, result.history.applied, result.history.digests))
    print(result.steps, hashlib.sha256(told.encode()).hexdigest())
"""


def told() -> str:
    """What two seeds come to, in a process of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.soak
def test_a_seed_is_a_run() -> None:
    first, second = told(), told()
    assert first == second
    assert len(set(first.split())) == 4
