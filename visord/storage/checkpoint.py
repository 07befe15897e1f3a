"""Checkpoints: what a node has on disk of its state, at one log index.

History is the database: the commits since the last checkpoint are appended to history files, then a new
manifest takes the place of the old one. So a checkpoint costs what changed since the last, and a start
reads the history and then the log's tail.

    checkpointer = Checkpointer(disk, directory, worker) checkpointer.load(machine)                     # at
    the start for _ in checkpointer.steps(machine): ...      # each step takes about a millisecond; the loop
    runs in between

A step packs one block of rows; writing and syncing happen on the worker. Everything that is captured is
fixed when the first step runs (index, term, rev, tables) or immutable (the commits up to that rev, the
files at the floor). While steps are taken the store must not be trimmed; its floor may rise.

A failure (disk full, a failing disk) leaves the last checkpoint valid and raises `OSError`; a later attempt
starts anew. Stopping in the middle is the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import gc
from collections.abc import Generator, Iterator
from typing import Final

from visord.state.command import UnknownFormat
from visord.state.machine import Machine
from visord.state.store import Store
from visord.state.transfer import CorruptHistory
from visord.storage import manifest as manifests
from visord.storage import segments
from visord.storage.compaction import Plan, plan
from visord.storage.directory import DataDirectory
from visord.storage.disk import Disk, join, read_all
from visord.storage.errors import RESTORE, DamageError, FormatError, StorageError
from visord.storage.manifest import Manifest
from visord.storage.segments import BASE, COMMITS, BlockEncoder, Part, new_part, pack_block
from visord.storage.worker import Submitter
from visord.storage.writer import PartWriter

BLOCK: Final = 64 * 1024
"""Bytes of rows in a block: what one step packs (one larger row fills a block alone)."""
SEGMENT: Final = 64 << 20
"""Bytes at which a history file is full and the next one begins."""
ROWS: Final = 256
"""Rows asked of the store at once, at most."""
ATTEMPTS: Final = 4
"""How often a base is begun in one checkpoint when the store gives it up; the last time without, if that can be."""
NEVER: Final = 1 << 62
"""More than any dead file: no base for its own sake."""


class _FloorMoved(Exception):  # noqa: N818
    """The store does not give the files at the base's rev any more."""


