"""Exactly once: what each session's writes came to, kept until the client has said that it knows.

All bounds depend on applied commands alone, so all nodes forget the same things at the same entry. What is held is
counted as the memory that the objects take, per session, per owner (where a client comes from) and in total:

    a session        at most 4096 outcomes and 2 MiB: its oldest outcomes go, half at a time
    an owner         at most 10 000 sessions: its least recently used one goes for the new one
                     at most 64 MiB: the older half of its largest session's outcomes goes
    all              at most 20 000 sessions: the owner with most gives its least recently used one
                     at most 256 MiB: the owner with most gives, as above

A session that wrote less than a minute ago does not go for a new one of an owner that has as many as anybody: then
the new one is refused (`overloaded`), and nothing is lost to any other. So a client that opens sessions as fast as it
can is refused itself, and drives out its own old ones at most.

Of a refusal only the code and the numbers are kept: a retry is told that much, and not the path again.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from visord.state import refusal
from visord.state.listing import Deferred
from visord.state.refusal import Refusal

Outcome: TypeAlias = int | list[Any] | Refusal | Deferred
"""What apply answered to one write. A `Deferred` is never kept."""

MAX_SESSIONS: Final = 20_000
MAX_OWNER_SESSIONS: Final = 10_000
MAX_TOTAL: Final = 1_000_000
"""Outcomes of all sessions, where only commands of format 1 came: their bytes are not bounded then."""
FEW: Final = 16
"""Results that are nil: so many are always little."""
MAX_OUTCOMES: Final = 4096
"""Outcomes of one session; more means that the client does not acknowledge."""
MAX_SESSION_BYTES: Final = 2 << 20
MAX_OWNER_BYTES: Final = 64 << 20
MAX_BYTES: Final = 256 << 20
RELIEF: Final = MAX_BYTES // 64
"""Bytes that are given back beyond the limit when all are over it: to find who has most costs a millisecond."""
MAX_KEPT: Final = 4096
"""Bytes of one outcome; a larger one is not kept."""
MAX_AGE: Final = 3_600_000
"""Milliseconds of command time after its last write, when a session is forgotten."""
YOUNG: Final = 60_000
"""Milliseconds of command time after its last write, in which a session does not go for another one."""
SESSION_BYTES: Final = 1_400
"""What an empty session takes: a dict, a deque's first block, its places in three tables."""
OUTCOME_BYTES: Final = 144
"""What an outcome takes that is a rev: two integers, and its places in a dict and a deque."""
LARGE: Final = 16 << 10
"""Bytes from which a session is looked at when its owner has too much: at most some thousand of one owner are."""

_NEVER: Final = 1 << 63


class Owner:
    """Where sessions come from. `sessions`: the least recently used first. `held`: bytes of all of them."""

    __slots__ = ("held", "large", "name", "sessions")

    def __init__(self, name: str) -> None:
        self.name = name
        self.held = 0
        self.sessions: OrderedDict[bytes, Session] = OrderedDict()
        self.large: dict[bytes, Session] = {}
        """Those of at least `LARGE` bytes."""


