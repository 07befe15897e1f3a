"""What members tell each other of their state every two seconds takes a bounded time, whatever is in it."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import pytest

from tests.state.driving import Driven
from visord.state import digest

LARGE = b"v" * 900_000


def test_a_portion_hashes_a_bounded_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest 256 changes were hashed with all their values: 230 MB held each member for longer than an election."""
    driven = Driven()
    for number in range(40):
        driven.set(f"/large/{number % 5}", LARGE)
    hashed = []

    class Counting:
        def __init__(self, **options: Any) -> None:
            self._hash = blake2b(**options)

        def update(self, data: bytes) -> None:
            hashed.append(len(data))
            self._hash.update(data)

        def hexdigest(self) -> str:
            return self._hash.hexdigest()

    monkeypatch.setattr(digest, "blake2b", Counting)
    found = digest.portion(driven.store, driven.store.rev, None, None, 0)
    assert found is not None
    assert 2 * len(LARGE) < sum(hashed) < 2 * (digest.PORTION_BYTES + len(LARGE) + 1000)
    monkeypatch.undo()
    assert digest.portion(driven.store, driven.store.rev, None, None, 0) == found