class Checkpointer:
    """Makes and loads the checkpoints of one data directory."""

    def __init__(
        self, disk: Disk, directory: DataDirectory, background: Submitter, *, segment_bytes: int = SEGMENT
    ) -> None:
        self._disk = disk
        self._path = directory.path
        self._history = directory.history
        self._background = background
        self._segment_bytes = segment_bytes
        self._garbage: list[str] = []
        self._running = False
        self.manifest = Manifest(directory.cluster)
        """The newest checkpoint."""
        self.index = 0
        """The log index up to which the newest durable checkpoint holds everything."""
        self.written = 0
        """Bytes of history that checkpoints wrote since the start."""

    # -- loading ----------------------------------------------------------------------------------------

    def load(self, machine: Machine) -> None:
        """Load the checkpoint, if there is one, into a new machine.

        Everything is verified. Raises `DamageError`, `FormatError` or `IdentityError`; the machine is of no
        use then.
        """
        found = manifests.read(self._disk, self._path, self.manifest.cluster)
        if found is not None:
            self.manifest = found
        if found is None:
            return
        collecting = gc.isenabled()
        gc.disable()  # millions of new objects, none of them garbage
        try:
            load_parts(self._disk, self._history, self.manifest, machine.store)
            _import_tables(machine, self.manifest, join(self._path, manifests.NAME))
        finally:
            if collecting:
                gc.enable()
        gc.freeze()
        self.index = self.manifest.index

    def sweep(self) -> None:
        """Remove what checkpoints left that were not finished.

        Only once it is sure that the log continues what was loaded: where a manifest is lost, the files it named are
        all that a rescue could start from.
        """
        known = {part.name for part in self.manifest.files()}
        for name in self._disk.listdir(self._history):
            if name not in known:
                self._disk.unlink(join(self._history, name))

    # -- making -----------------------------------------------------------------------------------------

    def steps(self, machine: Machine) -> Iterator[None]:
        """Make a checkpoint of the machine as it is at the first step. Raises `OSError` when it fails."""
        if self._running:
            raise RuntimeError("a checkpoint is being made already")
        self._running = True
        try:
            if machine.index > self.index:
                yield from self._make(machine)
        finally:
            self._running = False

    def _make(self, machine: Machine) -> Generator[None, None, None]:
        for attempt in range(ATTEMPTS):
            try:
                yield from self._attempt(machine, base=attempt < ATTEMPTS - 1)
            except _FloorMoved:
                continue
            except OSError:
                self._background.submit(self._clean, lambda result, error: None)
                raise
            return
        raise OSError(errno.EAGAIN, "the floor rose while the files at it were written")

    def _attempt(self, machine: Machine, *, base: bool) -> Generator[None, None, None]:
        store, old = machine.store, self.manifest
        new = Manifest(
            cluster=old.cluster,
            index=machine.index,
            term=machine.term,
            rev=store.rev,
            tables=machine.export_tables(),
            number=old.number,
            base=old.base,
            base_rev=old.base_rev,
            base_time=old.base_time,
        )
        todo = plan(old, store.floor, store.cut, self._segment_bytes if base else NEVER)
        if todo.base_rev is not None:
            number, time = new.number + 1, store.floor_time
            part = yield from self._write_base(store, todo.base_rev, number)
            new = dataclasses.replace(new, number=number, base=part, base_rev=todo.base_rev, base_time=time)
        number, parts = yield from self._write_commits(store, todo, new.rev, new.number)
        yield from self._publish(dataclasses.replace(new, number=number, parts=parts))

    def _write_base(self, store: Store, rev: int, number: int) -> Generator[None, None, Part]:
        writer = self._writer(new_part(BASE, number), fresh=True)
        encoder = BlockEncoder()
        cursor, limit, more = None, 32, True
        while more:
            try:
                rows, cursor = store.export_base(cursor, limit, rev)
            except ValueError:
                raise _FloorMoved from None
            more, size = cursor is not None, 0
            for row in rows:
                size = encoder.add(row)
            if size:
                # As many rows a step as fill a block, by the size of the last ones: values may be large.
                limit = max(1, min(ROWS, len(rows) * BLOCK // size))
                writer.add(pack_block(writer.part.chain, *encoder.take(), 0, 0))
            yield
            yield from writer.room()
        yield from writer.settle()
        return writer.part

    def _write_commits(
        self, store: Store, todo: Plan, last: int, number: int
    ) -> Generator[None, None, tuple[int, tuple[Part, ...]]]:
        done = list(todo.kept)
        rev, writer = todo.first, None
        while rev <= last:
            if writer is None:
                fresh = not done or done[-1].size >= self._segment_bytes
                number += fresh
                writer = self._writer(new_part(COMMITS, number) if fresh else done.pop(), fresh=fresh)
            upto, count, rows = _pack_commits(store, rev, last)
            writer.add(pack_block(writer.part.chain, count, rows, rev, upto))
            rev = upto + 1
            yield
            yield from writer.room()
            if writer.part.size >= self._segment_bytes or rev > last:
                yield from writer.settle()
                done.append(writer.part)
                writer = None
        return number, tuple(done)

    def _writer(self, part: Part, *, fresh: bool) -> PartWriter:
        return PartWriter(self._disk, self._history, part, self._background, fresh=fresh)

    def _publish(self, new: Manifest) -> Generator[None, None, None]:
        data = manifests.encode(new)
        answers: list[tuple[bool, BaseException | None]] = []

        self._background.submit(
            lambda: self._write_manifest(data), lambda result, error: answers.append((result, error))
        )
        while not answers:
            yield
        durable, error = answers[0]
        if error is not None:
            raise error
        self._adopt(new)
        if not durable:
            raise OSError("the directory could not be synced: the checkpoint may not be durable yet")
        self.index = new.index
        self._drop_garbage()

    def _write_manifest(self, data: bytes) -> bool:
        """Write the manifest on the worker; false when it has its name, but perhaps not for good."""
        try:
            manifests.write(self._disk, self._path, data)
        except OSError as failure:
            try:
                current = read_all(self._disk, join(self._path, manifests.NAME))
            except FileNotFoundError:
                raise failure from None
            except OSError as error:
                raise StorageError(f"nobody knows which checkpoint is the newest: {error}") from failure
            if current == data:
                return False
            raise
        return True

    def _adopt(self, new: Manifest) -> None:
        names = {part.name for part in new.files()}
        self._garbage += [part.name for part in self.manifest.files() if part.name not in names]
        before = sum(part.size for part in self.manifest.files() if part.name in names)
        self.written += sum(part.size for part in new.files()) - before
        self.manifest = new

    def _drop_garbage(self) -> None:
        # Only after the manifest without them is durable. What fails here is swept at the next start.
        names, self._garbage = self._garbage, []

        def job() -> None:
            for name in names:
                with contextlib.suppress(OSError):
                    self._disk.unlink(join(self._history, name))

        if names:
            self._background.submit(job, lambda result, error: None)

    def _clean(self) -> None:
        """Give back the space of a checkpoint that failed. What fails here too is seen to at the next start."""
        parts = self.manifest.parts
        with contextlib.suppress(OSError):
            self.sweep()
            if parts:
                file = self._disk.open(join(self._history, parts[-1].name))
                try:
                    if file.size() > parts[-1].size:
                        file.truncate(parts[-1].size)
                finally:
                    file.close()

    def close(self) -> None:
        """Nothing is kept open; a checkpoint that is being made is given up."""


def _pack_commits(store: Store, first: int, last: int) -> tuple[int, int, bytes]:
    """Pack commits from `first` on until a block is full: (the last rev in it, rows, their bytes)."""
    encoder = BlockEncoder()
    rev = first
    for row in store.export_commits(first, min(last, first + ROWS - 1)):
        size = encoder.add(row)
        rev += 1
        if size >= BLOCK:
            break
    count, rows = encoder.take()
    return rev - 1, count, rows


def load_parts(disk: Disk, history: str, manifest: Manifest, store: Store) -> None:
    """Read and verify all parts of a checkpoint into an empty store."""
    expected = manifest.base_rev + 1
    part = manifest.base
    try:
        if part is not None:
            store.import_base(manifest.base_rev, manifest.base_time, ())
            for _, _, rows in segments.read_part(disk, history, part):
                store.import_base(manifest.base_rev, manifest.base_time, rows)
        for part in manifest.parts:
            _check_order(history, part, expected)
            for first, last, rows in segments.read_part(disk, history, part):
                if last >= expected:  # else below the base; the block across it is taken in part
                    store.import_commits(rows[max(0, expected - first) :])
                expected = max(expected, last + 1)
    except CorruptHistory as error:
        name = part.name if part is not None else manifests.NAME
        raise DamageError(
            join(history, name), None, "commits that fit together", str(error), RESTORE
        ) from error
    if expected != manifest.rev + 1:
        expectation, found = f"commits up to {manifest.rev}", f"up to {expected - 1}"
        raise DamageError(join(history, manifests.NAME), None, expectation, found, RESTORE)


def _import_tables(machine: Machine, manifest: Manifest, path: str) -> None:
    try:
        machine.import_tables(manifest.tables)
    except UnknownFormat as error:
        raise FormatError(f"{path}: {error}") from error
    except CorruptHistory as error:
        raise DamageError(path, None, "tables that fit the history", str(error), RESTORE) from error


def _check_order(history: str, part: Part, expected: int) -> None:
    # Only the first part may begin before: it then lies across the base.
    if part.first > expected:
        found = f"a file that begins with {part.first}"
        raise DamageError(join(history, part.name), None, f"rev {expected}", found, RESTORE)
