"""Who is there, as a list that was told or as the files of a directory say it. Nothing is asked here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from visor._core.dataclass import dataclass
from visor._core.following.cache import Cache
from visor._core.following.delta import Batch
from visor._core.store.record import FrozenDict
from visor._core.views.catalog import Fires
from visor._core.views.endpoint import Endpoint, Found, decode


@dataclass(frozen=True, slots=True)
class Announced:
    """One file of the directory: an endpoint, or why it is none."""

    rev: int
    endpoint: Endpoint | None
    problem: str = ""


def endpoint_at(text: str) -> Endpoint:
    """Return the endpoint at HOST:PORT; ValueError for what is none."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"{text!r} is no HOST:PORT")
    return Endpoint(host.strip("[]"), int(port))


def read_announced(path: str, rev: int, version: list[Any]) -> Announced:
    """Return what a file of the directory says."""
    try:
        return Announced(version[0], decode(version[1]))
    except ValueError as error:
        return Announced(version[0], None, str(error))


def same_announced(one: Announced, other: Announced) -> bool:
    """Whether it is the same announcement."""
    return one.rev == other.rev


class BaseStaticLocator:
    """A list that is told."""

    def __init__(self, endpoints: Iterable[Endpoint] | None, signal: Fires) -> None:
        self._found = Found() if endpoints is None else Found(1, tuple(endpoints))
        self._signal = signal

    def set(self, endpoints: Iterable[Endpoint]) -> None:
        """Put another list in its place."""
        self._found = Found(self._found.version + 1, tuple(endpoints))
        self._signal.fire()

    def cached(self) -> Found:
        """Return the list."""
        return self._found

    def __str__(self) -> str:
        return f"static: {', '.join(map(str, self._found.endpoints)) or 'nobody'}"

    def __repr__(self) -> str:
        return f"<visor locator of {len(self.cached().endpoints)} endpoints that do not change>"


class Copied(Protocol):
    """The local copy of the directory."""

    cache: Cache[Announced]


class BaseRegistryLocator:
    """The files of a directory, each an endpoint or the reason why it is none."""

    _local_copy: Copied

    def __init__(self, path: str) -> None:
        self._path = path
        self._cut = len(path.rstrip("/")) + 1
        self._version = 0
        self._found = Found()

    def _moved(self, batch: Batch[Announced]) -> None:
        if batch.deltas or not self._version:
            self._version += 1

    def cached(self) -> Found:
        """Return who is there, in the order of their ids."""
        found = self._found
        if found.version == self._version:
            return found
        with self._local_copy.cache.latch:
            version, entries = self._version, sorted(self._local_copy.cache.entries.items())
        endpoints = tuple(held.endpoint for _, held in entries if held.endpoint is not None)
        problems = {path[self._cut :]: held.problem for path, held in entries if held.endpoint is None}
        self._found = found = Found(version, endpoints, FrozenDict(problems))
        return found

    def __str__(self) -> str:
        return f"announced below {self._path}: {', '.join(map(str, self.cached().endpoints)) or 'nobody'}"

    def __repr__(self) -> str:
        return f"<visor locator of {len(self.cached().endpoints)} endpoints below {self._path}>"
