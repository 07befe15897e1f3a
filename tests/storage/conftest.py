"""Small blocks, so that what these tests write has many of them."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visord.storage.checkpoint.COMMITS_OF_BLOCK", 64)
    monkeypatch.setattr("visord.storage.checkpoint.ROWS", 64)
