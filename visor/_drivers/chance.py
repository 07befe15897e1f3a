"""The dice for those who bring none of their own: chance spreads work, no secret is made of it."""

from __future__ import annotations

import random

dice = random.random
"""A number from 0 to 1."""
shuffle = random.shuffle
