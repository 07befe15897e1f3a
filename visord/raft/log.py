"""The replicated log of one node: entries in memory, durable in segment files. pysyncobj's journal.

`add` only remembers; `flush` hands everything that gathered to the syncer as one frame, which is
written and synced while the owner goes on and more gathers. When the sync ends, `durable_index` moves and
`on_durable` is called. Nothing may be acknowledged above `durable_index`.

    add(5) add(6)  flush -> frame 17 = [5, 6] -- write, sync, move the mark --> durable_index = 6,
    on_durable()
                         add(7) add(8) add(9)      (gathers meanwhile)          flush -> frame 18 = [7, 8, 9]

Three hard things, each with its own page: how bytes are laid out and what a reader concludes from them
(`records.py`, `recovery.py`), how blocks come to be there before they are needed (`segments.py`), how the
last acknowledged frame is told from a torn one (`durable_mark.py`).

**Entries that were replaced never return.** A conflict (this node followed a leader that lost) removes
entries that are on disk. Nothing on disk is overwritten for that: a TRUNCATE record goes into the next
frame, before the entries that replace them; reading plays the records in order. If a crash comes before
that frame is durable, the old entries come back, and that is right: nobody was told that they had gone.
`durable_index` falls at once.

Worked example: entries 1 to 6 are durable (frames 10 and 11), the leader says that 5 has another term.

    deleteEntriesFrom(5)      memory: 1..4         durable_index 4        waiting: TRUNCATE 5
    add(5')                   memory: 1..4 5'      durable_index 4        waiting: TRUNCATE 5, 5'
    flush, synced             frame 12             durable_index 5
    after a crash             10, 11, 12 are played: 1..6, then 5 and 6 go, 5' comes
"""

# ruff: noqa: N802, N803 - the names are pysyncobj's

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any, overload

from visord.raft import durable_mark, recovery
from visord.raft.records import (
    BASE,
    ENTRY,
    FRAME_SIZE,
    RECORD_SIZE,
    TRUNCATE,
    Record,
    pack_record,
)
from visord.raft.records import records as parse_records
from visord.raft.recovery import NO_OP, Entry
from visord.raft.segments import Full, Options, Segment, Segments
from visord.raft.vote import VoteFile, open_vote
from visord.storage.disk import Disk, join
from visord.storage.errors import NO_SPACE_ERRNOS
from visord.storage.worker import Submitter, SyncedWrite

ENTRY_BYTES = 256
"""What giving back an entry costs beside the bytes of its command, as bytes."""


class _Flight:
    """A frame on its way to the disk. `last` is the highest entry that it makes durable."""

    __slots__ = ("crc", "end", "last", "mark", "pieces", "size")

    mark: durable_mark.Position
    """Where the mark goes when the frame is durable."""

    def __init__(self, pieces: list[bytes], size: int, last: int, end: int) -> None:
        self.crc = 0
        self.pieces = pieces
        self.size = size
        self.last = last
        self.end = end


