"""One operation as one transaction: what must hold, what is written, what to look at when it does not hold.

A plan is made from what was read (a snapshot in), and says nothing but paths and bytes (a transaction out). It is the
same for the blocking and the asyncio side, which only send it.

    plan = Plan(note="head v2")
    plan.unchanged("/apps/web/app", 17)             its rev is still 17
    plan.put("/apps/web/app", b"...")
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import Any, Final

from visor._core.dataclass import dataclass
from visor._core.registry.schema import LEASE, fitting
from visor.protocol import verbs

Version = list[Any]
"""`[mod_rev, value, created, count, lease]` of a file."""

Found = dict[str, "Version | None"]
"""Paths that were looked at, with what is there now."""

Files = dict[str, tuple[bytes, int]]
"""Path -> (bytes, lease)."""

MOST: Final = 3000
"""Operations of one transaction. The server takes 4096, and keeps the outcome for a repeated request as long as it is
small: one byte an operation, up to 4 KiB."""


@dataclass(slots=True)
class Plan:
    """A transaction in the making. Paths are without the client's root."""

    note: str | None = None
    guards: list[list[Any]] = field(default_factory=list)
    writes: list[list[Any]] = field(default_factory=list)
    look: list[str] = field(default_factory=list)
    """What is read when a guard does not hold, to tell why."""

    # -- guards ---------------------------------------------------------------------------------------
    def unchanged(self, path: str, mod_rev: int) -> None:
        """The file is the one that was written at `mod_rev`."""
        self.guards.append([verbs.G_REV, path, mod_rev])

    def since(self, path: str, rev: int) -> None:
        """Nothing at or below `path` has changed after `rev`."""
        self.guards.append([verbs.G_SINCE, path, rev])

    def exists(self, path: str) -> None:
        """The file is there."""
        self.guards.append([verbs.G_EXISTS, path, 0])

    def missing(self, path: str) -> None:
        """There is no such file."""
        self.guards.append([verbs.G_MISSING, path, 0])

    # -- writes ---------------------------------------------------------------------------------------
    def put(self, path: str, data: bytes, lease: int = 0) -> None:
        """Write a file, attached to a lease unless that is 0. BadValue for what is no number of one."""
        if lease != 0 or type(lease) is not int:
            fitting(LEASE, "lease", lease)
        self.writes.append([verbs.T_SET, path, data, lease] if lease else [verbs.T_SET, path, data])

    def drop(self, path: str, *, recursive: bool = False) -> None:
        """Delete a file, or with `recursive` everything below too; it must be there."""
        self.writes.append([verbs.T_DELETE, path, recursive])

    def turn(self, before: Files, after: Files) -> None:
        """Write the difference between two sets of files."""
        for path in before:
            if path not in after:
                self.drop(path)
        for path, content in after.items():
            if before.get(path) != content:
                self.put(path, *content)

    def look_at(self, paths: Iterable[str]) -> None:
        """Read these when a guard does not hold."""
        self.look += paths


@dataclass(frozen=True, slots=True)
class Refused:
    """A guard did not hold, and nothing was written."""

    rev: int
    found: Found
