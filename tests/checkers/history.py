"""What was asked, answered and committed in one run: the record that all checkers judge.

Times are seconds of one clock (the simulation's, or the machine's monotonic one). Whatever was not recorded stays empty
and is not judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from visor.protocol import verbs

Version = tuple[int, bytes | None, int, int, int]
"""(mod_rev, value, created, count, lease), as on the wire; value None: deleted."""
Change = tuple[int, str, Version, Version | None]
"""(kind, path, version, previous)."""
Commit = tuple[int, int, str, str | None, list[Change]]
"""(rev, time, actor, note, changes)."""

OK: Final = "ok"
REJECTED: Final = "rejected"
"""Answered: it did not happen."""
UNKNOWN: Final = "unknown"
"""It may have happened, or may still: no answer came, or one that says so."""

LINEARIZABLE: Final = "linearizable"
STALE: Final = "stale"
PAST: Final = "past"
"""A read at a rev."""

NEVER: Final = float("inf")


class Violation(AssertionError):  # noqa: N818 - it reads better
    """A property does not hold. `property` is its name, the text what shows it."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.property = name


class Write(NamedTuple):
    """What a write does, as a transaction.

    `guards` are `(kind, path, arg)`, `then` and `otherwise` operations as on the wire (`[T_SET, path, value]`,
    `[T_DELETE, path]`, `[T_GET, path]`). `strict`: a guard that fails refuses the write (SET, DELETE) instead of taking
    the other branch. `token` names it: it is the commit's note, or begins the value that it sets, up to a dot. A T_SET
    may have a lease as its fourth field.
    """

    token: str
    guards: tuple[tuple[int, str, Any], ...]
    then: tuple[tuple[Any, ...], ...]
    otherwise: tuple[tuple[Any, ...], ...] = ()
    strict: bool = False
    revokes: int = 0
    """A lease that it ends, with all that is attached."""


class Read(NamedTuple):
    """A read of one path, or of all files below it, in a mode."""

    path: str
    tree: bool
    mode: str


@dataclass(slots=True)
class Operation:
    """One request of one client, with all its retries, from the first sending to the last answer."""

    client: int
    what: Write | Read
    call: float
    end: float = NEVER
    outcome: str = UNKNOWN
    rev: int | None = None
    """The rev of OK: the commit, or the state that was read."""
    result: Any = None
    """Of a read: `{path: version}`. Of a transaction: `(succeeded, results)`. Of a rejection: `(code, details)`."""
    asked: int | None = None
    """The rev that a read at a rev asked for."""

    @property
    def write(self) -> Write | None:
        """What it writes; None: it reads."""
        return self.what if isinstance(self.what, Write) else None

    @property
    def read(self) -> Read | None:
        """What it reads; None: it writes."""
        return self.what if isinstance(self.what, Read) else None


class Event(NamedTuple):
    """Something that a watch delivered, or (`resumed`) that it was asked for again somewhere.

    `kind` is `resumed` (`rev`: from), `state` (`content`: {path: version}, `rev`: the state's), `commit` (`content`:
    the commit as delivered), `mark` or `ended` (`rev`: delivered up to).
    """

    time: float
    kind: str
    rev: int
    content: Any = None


@dataclass(slots=True)
class Watch:
    """One logical watch over all connections that it was resumed on. Selects `path` and all below it."""

    client: int
    path: str
    events: list[Event] = field(default_factory=list)
    kinds: int = 0b11110
    previous: bool = False
    complete_to: int | None = None
    """Everything up to this rev must have been delivered by the end."""


class Digest(NamedTuple):
    """What one node had at one point of the common order; equal `(what, at)` must mean equal `value`."""

    node: str
    what: str
    at: int
    value: Any


class Goal(NamedTuple):
    """Something that had to be reached by a time."""

    name: str
    due: float
    reached: float | None


@dataclass(slots=True)
class Lease:
    """One lease that a client held."""

    lease: int
    ttl: float
    """In seconds of the history's clock, by the fastest clock that any node had."""
    renewed: list[float]
    """When the grant, and each keep-alive that was answered with "kept", was *sent*."""
    expired_at: float | None = None
    """When anybody first saw that it had expired."""


class Grant(NamedTuple):
    """A lease was granted, to whomever, by a command after which the state was at `rev` (a grant takes none)."""

    lease: int
    rev: int


class Revocation(NamedTuple):
    """A user has no rights any more, since an entry after which the state was at `rev` (it takes none)."""

    user: str
    rev: int


OUTSIDER: Final = "hostile"
"""The actor of those who mean harm: nobody keeps count of what they write."""
UNPROVEN: Final = "anonymous/"
"""Before the actor of who proves nothing, once there are users."""
FUZZ: Final = "fuzz"
"""The actor of strange frames: one of them may greet a node in its own name."""


CONCEALED: Final = "/x/"
"""Where paths begin whose values may be redacted: nobody but who does that reads them, and they are not compared."""


def veiled(path: str, version: Version | None) -> Version | None:
    """Return a version without what a redaction may have changed of it."""
    if version is None or version[1] is None or not path.startswith(CONCEALED):
        return version
    rev, _, created, count, lease = version
    return (rev, b"", created, count, lease)


def veil(commit: Any) -> Any:
    """Return a commit, in tuples, without what a redaction may have changed of it."""
    *head, changes = commit
    rows = [
        (kind, path, *(veiled(path, version) for version in versions)) for kind, path, *versions in changes
    ]
    return (*head, rows)


@dataclass(slots=True)
class History:
    """One run. `commits` is complete from rev 1 on, in the order of the revs."""

    operations: list[Operation] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    seen_at: dict[int, float] = field(default_factory=dict)
    """rev -> when any node had applied it first; revs may be missing."""
    applied: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    """node -> (index, term, crc of the command), in the order in which they were applied, over all its lives."""
    digests: list[Digest] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    """All of them, in the order in which they were applied."""
    revocations: list[Revocation] = field(default_factory=list)
    """Those that were acknowledged."""
    goals: list[Goal] = field(default_factory=list)

    def last_rev(self) -> int:
        """Return the highest rev."""
        return self.commits[-1][0] if self.commits else 0


def token_of(commit: Commit) -> str | None:
    """Return the token of the write that made a commit; None when it names none, or nobody is asked for it."""
    note, changes = commit[3], commit[4]
    if commit[2].removeprefix(UNPROVEN) in (OUTSIDER, FUZZ):
        return None
    if note:
        return note
    for _, _, version, _ in changes:
        if version[1]:
            token, dot, _ = version[1].partition(b".")
            return token.decode() if dot else None
    return None


def expired_lease(commit: Commit) -> int:
    """Return the lease whose expiry a commit is; 0: it is none."""
    for kind, _, _, previous in commit[4]:
        if kind == verbs.EXPIRE and previous is not None:
            return previous[4]
    return 0


def by_token(commits: Iterable[Commit]) -> dict[str, list[Commit]]:
    """Return the commits of each token."""
    found: dict[str, list[Commit]] = {}
    for commit in commits:
        token = token_of(commit)
        if token is not None:
            found.setdefault(token, []).append(commit)
    return found