class RaftLog:
    """Open with `RaftLog.open`. All methods are called on the owner's thread.

    The owner sets the callbacks before it adds anything: `on_durable()` after `durable_index` moved,
    `on_room()` when room was prepared or could not be, `on_failure(error)` when the disk failed: the node
    must stop and acknowledge nothing any more.
    """

    def __init__(
        self,
        disk: Disk,
        directory: str,
        options: Options,
        sync: Submitter,
        background: Submitter,
        random32: Callable[[], int],
    ) -> None:
        self._disk = disk
        self.directory = directory
        self._options = options
        self._sync = sync
        self._segments = Segments(disk, directory, options, background, random32)
        self._segments.changed = self._room_changed
        self._segments.failed = self._fail
        self._entries: list[Entry] = []
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._handed = 0
        self._flight: _Flight | None = None
        self._sequence = 0
        self._crc = 0
        self._trimming = (0, 0)
        """The checkpoint for which the log is being trimmed, and the first entry that stays."""
        self._mark: durable_mark.DurableMark
        self._vote: VoteFile
        self._retry_sync = False
        self._renewing: int | None = None
        """When the entries up to this one are in files, all further ones are to go to new ones."""
        self.renewed_behind: int | None = None
        """Entries up to this one are, or were, in files that will not be used again; None: `renew` waits, or was not
        asked for."""
        self._closed = False
        self._taking = False
        self._room_came = False
        self.durable_index = 0
        """The last entry that is on disk, with all before it."""
        self.failure: BaseException | None = None
        """Why the disk cannot be used any more."""
        self.written = 0
        """Bytes handed to the disk since the log was opened."""
        self.syncs = 0
        """Syncs since the log was opened."""
        self.on_durable: Callable[[], None] = _nothing
        self.on_room: Callable[[], None] = _nothing
        self.on_failure: Callable[[BaseException], None] = _nothing

    # -- opening ----------------------------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        disk: Disk,
        directory: str,
        *,
        options: Options,
        sync: Submitter,
        background: Submitter,
        random32: Callable[[], int],
        create: bool = True,
    ) -> RaftLog:
        """Open the log in `directory`, which exists and is locked by the caller.

        With `create` a new one is made when there is none; without, that is damage (pass false when a
        checkpoint exists: then a log existed). `sync` runs the syncs, `background` the preparing of files;
        both answer on the owner's thread. `random32()` gives 32 random bits. Raises `DamageError`,
        `FormatError` or `OSError`.
        """
        log = cls(disk, directory, options, sync, background, random32)
        numbers, spares, leftovers = recovery.names_of(disk, directory)
        for name in leftovers:
            disk.unlink(join(directory, name))
        log._vote = open_vote(disk, directory, create=create and not numbers)
        try:
            log._recover(recovery.read(disk, directory), spares)
        except BaseException:
            log._vote.close()
            raise
        return log

    def _recover(self, recovered: recovery.Recovered, spares: list[str]) -> None:
        segments = self._segments
        segments.inherit(spares)
        for piece in recovered.pieces:
            file = self._disk.open(piece.path)
            # What follows the last frame was prepared by a process that may have been killed before it was synced, or
            # seen its sync fail, after which no other sync helps: it is prepared again.
            capacity = max(self._options.segment, piece.size)
            segment = Segment(file, piece.frames, piece.number, piece.end, capacity)
            segment.low = piece.low
            segments.row.append(segment)
        recovery.repair(recovered, segments.row)
        if not recovered.pieces:
            segments.first()
        else:
            segments.at = recovered.at
            segments.offset = recovered.pieces[recovered.at].end
        self._sequence, self._crc = recovered.sequence, recovered.crc
        self._entries = recovered.entries
        self._mark = durable_mark.open_mark(self._disk, self.directory)
        if not self._entries:
            self._start_at(1, 0)
            return
        self.durable_index = self._handed = self._entries[-1][1]
        self._mark.move(
            durable_mark.Position(
                self._sequence, segments.current.number, segments.offset, self.durable_index
            )
        )
        # Nothing is prepared yet: the owner may find that this log does not fit its checkpoint, and refuse to start.

    def _start_at(self, index: int, term: int) -> None:
        """Begin with an empty entry, durable on return. Only before anything else runs."""
        data = pack_record(BASE, 0, index, term)
        head, self._crc = self._segments.current.frames.pack(self._sequence + 1, self._crc, data)
        self._segments.current.file.pwrite_sync(head + data, self._segments.offset)
        self._sequence += 1
        self._segments.offset += len(head) + len(data)
        self._segments.current.saw(index)
        self._entries = [(NO_OP, index, term)]
        self.durable_index = self._handed = index
        self._mark.move(
            durable_mark.Position(self._sequence, self._segments.current.number, self._segments.offset, index)
        )
        self._segments.prepare()

    # -- reading: what pysyncobj does with a journal ------------------------------------------------------

    @overload
    def __getitem__(self, item: int) -> Entry: ...
    @overload
    def __getitem__(self, item: slice) -> list[Entry]: ...
    def __getitem__(self, item: int | slice) -> Entry | list[Entry]:
        return self._entries[item]

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def first_index(self) -> int:
        """The index of the oldest entry that is kept."""
        return self._entries[0][1]

    @property
    def last_index(self) -> int:
        """The index of the newest entry, durable or not."""
        return self._entries[-1][1]

    def term_at(self, index: int) -> int | None:
        """Return the term of the entry at `index`; None when the log does not hold it."""
        position = index - self._entries[0][1]
        if 0 <= position < len(self._entries):
            return self._entries[position][2]
        return None

    # -- writing ------------------------------------------------------------------------------------------

    def add(self, command: bytes, idx: int, term: int) -> None:
        """Append an entry: `idx` follows the last one. It is in memory only until a flush is durable."""
        self._entries.append((command, idx, term))
        size = len(command)
        self._waiting.append(pack_record(ENTRY, size, idx, term))
        self._waiting.append(command)
        self._waiting_size += RECORD_SIZE + size

    def deleteEntriesFrom(self, entryFrom: int) -> None:
        """Remove the entry at position `entryFrom` (1 or more) and all after it."""
        if entryFrom < 1:
            raise ValueError("the base entry of a log cannot be removed")
        if entryFrom >= len(self._entries):
            return
        index = self._entries[entryFrom][1]
        del self._entries[entryFrom:]
        while self._waiting and (record := self._last_waiting()).kind == ENTRY and record.entry >= index:
            self._waiting_size -= RECORD_SIZE + len(self._waiting.pop())
            self._waiting.pop()
        if index <= self._handed:
            self._waiting += (pack_record(TRUNCATE, 0, index, 0), b"")
            self._waiting_size += RECORD_SIZE
            self._handed = index - 1
            self.durable_index = min(self.durable_index, index - 1)
            if self._flight is not None:
                self._flight.last = min(self._flight.last, index - 1)

    def _last_waiting(self) -> Record:
        head, payload = self._waiting[-2], self._waiting[-1]
        return next(parse_records(head + payload, 0, RECORD_SIZE + len(payload)))

    def deleteEntriesTo(self, entryTo: int) -> None:
        """Forget the entries before position `entryTo`: a durable checkpoint holds what they did."""
        if entryTo > 0:
            self.trim(self._entries[min(entryTo, len(self._entries) - 1)][1])

    def trim(self, index: int, most: int = sys.maxsize) -> bool:
        """Forget what a durable checkpoint at `index` makes needless, apart from `Options.keep` bytes.

        About `most` bytes at once, as giving memory back takes time; return whether there is more.
        """
        entries = self._entries
        if self._trimming[0] != index:
            self._trimming = (index, self._needless(index))
        position = self._trimming[1] - self.first_index
        some = last = 0
        while some < position and last < most:
            last += len(entries[some][0]) + ENTRY_BYTES
            some += 1
        if some > 0:
            del entries[:some]
        self._segments.drop_before(self.first_index)  # also where `reset` has made them needless
        if some < position:
            return True
        self._trimming = (0, 0)
        return False

    def _needless(self, index: int) -> int:
        """Return the index of the first entry that stays when a checkpoint at `index` is durable."""
        entries = self._entries
        position = min(index, self.durable_index) - self.first_index
        kept = 0 if self.renewed_behind is None or not self.worn else sys.maxsize
        while position > 0 and kept + len(entries[position][0]) <= self._options.keep:
            kept += len(entries[position][0])
            position -= 1
        return self.first_index + max(position, 0)

    def renew(self, index: int) -> None:
        """Keep no file that holds entries up to `index`, once they are needless, and use none of them again.

        `renewed_behind` tells when that is so for what comes. From then on, until `worn` is false, no entry that a
        checkpoint made needless is kept for replicas that lag.
        """
        self._renewing, self.renewed_behind = index, None
        self._try_to_renew()

    def _try_to_renew(self) -> None:
        index = self._renewing
        if index is None or self._handed < index or self._flight is not None or self.failure is not None:
            return
        if self._retry_sync:
            return  # what waits must be written once more at the same place: it may be there already
        self._renewing = None  # first: a worker that does at once what it is told asks again within this
        if self._segments.renew():
            self.renewed_behind = self.last_index
        else:
            self._renewing = index

    @property
    def worn(self) -> bool:
        """Files of before `renew` are still part of the log."""
        return self._renewing is not None or self._segments.row[0].number <= self._segments.tainted

    def remains(self) -> list[str]:
        """Return the names of files of before `renew` that are there. A job of the background worker."""
        return self._segments.remains()

    def reset(self, index: int, term: int) -> None:
        """Replace the whole log by an empty entry: a durable checkpoint at `index` came from elsewhere."""
        self._waiting = [pack_record(BASE, 0, index, term), b""]
        self._waiting_size = RECORD_SIZE
        self._entries = [(NO_OP, index, term)]
        self._handed = self.durable_index = index
        if self._flight is not None:
            self._flight.last = min(self._flight.last, index)

    def clear(self) -> None:
        """Not part of what this journal does: `reset` names what the log continues from."""
        raise NotImplementedError("use reset(index, term)")

    # -- making durable -----------------------------------------------------------------------------------

    def flush(self) -> None:
        """Start to make durable what gathered, unless a sync is under way (its end flushes the rest)."""
        if self._flight is not None or not self._waiting or self.failure is not None or self._retry_sync:
            return
        flight = self._take_placed()
        if flight is None:
            return
        self._flight = flight
        segment, offset = self._segments.current, self._segments.offset
        sequence, previous = self._sequence + 1, self._crc
        data = b"".join(flight.pieces)
        head, flight.crc = segment.frames.pack(sequence, previous, data)
        flight.mark = durable_mark.Position(sequence, segment.number, flight.end, flight.last)
        self._sync.submit(SyncedWrite(segment.file, head + data, offset), self._written)

    def _take_placed(self) -> _Flight | None:
        # Asking for room may be answered at once (by `Inline`): take again then, never within the first
        # taking.
        if self._taking:
            return None
        self._taking = self._room_came = True
        flight = None
        while flight is None and self._room_came:
            self._room_came = False
            flight = self._take()
        self._taking = False
        return flight

    def _take(self) -> _Flight | None:
        """Take as much of what waits as the prepared blocks hold; None if not even the first record fits."""
        segments = self._segments
        pieces, size = self._waiting, self._waiting_size
        if segments.free()[0] >= segments.current.frames.size + size:
            self._waiting, self._waiting_size = [], 0
            last = self.last_index
        else:
            pieces, size, last = self._take_some()
            if not pieces:
                return None
        self._handed = last
        self._note_low(pieces)
        return _Flight(pieces, size, last, segments.offset + segments.current.frames.size + size)

    def _take_some(self) -> tuple[list[bytes], int, int]:
        waiting = self._waiting
        segments = self._segments
        if not segments.place(RECORD_SIZE + len(waiting[1])):
            return [], 0, 0
        room = segments.free()[0] - segments.current.frames.size
        size = count = 0
        while count < len(waiting) and size + RECORD_SIZE + len(waiting[count + 1]) <= room:
            size += RECORD_SIZE + len(waiting[count + 1])
            count += 2
        pieces, self._waiting = waiting[:count], waiting[count:]
        self._waiting_size -= size
        return pieces, size, min(map(_last_after, pieces[-2:-1] + self._removing()))

    def _removing(self) -> list[bytes]:
        """Return the heads of what waits and removes entries: those are not made durable by what was taken before."""
        return [head for head in self._waiting[::2] if head[0] != ENTRY]

    def _note_low(self, pieces: list[bytes]) -> None:
        # Indexes rise from record to record, except at a TRUNCATE, which is always the first of its run.
        current = self._segments.current
        for position in range(0, len(pieces), 2):
            if position == 0 or pieces[position][0] != ENTRY:
                current.saw(int.from_bytes(pieces[position][8:16], "little"))

    def _written(self, _: None, error: BaseException | None) -> None:
        flight, self._flight = self._flight, None
        assert flight is not None
        if self._closed:
            return
        if error is not None:
            self._not_written(flight, error)
            return
        self._mark.move(flight.mark)
        self._sequence += 1
        self._crc = flight.crc
        self.written += flight.end - self._segments.offset
        self._segments.offset = flight.end
        self.syncs += 1
        if flight.last > self.durable_index:
            self.durable_index = flight.last
        self._try_to_renew()
        self.on_durable()
        if self._segments.free()[0] < self._options.ahead:
            self._segments.prepare()

    def _not_written(self, flight: _Flight, error: BaseException) -> None:
        if not (isinstance(error, OSError) and error.errno in NO_SPACE_ERRNOS):
            self._fail(error)
            return
        # A file system that allocates on overwriting is full. Nobody was told of this frame, and the whole
        # of it will be written again at the same place, so trying once more is sound (syncing again alone
        # is not).
        self._waiting[:0] = flight.pieces
        self._waiting_size += flight.size
        self._retry_sync = True
        self._segments.full = Full(self.directory, 0, error.strerror or str(error))
        self.on_room()

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
            self.on_failure(error)

    # -- room -----------------------------------------------------------------------------------------------

    @property
    def full(self) -> Full | None:
        """Why the disk takes no more; None when it does. Nothing should be proposed while it is set."""
        return self._segments.full

    def has_room(self, size: int) -> bool:
        """Tell whether an entry of `size` bytes finds prepared blocks; if not, have them prepared.

        `Options.spare` bytes stay prepared behind it, so that on a full disk there is still room for what makes space
        (see `proposer`). While the disk is full these count as room, and no more are asked for: `retry` does that.
        """
        need = self._waiting_size + FRAME_SIZE + RECORD_SIZE + size
        here, following = self._segments.free()
        if self._flight is not None:
            here -= FRAME_SIZE + self._flight.size
        spare = 0 if self.full is not None else self._spare
        if here >= need:
            rest = here - need + following
        elif following >= need:
            rest = following - need
        else:
            rest = -1
        if rest >= spare:
            return True
        if self.full is None:
            self._segments.prepare(need + spare)
        return False

    @property
    def _spare(self) -> int:
        options = self._options
        return min(options.spare, options.segment // 4, options.ahead // 2)

    def retry(self) -> None:
        """Try again after the disk was full. Call it from time to time (about once a second)."""
        self._segments.retry()
        if self._retry_sync:
            self._retry_sync = False
            self.flush()

    def _room_changed(self) -> None:
        self._try_to_renew()
        self._room_came = self.full is None
        self.flush()
        self.on_room()

    # -- term, vote and the rest of the journal's interface ----------------------------------------------

    def setCurrentTerm(self, term: int, votedForNodeId: str | None) -> None:
        """Make term and vote durable before returning. A disk that cannot is a failure; raises `OSError`."""
        try:
            self._vote.store(term, votedForNodeId)
        except OSError as error:
            self._fail(error)
            raise

    def getCurrentTerm(self) -> int:
        """Return the durable term."""
        return self._vote.current.term

    def getVotedForNodeId(self) -> str | None:
        """Return the durable vote of the current term."""
        return self._vote.current.node

    def setRaftCommitIndex(self, raftCommitIndex: int) -> None:
        """Forgotten on purpose: commit is learnt again from the leader; a hint may not outrun durability."""

    def getRaftCommitIndex(self) -> int:
        """Return the lowest index that is certainly committed: where the log begins."""
        return self.first_index

    def onOneSecondTimer(self) -> None:
        """Nothing waits for a timer here."""

    @property
    def syncing(self) -> bool:
        """A frame is on its way to the disk."""
        return self._flight is not None

    @property
    def size(self) -> int:
        """Bytes of the log's files."""
        return self._segments.size()

    def _destroy(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the files. What was not flushed is lost, a sync under way is not waited for. Idempotent."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._segments.close()
        self._mark.close()
        self._vote.close()

    def __repr__(self) -> str:
        return f"<RaftLog {self.first_index}..{self.last_index}, durable to {self.durable_index}>"


def _last_after(head: bytes) -> int:
    """Return the last entry of a log whose last record begins with `head`."""
    return int.from_bytes(head[8:16], "little") - (head[0] == TRUNCATE)


def _nothing(*_: Any) -> None:
    pass
