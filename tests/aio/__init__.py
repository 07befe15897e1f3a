"""What holds in both colours, written for asyncio; `.ci/unasync.py` makes `tests/blocking` of it."""
