"""Checkpoints: what a node has on disk of its state, at one log index.

History is the database: the commits since the last checkpoint are appended to history files, then a new
manifest takes the place of the old one. So a checkpoint costs what changed since the last, and a start
reads the history and then the log's tail.

    checkpointer = Checkpointer(disk, directory, worker)
    checkpointer.load(machine)                      # at the start
    for _ in checkpointer.steps(machine): ...       # each step takes about a millisecond; the loop runs in between

A step packs one block of rows; writing and syncing happen on the worker. Everything that is captured is
fixed when the first step runs (index, term, rev, tables, members) or immutable (the commits up to that rev, the
files at the floor). While steps are taken the store must not be trimmed; its floor may rise.

A failure (disk full, a failing disk) leaves the last checkpoint valid and raises `OSError`; a later attempt
starts anew. Stopping in the middle is the same.

Another member's checkpoint may take the place of the own one (`replace`; `incoming.py` says when), and others may
fetch the own one: `hold` keeps the files that they read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Final

from visord.progress import Tell, untold
from visord.state.exporting import export_base, export_columns
from visord.state.keyframe import PORTABLE, Keyframe
from visord.state.machine import Machine
from visord.state.spilling import spill
from visord.state.store import Store
from visord.state.tables import Export
from visord.storage import loading, pending
from visord.storage import manifest as manifests
from visord.storage.compaction import Again, Compaction, dirty_of, plan, without
from visord.storage.directory import DataDirectory
from visord.storage.disk import Disk, join, read_all
from visord.storage.errors import NO_SPACE_ERRNOS, DamageError, FormatError, StorageError
from visord.storage.loading import wait_for
from visord.storage.manifest import Manifest
from visord.storage.past_reader import Kept, PastReader
from visord.storage.segments import (
    BASE,
    COMMITS,
    KEYFRAME,
    TABLES,
    BlockEncoder,
    Part,
    new_part,
    pack_commits,
    pack_rows,
    part_name,
)
from visord.storage.worker import Submitter
from visord.storage.writer import PartWriter

logger = logging.getLogger("visord.storage")

BLOCK: Final = 128 * 1024
"""Bytes of a block of rows, about, and what one step packs (one larger row or commit fills a block alone)."""
SEGMENT: Final = 64 << 20
"""Bytes at which a history file is full and the next one begins."""
COMMITS_OF_BLOCK: Final = 128
"""Commits of a block, at most: who wants one value of the past reads and decodes its block."""
COMMITS_BYTES: Final = 16 * 1024
"""Bytes of values of a block of commits, about."""
BLOCKS: Final = 8
"""Blocks of commits that one step packs, at most."""
CACHE: Final = 64 << 20
"""Bytes of history that are kept at hand."""
ROWS: Final = 256
"""Rows of a block, at most."""
KEYFRAME_COMMITS: Final = 250_000
"""Commits behind the last keyframe that a start may have to read: about a second. Or half as many as there are files,
where that is more, as these are what a keyframe costs."""
FORGET: Final = 8192
"""Versions that were kept at hand for a checkpoint and are let go in one step."""
BUSY: Final = 50_000
"""Commits that came while a checkpoint was written, from which on a keyframe waits for a quieter time..."""
RARELY: Final = 64
"""...until so many times as many commits as make one due are behind the last."""
SPILL: Final = 768
"""Files that are looked at, and versions that are let go as they are on disk, in one step."""
ATTEMPTS: Final = 4
"""How often a base is begun in one checkpoint when the store gives it up; the last time without, if that can be."""
NEVER: Final = 1 << 62
"""More than any dead file: no base for its own sake."""


class _FloorMoved(Exception):  # noqa: N818
    """The store does not give the files at the base's rev any more."""


class _Redacted(Exception):  # noqa: N818
    """Values were taken out while the checkpoint was made, which may hold some of them."""


class _DoubtError(OSError):
    """The manifest has its name, but perhaps not for good."""


