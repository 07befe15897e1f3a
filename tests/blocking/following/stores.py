# Generated from tests/aio/following/stores.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Stores of the kinds in `tests.following.swarm`, for a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import visor
from tests.blocking.tools import dial
from tests.following.swarm import KINDS
from visor.store import Store


@contextmanager
def store_at(address: str, root: str = "/swarm") -> Iterator[Store]:
    with dial(address) as client, Store(client, root, KINDS) as store:
        yield store


@contextmanager
def store_and_client(address: str, root: str = "/swarm") -> Iterator[tuple[Store, visor.Client[str]]]:
    with dial(address) as client, Store(client, root, KINDS) as store:
        yield store, client
