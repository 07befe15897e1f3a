"""Another member's checkpoint, fetched piece by piece, checked, and put in the place of the own one.

    incoming = Incoming(disk, directory, checkpointer, background, lambda: node.machine, changed=go_on)
    incoming.begin(offer, "the leader's id")      # what `Outgoing.offer` gave there
    wanted = incoming.wanted()                    # (file, offset, size): ask for it, one at a time
    incoming.take(file, offset, data)             # the answer, also when it is None
    for _ in incoming.finish(load): ...           # once `complete`: it is loaded, then it is the node's own checkpoint

`changed()` is called whenever `wanted`, `complete`, `gone` or `failure` may say something new. Nothing here blocks:
writing, syncing and checking are jobs of the background worker.

**Only what is missing is fetched.** Committed history is the same everywhere. A member that has the revs up to R keeps
its own files and fetches those of the other's that go beyond R:

    own   base-4 (at 1500)  commits-2 [901..1800]  commits-5 [1801..2400]                     R = 2400
    other                   commits-1 [1..2000]    commits-2 [2001..3100]   commits-3 [3101..4000]
    new   base-4 (at 1500)  commits-2 [901..1800]  commits-5 [1801..2400]
                            commits-2-x [2001..3100]  commits-3-x [3101..4000]     2001 to 2400 are skipped in loading

Only where the other's history does not reach back to R (its floor has risen), or values were redacted since the own
checkpoint, all its files are fetched, but for those that are here already, from an earlier fetch. In both cases the
files of an offer that was let go serve the next one.

**Nothing counts unchecked.** Every block has a checksum, and the manifest one over all of each file's; they are
compared as the pieces come. What is wrong is asked for again from where it went wrong, a few times. After a restart
the files are read again from their beginning. And the newest commit that this member applied must be among the other's:
one that would have to give up what it told its clients stops instead.

**When to do what.** Checksums only say that the files are what the sender meant. So `finish` loads the new checkpoint
first (`load`, by `Checkpointer.load_steps`), and only what could be loaded replaces the manifest: what a sender made up
never keeps this node from starting. The manifest is replaced by one rename: a crash leaves the old checkpoint or the
new one. After it: `engine.installed(index, term, members)`, which resets the log. In this order a crash in between is
sound: the next start loads the new checkpoint and finds a log that ends before it or has another term there, and
`Engine` resets it. The other way round the log would continue a checkpoint that is not on disk. Between the beginning
of `finish` and the reset nothing may be applied.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any, Final

from visord.state.exporting import export_commits
from visord.state.machine import Machine
from visord.storage import manifest as manifests
from visord.storage import pending
from visord.storage.checkpoint import Checkpointer, Hold
from visord.storage.directory import DataDirectory
from visord.storage.disk import Disk, join
from visord.storage.errors import DamageError, FormatError
from visord.storage.fetched import MORE, WHOLE, WRONG, DifferentError, Fetched, Newest, OfferError
from visord.storage.loading import wait_for
from visord.storage.manifest import Manifest
from visord.storage.outgoing import CHUNK, FORMAT
from visord.storage.pending import PendingFetch
from visord.storage.segments import BASE, COMMITS, Part
from visord.storage.worker import Job, Submitter

logger = logging.getLogger("visord.storage")

NO_OFFER: Final = "this is no offer of a checkpoint"
MARGIN: Final = 64 << 20
"""Bytes of free disk that must be there beyond what is fetched."""
MOST_OFFERED: Final = manifests.MANIFEST_BYTES // 2
"""Bytes of an offered manifest: with the own files in it, it must still be one that a start reads."""


class _Asked:
    """How far one file was asked for."""

    __slots__ = ("file", "found", "misled", "upto")

    def __init__(self, file: Fetched) -> None:
        self.file = file
        self.upto = -1
        """Where the next piece begins; -1 while it is not known what is here already."""
        self.misled = False
        """A piece was wrong: what was taken behind it does not count."""
        self.found = MORE


class Incoming:
    """See the module. `machine()` gives the node's machine, which lags.

    In bytes: `chunk` is asked for at once, `margin` of free disk is left to others.
    """

    def __init__(
        self,
        disk: Disk,
        directory: DataDirectory,
        checkpointer: Checkpointer,
        background: Submitter,
        machine: Callable[[], Machine],
        *,
        changed: Callable[[], None] = lambda: None,
        chunk: int = CHUNK,
        margin: int = MARGIN,
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._checkpointer = checkpointer
        self._background = background
        self._machine = machine
        self._changed = changed
        self._chunk = chunk
        self._margin = margin
        self._pending: PendingFetch | None = pending.read(disk, directory.path)
        """What is being fetched, or was by the process before."""
        self._files: dict[str, _Asked] = {}
        """By the sender's name."""
        self._reused: dict[str, Part] = {}
        """Parts of the offer that are here already, by the sender's name."""
        self._hold: Hold | None = None
        self._jobs = 0
        self._generation = 0
        """Jobs of an earlier `begin` must not be heard any more."""
        self.offer = ""
        """The id of the offer: what the sender is told. Empty while nothing is fetched."""
        self.gone = False
        """The sender has let the offer go: get a new one and `begin` again."""
        self.failure: Exception | None = None
        """Why fetching ended: an `OSError` (a full disk: all it fetched was removed) or a `StorageError`."""
        self.received = 0
        """Bytes that were taken since the start."""

    # -- state ------------------------------------------------------------------------------------------

    @property
    def active(self) -> bool:
        """Something is being fetched, or is complete and waits for `finish`."""
        return bool(self.offer)

    @property
    def complete(self) -> bool:
        """All files are here, checked and durable."""
        return self.active and not self._jobs and all(asked.found == WHOLE for asked in self._files.values())

    @property
    def index(self) -> int:
        """The log index of the checkpoint that is fetched, 0 for none."""
        return self._pending.manifest.index if self._pending is not None and self.offer else 0

    def progress(self) -> tuple[int, int]:
        """Return (bytes that are here and checked, bytes of all files that are fetched)."""
        files = [asked.file for asked in self._files.values()]
        return sum(file.checked for file in files), sum(file.part.size for file in files)

    # -- fetching ---------------------------------------------------------------------------------------

    def begin(self, offer: Any, source: str) -> bool:
        """Begin with an offer of the member `source`, or go on with what is here of an earlier one.

        False: this member has as much as that. Raises `OfferError` for anything that is no usable offer,
        `FormatError` when a later version made it, `DifferentError`, `OSError` when the disk has no room for it.
        """
        name, manifest, encoded = _read_offer(offer, self._directory.cluster)
        own, machine = self._checkpointer.manifest, self._machine()
        if manifest.index <= max(own.index, machine.index):
            return False
        if manifest.rev < machine.store.rev:
            raise DifferentError(source, machine.store.rev)
        self._stop()
        before, used = self._pending, self._used()
        old = before.names() if before is not None else set[str]()
        if before is not None and before.tag <= used:
            before = None  # those names may be in use
        tag = max(manifest.index, used + 1) if before is None else before.tag
        now = self._pending = PendingFetch(source, tag, manifest, encoded)
        self.offer = name
        same_values = machine.store.redacted.count == manifest.redacted
        self._choose(now, Newest(_newest(machine), same_values))
        names = {asked.file.part.name for asked in self._files.values()}
        self._hold = self._checkpointer.hold(names | {part.name for part in self._reused.values()})
        self._check_room()
        same = before is not None and before.source == source
        self._submit(partial(self._note, now, old - names), lambda result: None)
        for asked in self._files.values():
            self._submit(partial(asked.file.verify, same), partial(self._verified, asked))
        return True

    def _used(self) -> int:
        """Return the highest tag of a file that somebody needs: what is fetched next must have no such name."""
        return max(map(pending.tag_of, self._checkpointer.names), default=0)

    def _choose(self, now: PendingFetch, newest: Newest) -> None:
        """Decide which files of the offer are fetched, and under which names."""
        own = self._checkpointer.manifest
        there = {part[1:]: part for part in own.files()}
        follows = _follows(own, now.manifest)
        for part in now.manifest.files():
            if follows and (part.kind == BASE or (part.kind == COMMITS and part.last <= own.rev)):
                continue
            if part[1:] in there:
                self._reused[part.name] = there[part[1:]]
            else:
                local = now.local(part)
                path = join(self._directory.history, local.name)
                self._files[part.name] = _Asked(Fetched(self._disk, local, path, now.source, newest))

    def _check_room(self) -> None:
        files = [asked.file for asked in self._files.values()]
        needed = sum(max(0, file.part.size - file.size()) for file in files)
        free = self._disk.free(self._directory.history)
        if needed + self._margin > free:
            error = OSError(
                errno.ENOSPC, f"{needed} bytes are to be fetched, {free} are free", self._directory.path
            )
            self._fail(error)
            raise error

    def wanted(self) -> tuple[str, int, int] | None:
        """Return the next (file, offset, size) to ask for; None when there is nothing, or nothing now.

        It stays the same until `take`: the room that has asked waits for the answer, or asks again when it was lost.
        """
        if self.gone or self._jobs > 1:
            return None
        for name, asked in self._files.items():
            size = asked.file.part.size
            if asked.upto < 0 or asked.misled:
                return None
            if asked.upto < size:
                return name, asked.upto, min(self._chunk, size - asked.upto)
        return None

    def take(self, name: str, offset: int, data: Any) -> None:
        """Take the answer to what was wanted: bytes, or None, when the sender does not have them any more.

        What is not wanted now is dropped: the answer may belong to an earlier offer.
        """
        wanted = self.wanted()
        if wanted is None or wanted[:2] != (name, offset):
            return
        if data is None:
            self.gone = True
            self._changed()
            return
        asked, size = self._files[name], wanted[2]
        if type(data) is not bytes or len(data) != size:
            data = b""  # which is seen as wrong
        asked.upto += size
        self.received += len(data)
        self._submit(partial(asked.file.write, offset, data), partial(self._written, asked))

    # -- jobs, and what becomes of them -----------------------------------------------------------------

    def _submit(self, job: Job, done: Callable[[Any], None]) -> None:
        generation = self._generation

        def guarded() -> Any:
            return job() if generation == self._generation else None

        def answered(result: Any, error: BaseException | None) -> None:
            if generation != self._generation:
                return
            self._jobs -= 1
            if isinstance(error, Exception):
                self._fail(error)
            else:
                done(result)
            self._changed()

        self._jobs += 1
        self._background.submit(guarded, answered)

    def _verified(self, asked: _Asked, found: int) -> None:
        asked.found = found
        asked.upto = asked.file.end

    def _written(self, asked: _Asked, found: int) -> None:
        asked.found = found
        asked.misled |= found == WRONG
        if asked.misled and not self._jobs:  # nobody writes: from there once more
            asked.misled = False
            asked.upto = asked.file.end

    def _note(self, now: PendingFetch, needless: set[str]) -> None:
        """Write down what is fetched; remove files of the offer before that this one has no use for."""
        pending.write(self._disk, self._directory.path, now)
        self._remove(needless)

    def _tidy(self, names: set[str]) -> None:
        pending.remove(self._disk, self._directory.path)
        self._remove(names)

    def _remove(self, names: set[str]) -> None:
        keep = {part.name for part in self._checkpointer.manifest.files()}
        for name in sorted(names - keep):
            with contextlib.suppress(FileNotFoundError):
                self._disk.unlink(join(self._directory.history, name))

    def _fail(self, error: Exception) -> None:
        source = self._pending.source if self._pending is not None else "nobody"
        logger.error("fetching a checkpoint from %s ended: %s", source, error)
        self.abandon()
        self.failure = error

    def _stop(self) -> None:
        """Forget the offer; its files stay for the next one."""
        self._generation += 1
        self._jobs = 0
        self._files, self._reused = {}, {}
        if self._hold is not None:
            self._hold.release()
        self._hold = None
        self.offer, self.gone, self.failure = "", False, None

    def abandon_before(self, index: int) -> None:
        """Give up what is of before the entry `index`, also what the process before has left of it."""
        if self._pending is not None and self._pending.manifest.index < index:
            self.abandon()

    def abandon(self) -> None:
        """Give up, and give back the space."""
        names = set() if self._pending is None else self._pending.names()
        self._stop()
        self._pending = None
        # What cannot be removed now is swept at the next start.
        self._background.submit(partial(self._tidy, names), lambda result, error: None)

    # -- the end ----------------------------------------------------------------------------------------

    def finish(self, load: Callable[[Manifest], Iterator[None]]) -> Generator[None, None, bool]:
        """Load what was fetched with `load`, in steps, then make it the node's checkpoint.

        Returns false when the own one has become as new meanwhile. Raises what `load` does, and `OSError`: the old
        checkpoint is valid, and `finish` may be tried again; or `StorageError`: the node has to stop. What comes next:
        see the module.
        """
        if not self.complete or self._pending is None:
            raise RuntimeError("not everything is here")
        theirs, names = self._pending.manifest, self._pending.names()
        yield from wait_for(self._background, lambda: self._disk.sync_dir(self._directory.history))
        done = yield from self._checkpointer.replace(partial(self._compose, theirs), load)
        self._stop()
        self._pending = None
        with contextlib.suppress(OSError):  # then it is done at the next start
            yield from wait_for(self._background, partial(self._tidy, names))
        return done

    def _compose(self, theirs: Manifest, own: Manifest) -> Manifest | None:
        if own.index >= theirs.index:
            return None
        here = {name: asked.file.part for name, asked in self._files.items()} | self._reused
        parts = tuple(here[part.name] for part in theirs.parts if part.name in here)
        rows = None if theirs.rows is None else here[theirs.rows.name]
        number = max(own.number, theirs.number)
        if not _follows(own, theirs):
            base = None if theirs.base is None else here[theirs.base.name]
            return dataclasses.replace(theirs, number=number, base=base, parts=parts, rows=rows)
        return dataclasses.replace(
            theirs,
            number=number,
            rows=rows,
            base=own.base,
            base_rev=own.base_rev,
            base_time=own.base_time,
            parts=(*own.parts, *(part for part in parts if part.last > own.rev)),
        )