class Session:
    """What one session wrote.

    `outcomes`: by write id. `order`: the ids as they came. `acked`: the lowest id that can still be asked
    for. `start`: the lowest id that was written here; what a retry below it did was forgotten with an
    earlier life of the session. `last`: the command time of the last write. `born`: the store's rev before its first.
    `held`: its bytes when they were last counted, `counted`: its outcomes then; `weights`: the bytes of outcomes that
    are more than a rev, by write id, `extra` in all.
    """

    __slots__ = (
        "acked",
        "born",
        "counted",
        "extra",
        "held",
        "id",
        "last",
        "order",
        "outcomes",
        "owner",
        "start",
        "weights",
    )

    def __init__(self, session_id: bytes, owner: Owner, born: int = 0) -> None:
        self.id = session_id
        self.owner = owner
        self.born = born
        self.acked = 0
        self.start = _NEVER
        self.last = 0
        self.held = 0
        self.counted = 0
        self.extra = 0
        self.outcomes: dict[int, Outcome] = {}
        self.order: deque[int] = deque()
        self.weights: dict[int, int] = {}

    def keep(self, write: int, outcome: Outcome) -> None:
        """Remember what `write` came to: a rev, or what `abridged` gave."""
        self.outcomes[write] = outcome
        self.order.append(write)
        if type(outcome) is not int:
            weight = self.weights[write] = weigh(outcome)
            self.extra += weight

    def replace(self, write: int, outcome: Outcome) -> None:
        """Remember something else of `write`, which came to more than a rev."""
        self.outcomes[write] = outcome
        self.extra -= self.weights.pop(write, 0)
        weight = self.weights[write] = weigh(outcome)
        self.extra += weight

    def forget(self) -> None:
        """Forget what is acknowledged."""
        outcomes, order, acked = self.outcomes, self.order, self.acked
        if self.extra:
            while order and order[0] < acked:
                write = order.popleft()
                del outcomes[write]
                self.extra -= self.weights.pop(write, 0)
        else:
            while order and order[0] < acked:
                del outcomes[order.popleft()]

    def drop(self, count: int) -> None:
        """Forget the `count` lowest ids; a client that asks for one of them learns that it is lost."""
        doomed = sorted(self.outcomes)[:count]
        self.acked = doomed[-1] + 1
        self.outcomes = {write: kept for write, kept in self.outcomes.items() if write >= self.acked}
        self.order = deque(write for write in self.order if write >= self.acked)
        self.weights = {write: weight for write, weight in self.weights.items() if write >= self.acked}
        self.extra = sum(self.weights.values())

    def bytes(self) -> int:
        """Return what it takes now."""
        return SESSION_BYTES + OUTCOME_BYTES * len(self.outcomes) + self.extra


def weigh(value: Any, most: int = MAX_KEPT) -> int:
    """Return about how many bytes these objects take; when it is over `most`, any number that is."""
    if type(value) is list and len(value) == 3 and type(value[2]) is list:
        results = value[2]
        if results.count(None) == len(results):  # a transaction that read nothing: nearly all of them
            return _TRANSACTION + _NOTHING * len(results)
    total, rest = 0, [value]
    while rest and total <= most:
        one = rest.pop()
        kind = type(one)
        if kind is bytes:
            total += 48 + len(one)
        elif kind is str:
            total += 64 + len(one) * (1 if one.isascii() else 4)
        elif kind is dict:
            total += 232 + 16 * len(one)
            rest += one.values()
        elif kind in (list, tuple, Refusal):
            total += 64 + 8 * len(one)
            rest += one
        else:
            total += 32
    return total


def _has_read(outcome: Outcome, revs: frozenset[int], below: range) -> bool:
    """Tell whether a transaction read a version that one of these revs wrote, or one `below` the floor."""
    if type(outcome) is not list or len(outcome) != 3 or type(outcome[2]) is not list:
        return False
    return any(_is_version(one) and (one[0] in revs or one[0] in below) for one in outcome[2])


def _is_version(result: Any) -> bool:
    """Tell a version that was read from the entries of a directory: of those there may be as many as it has fields."""
    return type(result) in (tuple, list) and len(result) == 5 and type(result[0]) is int


_REDACTED: Final = "the transaction was decided, what it read was redacted since"
_TRANSACTION: Final = 216
"""`[rev, succeeded, []]`, as `weigh` counts."""
_NOTHING: Final = 40
"""One result that is nil."""


def abridged(refusal: Refusal) -> Refusal:
    """Return what is kept of a refusal: its code, a fixed text, and the numbers among the details."""
    numbers = {key: value for key, value in refusal.details.items() if type(value) is int}
    text = _TEXTS.get(refusal.code)
    if text is None:
        text = _TEXTS[refusal.code] = f"the write was refused when it came first ({refusal.code})"
    return Refusal(refusal.code, text, numbers)


_TEXTS: Final[dict[str, str]] = {}


