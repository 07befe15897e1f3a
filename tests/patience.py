"""How long tests wait for what has to come: no machine is so busy that it takes longer."""

from __future__ import annotations

from typing import Final

PATIENCE: Final = 60.0
"""Seconds. What must not wait for something is given more than this to wait for, and has to end before."""
