from __future__ import annotations

from pathlib import Path

import pytest

from tests import older


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the oldest version's packages are."""
    return packages(older.OLDEST, tmp_path_factory)


@pytest.fixture(params=older.COMMITS)
def earlier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Where the packages of each older version are, and the format that it writes."""
    return packages(request.param, tmp_path_factory), older.COMMITS[request.param]


def packages(commit: str, factory: pytest.TempPathFactory) -> Path:
    found = older.checkout(commit, factory.mktemp("older"))
    if found is None:
        pytest.skip(f"the history does not reach back to {commit}")
    return found
