"""A few seeds of the simulation in every run of the tests; thousands with `python -m tests.sim` or VISOR_SOAK."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.soak

ROOT = Path(__file__).resolve().parent.parent.parent
SOAK = float(os.environ.get("VISOR_SOAK", "1"))


@pytest.mark.timeout(300 * max(1, SOAK))
@pytest.mark.parametrize(("nodes", "seeds"), [(3, 16), (5, 4)], ids=["three members", "five members"])
def test_all_promises_are_kept(nodes: int, seeds: int) -> None:
    # In a process of its own, whose sets iterate in the order that the seed's number stands for.
    count = max(1, int(seeds * SOAK))
    done = subprocess.run(
        [sys.executable, "-m", "tests.sim", "--seeds", str(count), "--nodes", str(nodes)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{count} seeds" in done.stdout
