"""Bugs to plant, each by changing one method from outside: a simulation that does not find them finds nothing.

with planted("no-round"):
    run(seed)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final
from unittest.mock import patch

from visor._core.call import Call
from visor._core.client import ClientProtocol
from visor._core.feed import Feed
from visord.peers import messages as msg
from visord.raft.core import node as core
from visord.raft.engine import Engine
from visord.raft.log import RaftLog
from visord.raft.segments import Segments
from visord.state import past
from visord.state.machine import Machine
from visord.state.sessions import Taken
from visord.storage import checkpoint, past_reader
from visord.storage.shelves import BlockPlace
from visord.watch.messages import CommitParts


def no_sync() -> AbstractContextManager[Any]:
    """Acknowledges what is in memory: the sync before an acknowledgement is not waited for."""
    lie = property(lambda log: log._entries[-1][1] if log._entries else 0, lambda log, index: None)
    return patch.object(RaftLog, "durable_index", lie, create=True)


def stale_ack() -> AbstractContextManager[Any]:
    """Counts an acknowledgement of an earlier leadership, as stock pysyncobj does (needs five nodes to do harm)."""
    original = core._RECEIVERS[msg.POSITION]

    def accept(self: Any, node: Any, message: list[Any]) -> None:
        if message[1] < self.core_term and self.core_is_leader:
            message = [message[0], self.core_term, *message[2:]]
        original(self, node, message)

    return patch.dict(core._RECEIVERS, {msg.POSITION: accept})


def drop_dedup() -> AbstractContextManager[Any]:
    """Leaves the sessions out of checkpoints: a retry after a restart is executed twice."""
    return patch.object(Taken, "rows", lambda self: iter(()))


def no_round() -> AbstractContextManager[Any]:
    """Serves reads without asking a majority: a leader that was deposed answers with what it has."""

    def believe(self: Engine, callback: Callable[[int | None], None]) -> None:
        callback(self.commit_index if self.reads_are_current else None)

    return patch.object(Engine, "confirm", believe)


def half_commit() -> AbstractContextManager[Any]:
    """Forgets where a commit ends in a watch: the last change of a commit of several is left out."""
    original = CommitParts.encode

    def shorten(self: CommitParts, positions: list[int], shape: int) -> bytes:
        return original(self, positions[:-1] if len(positions) > 2 else positions, shape)

    return patch.object(CommitParts, "encode", shorten)


def core_denies() -> AbstractContextManager[Any]:
    """The client's core says of a write without an answer that it did not happen."""
    original = ClientProtocol.expire

    def deny(self: ClientProtocol, call: Call) -> None:
        call.sent = call.uncertain = False
        original(self, call)

    return patch.object(ClientProtocol, "expire", deny)


def core_keeps() -> AbstractContextManager[Any]:
    """The client's core keeps what a lost connection had brought of a watch, and is told it once more."""

    def keep(self: Feed) -> None:
        self.wire = 0

    return patch.object(Feed, "reset", keep)


def rights_at_the_door() -> AbstractContextManager[Any]:
    """Judges writes where they are accepted alone: what is under way then is applied, whatever happened meanwhile."""

    def trust(self: Machine, actor: str, frame: list[Any]) -> Any:
        return self._decide(actor, frame)

    return patch.multiple(Machine, _judged=trust, _frames=_unjudged(Machine._frames))


def _unjudged(frames: Callable[..., Any]) -> Callable[..., Any]:
    def apply(self: Machine, session: Any, actor: str, rows: list[Any]) -> Any:
        self._rights = None
        return frames(self, session, actor, rows)

    return apply


def old_files_again() -> AbstractContextManager[Any]:
    """Uses files of the log again that hold what was redacted, and believes that they are clean."""

    def renew(self: Segments) -> bool:
        return True

    return patch.multiple(Segments, renew=renew, remains=lambda self: [])


def rev_off() -> AbstractContextManager[Any]:
    """Looks for a version of the past one rev too early: what the rev itself wrote is not seen by it."""
    found = past.in_force
    return patch.object(past, "in_force", lambda known, rev: found(known, rev - 1))


def leaf_of_another() -> AbstractContextManager[Any]:
    """Keeps blocks of history by their offset alone: one of a file that is gone answers for the file after it."""
    return patch.object(checkpoint, "Kept", _Careless)


class _Careless(past_reader.Kept):
    def get(self, place: BlockPlace) -> past_reader.AnyLeaf | None:
        return super().get(BlockPlace("", place.offset, 0))

    def put(self, place: BlockPlace, block: past_reader.AnyLeaf) -> None:
        super().put(BlockPlace("", place.offset, 0), block)

    def forget(self, names: set[str]) -> None:
        """Outlive the files."""


PLANTS: Final[dict[str, Callable[[], AbstractContextManager[Any]]]] = {
    "no-sync": no_sync,
    "stale-ack": stale_ack,
    "drop-dedup": drop_dedup,
    "no-round": no_round,
    "half-commit": half_commit,
    "core-denies": core_denies,
    "core-keeps": core_keeps,
    "rights-at-the-door": rights_at_the_door,
    "old-files-again": old_files_again,
    "rev-off": rev_off,
    "leaf-of-another": leaf_of_another,
}


@contextlib.contextmanager
def planted(name: str | None) -> Iterator[None]:
    """Have a bug for a while; None: none."""
    if name is None:
        yield
        return
    with PLANTS[name]():
        yield
