"""Requests and answers that need more than one line: between the API's values and the wire's arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from visor import paths
from visor._core.generic import F
from visor._core.root import Root
from visor._core.shown import shown
from visor.codecs import Codec
from visor.errors import Conflict, Exists, NotFound, RevMismatch
from visor.guard import Guard
from visor.op import Op
from visor.paths import literal_directory
from visor.protocol import verbs
from visor.select import Selector
from visor.values import NODES, Node

C = TypeVar("C")
REQUIRED: Any = object()
"""No default: what is not there is an error."""


def plain_guard(guard: Guard) -> bool:
    """Whether SET and DELETE know this guard themselves; the others need a transaction."""
    return check_guard(guard).kind <= verbs.G_EXISTS


def check_guard(guard: Guard) -> Guard:
    """Return the guard; TypeError when it is none."""
    if not isinstance(guard, Guard):
        raise TypeError(f"a guard (visor.guard) is expected, not {shown(guard)}")
    return guard


def txn_message(
    root: Root,
    guards: Mapping[str, Guard] | Iterable[tuple[str, Guard]],
    then: Sequence[Op],
    orelse: Sequence[Op],
    codec: Codec[Any],
    note: str | None,
) -> list[Any]:
    """Return the TXN message."""
    pairs = guards.items() if isinstance(guards, Mapping) else guards
    return [
        verbs.TXN,
        0,
        0,
        [guard_row(root, path, guard, codec) for path, guard in pairs],
        [op_row(root, op, codec) for op in then],
        [op_row(root, op, codec) for op in orelse],
        note,
    ]


def guard_row(root: Root, path: str, guard: Guard, codec: Codec[Any]) -> list[Any]:
    """Return a guard of a transaction as it goes on the wire; TypeError when it is none."""
    check_guard(guard)
    return [guard.kind, root.path(path), guard.arg if guard.encoded else _guarded(codec, guard.arg)]


def _guarded(codec: Codec[Any], value: object) -> bytes:
    """Return the bytes that a file must hold; ValueError for a codec whose bytes never are the same again."""
    if not getattr(codec, "repeats", True):
        raise ValueError(
            f"guard.value never holds with {codec!r}, whose bytes are new each time: use guard.rev"
        )
    return codec.encode(value)


def op_row(root: Root, op: Op, codec: Codec[Any]) -> list[Any]:
    """Return one operation as it goes on the wire; TypeError when it is none."""
    if not isinstance(op, Op):
        raise TypeError(f"an operation (visor.op) is expected, not {shown(op)}")
    path = root.path(op.path)
    if op.kind == verbs.T_SET:
        return set_operation(path, codec.encode(op.value), op.lease)
    if op.kind == verbs.T_DELETE:
        return [op.kind, path, op.recursive]
    return [op.kind, path]


def set_operation(path: str, data: bytes, lease: int) -> list[Any]:
    """Return a set; without a lease it stays at three fields, which the server takes on its fast path."""
    return [verbs.T_SET, path, data, lease] if lease else [verbs.T_SET, path, data]


def op_result(
    op: Op, result: Any, make_file: Callable[[str, list[Any]], F]
) -> F | list[tuple[str, Node]] | None:
    """Return what one operation answered, as `visor.op` promises it."""
    if result is None or op.kind in (verbs.T_SET, verbs.T_DELETE):
        return None
    if op.kind == verbs.T_GET:
        return make_file(op.path, result)
    return [(name, NODES[kind]) for name, kind in result]


def set_message(root: Root, path: str, data: bytes, rev: int, note: str | None) -> list[Any]:
    """Return the TXN that writes a file not changed since `rev` and reads its version; else it only reads it."""
    full = root.path(path)
    guards = [[verbs.G_SINCE, full, rev]]
    then = [[verbs.T_SET, full, data], [verbs.T_GET, full]]
    return [verbs.TXN, 0, 0, guards, then, [[verbs.T_GET, full]], note]


def create_message(root: Root, path: str, data: bytes, rev: int, note: str | None) -> list[Any]:
    """Return the TXN that creates a file which exists neither at `rev` nor later; else it reads it."""
    full = root.path(path)
    guards = [[verbs.G_MISSING, full, 0], [verbs.G_SINCE, full, rev]]
    return [verbs.TXN, 0, 0, guards, [[verbs.T_SET, full, data]], [[verbs.T_GET, full]], note]


def literal_parts(what: str | Selector) -> list[str]:
    """Return, for each glob or selector in it, the deepest directory (or file) that holds all it can match."""
    if isinstance(what, str):
        from visor._core.braces import expand  # for transactions that scan alone

        return [literal_directory(text) for text in expand(what)]
    if what.parts:
        return [literal for part in what.parts for literal in literal_parts(part)]
    if what.kind == verbs.SEL_RANGE:
        return ["/"]
    return literal_parts(what.text) if what.kind == verbs.SEL_GLOB else [what.text]


def changed_part(parts: Sequence[str], before: Any, now: Any) -> str:
    """Return the one of `parts` that holds the first path whose row is another than `before`.

    With several, `before` and `now` are rows of a path and a version; the deepest one counts.
    """
    if len(parts) == 1:
        return parts[0]
    old, new = dict(before), dict(now)
    changed = min(
        (path for path in old.keys() | new.keys() if old.get(path) != new.get(path)), key=paths.sort_key
    )
    return max((part for part in parts if paths.below(changed, part)), key=len, default=parts[0])


def guards_of_reads(root: Root, guarded: Mapping[str, bool], rev: int | None) -> list[list[Any]]:
    """Return "not changed since `rev`" for every path that was read.

    The guard of a directory covers what is below it, so a path below one that is listed needs none.
    """
    trees = [path for path, tree in guarded.items() if tree]
    return [
        [verbs.G_SINCE, root.path(path), rev]
        for path in guarded
        if not any(path != tree and paths.below(path, tree) for tree in trees)
    ]


def checked_codec(codec: C) -> C:
    """Return the codec; TypeError unless it can encode and decode."""
    if not (callable(getattr(codec, "encode", None)) and callable(getattr(codec, "decode", None))):
        raise TypeError(f"a codec is expected, as visor.codecs.TEXT is, not {shown(codec)}")
    return codec


def check_limit(limit: object) -> None:
    """TypeError or ValueError unless it is None or a whole number, 0 or more."""
    if limit is None:
        return
    if not isinstance(limit, int):
        raise TypeError(f"limit must be a whole number or None, not {shown(limit)}")
    if limit < 0:
        raise ValueError(f"limit must be 0 or more, not {shown(limit)}")


def rev_message(stale: bool) -> list[Any]:
    """Return the request for the latest rev."""
    return [verbs.REV, 0, 1] if stale else [verbs.REV, 0]


def guard_failed(path: str, guard: Guard, found: list[Any] | None) -> Conflict | NotFound:
    """Return the error for a write whose guard did not hold, from what was found instead."""
    if found is None:
        return NotFound(path=path, rev=None)
    if guard.kind == verbs.G_MISSING:
        return Exists(path=path, actual=found[0])
    if guard.kind == verbs.G_VALUE:
        return RevMismatch(f"{path}: another value than expected, rev {found[0]}", path=path, actual=found[0])
    return RevMismatch(path=path, expected=guard.arg, actual=found[0])
