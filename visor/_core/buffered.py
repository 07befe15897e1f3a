"""What a transaction is going to write, and what it may still read because of that."""

from __future__ import annotations

from typing import Any

from visor.paths import below


class BaseTransaction:
    """The writes of a transaction that are not sent yet, and the rev that it reads at."""

    def __init__(self) -> None:
        self._rev: int | None = None
        self._operations: list[list[Any]] = []
        self._buffer: dict[str, tuple[bytes, Any] | None] = {}
        """By path: what it will hold, None where everything at and below it goes."""
        self._committed: int | None = None
        self._over: str | None = None
        """Why it takes nothing any more."""

    @property
    def rev(self) -> int | None:
        """The rev that it reads at; None before the first read."""
        return self._rev

    @property
    def committed(self) -> int | None:
        """The rev that it was committed at (the latest, if it wrote nothing); None before."""
        return self._committed

    def _check_open(self) -> None:
        if self._over is not None:
            raise RuntimeError(
                f"this transaction {self._over}: nothing more can be done in it; begin another one"
            )

    def _at(self, rev: int) -> None:
        if self._rev is None:
            self._rev = rev

    def _buffered(self, path: str) -> list[Any] | None:
        kept = self._buffer.get(path)
        return None if kept is None else [self._rev or 0, kept[0], 0, 0, 0]

    def _written_over(self, path: str) -> bool:
        """Whether a recursive delete in this transaction took the path away."""
        return any(kept is None and below(path, other) for other, kept in self._buffer.items())

    def _refuse_late_listing(self, path: str) -> None:
        for other in self._buffer:
            if below(other, path) or below(path, other):
                raise ValueError(
                    f"list {path} before writing {other}: a listing does not see buffered writes"
                )

    def __repr__(self) -> str:
        if self._committed is not None:
            return f"<visor transaction, committed at rev {self._committed}>"
        reads = "has read nothing" if self._rev is None else f"reads at rev {self._rev}"
        return f"<visor transaction, {reads}, {len(self._operations)} writes>"
