"""One lease."""

from __future__ import annotations

from typing import Any


class Lease:
    """One lease: its id, its time to live in ms, who asked for it, and the paths of the files attached to it."""

    __slots__ = ("files", "id", "order", "owner", "session", "ttl")

    def __init__(self, lease: int, ttl: int, owner: str = "", session: bytes | None = None) -> None:
        self.id = lease
        self.ttl = ttl
        self.owner = owner
        self.session = session
        self.order = 0
        """Rises from lease to lease as they are made; -1 when it has ended."""
        self.files: dict[str, None] = {}

    def row(self) -> list[Any]:
        """Return what a checkpoint keeps."""
        return [self.id, self.ttl, self.owner, self.session]
