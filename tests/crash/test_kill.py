"""`kill -9` of a writing node at random moments loses nothing, doubles nothing and halves nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.crash.campaign import Campaign

pytestmark = pytest.mark.soak

SOAK = float(os.environ.get("VISOR_SOAK", "1"))


@pytest.mark.parametrize(("seed", "trim"), [(1, False), (2, True)], ids=["whole history", "trimmed history"])
@pytest.mark.timeout(120 * max(1, SOAK))
def test_a_killed_node_keeps_its_promises(tmp_path: Path, seed: int, trim: bool) -> None:
    campaign = Campaign(tmp_path / "data", seed, trim=trim)
    campaign.run(int(6 * SOAK))
    print(campaign.report())
    assert campaign.counts["acknowledged"] > 100
