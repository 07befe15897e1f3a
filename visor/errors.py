"""Everything that a call can raise: one tree, cut by what the caller may believe.

    VisorError
    ├── Rejected            it did not happen; the same request fails again until something changes
    │   ├── Conflict            somebody was first
    │   │   ├── RevMismatch         .path .expected .actual
    │   │   ├── Exists              .path .actual
    │   │   ├── GuardFailed         .path .guard .expected .actual
    │   │   └── LeaseExists         .lease
    │   ├── NotFound            .path .rev
    │   ├── LeaseNotFound       .lease
    │   ├── LeaseLost           .lease   (told by the client itself, before anything is sent)
    │   │   └── LockLost            .path .fence
    │   ├── WrongQueue          .path .wanted .found   (also a ValueError; told by the client itself)
    │   ├── IsDirectory         .path
    │   ├── NotDirectory        .path   (the file that is in the way)
    │   ├── BadPath             .path .why
    │   ├── BadGlob             .glob .why
    │   ├── Compacted           .floor .rev
    │   ├── FutureRev           .rev .asked
    │   ├── TooLarge            .what .limit .actual
    │   ├── BadRequest          .field .expected .actual
    │   ├── Denied
    │   ├── WrongCluster        .expected .actual
    │   ├── Unsupported         .supported
    │   ├── NoMember            .member
    │   ├── Unsafe              .voters .needed .reachable .behind
    │   ├── Unsendable          .what .why   (also a ValueError; told by the client itself, nothing was sent)
    │   └── DecodeError         .path .codec   (also a ValueError)
    ├── Unavailable         it was not accepted; sending it again is safe
    │   ├── NoSpace             .path .free
    │   ├── NotLeader           .leader
    │   ├── NoQuorum
    │   ├── Overloaded          .what .limit
    │   ├── Closing
    │   ├── Diverged            .rev
    │   ├── HistoryDamaged      .file .offset
    │   ├── Cancelled
    │   └── DeadlineExceeded    .seconds   (also a TimeoutError)
    ├── OutcomeUnknown      it may have happened
    │   ├── WriteTimeout        .seconds   (also a TimeoutError)
    │   ├── LostLeadership
    │   ├── SessionLost
    │   ├── Unsettled
    │   └── InternalError
    ├── ClientUnusable      this client object cannot be used here and now; nothing was sent
    │   ├── ClientClosed
    │   ├── ForkedClient        .opened_in .used_in
    │   └── Detached
    └── CallbackEnded       .what .event   a callback raised SystemExit or the like: it is called no more

Every error carries what the registry said as plain attributes (None where it said nothing), is
pickle-able, and takes `add_note` as every exception does. Paths and globs are those of the client,
without its root. `.code` is the word of the protocol, `.operation` the position of the failing
operation of a transaction.
"""

# ruff: noqa: N818  # the names say what the caller may believe; they are part of the API
from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeAlias

from visor.protocol import codes

Detail: TypeAlias = object
"""What a detail may be: None, bool, int, str, bytes, or a list of those."""


