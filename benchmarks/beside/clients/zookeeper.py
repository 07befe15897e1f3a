"""ZooKeeper by kazoo: blocking calls, and `..._async` with a callback each, which is how it keeps many in flight.

ZooKeeper answers reads from the server that was asked. With one server that is the latest state, so no `sync` goes
before them. It has no request for the values of a directory: the names come first, and then one get each, sent
together. kazoo has watches that fire once: whoever wants the value, and the next event, reads with a watch again.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from kazoo.client import KazooClient

from benchmarks.workload import Workload, key

# A server listens before it serves: kazoo says that it tries again.
logging.getLogger("kazoo").setLevel(logging.ERROR)


class _Connected:
    """What both ways of asking have in common."""

    value_of = staticmethod(itemgetter(0))

    def __init__(self, host: str, port: int) -> None:
        self._client = KazooClient(f"{host}:{port}")

    def name(self, path: str) -> str:
        return path

    def open(self) -> None:
        self._client.start()

    def close(self) -> None:
        self._client.stop()
        self._client.close()

    def held(self, name: str) -> int:
        version: int = self._client.get(name)[1].version
        return version


class Called(_Connected):
    """Requests that call back when they are answered; the counterpart of asyncio that kazoo has."""

    def fill(self, work: Workload) -> int:
        """Create all keys, many at a time; return how many."""
        for directory in {key(n).rpartition("/")[0] for n in range(work.keys)}:
            self._client.ensure_path(directory)
        for batch in work.batches(500):
            for sent in [self._client.create_async(name, value) for name, value in batch]:
                sent.get()
        return work.keys

    def put(self, name: str, value: bytes) -> Any:
        return self._client.set_async(name, value)

    def get(self, name: str) -> Any:
        return self._client.get_async(name)

    def cas(self, name: str, value: bytes, held: int) -> Any:
        return self._client.set_async(name, value, held)

    @staticmethod
    def version(answer: Any) -> int:
        """Return what the next `cas` compares, out of the answer to one."""
        version: int = answer.version
        return version


class Blocking(_Connected):
    def put(self, name: str, value: bytes) -> object:
        return self._client.set(name, value)

    def get(self, name: str) -> Any:
        return self._client.get(name)

    def cas(self, name: str, value: bytes, held: int) -> int:
        version: int = self._client.set(name, value, held).version
        return version

    def many(self, directory: str) -> list[bytes]:
        names = self._client.get_children(directory)
        asked = [self._client.get_async(f"{directory}/{name}") for name in names]
        return [each.get()[0] for each in asked]

    def watch(self, directory: str) -> Iterator[Any]:
        changed: queue.SimpleQueue[str] = queue.SimpleQueue()

        def fired(event: Any) -> None:
            changed.put(event.path)

        for name in self._client.get_children(directory):
            self._client.get_async(f"{directory}/{name}", watch=fired)
        self._client.sync(directory)

        def names() -> Iterator[str]:
            while True:
                path = changed.get()
                self._client.get(path, watch=fired)
                yield path

        return names()
