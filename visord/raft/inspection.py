"""What a log directory holds, without changing it: for `visord check` and for people."""

from __future__ import annotations

from typing import NamedTuple

from visord.raft import recovery
from visord.raft.vote import Vote, read_vote
from visord.storage.disk import Disk


class LogSummary(NamedTuple):
    """A sound log: entries `first` to `last` (0, 0: a new log), and what an operator may ask next."""

    first: int
    last: int
    last_term: int
    vote: Vote
    segments: int
    spares: int
    size: int
    """Bytes of the segment files."""
    torn: int
    """Bytes at the end that were being written when the node stopped; the next start cuts them."""
    marked: int
    """Frames that were acknowledged for certain (0: the mark is lost, damage at the end cannot be told)."""


def inspect_log(disk: Disk, directory: str) -> LogSummary:
    """Read and verify a whole log. Raises `DamageError`, `FormatError` or `OSError`."""
    _, spares, _ = recovery.names_of(disk, directory)
    recovered = recovery.read(disk, directory)
    vote = read_vote(disk, directory)
    entries = recovered.entries
    _, last, term = entries[-1] if entries else (b"", 0, 0)
    return LogSummary(
        first=entries[0][1] if entries else 0,
        last=last,
        last_term=term,
        vote=vote,
        segments=len(recovered.pieces),
        spares=len(spares),
        size=sum(piece.size for piece in recovered.pieces),
        torn=_torn(recovered),
        marked=0 if recovered.mark is None else recovered.mark.sequence,
    )


def _torn(recovered: recovery.Recovered) -> int:
    if not recovered.pieces:
        return 0
    piece = recovered.pieces[recovered.at]
    return piece.frames.torn(piece.data, piece.end, recovered.sequence + 1)
