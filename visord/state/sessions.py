"""Exactly once: what each session's writes came to, kept until the client has said that it knows.

All bounds depend on applied commands alone, so all nodes forget the same things at the same entry.
"""

from __future__ import annotations

from collections import OrderedDict, deque
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

    def prune(self) -> int:
        """Forget what the client acknowledged; return how many outcomes that were."""
        outcomes, order, acked, count = self.outcomes, self.order, self.acked, 0
        while order and order[0] < acked:
            del outcomes[order.popleft()]
            count += 1
        if len(outcomes) > MAX_OUTCOMES:
            count += self._drop(len(outcomes) - MAX_OUTCOMES // 2)
        return count

    def _drop(self, count: int) -> int:
        """Forget the `count` lowest ids; whoever asks for one of them learns that it is lost."""
        doomed = sorted(self.outcomes)[:count]
        self.acked = doomed[-1] + 1
        self.outcomes = {write: kept for write, kept in self.outcomes.items() if write >= self.acked}
        self.order = deque(write for write in self.order if write >= self.acked)
        return count


class Sessions:
    """All sessions, the least recently used first."""

    __slots__ = ("_by_id", "forgotten", "total")

    def __init__(self) -> None:
        self._by_id: OrderedDict[bytes, Session] = OrderedDict()
        self.total = 0
        self.forgotten = -1
        """The highest `born` of all sessions that were forgotten. One whose client saw a later rev before it wrote
        anything is not among them: what is not known of it has not happened."""

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, session_id: bytes) -> Session | None:
        return self._by_id.get(session_id)

    def enter(self, session_id: bytes, time: int, rev: int = 0) -> Session:
        """Return the session, new or known, as the most recently used one. `rev`: the store's rev now."""
        session = self._by_id.get(session_id)
        if session is None:
            session = self._by_id[session_id] = Session(rev)
        else:
            self._by_id.move_to_end(session_id)
        session.last = time
        return session

    def settle(self, session: Session, before: int) -> None:
        """After a group: `session` had `before` outcomes; forget what is acknowledged, and count."""
        session.prune()
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
            del by_id[session_id]

    def export(self) -> list[list[Any]]:
        """Return rows `[id, acked, start, last, [[write, outcome], ...], born]`, least recently used first."""
        return [
            [
                session_id,
                session.acked,
                session.start,
                session.last,
                [[w, _pack(session.outcomes[w])] for w in session.order],
                session.born,
            ]
            for session_id, session in self._by_id.items()
        ]

    @classmethod
    def load(cls, rows: list[list[Any]], forgotten: int) -> Sessions:
        """Return the sessions that `export` wrote."""
        sessions = cls()
        sessions.forgotten = forgotten
        for session_id, acked, start, last, outcomes, *born in rows:
            session = sessions._by_id[session_id] = Session(*born)
            session.acked, session.start, session.last = acked, start, last
            session.outcomes = {write: _unpack(kept) for write, kept in outcomes}
            session.order = deque(session.outcomes)
            sessions.total += len(outcomes)
        return sessions


def _pack(outcome: Outcome) -> Any:
    return {"refusal": list(outcome)} if isinstance(outcome, Refusal) else outcome


def _unpack(kept: Any) -> Outcome:
    if isinstance(kept, dict):
        return Refusal(*kept["refusal"])
    outcome: Outcome = kept
    return outcome
