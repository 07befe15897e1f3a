"""What the registry answers, as immutable values: commits, changes, entries, stats.

They are shared by the blocking and the asyncio client. What reads or writes by itself (`File`,
`Snapshot`) belongs to one of them and lives there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Generic

from visor._core.dataclass import dataclass
from visor._core.generic import F, T
from visor._core.public import public
from visor._core.shown import listed, several, shown, word
from visor.codecs import Codec
from visor.errors import DecodeError
from visor.protocol import verbs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(StrEnum):
    """What happened to a path in a commit."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    EXPIRE = "expire"


class Node(StrEnum):
    """What a path is."""

    MISSING = "missing"
    FILE = "file"
    DIRECTORY = "directory"


KINDS = {
    verbs.CREATE: Kind.CREATE,
    verbs.UPDATE: Kind.UPDATE,
    verbs.REMOVE: Kind.DELETE,
    verbs.EXPIRE: Kind.EXPIRE,
}
KIND_NUMBERS = {kind: number for number, kind in KINDS.items()}
NODES = (Node.MISSING, Node.FILE, Node.DIRECTORY)


def instant(ms: int) -> datetime:
    """Return the UTC time that is `ms` milliseconds after 1970."""
    return _EPOCH + timedelta(milliseconds=ms)


def milliseconds(moment: datetime | float) -> int:
    """Return `moment` (an aware datetime, or seconds since 1970) in ms since 1970, rounded down."""
    if not isinstance(moment, datetime):
        from visor._core.backoff import in_milliseconds

        return in_milliseconds(moment, "a time")
    if moment.tzinfo is None:
        raise ValueError(f"a time must carry its time zone: {moment!r}")
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def decode(codec: Codec[T], data: bytes, path: str) -> T:
    """Decode `data`; whatever the codec raises becomes the cause of a DecodeError."""
    try:
        return codec.decode(data)
    except Exception as error:
        raise _undecoded(codec, path, error) from error


def _undecoded(codec: object, path: str, error: Exception) -> DecodeError:
    from visor._core.sealing import SealError

    # The text of a SealError is made to be told: which key is missing is what the reader needs to know.
    text = f"{path}: {error}" if isinstance(error, SealError) else None
    return DecodeError(text, path=path, codec=_codec_name(codec))


def _codec_name(codec: object) -> str:
    return type(codec).__name__.removesuffix("Codec").lower() or repr(codec)


class Change(Generic[T]):
    """One path in one commit. Values are decoded when they are asked for."""

    __slots__ = ("_codec", "_previous", "_version", "kind", "path")

    def __init__(
        self, kind: Kind, path: str, version: list[Any], previous: list[Any] | None, codec: Codec[T]
    ) -> None:
        self.kind = kind
        self.path = path
        self._version = version
        self._previous = previous
        self._codec = codec

    @property
    def rev(self) -> int:
        """The rev of the commit."""
        rev: int = self._version[0]
        return rev

    @property
    def mod_rev(self) -> int:
        """The rev of the commit, named as for a file."""
        return self.rev

    @property
    def lease(self) -> int:
        """The lease that the file is attached to; 0 for none, and for a deleted one."""
        lease: int = self._version[4]
        return lease

    @property
    def created(self) -> int:
        """The rev that created the file; 0 for a deleted one."""
        created: int = self._version[2]
        return created

    @property
    def count(self) -> int:
        """How many writes the file has had since it was created (1 at creation); 0 for a deleted one."""
        count: int = self._version[3]
        return count

    @property
    def data(self) -> bytes | None:
        """The value as it is stored; None when it was deleted, expired or left out (`keys`)."""
        data: bytes | None = self._version[1]
        return data

    @property
    def value(self) -> T | None:
        """The decoded value, None like `data`; DecodeError when the codec cannot read it."""
        return None if self._version[1] is None else decode(self._codec, self._version[1], self.path)

    @property
    def previous_data(self) -> bytes | None:
        """The stored value that was replaced; None when there was none or it was not asked for."""
        return None if self._previous is None else self._previous[1]

    @property
    def previous(self) -> T | None:
        """The value that was replaced, decoded; None like `previous_data`."""
        data = self.previous_data
        return None if data is None else decode(self._codec, data, self.path)

    @property
    def previous_rev(self) -> int:
        """The rev of the version that was replaced; 0 when there was none or it was not asked for."""
        return 0 if self._previous is None else self._previous[0]

    def __repr__(self) -> str:
        value = "" if self.data is None else f" = {shown(self.data)}"
        return f"Change({self.kind.value} {word(self.path)}{value} at rev {self.rev})"


class Commit(Generic[T]):
    """Everything that one rev changed and that was asked for."""

    __slots__ = ("_time", "actor", "changes", "note", "rev")

    def __init__(
        self, rev: int, time_ms: int, actor: str, note: str | None, changes: tuple[Change[T], ...]
    ) -> None:
        self.rev = rev
        self._time = time_ms
        self.actor = actor
        self.note = note
        self.changes = changes

    @property
    def time(self) -> datetime:
        """When it was committed, UTC."""
        return instant(self._time)

    def __repr__(self) -> str:
        names = (f"{change.kind.value} {word(change.path)}" for change in self.changes)
        what = several(names, len(self.changes)) or "nothing"
        note = "" if self.note is None else f"; {shown(self.note)}"
        return f"Commit(rev {self.rev} by {word(self.actor)}: {what}{note})"


