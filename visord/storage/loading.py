"""A checkpoint's files back into memory: at full speed at a start, in slices within a running node.

    load(disk, directory, manifest, machine)                a new machine, everything, at once
    steps(disk, directory, manifest, machine, background)   a millisecond at a time, reading on the worker

The machine is new, or one that lags behind the checkpoint: then only the commits that it does not have are read
and added, and it takes over the tables last. What is in between is sound as well: each commit comes as a whole, and
all of them were committed by the cluster. Only `machine.index` stays behind until the end, so no checkpoint
of it may be made meanwhile.

At a start the node's own keyframe, if it has one, takes the place of all commits up to its rev (`state/keyframe.py`).

Worked example. Manifest: base at rev 1500, commits-2 [901..1800], commits-3 [1801..2100].

    machine at rev 0       base, then 1501..1800 of commits-2, then commits-3
    machine at rev 1900    1901..2100 of commits-3, nothing else is read
    machine at rev 1200    cannot go on (`reaches` is false): revs 1201 to 1500 are not known any more. A new one can.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any, Final

from visord.progress import Tell, untold
from visord.state.columns import part_of
from visord.state.command import UnknownFormat
from visord.state.importing import CorruptHistory, import_base, import_columns
from visord.state.keyframe import KeyframeReader
from visord.state.machine import Machine
from visord.state.spilling import spill
from visord.state.tables import Import
from visord.storage import collector, segments
from visord.storage import manifest as manifests
from visord.storage.directory import DataDirectory
from visord.storage.disk import Disk, File, join
from visord.storage.errors import RESTORE, DamageError, FormatError
from visord.storage.manifest import Manifest
from visord.storage.segments import PIECE, BlockScanner, Part, Raw
from visord.storage.worker import Submitter

SLICE: Final = 256
"""Rows or commits that are imported in one step."""
EVERYTHING: Final = 1 << 62
"""As many as there are."""
FREEZE: Final = 64
"""Steps after which what was imported is hidden from the garbage collector, which would walk through all of it."""


def load(
    disk: Disk, directory: DataDirectory, manifest: Manifest, machine: Machine, tell: Tell = untold
) -> None:
    """Load a checkpoint into a new machine; `tell` hears how far that is, in bytes.

    Raises `DamageError` or `FormatError`; the machine is of no use then.
    """
    done, size = 0, 0
    collecting = gc.isenabled()
    gc.disable()  # millions of new objects, none of them garbage
    try:
        progress = _Progress(directory, manifest, machine)
        size = sum(part.size for part in progress.needed())
        for part in progress.parts():
            for block in segments.read_part(disk, directory.history, part):
                for _ in progress.add(part, block, EVERYTHING):
                    pass
                done += segments.HEAD_SIZE + len(block.payload)
                tell(done, size)
        for _ in progress.finish():
            pass
    finally:
        if collecting:
            gc.enable()
    collector.hide()


def reaches(manifest: Manifest, machine: Machine) -> bool:
    """Tell whether `machine`, whose state was committed, can take over the checkpoint as it is."""
    if machine.store.rev == 0:
        return True
    same = machine.store.redacted.count == manifest.redacted  # else the same revs may have other values
    return same and machine.store.rev >= manifest.base_rev


def steps(
    disk: Disk, directory: DataDirectory, manifest: Manifest, machine: Machine, background: Submitter
) -> Generator[None, None, None]:
    """Load a checkpoint, or what a lagging machine lacks of it, in slices. Raises like `load`, and `OSError`."""
    for count, _ in enumerate(_steps(disk, directory, manifest, machine, background)):
        if count % FREEZE == 0:
            collector.hide()
        yield
    collector.hide()


def _steps(
    disk: Disk, directory: DataDirectory, manifest: Manifest, machine: Machine, background: Submitter
) -> Generator[None, None, None]:
    progress = _Progress(directory, manifest, machine)
    for part in progress.parts():
        path = join(directory.history, part.name)
        scanner = BlockScanner(path, part)
        for offset in range(0, part.size, PIECE):
            piece = yield from wait_for(background, partial(_read, disk, path, part, offset))
            for block in scanner.feed(piece):
                yield from progress.add(part, block, SLICE)
        scanner.finish()
    yield from progress.finish()


def wait_for(background: Submitter, job: Callable[[], Any]) -> Generator[None, None, Any]:
    """Run a job on the worker, step until it has answered, and return or raise what it did."""
    answers: list[tuple[Any, BaseException | None]] = []
    background.submit(job, lambda result, error: answers.append((result, error)))
    while not answers:
        yield
    result, error = answers[0]
    if error is not None:
        raise error
    return result


def _read(disk: Disk, path: str, part: Part, offset: int) -> bytes:
    if not disk.exists(path):
        raise DamageError(path, None, f"a file of {part.size} bytes", "no such file", RESTORE)
    file: File = disk.open_read(path)
    try:
        return segments.read_piece(file, part, offset)
    finally:
        file.close()


class _Progress:
    """Which blocks of which parts count, and that they fit together."""

    def __init__(self, directory: DataDirectory, manifest: Manifest, machine: Machine) -> None:
        self._directory = directory
        self._manifest = manifest
        self._machine = machine
        self._store = machine.store
        self._began = machine.store.rev > 0
        self._keyframe = None if self._began else manifest.keyframe
        if self._keyframe is not None and not manifest.base_rev <= self._keyframe.last <= manifest.rev:
            self._keyframe = None
        self._load = KeyframeReader(machine.store)
        self._expected = (machine.store.rev if self._began else manifest.base_rev) + 1
        """The next rev."""
        with self._checked(manifests.NAME):
            self._tables = Import(machine, manifest.tables)

    def needed(self) -> list[Part]:
        """Return the parts that will be read, about."""
        manifest = self._manifest
        first, begun = self._expected, manifest.base
        if self._keyframe is not None:
            first, begun = self._keyframe.last + 1, self._keyframe
        after = [part for part in manifest.parts if part.last >= first]
        return [part for part in (None if self._began else begun, *after, manifest.rows) if part is not None]

    def parts(self) -> Iterator[Part]:
        """Yield the parts to read, in order. Raises `DamageError` when a rev is in none of them."""
        manifest = self._manifest
        if self._keyframe is not None:
            yield self._keyframe
            with self._checked(self._keyframe.name):
                self._load.finish()
            self._expected = self._store.rev + 1
        elif manifest.base is not None and not self._began:
            self._begin([])
            yield manifest.base
        for part in manifest.parts:
            if part.last < self._expected:
                continue  # below the base, or known already
            if part.first > self._expected:
                raise self._damage(
                    part.name, f"rev {self._expected}", f"a file that begins with {part.first}"
                )
            yield part
        if self._expected != manifest.rev + 1:
            raise self._damage(manifests.NAME, f"commits up to {manifest.rev}", f"up to {self._expected - 1}")
        if manifest.rows is not None:
            yield manifest.rows

    def add(self, part: Part, block: Raw, size: int) -> Iterator[None]:
        """Import what is not known yet of a block, `size` rows or commits a step."""
        with self._checked(part.name):
            if part.kind == segments.COMMITS:
                yield from self._add_commits(block, size)
                return
            if part.kind == segments.KEYFRAME:
                for row in segments.tuples_of(block):
                    self._load.add(row)
                return
            rows = segments.rows_of(block)
            add = self._begin if part.kind == segments.BASE else self._tables.add
            for start in range(0, len(rows), size):
                add(rows[start : start + size])
                yield

    def _add_commits(self, block: Raw, size: int) -> Iterator[None]:
        if block.last < self._expected:
            return
        columns = segments.commits_of(block)
        for start in range(max(0, self._expected - block.first), columns.size, size):
            import_columns(self._store, part_of(columns, start, start + size))
            self._expected = self._store.rev + 1
            if not self._began:  # else the node's own files do not have them yet
                while spill(self._store, self._store.rev, 4 * size):
                    yield
            yield

    def _begin(self, rows: list[Any]) -> None:
        import_base(self._store, self._manifest.base_rev, self._manifest.base_time, rows)

    def finish(self) -> Iterator[None]:
        """Let the machine have the tables, and see that it is where the manifest says."""
        with self._checked(manifests.NAME):
            yield from self._tables.finish()
        machine, manifest = self._machine, self._manifest
        found, told = (
            (machine.index, machine.term, machine.store.rev),
            (manifest.index, manifest.term, manifest.rev),
        )
        if found != told:
            raise self._damage(manifests.NAME, f"tables of index, term and rev {told}", f"{found}"[:200])

    @contextlib.contextmanager
    def _checked(self, name: str) -> Iterator[None]:
        """Tell what does not fit as damage of this file, or as a later format."""
        try:
            yield
        except CorruptHistory as error:
            raise self._damage(name, "contents that fit together", str(error)) from error
        except UnknownFormat as error:
            raise FormatError(f"{self._path(name)}: {error}") from error
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            raise self._damage(name, "rows", f"{type(error).__name__}: {error}") from error

    def _damage(self, name: str, expected: str, found: str) -> DamageError:
        return DamageError(self._path(name), None, expected, found, RESTORE)

    def _path(self, name: str) -> str:
        return join(self._directory.path if name == manifests.NAME else self._directory.history, name)
