"""The operations of a transaction, in the order in which they run.

client.txn({"/a": guard.rev(3)}, then=[op.set("/a", b"x"), op.get("/b")], orelse=[op.get("/a")])
"""

from __future__ import annotations

from typing import Protocol

from visor._core.dataclass import dataclass
from visor._core.shown import PATH, shown
from visor.protocol import verbs


class Leased(Protocol):
    """A lease, or what has one: a session."""

    @property
    def id(self) -> int: ...

    def check(self) -> None:
        """Raise LeaseLost unless it is held."""


def lease_id(lease: Leased | int | None) -> int:
    """Return the number of a lease as it goes on the wire; LeaseLost when it is known to be over."""
    if lease is None or isinstance(lease, int):
        return lease or 0
    if not hasattr(lease, "check"):
        raise TypeError(f"a lease, a session or the number of a lease is expected, not {shown(lease)}")
    lease.check()
    return lease.id


@dataclass(frozen=True, slots=True)
class Op:
    """One operation; make it with the functions of this module."""

    kind: int
    path: str
    value: object = None
    recursive: bool = False
    lease: int = 0

    def __repr__(self) -> str:
        word = _WORDS.get(self.kind, "Op")
        value = f", {shown(self.value)}" if self.kind == verbs.T_SET else ""
        lease = f", lease={self.lease}" if self.lease else ""
        recursive = ", recursive=True" if self.recursive else ""
        return f"op.{word}({shown(self.path, PATH)}{value}{lease}{recursive})"


def set(path: str, value: object, *, lease: Leased | int | None = None) -> Op:
    """Write the file; `value` is encoded by the codec of the transaction. Its result is None.

    `lease` attaches it to a lease, None detaches it; LeaseLost when the lease is known to be over.
    """
    return Op(verbs.T_SET, path, value, lease=lease_id(lease))


def delete(path: str, *, recursive: bool = False) -> Op:
    """Delete the file, or everything below the path too. Its result is None."""
    return Op(verbs.T_DELETE, path, None, recursive)


def get(path: str) -> Op:
    """Read the file as the operations before left it. Its result is a `File`, or None when missing."""
    return Op(verbs.T_GET, path)


def ls(path: str) -> Op:
    """List the directory as the operations before left it. Its result is a list of `(name, kind)`."""
    return Op(verbs.T_LIST, path)


_WORDS = {verbs.T_SET: "set", verbs.T_DELETE: "delete", verbs.T_GET: "get", verbs.T_LIST: "ls"}

__all__ = [
    "Op",
    "Leased",
    "set",
    "delete",
    "get",
    "ls",
]


def __dir__() -> list[str]:
    return sorted(__all__)
