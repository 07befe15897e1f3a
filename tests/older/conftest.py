from __future__ import annotations

from pathlib import Path

import pytest

from tests import older


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the older version's packages are."""
    found = older.checkout(tmp_path_factory.mktemp("older"))
    if found is None:
        pytest.skip(f"the history does not reach back to {older.COMMIT}")
    return found
