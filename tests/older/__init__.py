"""Versions before this one, taken from the history of the repository: what they do is the measure for an upgrade."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from typing import Final

from tests.patience import PATIENCE

COMMITS: Final = {"a3d5847": 1, "253b37a": 2, "5bcbff0": 3}
"""The last commit of each version, and the format that it writes."""
OLDEST: Final = "a3d5847"
ROOT: Final = Path(__file__).resolve().parents[2]


def checkout(commit: str, into: Path) -> Path | None:
    """Put an older version's packages into a new directory; None where its history is not here (a shallow clone)."""
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", commit, "visor", "visord"]
    try:
        found = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
    except (OSError, subprocess.SubprocessError):
        return None
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        if hasattr(tarfile, "data_filter"):  # not before 3.11.4
            archive.extraction_filter = staticmethod(tarfile.data_filter)
        archive.extractall(into)
    return into