@dataclass(frozen=True, slots=True)
class Stat:
    """What a path is at a rev."""

    path: str
    rev: int
    """The rev that was read."""
    kind: Node
    size: int
    """Bytes of a file, direct entries of a directory."""
    mod_rev: int
    """Last change of the file, or below the directory; of a missing path: its deletion, or 0."""
    created: int
    count: int
    lease: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One direct entry of a directory."""

    name: str
    path: str
    kind: Node
    size: int
    mod_rev: int


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far history reaches."""

    rev: int
    """The latest rev."""
    floor: int
    """The lowest rev that can still be read."""
    time: datetime
    """When the latest rev was committed."""


@dataclass(frozen=True, slots=True)
class Blame:
    """Who last changed a file that exists."""

    path: str
    rev: int
    time: datetime
    actor: str
    note: str | None
    created: int
    count: int


@dataclass(frozen=True, slots=True)
class Redaction:
    """What `Client.redact` took out."""

    path: str
    versions: int
    """How many values were replaced by a mark; those that were marks already do not count."""
    first: int
    """The first rev that wrote one of them; 0 where there was none."""
    last: int
    rev: int
    """The latest rev then. A redaction takes none."""


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """What the registry knows of a lease. Times are in seconds."""

    id: int
    ttl: float
    left: float | None
    """How long it has left, by the leader's clock; None when that was not told."""
    count: int
    """How many files are attached to it, also outside of the root of this client."""
    files: tuple[str, ...] | None
    """Their paths below the root of this client; None when not asked for."""
    rev: int
    """The rev that was read."""


@dataclass(frozen=True, slots=True)
class Result(Generic[F]):
    """The answer to a transaction; `F` is what its reads give, a `File`."""

    rev: int
    """The rev that it took; the latest rev when it changed nothing."""
    succeeded: bool
    """Whether all guards held: then `results` belongs to `then`, else to `orelse`."""
    results: tuple[F | list[tuple[str, Node]] | None, ...]
    """One a operation: None for set and delete, a File or None for get, (name, kind) pairs for ls."""

    def file(self, position: int = 0) -> F | None:
        """Return what the `op.get` at this position read, None when there was no file.

        IndexError when no operation ran at that position; TypeError when it was an `op.ls`.
        """
        found = self.results[position]
        if isinstance(found, list):
            raise TypeError(f"operation {position} listed a directory: see listing({position})")
        return found

    def listing(self, position: int = 0) -> list[tuple[str, Node]]:
        """Return the `(name, kind)` pairs of the `op.ls` at this position.

        IndexError when no operation ran at that position; TypeError when it was no `op.ls`.
        """
        found = self.results[position]
        if not isinstance(found, list):
            raise TypeError(f"operation {position} listed nothing: it was no op.ls")
        return found

    def detached(self) -> Result[F]:
        """Return the same with files that have no client: what pickling it gives."""
        read: tuple[Any, ...] = self.results
        kept = tuple(one.detached() if hasattr(one, "detached") else one for one in read)
        return Result(self.rev, self.succeeded, kept)

    def __repr__(self) -> str:
        word = "succeeded" if self.succeeded else "a guard did not hold"
        return f"Result(rev {self.rev}, {word}, {listed(self.results)})"


class Difference(Generic[T]):
    """One path that differs between two revs."""

    __slots__ = ("_after", "_before", "_codec", "path")

    def __init__(self, path: str, before: list[Any] | None, after: list[Any] | None, codec: Codec[T]) -> None:
        self.path = path
        self._before = before
        self._after = after
        self._codec = codec

    @property
    def kind(self) -> Kind:
        """Whether it was created, updated or deleted between the two."""
        if self.before_data is None:
            return Kind.CREATE
        return Kind.DELETE if self.after_data is None else Kind.UPDATE

    @property
    def before_data(self) -> bytes | None:
        """The stored value at the first rev; None when missing."""
        return None if self._before is None else self._before[1]

    @property
    def after_data(self) -> bytes | None:
        """The stored value at the second rev; None when missing."""
        return None if self._after is None else self._after[1]

    @property
    def before(self) -> T | None:
        """The value at the first rev, None when missing; DecodeError when the codec cannot read it."""
        return None if self.before_data is None else decode(self._codec, self.before_data, self.path)

    @property
    def after(self) -> T | None:
        """The value at the second rev, None when missing; DecodeError when the codec cannot read it."""
        return None if self.after_data is None else decode(self._codec, self.after_data, self.path)

    @property
    def rev(self) -> int:
        """When the path got its state at the second rev."""
        return 0 if self._after is None else self._after[0]

    def __repr__(self) -> str:
        told = (self.before_data, self.after_data)
        values = " -> ".join("nothing" if data is None else shown(data) for data in told)
        return f"Difference({self.kind.value} {word(self.path)}: {values})"


def commit_from_wire(commit: list[Any], strip: Callable[[str], str], codec: Codec[T]) -> Commit[T]:
    """Return the commit for `[rev, time, actor, note, changes]`; `strip` takes the root off a path."""
    rev, time_ms, actor, note, changes = commit
    return Commit(
        rev,
        time_ms,
        actor,
        note,
        tuple(
            Change(KINDS[row[0]], strip(row[1]), row[2], row[3] if len(row) > 3 else None, codec)
            for row in changes
        ),
    )


public(
    "visor", Kind, Node, Change, Commit, Stat, Entry, Horizon, Blame, Redaction, LeaseInfo, Result, Difference
)
