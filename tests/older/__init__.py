"""The version before this one, taken from the history of the repository: what it does is the measure for an upgrade."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from typing import Final

from tests.patience import PATIENCE

COMMIT: Final = "a3d5847"
ROOT: Final = Path(__file__).resolve().parents[2]


def checkout(into: Path) -> Path | None:
    """Put the older version's packages into a new directory; None where its history is not here (a shallow clone)."""
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", COMMIT, "visor", "visord"]
    try:
        found = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
    except (OSError, subprocess.SubprocessError):
        return None
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        if hasattr(tarfile, "data_filter"):  # not before 3.11.4
            archive.extraction_filter = staticmethod(tarfile.data_filter)
        archive.extractall(into)
    return into