class VisorError(Exception):
    """Base of all errors of this library.

    `message` names what was wrong; left out, it is made from `details`, which become attributes.
    """

    code: ClassVar[str] = "error"
    fields: ClassVar[tuple[str, ...]] = ()
    wording: ClassVar[str] = ""
    advice: ClassVar[str | None] = None
    """What a person can do about it, where the kind of error says more than its bases; the command prints it."""

    def __init__(self, message: str | None = None, /, **details: Detail) -> None:
        self.details: dict[str, Detail] = details
        super().__init__(message if message is not None else self._describe())

    def __getattr__(self, name: str) -> Detail:
        """Return a field that the registry left out as None."""
        if name in type(self).fields or name == "operation":
            return self.__dict__.get("details", {}).get(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __reduce__(self) -> tuple[Callable[..., VisorError], tuple[object, ...], dict[str, object]]:
        return (
            _rebuild,
            (type(self), str(self), self.details),
            {"__notes__": [*getattr(self, "__notes__", ())]},
        )

    def __setstate__(self, state: dict[str, object] | None) -> None:
        for note in _notes(state):
            self.add_note(note)

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else type(self).__name__

    def _describe(self) -> str:
        if not self.wording or any(name not in self.details for name in _names(self.wording)):
            return _plain(type(self).__name__, self.details)
        return self.wording.format(**self.details)


def _notes(state: dict[str, object] | None) -> list[str]:
    notes = (state or {}).get("__notes__")
    return [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []


def _names(wording: str) -> list[str]:
    return [re.split("[}!:]", piece, maxsplit=1)[0] for piece in wording.split("{")[1:]]


def _plain(name: str, details: Mapping[str, Detail]) -> str:
    told = ", ".join(f"{key}={value!r}" for key, value in details.items())
    return f"{name}: {told}" if told else name


def _rebuild(kind: type[VisorError], message: str, details: dict[str, Detail]) -> VisorError:
    return kind(message, **details)


# -- rejected -----------------------------------------------------------------------------------------
class Rejected(VisorError):
    """It did not happen, and the same request fails again until something changes."""

    code = codes.REJECTED


class Conflict(Rejected):
    """Somebody else was first: read again, decide again."""

    fields: ClassVar[tuple[str, ...]] = ("path", "actual")
    path: str
    actual: Detail


class RevMismatch(Conflict):
    """The file's rev is not the one that the guard asked for."""

    code = "rev_mismatch"
    fields = ("path", "expected", "actual")
    wording = "{path}: expected rev {expected}, found rev {actual}"
    expected: int
    actual: int


class Exists(Conflict):
    """The file must not exist, but does."""

    code = "exists"
    fields = ("path", "actual")
    wording = "{path}: exists already (rev {actual})"
    actual: int


class GuardFailed(Conflict):
    """A guard of a transaction does not hold."""

    code = "guard_failed"
    fields = ("path", "guard", "expected", "actual")
    wording = "{path}: guard {guard} does not hold: expected {expected}, found {actual}"
    guard: int | None
    expected: Detail
    actual: Detail


class LeaseExists(Conflict):
    """The id that was wanted for a lease is in use."""

    code = "lease_exists"
    fields = ("path", "actual", "lease")
    wording = "lease {lease} exists already"
    lease: int


class LeaseNotFound(Rejected):
    """There is no such lease: it has expired, was revoked, or never was."""

    code = "lease_not_found"
    fields = ("lease",)
    wording = "lease {lease} is not there, or not any more"
    lease: int


class LeaseLost(Rejected):
    """This client's lease has ended, or may have: nothing was done, and nothing that it held is held any more."""

    code = "lease_lost"
    fields: ClassVar[tuple[str, ...]] = ("lease",)
    wording = "lease {lease} is lost"
    lease: int


class LockLost(LeaseLost):
    """A lock, or another thing that was held by a lease, is not held any more: do not go on with what it protected."""

    code = "lock_lost"
    fields = ("path", "fence", "lease")
    wording = "{path}: not held any more (fencing number {fence})"
    path: str
    fence: int | None


class WrongQueue(Rejected, ValueError):
    """The directory is the queue of something else: a lock's, not a semaphore's, or a semaphore's of another limit."""

    code = "wrong_queue"
    fields = ("path", "wanted", "found")
    wording = "{path}: the queue of {found} stands there, not of {wanted}"
    path: str
    wanted: str
    found: str


class NotFound(Rejected):
    """There is no such file or directory."""

    code = "not_found"
    fields = ("path", "rev")
    wording = "{path}: not found"
    path: str
    rev: int | None

    def _describe(self) -> str:
        at = self.details.get("rev")
        return super()._describe() + (f" at rev {at}" if at else "")


class IsDirectory(Rejected):
    """A file was asked for, the path is a directory."""

    code = "is_directory"
    fields = ("path",)
    wording = "{path}: is a directory"
    path: str


class NotDirectory(Rejected):
    """A directory was asked for, the path (or a part of it) is a file."""

    code = "not_directory"
    fields = ("path",)
    wording = "{path}: is a file, not a directory"
    path: str


ALLOWED = "letters and digits of all scripts, . - _ ~ @ : + = , % ! $ & #"
"""What a component of a path may hold, in short: `visor.paths` has the grammar."""


def _allowed(why: Detail, allowed: str) -> str:
    """Return what is allowed, where the reason is a character that is not."""
    found = re.search("holds U\\+([0-9A-F]{4,6}) at", why) if isinstance(why, str) else None
    if found is None:
        return ""
    character = chr(int(found[1], 16))
    named = f" ({character!r})" if character.isascii() and character.isprintable() else ""
    return f"{named}: a name may hold {allowed}"


class BadPath(Rejected):
    """The path breaks the grammar."""

    code = "bad_path"
    fields = ("path", "why")
    wording = "{path!r} is not a path: {why}"
    path: str
    why: str

    def _describe(self) -> str:
        return super()._describe() + _allowed(self.details.get("why"), ALLOWED)


class BadGlob(Rejected):
    """The glob breaks the grammar."""

    code = "bad_glob"
    fields = ("glob", "why")
    wording = "{glob!r} is not a glob: {why}"
    glob: str
    why: str

    def _describe(self) -> str:
        return super()._describe() + _allowed(
            self.details.get("why"), f"{ALLOWED}, and a glob ? * ** {{a,b}}"
        )


class Compacted(Rejected):
    """History below `floor` is gone; `rev` was asked for.

    `floor` can be used as it is where `rev` was: for a read it is the lowest rev whose state there is, for a watch and
    a history the first rev whose commit there is (one more), for a store the lowest version to go on after.
    """

    code = "compacted"
    fields = ("floor", "rev")
    wording = "rev {rev} is compacted: history starts at rev {floor}"
    floor: int
    rev: int | None


class FutureRev(Rejected):
    """`asked` has not been committed yet; `rev` is the latest."""

    code = "future_rev"
    fields = ("rev", "asked")
    wording = "rev {asked} is in the future: the latest is rev {rev}"
    rev: int
    asked: int


class TooLarge(Rejected):
    """A limit of the registry was passed."""

    code = "too_large"
    fields = ("what", "limit", "actual")
    wording = "{what} is too large: {actual}, at most {limit}"
    what: str
    limit: int
    actual: int


class BadRequest(Rejected):
    """A field of the request is of the wrong type or outside its range."""

    code = "bad_request"
    fields = ("field", "expected", "actual")
    wording = "bad request: {field} must be {expected}, not {actual!r}"
    field: str | None
    expected: Detail
    actual: Detail


class Denied(Rejected):
    """The caller may not do that: `.missing` is what it would need; None where it could not prove who it is."""

    code = "denied"
    fields: ClassVar[tuple[str, ...]] = ("missing",)
    wording = "denied: this needs {missing}"
    missing: str | None


class WrongCluster(Rejected):
    """The address now leads to another cluster: its revs mean something else, so the client stops."""

    code = "wrong_cluster"
    fields = ("expected", "actual")
    wording = (
        "the server belongs to cluster {actual}, this client to cluster {expected}: "
        "check the addresses, then call reopen() or dial again"
    )
    expected: str
    actual: str | None


class Unsupported(Rejected):
    """The server does not speak a version of the protocol that this client knows."""

    code = "unsupported"
    fields = ("supported",)
    supported: Detail


class NoMember(Rejected):
    """The cluster has no member of that id or name."""

    code = "no_member"
    fields = ("member",)
    member: str


class Unsafe(Rejected):
    """The change of the members was refused: it could cost the cluster its majority. The numbers say why."""

    code = "unsafe"
    fields = ("voters", "needed", "reachable", "behind")
    voters: int | None
    needed: int | None
    reachable: int | None
    behind: int | None


class Unsendable(Rejected, ValueError):
    """An argument cannot be written in a message: half a character, a number that is too large, an odd type.

    Told by the client itself: nothing was sent, and nothing remembers the call.
    """

    code = "unsendable"
    fields = ("what", "why")
    wording = "{what} cannot be sent: {why}"
    what: str
    why: str


class DecodeError(Rejected, ValueError):
    """The value was read, but the codec cannot decode it; `__cause__` has the codec's own error."""

    code = "decode"
    fields = ("path", "codec")
    wording = "{path}: the value cannot be decoded as {codec}"
    path: str
    codec: str


# -- unavailable --------------------------------------------------------------------------------------
class Unavailable(VisorError):
    """It was not accepted; sending it again is safe."""

    code = codes.UNAVAILABLE


class NoSpace(Unavailable):
    """The disk of the server is full; reads go on, writes come back by themselves."""

    code = "no_space"
    fields = ("path", "free")
    path: str | None
    free: int | None


class NotLeader(Unavailable):
    """The node is not the leader and could not pass the request on."""

    code = "not_leader"
    fields = ("leader",)
    leader: str | None


class NoQuorum(Unavailable):
    """Too few nodes of the cluster answer."""

    code = "no_quorum"


class Overloaded(Unavailable):
    """A limit of the server on work in progress was reached."""

    code = "overloaded"
    fields = ("what", "limit")
    what: str | None
    limit: int | None


class Closing(Unavailable):
    """The server is about to stop."""

    code = "closing"


class Diverged(Unavailable):
    """The state of this node differs from that of the others since rev `rev` or before: it serves nobody."""

    code = "diverged"
    fields = ("rev",)
    rev: int | None


class HistoryDamaged(Unavailable):
    """A value of the past is not what was written to this node's disk, in `file` at `offset`. Others have their own."""

    code = "history_damaged"
    fields = ("file", "offset")
    file: str | None
    offset: int | None


class Cancelled(Unavailable):
    """The request was cancelled before it was done."""

    code = "cancelled"


class DeadlineExceeded(Unavailable, TimeoutError):
    """The deadline passed, and nothing was changed; `__cause__` has the last failure, if any."""

    code = "deadline"
    fields = ("seconds",)
    wording = "no answer within {seconds:g} s"
    seconds: float


# -- unknown ------------------------------------------------------------------------------------------
class OutcomeUnknown(VisorError):
    """It may have happened: look before doing it again."""

    code = codes.UNKNOWN


class WriteTimeout(OutcomeUnknown, TimeoutError):
    """The write was sent, no answer came before the deadline, and it will not be sent again."""

    code = "write_timeout"
    fields = ("seconds",)
    wording = "the write was sent but not answered within {seconds:g} s: it may have happened"
    seconds: float


class LostLeadership(OutcomeUnknown):
    """The leader was deposed, or the member that was asked failed, while the write was under way."""

    code = "lost_leadership"


class SessionLost(OutcomeUnknown):
    """The server no longer knows this client's session, so it cannot tell whether the write ran."""

    code = "session_lost"


class Unsettled(OutcomeUnknown):
    """A change of the members was begun and not done in time: it may still happen. Doing it again is safe."""

    code = "unsettled"


class InternalError(OutcomeUnknown):
    """The server failed in a way that it did not foresee."""

    code = "internal"


# -- the client itself --------------------------------------------------------------------------------
class ClientUnusable(VisorError):
    """This client object cannot be used here and now; nothing was sent."""


class ClientClosed(ClientUnusable):
    """`close` was called; `reopen` brings the client back."""

    code = "client_closed"
    wording = "the client is closed"

    def _describe(self) -> str:
        return self.wording


class ForkedClient(ClientUnusable):
    """The client was opened in the parent process; the child must not share its connection."""

    code = "forked_client"
    fields = ("opened_in", "used_in")
    wording = (
        "this client was opened in process {opened_in}, and process {used_in} is a fork of it: "
        "call client.reopen() here, or dial again"
    )
    opened_in: int
    used_in: int


class Detached(ClientUnusable):
    """The object has no client: it came out of a pickle, or is `detached()`. What it knows can be read, no more."""

    code = "detached"
    wording = (
        "this object is detached (it was pickled, or detached() made it) and has no client: "
        "ask a client for it anew"
    )

    def _describe(self) -> str:
        return self.wording


class CallbackEnded(VisorError):
    """A callback ended with what ends a program or a task, not with an error: it is not called any more.

    `__cause__` is what it raised.
    """

    code = "callback_ended"
    fields = ("what", "event")
    wording = "a callback ended with {what} at {event}: it is not called any more"
    what: str
    event: str


# -- from the wire ------------------------------------------------------------------------------------
_CLASSES: tuple[type[VisorError], ...] = (
    RevMismatch,
    NotFound,
    LeaseNotFound,
    LeaseExists,
    Exists,
    IsDirectory,
    NotDirectory,
    BadPath,
    BadGlob,
    GuardFailed,
    Compacted,
    FutureRev,
    TooLarge,
    BadRequest,
    Denied,
    WrongCluster,
    Unsupported,
    NoMember,
    Unsafe,
    NoSpace,
    NotLeader,
    NoQuorum,
    Overloaded,
    Closing,
    Diverged,
    HistoryDamaged,
    DeadlineExceeded,
    Cancelled,
    LostLeadership,
    SessionLost,
    Unsettled,
    InternalError,
)

BY_CODE: dict[str, type[VisorError]] = {kind.code: kind for kind in _CLASSES}
"""The class of every code in `visor.protocol.codes`."""


def from_wire(code: str, text: str, details: Mapping[str, Detail]) -> VisorError:
    """Make the error for what the server answered.

    The message is made from the details, whose paths are already those of the client; the server's
    own text is the fallback, because it names paths with the root.
    """
    kind = BY_CODE.get(code, OutcomeUnknown)
    if kind.wording and all(name in details for name in _names(kind.wording)):
        return kind(**details)
    return kind(text or code, **details)


def __dir__() -> list[str]:
    return sorted(
        name for name, one in globals().items() if isinstance(one, type) and issubclass(one, VisorError)
    )
