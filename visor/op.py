"""The operations of a transaction, in the order in which they run.

client.txn({"/a": guard.rev(3)}, then=[op.set("/a", b"x"), op.get("/b")], orelse=[op.get("/a")])
"""

from __future__ import annotations

from dataclasses import dataclass

from visor.protocol import verbs


@dataclass(frozen=True, slots=True)
class Op:
    """One operation; make it with the functions of this module."""

    kind: int
    path: str
    value: object = None
    recursive: bool = False


def set(path: str, value: object) -> Op:
    """Write the file; `value` is encoded by the codec of the transaction. Its result is None."""
    return Op(verbs.T_SET, path, value)


def delete(path: str, *, recursive: bool = False) -> Op:
    """Delete the file, or everything below the path too. Its result is None."""
    return Op(verbs.T_DELETE, path, None, recursive)


def get(path: str) -> Op:
    """Read the file as the operations before left it. Its result is a `File`, or None when missing."""
    return Op(verbs.T_GET, path)


def ls(path: str) -> Op:
    """List the directory as the operations before left it. Its result is a list of `(name, kind)`."""
    return Op(verbs.T_LIST, path)
