"""How fast a node's term rises by what others say, so that none is sent out of the others' reach for good.

A term that is taken over cannot be given back: a node that was told of a term far ahead refuses the leader until that
one has come as far. So each node lets its term rise by `LEAP` a minute at most, however many messages say otherwise:

    within what is left of this minute    taken
    beyond, by a few                      taken once a second: elections go on
    beyond, by a leader or a voter        it climbs as far as it may now, drops the message, and goes on next minute
    beyond all reason (`FAR`)             refused: no honest member says that

So a node that was led ahead is found by the others after as many minutes as that took, and as a rule at once: a leader
that hears of a term within reach stands behind it. Voters take a little more than learners, and a learner's word counts
for a little less than what voters take in the same minute: the leader that believed one, or the next one that believes
it again, stands within reach of all others.
"""

from __future__ import annotations

from typing import Any, Final

from visord.peers import messages as msg
from visord.raft.core.state import LEADER, State

LEAP: Final = 1 << 20
"""Terms that a member is led ahead in a minute at most. Pre-votes keep terms from running away, so that an election a
second for twelve days makes fewer; and 2**42 such leaps would be needed to reach the end of all terms."""
STEP: Final = 64
"""Terms that are a few. A voter may be led so many more ahead in a minute than a learner."""
FAR: Final = 1 << 40
"""Terms above its own that nobody has: twelve days of a liar who leads all astray would not make them."""
WINDOW_SECONDS: Final = 60.0
TRICKLE_SECONDS: Final = 1.0
"""Between two times that a few terms are taken although the minute's are used up."""
RAISING: Final = frozenset((msg.APPEND, msg.INSTALL, msg.VOTE, msg.POSITION, msg.PREVOTED, msg.ROUNDED))
"""What may carry a term that is taken over."""


class Terms(State):
    """The part of a node that judges how far ahead a message's term is."""

    def _reaches(self, node: Any, message: list[Any]) -> bool:
        """Tell whether a message's term is within reach; otherwise the message is dropped."""
        kind, term = message[:2]
        if kind == msg.PREVOTED:
            term = max(term, message[3])
        own = self._SyncObj__raftCurrentTerm
        if term <= own:
            return True
        if term > own + FAR:
            self._refuse("leap_refused", f"term {term} leaps: this node is in term {own}")
            return False
        if kind not in RAISING or not self._configurations[-1][1].members:
            # A node that is no member yet knows nothing of the cluster's terms, and has nothing to lose.
            return True
        if kind == msg.POSITION and node not in self._SyncObj__otherNodes:
            return True  # `_believe_learner` judges it
        now, reach = self._clock(), self._reach()
        if term <= reach:
            return True
        if term <= own + STEP and now - self._trickled >= TRICKLE_SECONDS:
            self._trickled = now
            return True
        self.counters["leap_delayed"] += 1
        if own < reach and self._would_rise(kind):
            self._yield(reach)
            self._SyncObj__raftLeader = None
        return False

    def _reach(self) -> int:
        """Return the term up to which this node may be led now."""
        now, (began, term) = self._clock(), self._window
        if now - began >= WINDOW_SECONDS:
            term = self._SyncObj__raftCurrentTerm
            self._window = now, term
        return term + LEAP + STEP * self.is_voter

    def _would_rise(self, kind: int) -> bool:
        """Tell whether a message of this kind would be believed now, if its term were within reach."""
        if kind in (msg.POSITION, msg.ROUNDED):
            return self._SyncObj__raftState == LEADER
        if kind == msg.PREVOTED:
            return self.is_voter and self._SyncObj__raftLeader is None
        return kind != msg.VOTE
