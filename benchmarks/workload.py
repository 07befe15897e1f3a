"""What is asked of a registry: seeded keys, values and the order in which they are drawn.

The same seed gives the same keys, values and draw, so that two runs ask for the same things. Keys are 24
bytes, `/v/rNN/sNNN/kNNNNNNNNNNN`, a thousand below one `sNNN`; values are 128 bytes, of which the first
eight are the key's number, so that a reader can tell whose value came back; no two writes of one key
carry the same value.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

KEY_BYTES = 24
VALUE_BYTES = 128
ROOT = "/v"

KEYS_BELOW_DIRECTORY = 1000
DIRECTORIES_BELOW_ROOT = 100

MIXED_SETS_OF_TEN = 1
"""Of ten requests of the mixed load one is a set, the others are gets."""

_NOISE_BYTES = 1 << 20


def key(number: int) -> str:
    """Return the path of key `number`, 24 bytes for numbers below ten million."""
    root, directory = divmod(number // KEYS_BELOW_DIRECTORY, DIRECTORIES_BELOW_ROOT)
    return f"{ROOT}/r{root:02d}/s{directory:03d}/k{number:011d}"


def number_of(value: bytes) -> int:
    """Return the number of the key that `value` belongs to."""
    return int.from_bytes(value[:8], "big")


@cache
def _noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(_NOISE_BYTES + VALUE_BYTES)


@dataclass(frozen=True, slots=True)
class Workload:
    """A universe of keys and a seed; everything else follows from the two."""

    keys: int = 10_000
    seed: int = 1

    def value(self, number: int, turn: int = 0) -> bytes:
        """Return what write `turn` puts into key `number`: 128 bytes, the number and then noise."""
        # A window into one block of noise: as incompressible as fresh randomness, and 20 times cheaper.
        start = (number * 31 + turn * 7919) % _NOISE_BYTES
        return number.to_bytes(8, "big") + _noise(self.seed)[start : start + VALUE_BYTES - 8]

    def draw(self, count: int, client: int = 0) -> list[int]:
        """Return `count` key numbers drawn evenly: the order in which `client` asks for them."""
        return random.Random(f"draw {self.seed} {client}").choices(range(self.keys), k=count)

    def mix(self, count: int, client: int = 0) -> list[bool]:
        """Return for `count` requests of the mixed load whether each is a set (else it is a get)."""
        tenths = random.Random(f"mix {self.seed} {client}").choices(range(10), k=count)
        return [tenth < MIXED_SETS_OF_TEN for tenth in tenths]

    def batches(self, size: int) -> Iterator[list[tuple[str, bytes]]]:
        """Yield all keys with their values, `size` a time, in the order of their numbers."""
        for start in range(0, self.keys, size):
            yield [(key(n), self.value(n)) for n in range(start, min(start + size, self.keys))]
