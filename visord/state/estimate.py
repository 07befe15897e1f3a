"""What a write will cost, told before it is proposed: from its shape, and from what directories know of themselves.

    of_frame(store, frame)           units of `cost`: deciding it, carrying it out, and showing what it read
    fitting(store, frames, room)     how many of these writes one command still takes
    hopeless(store, frame)           the refusal that it will meet anyway

An estimate is never below what applying the write spends (a test says so), and takes a time that the bytes of the write
bound: nothing is enumerated here. What cannot be told cheaply, a recursive deletion of many directories or a revert,
counts as much as applying it may spend at most, so it goes alone. Total, like `Machine.apply`: frames may be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from operator import itemgetter
from typing import Any, Final

from visor.paths import parent
from visor.protocol.verbs import DELETE, REDACT, RETRY, REVERT, REVOKE, SET, T_DELETE, T_LIST, T_SET, TXN
from visord.state import cost, refusal
from visord.state.latest import Latest
from visord.state.refusal import Refusal
from visord.state.store import Store
from visord.state.tree import Directory

MOST: Final = cost.WRITE + cost.MAX_CHANGES * cost.CHANGE
"""What no write exceeds: apply refuses it before."""
MAX_LOOKED: Final = cost.WRITE // cost.VISIT
SMALL: Final = 64
"""Entries of a tree that are looked at to tell how large it is."""
_GUARDS, _THEN, _ELSE = 3, 4, 5
_VERB: Final = itemgetter(0)
_PATH: Final = itemgetter(3)
_SETS: Final = {SET}


class Estimates:
    """The estimates of one store, for who proposes writes."""

    __slots__ = ("_store", "fitting")

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fitting: Callable[[Sequence[Any], int], tuple[int, int]] = partial(fitting, store)

    def hopeless(self, frame: Any, /) -> Refusal | None:
        return hopeless(self._store, frame)


def fitting(store: Store, frames: Sequence[Any], room: int) -> tuple[int, int]:
    """Return how many of the first `frames` cost at most `room` units together, and what they cost.

    The first one always counts in: one has to go alone.
    """
    files, spent, count = store.files, 0, 0
    if len(frames) * cost.SET <= room:
        with suppress(LookupError, TypeError):  # a frame of another form
            # Values for files that are there, as nearly always.
            if set(map(_VERB, frames)) == _SETS and all(map(files.__contains__, map(_PATH, frames))):
                return len(frames), len(frames) * cost.SET
    for frame in frames:
        if (
            type(frame) is list
            and len(frame) > 3
            and type(frame[3]) is str
            and frame[0] == SET
            and frame[3] in files
        ):
            more = cost.SET
        elif type(frame) is list and len(frame) == 5 and frame[0] == TXN:
            more = _of_small_txn(files, frame) or of_frame(store, frame)
        else:
            more = of_frame(store, frame)
        if spent + more > room and count:
            break
        spent += more
        count += 1
    return count, spent


def _of_small_txn(files: Mapping[str, Any], frame: list[Any]) -> int:
    """Return the cost of a guarded value for a file that is there, the commonest transaction; 0 for any other."""
    guards, then = frame[_GUARDS], frame[_THEN]
    if type(guards) is not list or type(then) is not list or len(then) != 1:
        return 0
    operation = then[0]
    if type(operation) is not list or len(operation) != 3 or type(operation[0]) is not int:
        return 0
    path = operation[1]
    if operation[0] != T_SET or type(path) is not str or path not in files:
        return 0
    return cost.OPERATION * (2 + len(guards)) + cost.SET + cost.CHANGE


def of_frame(store: Store, frame: Any) -> int:
    """Return about how many units the write costs, rather too many than too few."""
    if type(frame) is not list or len(frame) < 3:
        return cost.OPERATION
    verb = frame[0]
    if verb == RETRY:
        return of_frame(store, frame[2]) if not _is_retry(frame[2]) else cost.OPERATION
    if verb == TXN:
        return _of_txn(store, frame)
    path = frame[3] if len(frame) > 3 else None
    if verb == SET:
        return _of_set(store, path)
    if verb == DELETE:
        return _of_delete(store, path, len(frame) > 4 and frame[4] is True)
    if verb in (REVERT, REDACT):
        return MOST
    return _of_lease(store, path) if verb == REVOKE else cost.OPERATION + cost.CHANGE


def _is_retry(frame: Any) -> bool:
    return type(frame) is list and len(frame) > 0 and frame[0] == RETRY


def _of_set(store: Store, path: Any) -> int:
    if type(path) is not str or path in store.files:
        return cost.SET + cost.CHANGE
    missing = 0 if parent(path) in store.directories else min(path.count("/"), store.limits.path)
    return cost.SET + cost.CHANGE + cost.DIRECTORY * missing


def _of_delete(store: Store, path: Any, recursive: bool) -> int:
    directory = store.directories.get(path) if type(path) is str and recursive else None
    return min(cost.OPERATION + _doomed(store, directory) * (cost.VISIT + cost.CHANGE), MOST)


def _doomed(store: Store, directory: Directory | None) -> int:
    """Return how many entries a deletion looks at, of a large tree as many as it may be at most."""
    if directory is None:
        return 1
    if not directory.folders:
        return min(len(directory.live), MAX_LOOKED)
    found = Latest(store).files_below(directory.path, SMALL)
    return found[1] if found is not None else MAX_LOOKED


def _of_lease(store: Store, number: Any) -> int:
    lease = store.leases.by_id.get(number) if type(number) is int else None
    return cost.OPERATION + (len(lease.files) * cost.CHANGE if lease is not None else 0)


def _of_txn(store: Store, frame: list[Any]) -> int:
    then, otherwise = (_of_branch(store, frame, field) for field in (_THEN, _ELSE))
    return _of_guards(frame) + max(then, otherwise)


def _of_guards(frame: list[Any]) -> int:
    guards = frame[_GUARDS] if len(frame) > _GUARDS else None
    return cost.OPERATION * (1 + (len(guards) if type(guards) is list else 0))


def _of_branch(store: Store, frame: list[Any], field: int) -> int:
    operations = frame[field] if len(frame) > field else None
    if type(operations) is not list:
        return 0
    total = staged = 0
    files, directories = store.files, store.directories
    beside: str | None = None  # a directory that an operation before is counted to make
    for operation in operations:
        total += cost.OPERATION
        if (  # by far the commonest: a value for a file that is there, or beside others
            type(operation) is list
            and len(operation) == 3
            and type(operation[1]) is str
            and operation[0] == T_SET
            and (
                operation[1] in files
                or (above := operation[1].rpartition("/")[0]) == beside
                or above in directories
            )
        ):
            total += cost.SET + cost.CHANGE
            staged += 1
        elif type(operation) is list and len(operation) > 1:
            kind, path = operation[0], operation[1]
            if kind == T_SET:
                total += _of_set(store, path)
                staged += 1
                beside = parent(path) if type(path) is str else None
            elif kind == T_LIST:
                total += staged * cost.VISIT + (
                    listed(store.directories.get(path)) if type(path) is str else 0
                )
            elif kind == T_DELETE:
                beside = None  # it may go again
                known = store.directories.get(path) if type(path) is str and len(operation) > 2 else None
                doomed = _doomed(store, known)
                # What the transaction put there, or deleted, is looked at again.
                total += (staged + doomed) * cost.VISIT + doomed * cost.CHANGE
                staged += doomed
        if total >= MOST:
            return MOST
    return total


def listed(directory: Directory | None) -> int:
    """Return what it costs to list a directory, without what the transaction itself changed in it."""
    return len(directory.live) * cost.VISIT if directory is not None else 0


def hopeless(store: Store, frame: Any) -> Refusal | None:
    """Return why applying `frame` to this very state will be refused for its cost, where that is sure and easily told.

    A RETRY is never refused here: what it repeats may have been done.
    """
    if type(frame) is not list or len(frame) < 4:
        return None
    if frame[0] == DELETE and len(frame) > 4 and frame[4] is True and type(frame[3]) is str:
        directory = store.directories.get(frame[3])
        files = len(directory.live) - directory.folders if directory is not None else 0
        return refusal.too_large("changes", cost.MAX_CHANGES, files) if files > cost.MAX_CHANGES else None
    if frame[0] != TXN or frame[_GUARDS] != [] or len(frame) <= _THEN or type(frame[_THEN]) is not list:
        return None
    spent = 0
    for position, operation in enumerate(frame[_THEN]):
        if type(operation) is list and len(operation) == 2 and operation[0] == T_LIST:
            spent += listed(store.directories.get(operation[1])) if type(operation[1]) is str else 0
            if spent > cost.WRITE:
                code, text, details = refusal.too_large("cost", cost.WRITE, spent)
                return Refusal(code, f"operation {position}: {text}", {**details, "operation": position})
    return None
