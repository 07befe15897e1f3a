"""Hostile bytes harm nobody but who sends them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fuzz.siege import besiege

pytestmark = pytest.mark.soak

SOAK = float(os.environ.get("VISOR_SOAK", "1"))
SEED = int(os.environ.get("VISOR_SEED", "1"))


@pytest.mark.timeout(120 + 20 * SOAK)
def test_a_node_under_attack_serves_others_and_does_not_grow(tmp_path: Path) -> None:
    outcome = besiege(tmp_path / "data", 10 * SOAK, SEED)
    print(outcome.report())
    assert not outcome.problems
    assert outcome.counts["mutated"] > 20