class Hold:
    """Files that stay on disk although no checkpoint needs them. `names` may be changed at any time."""

    __slots__ = ("_holds", "_released", "names")

    def __init__(self, names: Iterable[str], holds: list[Hold], released: Callable[[], None]) -> None:
        self.names = set(names)
        self._holds = holds
        self._released = released
        holds.append(self)

    def release(self) -> None:
        """Let them go. Idempotent."""
        if self in self._holds:
            self._holds.remove(self)
            self._released()


class Checkpointer:
    """Makes and loads the checkpoints of one data directory.

    `config()` gives the members as of the last applied entry, as the engine encodes them, or None.
    """

    def __init__(
        self,
        disk: Disk,
        directory: DataDirectory,
        background: Submitter,
        *,
        segment_bytes: int = SEGMENT,
        cache_bytes: int = CACHE,
        config: Callable[[], bytes | None] = lambda: None,
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._path = directory.path
        self._history = directory.history
        self._background = background
        self._segment_bytes = segment_bytes
        self._config = config
        self._doomed: dict[str, int] = {}
        """Files, with their sizes, that the newest manifest does not name, which may not be durable yet."""
        self._garbage: dict[str, int] = {}
        """Files that no durable manifest names."""
        self._holds: list[Hold] = []
        self._readers: weakref.WeakSet[PastReader] = weakref.WeakSet()
        """Those of the stores that read from here: the node's, and one that is being loaded."""
        self.kept = Kept(cache_bytes)
        self.keyframe_commits = KEYFRAME_COMMITS
        self.last = False
        """The node stops after the next one: nothing is done for later."""
        self.running = False
        """A checkpoint is being made, or replaced."""
        self.manifest = Manifest(directory.cluster)
        """The newest checkpoint, without its tables."""
        self.encoded = b""
        """Its manifest as it is on disk."""
        self.index = 0
        """The log index up to which the newest durable checkpoint holds everything."""
        self.written = 0
        """Bytes of history that checkpoints wrote since the start."""

    @property
    def config(self) -> bytes | None:
        """The members of the cluster as of the newest checkpoint's index; None when it does not tell."""
        return self.manifest.config

    # -- loading ----------------------------------------------------------------------------------------

    def load(self, machine: Machine, tell: Tell = untold) -> None:
        """Load the checkpoint, if there is one, into a new machine; `tell` hears how far that is, in bytes.

        Everything is verified. Raises `DamageError`, `FormatError` or `IdentityError`; the machine is of no
        use then.
        """
        found = manifests.read(self._disk, self._path, self.manifest.cluster)
        if found is None:
            return
        self._take_over(
            found, read_all(self._disk, join(self._path, manifests.NAME), manifests.MANIFEST_BYTES)
        )
        try:
            machine.store.past_values = self._reader(found)
            loading.load(self._disk, self._directory, found, machine, tell)
        except (DamageError, FormatError, OSError) as error:
            if found.keyframe is None:
                raise
            logger.warning("without its keyframe, a start takes longer: %s", error)
            machine.become(Machine(machine.store.limits))
            machine.store.past_values = self._reader(found)
            loading.load(
                self._disk, self._directory, dataclasses.replace(found, keyframe=None), machine, tell
            )
            self._take_over(dataclasses.replace(found, keyframe=None), self.encoded)
        self.index = found.index

    def load_steps(self, manifest: Manifest, machine: Machine) -> Iterator[None]:
        """Bring a machine to a checkpoint, in steps of about a millisecond; raises like `load`, and `OSError`.

        The files of the checkpoint are here, the manifest has its tables. The machine is a new one, which takes the
        place of the node's when this is through, or the node's own where `loading.reaches` says so: that one goes on
        answering, has all new commits, and meanwhile nothing may be applied to it and no checkpoint made of it.
        """
        if machine.store.rev == 0:
            machine.store.past_values = self._reader(manifest)
        yield from loading.steps(self._disk, self._directory, manifest, machine, self._background)

    def _reader(self, manifest: Manifest) -> PastReader:
        reader = PastReader(self._disk, self._history, manifest, self.kept)
        self._readers.add(reader)
        return reader

    def sweep(self) -> None:
        """Remove what checkpoints left, own and fetched ones, that were not finished and cannot be gone on with.

        Only once it is sure that the log continues what was loaded: where a manifest is lost, the files it named are
        all that a rescue could start from.
        """
        kept = self._known()
        note = pending.read(self._disk, self._path)
        if note is not None and note.manifest.index > self.index:
            kept |= note.names()
        else:
            pending.remove(self._disk, self._path)
        self._sweep(kept)

    def _sweep(self, kept: set[str]) -> None:
        for name in self._disk.listdir(self._history):
            if name not in kept:
                self._disk.unlink(join(self._history, name))

    def cleaner(self) -> Callable[[], bool]:
        """Return a job for the worker: remove what nobody needs, and tell whether nothing of that is left.

        Only while no checkpoint is made or fetched.
        """
        names, parts, certain = self._known(), self.manifest.files(), not self._doomed

        def clean() -> bool:
            self._sweep(names)
            for (
                part
            ) in parts:  # what an unfinished checkpoint wrote behind the end is in no other's way, and stays
                self._cut(part)
            self._disk.sync_dir(self._history)  # a power cut must not bring back what is said to be gone
            return certain and names.issuperset(self._disk.listdir(self._history))

        return clean

    @property
    def names(self) -> set[str]:
        """The names of all files of `history/` that a checkpoint, or whoever holds them, needs, or just let go of."""
        return self._known().union(self._garbage)

    def _known(self) -> set[str]:
        names = {part.name for part in self.manifest.files()}
        return names.union(self._doomed, *(hold.names for hold in self._holds))

    # -- files that others read -------------------------------------------------------------------------

    def hold(self, names: Iterable[str]) -> Hold:
        """Keep these files of `history/` until the hold is released."""
        return Hold(names, self._holds, self._drop_garbage)

    @property
    def held_bytes(self) -> int:
        """Bytes on disk that no checkpoint needs and that are only held."""
        return sum(self._garbage.values())

    # -- making -----------------------------------------------------------------------------------------

    def steps(self, machine: Machine) -> Iterator[None]:
        """Make a checkpoint of the machine as it is at the first step. Raises `OSError` when it fails."""
        if self.running:
            raise RuntimeError("a checkpoint is being made already")
        self.running = True
        try:
            if machine.index > self.index or self.starts_slowly(machine.store):
                yield from self._make(machine)
        finally:
            self.running = False

    def starts_slowly(self, store: Store) -> bool:
        """Tell whether a start has to read so many commits that a keyframe would be worth its cost.

        A checkpoint under load leaves it out: one is due as soon as there is less to do, even when nothing is new.
        """
        return PORTABLE and self._behind_keyframe(self.manifest) >= self._keyframe_due(store)

    def _behind_keyframe(self, manifest: Manifest) -> int:
        """Return how many commits of a checkpoint with the files of this one the next start would have to read."""
        keyframe = manifest.keyframe
        return manifest.rev - max(manifest.base_rev, keyframe.last if keyframe is not None else 0)

    def _keyframe_due(self, store: Store) -> int:
        return max(self.keyframe_commits, len(store.files) // 2)

    def replace(
        self, make: Callable[[Manifest], Manifest | None], prove: Callable[[Manifest], Iterator[None]]
    ) -> Generator[None, None, bool]:
        """Put another checkpoint in the place of the newest one, whose files are durable in `history/` already.

        `make(newest)` is called once no checkpoint is being made; None: there is nothing to be replaced any
        more, and false is returned. Then `prove(new)` loads it: what raises there does so at every start as well, so
        it must not get the name, and the old one stays. All room is taken before. Raises what `prove` does; `OSError`:
        then the old one is valid; and `StorageError` when that is not sure, so that the node has to stop (the next
        start will know).
        """
        while self.running:
            yield
        self.running = True
        try:
            new = make(self.manifest)
            if new is None:
                return False
            data = manifests.encode(new)
            yield from wait_for(self._background, lambda: manifests.prepare(self._disk, self._path, data))
            try:
                yield from prove(new)
            except Exception:
                with contextlib.suppress(OSError):
                    yield from wait_for(self._background, lambda: manifests.discard(self._disk, self._path))
                raise
            yield from self._publish(new, data, lambda: manifests.place(self._disk, self._path))
            return True
        except _DoubtError as error:
            raise _in_doubt(error) from error
        finally:
            self.running = False

    def _make(self, machine: Machine) -> Generator[None, None, None]:
        for attempt in range(ATTEMPTS):
            try:
                yield from self._attempt(machine, base=attempt < ATTEMPTS - 1)
            except (_FloorMoved, _Redacted):
                self._begin_to_clean()
                continue
            except OSError:
                self._begin_to_clean()
                raise
            return
        raise OSError(errno.EAGAIN, "the floor rose, or values were redacted, while the files were written")

    def _attempt(self, machine: Machine, *, base: bool) -> Generator[None, None, None]:
        store, old = machine.store, self.manifest
        fresh, marks, published = store.redacted.take_fresh(), list(store.redacted.marks), False
        try:
            new, data = yield from self._write_files(machine, fresh, base=base)
            published = True  # from here on they are on disk as the manifest says, whoever hears of it
            yield from self._publish(new, data, lambda: manifests.write(self._disk, self._path, data))
        except OSError:
            published = False
            raise
        finally:
            if not published:
                store.redacted.fresh[:0] = fresh
        self.written += sum(part.size for part in new.files()) - _shared(old, new)
        for mark in marks:  # what stands on disk now
            store.redacted.marks.pop(mark, None)
        while not self.last and store.history.drop_recent(new.rev, FORGET):
            yield
        if not self.last:
            yield from self._spill(store, new)

    def _spill(self, store: Store, new: Manifest) -> Iterator[None]:
        """Let go of the values that can be read from disk from now on."""
        if store.past_values is None:
            store.past_values = self._reader(new)
        self._background.submit(store.past_values.look_through, lambda result, error: None)
        while spill(store, new.rev, SPILL) and not self.last:
            yield

    def _write_files(
        self, machine: Machine, fresh: Sequence[tuple[str, int, int]], *, base: bool
    ) -> Generator[None, None, tuple[Manifest, bytes]]:
        """Write what the checkpoint consists of, without what is fresh among the redactions; its manifest is next."""
        store, old, export = machine.store, self.manifest, Export(machine)
        todo = plan(old, store.floor, store.cut, self._segment_bytes if base else NEVER)
        if fresh:
            todo = without(todo, old, store.floor, dirty_of(store, fresh))
        time, redacted = store.floor_time, store.redacted.count
        try:
            new = Manifest(
                cluster=old.cluster,
                index=machine.index,
                term=machine.term,
                rev=store.rev,
                tables=export.head,
                number=old.number,
                base=old.base,
                base_rev=old.base_rev,
                base_time=old.base_time,
                config=self._config(),
                redacted=redacted,
            )
            rows = yield from self._write_tables(export, new.number + 1)
        finally:
            export.close()
        if rows is not None:
            new = dataclasses.replace(new, number=rows.number, rows=rows)
        if todo.base_rev is not None:
            number = new.number + 1
            part = yield from self._write_base(store, todo.base_rev, number)
            new = dataclasses.replace(new, number=number, base=part, base_rev=todo.base_rev, base_time=time)
        number, parts = yield from self._write_commits(store, todo, new.rev, new.number)
        if store.redacted.count != redacted:
            raise _Redacted
        new = dataclasses.replace(new, number=number, parts=parts)
        new = yield from self._write_keyframe(store, new, export.head["floor"], time, anew=bool(fresh))
        if store.redacted.count != redacted:
            raise _Redacted
        return new, manifests.encode(new)

    def _write_keyframe(
        self, store: Store, new: Manifest, floor: int, time: int, *, anew: bool
    ) -> Generator[None, None, Manifest]:
        """Return the manifest with the keyframe before, or with a new one where that is worth its cost.

        Without one where it holds what was redacted, or ends before the commits that are kept begin. A disk that has no
        room for a new one keeps no checkpoint from being made, which gives room back.
        """
        before = None if anew else self.manifest.keyframe
        if before is not None and before.last < new.base_rev:
            before = None
        new = dataclasses.replace(new, keyframe=before)
        busy = self.last or store.rev - new.rev > BUSY  # until this is over, no value is let go of
        due = self._keyframe_due(store) * (RARELY if busy else 1)
        if not PORTABLE or self._behind_keyframe(new) < due:
            return new
        free = yield from wait_for(self._background, lambda: self._disk.free(self._history))
        if free < store.held:  # it takes less; but the log needs some, too
            return new
        try:
            part = yield from self._keyframe(store, new, floor, time)
        except OSError as error:
            if error.errno not in NO_SPACE_ERRNOS:
                raise
            logger.warning("without a keyframe, the next start takes longer: %s", error)
            self._begin_to_clean_of(part_name(KEYFRAME, new.number + 1))
            return new
        return dataclasses.replace(new, number=part.number, keyframe=part)

    def _keyframe(self, store: Store, new: Manifest, floor: int, time: int) -> Generator[None, None, Part]:
        number = new.number + 1
        writer, encoder = self._writer(new_part(KEYFRAME, number), fresh=True), BlockEncoder()
        for row in Keyframe(store, new.rev, floor, time).rows():
            encoder.add(row)
            writer.add(pack_rows(*encoder.take()))
            yield
            yield from writer.room()
        yield from writer.finish()
        return writer.part._replace(first=floor, last=new.rev)

    def _begin_to_clean_of(self, name: str) -> None:
        """Remove one file that was not finished, as all else of the checkpoint goes on."""
        path = join(self._history, name)
        self._background.submit(lambda: self._disk.unlink(path), lambda result, error: None)

    def _write_tables(self, export: Export, number: int) -> Generator[None, None, Part | None]:
        encoder, writer = BlockEncoder(), None
        rows, size, more = export.rows(), 0, True
        while more:
            batch = list(islice(rows, ROWS // 8))
            more = len(batch) == ROWS // 8
            for row in batch:
                size = encoder.add(row)
            # At the end of the rows whatever is left is written, also when the last batch was a full one.
            if encoder.count == 0 or (more and size < BLOCK and encoder.count < ROWS):
                continue
            writer = writer or self._writer(new_part(TABLES, number), fresh=True)
            writer.add(pack_rows(*encoder.take()))
            yield
            yield from writer.room()
        if writer is None:
            return None
        yield from writer.finish()
        return writer.part

    def _write_base(self, store: Store, rev: int, number: int) -> Generator[None, None, Part]:
        writer = self._writer(new_part(BASE, number), fresh=True)
        encoder = BlockEncoder()
        cursor, limit, more = None, 32, True
        while more:
            try:
                rows, cursor = export_base(store, cursor, limit, rev)
            except ValueError:
                raise _FloorMoved from None
            more, size = cursor is not None, 0
            for row in rows:
                size = encoder.add(row)
            if size:
                # As many rows a step as fill a block, by the size of the last ones: values may be large.
                limit = max(1, min(ROWS, len(rows) * BLOCK // size))
                writer.add(pack_rows(*encoder.take()))
            yield
            yield from writer.room()
        yield from writer.finish()
        return writer.part

    def _write_commits(
        self, store: Store, todo: Compaction, last: int, number: int
    ) -> Generator[None, None, tuple[int, tuple[Part, ...]]]:
        done: list[Part] = []
        for each in todo.kept:
            if isinstance(each, Again):
                number, parts = yield from self._append(store, [], each.first, each.last, number)
                done.extend(parts)
            else:
                done.append(each)
        number, done = yield from self._append(store, done, todo.first, last, number)
        return number, tuple(done)

    def _append(
        self, store: Store, done: list[Part], rev: int, last: int, number: int
    ) -> Generator[None, None, tuple[int, list[Part]]]:
        """Write the commits from `rev` to `last` behind these parts."""
        writer = None
        while rev <= last:
            if writer is None:
                fresh = not done or done[-1].size >= self._segment_bytes
                number += fresh
                writer = self._writer(new_part(COMMITS, number) if fresh else done.pop(), fresh=fresh)
            rev = _pack(store, writer, rev, last, self._segment_bytes)
            yield
            yield from writer.room()
            if writer.part.size >= self._segment_bytes or rev > last:
                yield from writer.finish()
                done.append(writer.part)
                writer = None
        return number, done

    def _writer(self, part: Part, *, fresh: bool) -> PartWriter:
        return PartWriter(self._disk, self._history, part, self._background, fresh=fresh)

    def _publish(self, new: Manifest, data: bytes, write: Callable[[], None]) -> Generator[None, None, None]:
        durable = yield from wait_for(self._background, lambda: self._write_manifest(data, write))
        self._take_over(new, data)
        if not durable:
            raise _DoubtError("the directory could not be synced: the checkpoint may not be durable yet")
        self.index = new.index
        self._garbage |= self._doomed
        self._doomed.clear()
        self._drop_garbage()

    def _write_manifest(self, data: bytes, write: Callable[[], None]) -> bool:
        """Write the manifest on the worker; false when it has its name, but perhaps not for good."""
        try:
            write()
        except OSError as failure:
            try:
                current = read_all(self._disk, join(self._path, manifests.NAME), manifests.MANIFEST_BYTES)
            except FileNotFoundError:
                raise failure from None
            except OSError as error:
                raise _in_doubt(error) from failure
            if current == data:
                return False
            raise
        return True

    def _take_over(self, new: Manifest, encoded: bytes) -> None:
        names = {part.name for part in new.files()}
        self._doomed |= {part.name: part.size for part in self.manifest.files() if part.name not in names}
        self.manifest = dataclasses.replace(new, tables=None)
        self.encoded = encoded
        for reader in self._readers:
            reader.use(self.manifest)

    def _drop_garbage(self) -> None:
        # Only after the manifest without them is durable. What fails here is swept at the next start.
        names = self._garbage.keys() - self._known()

        def job() -> None:
            for name in sorted(names):
                with contextlib.suppress(OSError):
                    self._disk.unlink(join(self._history, name))

        if names:
            for name in names:
                del self._garbage[name]
            self._background.submit(job, lambda result, error: None)

    def _begin_to_clean(self) -> None:
        self._background.submit(partial(self._clean, self._known()), lambda result, error: None)

    def _clean(self, kept: set[str]) -> None:
        """Give back the space of a checkpoint that failed. What fails here too is seen to at the next start."""
        parts = self.manifest.parts
        with contextlib.suppress(OSError):
            self._sweep(kept)
            if parts:
                self._cut(parts[-1])

    def _cut(self, part: Part) -> None:
        """Cut off what stands behind the end of a part."""
        file = self._disk.open(join(self._history, part.name))
        try:
            if file.size() > part.size:
                file.truncate(part.size)
                file.sync()
        finally:
            file.close()


def _pack(store: Store, writer: PartWriter, rev: int, last: int, full: int) -> int:
    """Add about as many commits from `rev` on as a step may pack, or a file of `full` bytes; return what follows."""
    full = min(full, writer.part.size + BLOCK)
    for _ in range(BLOCKS):
        columns = export_columns(store, rev, min(last, rev + COMMITS_OF_BLOCK - 1), COMMITS_BYTES)
        writer.add(pack_commits(columns))
        rev += columns.size
        if rev > last or writer.part.size >= full:
            break
    return rev


def _in_doubt(error: Exception) -> StorageError:
    return StorageError(f"nobody knows which checkpoint is the newest: {error}")


def _shared(old: Manifest, new: Manifest) -> int:
    """Return how many bytes of `new` were on disk with `old`."""
    names = {part.name for part in new.files()}
    return sum(part.size for part in old.files() if part.name in names)