def _follows(own: Manifest, theirs: Manifest) -> bool:
    """Tell whether the other's commits go on from the own ones."""
    same = own.redacted == theirs.redacted  # else what they have in common is not the same any more
    return same and own.rev > 0 and theirs.base_rev <= own.rev <= theirs.rev


def _newest(machine: Machine) -> list[Any] | None:
    """Return the row of the newest commit, None where it is not known (an empty store, or a base)."""
    store = machine.store
    return export_commits(store, store.rev, store.rev)[0] if store.rev > store.cut else None


def _read_offer(offer: Any, cluster: str) -> tuple[str, Manifest, bytes]:
    """Return (id, manifest, its bytes) of an offer of this cluster. Raises `OfferError` or `FormatError`."""
    if type(offer) is not list or not offer or type(offer[0]) is not int:
        raise OfferError(NO_OFFER)
    if offer[0] != FORMAT:
        raise FormatError(f"an offer has format {offer[0]}, this version of visord knows {FORMAT}")
    if len(offer) == 3 and type(offer[2]) is bytes and len(offer[2]) > MOST_OFFERED:
        raise OfferError(f"a manifest of {len(offer[2])} bytes is offered, at most {MOST_OFFERED} are taken")
    if len(offer) != 3 or type(offer[1]) is not str or not offer[1] or type(offer[2]) is not bytes:
        raise OfferError(NO_OFFER)
    try:
        manifest = manifests.decode_foreign(offer[2], "the offered manifest")
    except DamageError as error:
        raise OfferError(str(error)) from error
    if manifest.cluster != cluster:
        raise OfferError(f"the offer is of cluster {manifest.cluster}, this node belongs to {cluster}")
    names = {part.name for part in manifest.files()}
    if manifest.index <= 0 or len(names) < len(manifest.files()):
        raise OfferError("the offer is of no checkpoint")
    return offer[1], manifest, offer[2]
