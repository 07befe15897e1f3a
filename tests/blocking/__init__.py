# Generated from tests/aio/__init__.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""What holds in both colours, written for asyncio; `.ci/unasync.py` makes `tests/blocking` of it."""