class Taken:
    """The sessions as they were when an export began, given out one by one while they go on changing.

    Before one of them changes or goes for the first time since, its row is put aside.
    """

    __slots__ = ("_aside", "_by_id", "_order", "_untouched")

    def __init__(self, by_id: dict[bytes, Session]) -> None:
        self._by_id = by_id
        self._order = list(by_id)
        self._untouched = set(self._order)
        self._aside: dict[bytes, list[Any]] = {}

    def put_aside(self, session_id: bytes) -> None:
        """The session will be changed, or go."""
        if session_id in self._untouched:
            self._untouched.discard(session_id)
            self._aside[session_id] = _row(session_id, self._by_id[session_id])

    def rows(self) -> Iterator[list[Any]]:
        """Yield the row of each session, once, in their order."""
        for session_id in self._order:
            if session_id in self._untouched:
                self._untouched.discard(session_id)
                yield _row(session_id, self._by_id[session_id])
            else:
                yield self._aside.pop(session_id)


class Sessions:
    """All sessions, the least recently used first."""

    __slots__ = ("_by_id", "_most", "_owners", "_taken", "by_owner", "forgotten", "held", "total")

    def __init__(self) -> None:
        self._taken: Taken | None = None
        """Of an export under way."""
        self._by_id: OrderedDict[bytes, Session] = OrderedDict()
        self._owners: dict[str, Owner] = {}
        self._most: list[tuple[int, str]] = []
        """A heap of `(-sessions, owner)`, and of what was so before: see `_first`."""
        self.held = 0
        """Bytes of all sessions."""
        self.total = 0
        """Outcomes of all sessions."""
        self.by_owner = True
        """What is kept is bounded in bytes, and by owner. Not for a command of format 1, which knows no owners: what
        came of those was decided by other rules (`cost.FORMAT_1`)."""
        self.forgotten = -1
        """The highest `born` of all sessions that were forgotten. One whose client saw a later rev before it wrote
        anything is not among them: what is not known of it has not happened."""

    def __len__(self) -> int:
        return len(self._by_id)

    def by_size(self) -> Iterator[tuple[str, int, int]]:
        """Yield each owner, how many sessions it has, and their bytes."""
        for name, owner in self._owners.items():
            yield name, len(owner.sessions), owner.held

    def get(self, session_id: bytes) -> Session | None:
        return self._by_id.get(session_id)

    def known(self, session_id: bytes, frame: list[Any]) -> bool:
        """Tell whether the write that a RETRY, `[RETRY, id, [verb, id, ...], ...]`, asks for has its outcome here.

        The same when that is forgotten: either is told, and nothing is done. Total: the frame may be anything.
        """
        session, write = self._by_id.get(session_id), frame[2] if len(frame) > 2 else None
        if session is None or type(write) is not list or len(write) < 2 or type(write[1]) is not int:
            return False
        return write[1] < session.acked or write[1] in session.outcomes

    def enter(self, session_id: bytes, time: int) -> Session | None:
        """Return the session as the most recently used one; None when it is not known."""
        session = self._by_id.get(session_id)
        if session is not None:
            if self._taken is not None:
                self._taken.put_aside(session_id)
            self._by_id.move_to_end(session_id)
            session.owner.sessions.move_to_end(session_id)
            session.last = time
        return session

    def begin(self, session_id: bytes, time: int, rev: int = 0, owner: str = "") -> Session | Refusal:
        """Return a new session under an id that is not known, or why there can be none. `rev`: the store's rev now."""
        refused = self._make_room(owner, time)
        if refused is not None:
            return refused
        session = self._add(session_id, owner, rev)
        session.last = time
        return session

    def wrote(self, session: Session, write: int, acked: int, rev: int, time: int) -> None:
        """A batch of one write that this session has not heard of came to a rev: `enter`, keep it, and `prune`."""
        if self._taken is not None:
            self._taken.put_aside(session.id)
        self._by_id.move_to_end(session.id)
        session.owner.sessions.move_to_end(session.id)
        session.last = time
        if acked > session.acked:
            session.acked = acked
        if write < session.start:
            session.start = write
        outcomes, order = session.outcomes, session.order
        outcomes[write] = rev
        order.append(write)
        if order[0] < session.acked and not session.extra:
            del outcomes[order.popleft()]
        if len(outcomes) != session.counted or order[0] < session.acked or session.extra:
            self.prune(session)

    def prune(self, session: Session) -> None:
        """After a batch: forget what is acknowledged, and what is too much."""
        order = session.order
        if order and order[0] < session.acked:
            session.forget()
        if len(session.outcomes) > MAX_OUTCOMES:
            session.drop(len(session.outcomes) - MAX_OUTCOMES // 2)
        held = SESSION_BYTES + OUTCOME_BYTES * len(session.outcomes) + session.extra
        if held != session.held or len(session.outcomes) != session.counted:
            if not self.by_owner:
                self._count(session)
                return
            while held > MAX_SESSION_BYTES:
                session.drop((len(session.outcomes) + 1) // 2)
                held = session.bytes()
            self._count(session)
            if session.owner.held > MAX_OWNER_BYTES:
                self._relieve_owner(session)
            if self.held > MAX_BYTES:
                self._relieve_all()

    def evict(self, time: int) -> None:
        """After a command: forget the sessions that are too old, or too many where they were not refused before."""
        by_id = self._by_id
        while by_id:
            session = by_id[next(iter(by_id))]
            over = not self.by_owner and (len(by_id) > MAX_SESSIONS or self.total > MAX_TOTAL)
            if not over and time - session.last <= MAX_AGE:
                return
            self._forget(session)

    def lose(self, revs: frozenset[int], below: range) -> None:
        """Forget what transactions have read of what these revs wrote: a retry is told that they were committed.

        `below`: revs below the floor, whatever they wrote.

        All that sessions keep is looked at: a fifth of a second where that is all that may be (`MAX_BYTES`).
        """
        if not revs and not below:
            return
        for session in self._by_id.values():
            read = [write for write in session.weights if _has_read(session.outcomes[write], revs, below)]
            if read and self._taken is not None:
                self._taken.put_aside(session.id)
            for write in read:
                known: Any = session.outcomes[write]
                session.replace(write, abridged(refusal.session_lost(_REDACTED, rev=known[0])))
            if read:
                self._count(session)

    # -- what goes for what ---------------------------------------------------------------------------

    def _make_room(self, name: str, time: int) -> Refusal | None:
        """See that `name` may have one session more; return why it may not."""
        if not self.by_owner:
            return None  # who came last always found room: see `evict`
        owner = self._owners.get(name)
        while owner is not None and len(owner.sessions) >= MAX_OWNER_SESSIONS:
            oldest = owner.sessions[next(iter(owner.sessions))]
            if time - oldest.last < YOUNG:
                return _overloaded("sessions of one address", MAX_OWNER_SESSIONS, len(owner.sessions) + 1)
            self._forget(oldest)
        while len(self._by_id) >= MAX_SESSIONS:
            first = self._first()
            oldest = first.sessions[next(iter(first.sessions))]
            own = len(owner.sessions) if owner is not None else 0
            if time - oldest.last < YOUNG and own + 1 >= len(first.sessions):
                return _overloaded("sessions", MAX_SESSIONS, len(self._by_id) + 1)
            self._forget(oldest)
        return None

    def _rank(self, owner: Owner) -> None:
        """Note how many sessions an owner has now."""
        most, owners = self._most, self._owners
        heapq.heappush(most, (-len(owner.sessions), owner.name))
        if len(most) > 2 * len(owners) + 1000:  # most of them say what was so before
            most[:] = [(-len(one.sessions), name) for name, one in owners.items()]
            heapq.heapify(most)

    def _first(self) -> Owner:
        """Return the owner with most sessions, the first by name of several."""
        most, owners = self._most, self._owners
        while True:
            negative, name = most[0]
            owner = owners.get(name)
            if owner is not None and len(owner.sessions) == -negative:
                return owner
            heapq.heappop(most)

    def _relieve_owner(self, writer: Session) -> None:
        owner = writer.owner
        while owner.held > MAX_OWNER_BYTES:
            if not owner.large and len(writer.outcomes) > 1:
                self._halve(writer)
            else:
                self._relieve(owner)

    def _relieve_all(self) -> None:
        heap = [(-owner.held, name) for name, owner in self._owners.items()]
        heapq.heapify(heap)
        while self.held > MAX_BYTES - RELIEF and heap:
            owner = self._owners[heapq.heappop(heap)[1]]
            self._relieve(owner)
            if owner.sessions:
                heapq.heappush(heap, (-owner.held, owner.name))

    def _relieve(self, owner: Owner) -> None:
        """Give back some of what this owner holds: of the largest session, or the least recently used one."""
        if owner.large:
            self._halve(max(owner.large.values(), key=_size))
        else:
            self._forget(owner.sessions[next(iter(owner.sessions))])

    def _halve(self, session: Session) -> None:
        if self._taken is not None:
            self._taken.put_aside(session.id)
        session.drop((len(session.outcomes) + 1) // 2)
        self._count(session)

    # -- one comes, one goes --------------------------------------------------------------------------

    def _add(self, session_id: bytes, name: str, born: int) -> Session:
        owner = self._owners.get(name)
        if owner is None:
            owner = self._owners[name] = Owner(name)
        session = self._by_id[session_id] = owner.sessions[session_id] = Session(session_id, owner, born)
        self._rank(owner)
        self._count(session)
        return session

    def _count(self, session: Session) -> None:
        owner, held = session.owner, session.bytes()
        grown, session.held = held - session.held, held
        self.total += len(session.outcomes) - session.counted
        session.counted = len(session.outcomes)
        owner.held += grown
        self.held += grown
        if held >= LARGE:
            owner.large[session.id] = session
        elif owner.large:
            owner.large.pop(session.id, None)

    def _forget(self, session: Session) -> None:
        self.forgotten = max(self.forgotten, session.born)
        if self._taken is not None:
            self._taken.put_aside(session.id)
        owner = session.owner
        owner.held -= session.held
        self.held -= session.held
        self.total -= session.counted
        owner.large.pop(session.id, None)
        del self._by_id[session.id], owner.sessions[session.id]
        if owner.sessions:
            self._rank(owner)
        else:
            del self._owners[owner.name]

    # -- checkpoints ----------------------------------------------------------------------------------

    def export(self) -> list[list[Any]]:
        """Return rows `[id, acked, start, last, [[write, outcome], ...], born, owner]`, least recently used first."""
        return [_row(session_id, session) for session_id, session in self._by_id.items()]

    def begin_export(self) -> Taken:
        """Begin to give out the same rows one by one. There is one export at a time."""
        self._taken = Taken(self._by_id)
        return self._taken

    def end_export(self, taken: Taken) -> None:
        """The export is over, or was given up. Idempotent."""
        if self._taken is taken:
            self._taken = None

    @classmethod
    def load(cls, rows: list[list[Any]], forgotten: int) -> Sessions:
        """Return the sessions that `export` wrote."""
        sessions = cls()
        sessions.forgotten = forgotten
        for row in rows:
            sessions.add(row)
        return sessions

    def add(self, row: list[Any]) -> None:
        """Add a session that was exported, as the most recently used one."""
        session_id, acked, start, last, outcomes, *more = (
            row  # an older row ends without owner, or without born
        )
        session = self._add(session_id, more[1] if len(more) > 1 else "", more[0] if more else 0)
        session.acked, session.start, session.last = acked, start, last
        for write, kept in outcomes:
            session.keep(write, _unpack(kept))
        self._count(session)


def _row(session_id: bytes, session: Session) -> list[Any]:
    outcomes = [[write, _pack(session.outcomes[write])] for write in session.order]
    return [
        session_id,
        session.acked,
        session.start,
        session.last,
        outcomes,
        session.born,
        session.owner.name,
    ]


def _size(session: Session) -> tuple[int, bytes]:
    return session.held, session.id


def _overloaded(what: str, limit: int, actual: int) -> Refusal:
    text = f"{what}: {actual} is over the limit of {limit}, and the others wrote a moment ago"
    return Refusal("overloaded", text, {"what": what, "limit": limit, "actual": actual})


def _pack(outcome: Outcome) -> Any:
    return {"refusal": list(outcome)} if isinstance(outcome, Refusal) else outcome


def _unpack(kept: Any) -> Outcome:
    if isinstance(kept, dict):
        return abridged(Refusal(*kept["refusal"]))
    if type(kept) is list and type(kept[1]) is bool and type(kept[2]) is list:
        results = kept[2]
        if len(results) > FEW and results.count(None) == len(results):
            return [kept[0], kept[1], len(results)]
    outcome: Outcome = kept
    return outcome
