"""Is a data directory sound? Read everything, change nothing, tell what is there.

    report = check_directory("/var/lib/visord")
    for line in report.lines(): print(line)
    exit(9 if report.problems else 0)

Nothing is written, not even the lock. What must not be opened (a link, a pipe, a file of somebody else) is damage, and
then nothing else is read: the one that put it there could lead a reader anywhere.

Meaning of the exit code of `visord check`: 0 everything was read and fits, 9 damage was found (each with
its file, offset and what to do); other codes mean that nothing could be said (locked by a running node, not
a data directory).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from visord.progress import Tell, untold
from visord.raft.inspection import inspect_log
from visord.storage import guard, pending
from visord.storage import manifest as manifests
from visord.storage.directory import HISTORY, LOG, lock_to_read, require_directory, require_identity
from visord.storage.disk import Disk, OsDisk, join
from visord.storage.errors import UNSAFE, DamageError, StorageError, missing_entries
from visord.storage.manifest import Manifest
from visord.storage.opening import UnsafeFileError
from visord.storage.segments import (
    BASE,
    COMMITS,
    HEAD_SIZE,
    KEYFRAME,
    TABLES,
    Part,
    commits_of,
    read_part,
    rows_of,
)

_ROWS: Final = {BASE: "the base", TABLES: "the tables", KEYFRAME: "a keyframe"}
WITHOUT: Final = (
    "Nothing is lost: a node starts without it, which takes longer, and a later checkpoint writes another. "
    "The disk may be failing."
)
"""What to do about a damaged keyframe."""


class LogSummary(Protocol):
    """What the log's own check tells; `visord.raft.inspection` has the one."""

    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def segments(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def torn(self) -> int: ...
    @property
    def vote(self) -> Any: ...


@dataclass
class Report:
    """What a check found. `problems` holds every damage, in the order of reading; `files` what is sound."""

    path: str
    cluster: str = ""
    node: str = ""
    manifest: Manifest | None = None
    log: LogSummary | None = None
    files: list[tuple[str, str]] = field(default_factory=list)
    """(name below the directory, what it holds)."""
    problems: list[StorageError] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the report for people."""
        lines = [f"{self.path}: cluster {self.cluster or '?'}, node {self.node or '?'}"]
        lines += [f"  {name}: {what}" for name, what in self.files]
        lines += [str(problem) for problem in self.problems]
        lines.append(f"{len(self.problems)} problems found" if self.problems else "everything is sound")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Return the report for programs: what JSON carries."""
        manifest, log = self.manifest, self.log
        return {
            "path": self.path,
            "cluster": self.cluster,
            "node": self.node,
            "sound": not self.problems,
            "index": manifest.index if manifest is not None else 0,
            "rev": manifest.rev if manifest is not None else 0,
            "log": [log.first, log.last] if log is not None else None,
            "files": [{"name": name, "holds": what} for name, what in self.files],
            "problems": [_as_dict(problem) for problem in self.problems],
        }


def _as_dict(problem: StorageError) -> dict[str, Any]:
    if not isinstance(problem, DamageError):
        return {"text": str(problem)}
    names = ("path", "offset", "expected", "found", "advice")
    return {"text": str(problem), **{name: getattr(problem, name) for name in names}}


def check_directory(path: str | Path, tell: Tell = untold) -> Report:
    """Verify every file of a data directory on the operating system's disk; see `check`."""
    return check(OsDisk(), str(Path(path).resolve()), inspect_log, tell)


def check(
    disk: Disk, path: str, inspect_log: Callable[[Disk, str], LogSummary], tell: Tell = untold
) -> Report:
    """Verify every file of a data directory. `inspect_log(disk, directory)` reads the log.

    `tell` hears how far the reading of the checkpoint is, in bytes: the log is small beside it.

    Raises `LockedError` when a node uses it, `IdentityError` when it is no data directory, `OSError`.
    """
    require_directory(disk, path)
    report = Report(path)
    report.problems += map(_unsafe, guard.inspect(disk, path, writing=False))
    if report.problems:
        return report
    lock = lock_to_read(disk, path)
    try:
        _read(disk, report, inspect_log, tell)
    except UnsafeFileError as error:
        report.problems.append(_unsafe(error))
    finally:
        lock.release()
    return report


def _unsafe(error: UnsafeFileError) -> DamageError:
    expected = "a file of the node alone, of a size that its kind can have"
    return DamageError(str(error.filename), None, expected, f"what {error.strerror}", UNSAFE)


def _read(disk: Disk, report: Report, inspect_log: Callable[[Disk, str], LogSummary], tell: Tell) -> None:
    _identity(disk, report)
    _checkpoint(disk, report, tell)
    _log(disk, report, inspect_log)


def _identity(disk: Disk, report: Report) -> None:
    try:
        report.cluster, report.node = require_identity(disk, report.path)[:2]
    except StorageError as error:
        report.problems.append(error)


def _checkpoint(disk: Disk, report: Report, tell: Tell) -> None:
    try:
        manifest = report.manifest = manifests.read(disk, report.path, report.cluster or None)
    except StorageError as error:
        report.problems.append(error)
        return
    what = "no checkpoint yet"
    if manifest is not None:
        what = f"checkpoint at index {manifest.index}, term {manifest.term}, rev {manifest.rev}"
    report.files.append((manifests.NAME, what))
    history, parts = join(report.path, HISTORY), [] if manifest is None else manifest.files()
    done, size = 0, sum(part.size for part in parts)
    for part in parts:
        before = done

        def told(read: int, before: int = before) -> None:
            tell(before + read, size)

        _part(disk, report, history, part, told)
        done += part.size
    known = {part.name for part in parts}
    note = pending.read(disk, report.path)
    fetched = set() if note is None else note.names()
    for name in disk.listdir(history) if disk.exists(history) else []:
        if name not in known:
            what = "left by an unfinished checkpoint, removed at the next start"
            if name in fetched:
                what = "of another member's checkpoint, which is not all here yet"
            report.files.append((f"{HISTORY}/{name}", what))


def _part(disk: Disk, report: Report, history: str, part: Part, read: Callable[[int], None]) -> None:
    rows = done = 0
    try:
        for block in read_part(disk, history, part):
            done += HEAD_SIZE + len(block.payload)
            read(done)
            rows += len(rows_of(block)) if part.kind != COMMITS else commits_of(block).size
    except StorageError as error:
        report.problems.append(_needless(error) if part.kind == KEYFRAME else error)
        return
    what = (
        f"revs {part.first} to {part.last}" if part.kind == COMMITS else f"{rows} rows of {_ROWS[part.kind]}"
    )
    report.files.append((f"{HISTORY}/{part.name}", f"{part.size} bytes, {what}"))


def _needless(error: StorageError) -> StorageError:
    """Tell that nothing is lost with a keyframe."""
    if not isinstance(error, DamageError):
        return error
    return DamageError(error.path, error.offset, error.expected, error.found, WITHOUT)


def _log(disk: Disk, report: Report, inspect_log: Callable[[Disk, str], LogSummary]) -> None:
    directory, manifest = join(report.path, LOG), report.manifest
    try:
        log = report.log = inspect_log(disk, directory)
    except StorageError as error:
        report.problems.append(error)
        return
    torn = f", {log.torn} bytes of an unfinished write at the end" if log.torn else ""
    entries = f"entries {log.first} to {log.last}, term {log.vote.term}"
    report.files.append((LOG, f"{log.segments} segments, {log.size} bytes, {entries}{torn}"))
    applied = max(1, manifest.index if manifest is not None else 0)
    if log.first > applied:
        report.problems.append(missing_entries(directory, applied, log.first))
