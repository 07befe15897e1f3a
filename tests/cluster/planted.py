"""`python -m tests.cluster.planted BUG serve ...` is `visord serve ...` with a bug: the nemesis must find it."""

from __future__ import annotations

import sys

from tests.hostile.plants import planted
from visord.cli import main

if __name__ == "__main__":
    with planted(sys.argv.pop(1)):
        main(prog_name="visord")
