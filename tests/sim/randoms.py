"""Random numbers from one seed, a stream a purpose: what one part draws never shifts what another one gets."""

from __future__ import annotations

import random


class Randoms:
    """Streams by name, all from one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stream(self, *purpose: object) -> random.Random:
        """Return the stream of a purpose, at its beginning."""
        return random.Random("/".join(map(str, (self.seed, *purpose))))


def log_uniform(rng: random.Random, low: float, high: float) -> float:
    """Return a number between `low` and `high` of which every order of magnitude is equally likely."""
    return float(low * (high / low) ** rng.random())
