"""Killed nodes and damaged files: `python -m tests.crash --kills 200 --seed 1` is the long run."""
