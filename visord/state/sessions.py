"""Exactly once: what each session's writes came to, kept until the client has said that it knows.

All bounds depend on applied commands alone, so all nodes forget the same things at the same entry.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from visord.state.refusal import Refusal

Outcome: TypeAlias = int | list[Any] | Refusal

MAX_SESSIONS: Final = 20_000
MAX_OUTCOMES: Final = 4096
"""Outcomes of one session; more means that the client does not acknowledge."""
MAX_TOTAL: Final = 1_000_000
MAX_AGE: Final = 3_600_000
"""Milliseconds of command time after its last write, when a session is forgotten."""


_NEVER: Final = 1 << 63


class Session:
    """What one session wrote.

    `outcomes`: by write id. `order`: the ids as they came. `acked`: the lowest id that can still be asked
    for. `start`: the lowest id that was written here; what a retry below it did was forgotten with an
    earlier life of the session. `last`: the command time of the last write. `born`: the store's rev before its first.
    """

    __slots__ = ("acked", "born", "last", "order", "outcomes", "start")

    def __init__(self, born: int = 0) -> None:
        self.born = born
        self.acked = 0
        self.start = _NEVER
        self.last = 0
        self.outcomes: dict[int, Outcome] = {}
        self.order: deque[int] = deque()

    def keep(self, write: int, outcome: Outcome) -> None:
        """Remember what `write` came to."""
        self.outcomes[write] = outcome
        self.order.append(write)

    def drop(self, count: int) -> None:
        """Forget the `count` lowest ids; whoever asks for one of them learns that it is lost."""
        doomed = sorted(self.outcomes)[:count]
        self.acked = doomed[-1] + 1
        self.outcomes = {write: kept for write, kept in self.outcomes.items() if write >= self.acked}
        self.order = deque(write for write in self.order if write >= self.acked)


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

    __slots__ = ("_by_id", "_taken", "forgotten", "total")

    def __init__(self) -> None:
        self._taken: Taken | None = None
        """Of an export under way."""
        self._by_id: OrderedDict[bytes, Session] = OrderedDict()
        self.total = 0
        self.forgotten = -1
        """The highest `born` of all sessions that were forgotten. One whose client saw a later rev before it wrote
        anything is not among them: what is not known of it has not happened."""

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, session_id: bytes) -> Session | None:
        return self._by_id.get(session_id)

    def enter(self, session_id: bytes, time: int) -> Session | None:
        """Return the session as the most recently used one; None when it is not known."""
        session = self._by_id.get(session_id)
        if session is not None:
            if self._taken is not None:
                self._taken.put_aside(session_id)
            self._by_id.move_to_end(session_id)
            session.last = time
        return session

    def begin(self, session_id: bytes, time: int, rev: int = 0) -> Session:
        """Return a new session under an id that is not known. `rev`: the store's rev now."""
        session = self._by_id[session_id] = Session(rev)
        session.last = time
        return session

    def settle(self, session: Session, before: int) -> None:
        """After a group: `session` had `before` outcomes; forget what is acknowledged, and count."""
        outcomes, order, acked = session.outcomes, session.order, session.acked
        while order and order[0] < acked:
            del outcomes[order.popleft()]
        if len(outcomes) > MAX_OUTCOMES:
            session.drop(len(outcomes) - MAX_OUTCOMES // 2)
        self.total += len(session.outcomes) - before

    def evict(self, time: int) -> None:
        """After a command: forget the sessions that are too old or too many."""
        by_id = self._by_id
        while by_id:
            session_id, session = next(iter(by_id.items()))
            over = len(by_id) > MAX_SESSIONS or self.total > MAX_TOTAL
            if not over and time - session.last <= MAX_AGE:
                return
            self.total -= len(session.outcomes)
            self.forgotten = max(self.forgotten, session.born)
            if self._taken is not None:
                self._taken.put_aside(session_id)
            del by_id[session_id]

    def export(self) -> list[list[Any]]:
        """Return rows `[id, acked, start, last, [[write, outcome], ...], born]`, least recently used first."""
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
        session_id, acked, start, last, outcomes, *born = row
        session = self._by_id[session_id] = Session(*born)
        session.acked, session.start, session.last = acked, start, last
        session.outcomes = {write: _unpack(kept) for write, kept in outcomes}
        session.order = deque(session.outcomes)
        self.total += len(outcomes)


def _row(session_id: bytes, session: Session) -> list[Any]:
    outcomes = [[write, _pack(session.outcomes[write])] for write in session.order]
    return [session_id, session.acked, session.start, session.last, outcomes, session.born]


def _pack(outcome: Outcome) -> Any:
    return {"refusal": list(outcome)} if isinstance(outcome, Refusal) else outcome


def _unpack(kept: Any) -> Outcome:
    if isinstance(kept, dict):
        return Refusal(*kept["refusal"])
    outcome: Outcome = kept
    return outcome
