"""Whatever is typed, piped in, set or closed: the command ends with a code of its contract and one line."""

from __future__ import annotations

import math
import os

import pytest

from tests.fuzz.command_line import besiege

SOAK = float(os.environ.get("VISOR_SOAK", "1"))
SEED = int(os.environ.get("VISOR_SEED", "1"))


def test_a_slice_in_this_process() -> None:
    outcome = besiege(math.inf, SEED, most=150, outside=0)
    print(outcome.report())
    assert not outcome.problems
    assert len(outcome.codes) > 3


@pytest.mark.soak
@pytest.mark.timeout(300 + 300 * SOAK)
def test_more_of_them_and_as_processes() -> None:
    outcome = besiege(math.inf, SEED + 1, most=int(600 * SOAK), outside=0.15)
    print(outcome.report())
    assert not outcome.problems
