"""Hostile bytes at a real node: `python -m tests.fuzz --seconds 600 --seed 1` is the long run."""
