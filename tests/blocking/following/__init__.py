# Generated from tests/aio/following/__init__.py: do not edit it here, edit that and run `python .ci/unasync.py`.
