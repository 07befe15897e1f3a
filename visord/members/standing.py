"""Who may say what to this node: being let in at the door is no licence to lead it, to vote, or to stop it.

    rank        says                                     who that is
    VOTER       everything                               votes by the newest or the committed configuration here
    LEARNER     what a follower says; no votes, no GONE  is in one of them without a vote
    CONTACT     nothing, as long as somebody leads       no member here, but it may know better (`contacts`)
    STRANGER    nothing                                  anybody else

Whoever leads is a voter, as far as he knows; this node may not know yet: it joins, was away while members changed, or
the entry that gave him his vote is what it lacks. So a learner and a contact may lead, too, but only a node that has
no leader: at once where no configuration is known, after `LEADERLESS_SECONDS` elsewhere. In that time the voters that
it knows would have elected somebody. Whoever it follows may say what leaders say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from visord.peers import messages as msg
from visord.raft.configuration import Configuration

LEADERLESS_SECONDS: Final = 3.0
"""Seconds without a leader after which one who is no voter here is followed: three election timeouts."""

VOTER: Final = 3
LEARNER: Final = 2
CONTACT: Final = 1
STRANGER: Final = 0

LEADING: Final = frozenset((msg.APPEND, msg.INSTALL, msg.VOTE, msg.PREVOTE, msg.ROUND, msg.TIMEOUT_NOW))
"""What those say who lead, or want to."""
OF_VOTERS: Final = frozenset((msg.VOTED, msg.PREVOTED, msg.ROUNDED, msg.GONE))
OF_THE_LEADER: Final = frozenset((msg.HASH, msg.MARK, msg.VERDICT))
OF_MEMBERS: Final = frozenset(
    (
        msg.POSITION,
        msg.FORWARD,
        msg.READ_INDEX,
        msg.KEEP,
        msg.CALL,
        msg.OFFER,
        msg.FETCH,
        msg.HASHED,
        msg.MARKED,
    )
)
ANSWERS: Final = frozenset(
    (msg.PLACED, msg.REFUSED, msg.READ_AT, msg.KEPT, msg.RESULT, msg.OFFERED, msg.CHUNK)
)
"""Answers of whoever leads, or led: they count where this node asked him, which those who asked see by the number."""


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def leader(self) -> str | None: ...

    @property
    def configuration(self) -> Configuration: ...

    @property
    def committed_configuration(self) -> Configuration: ...


class Standing:
    """What each other member may say to this node. `contact(member)`: it is a contact."""

    def __init__(
        self, consensus: Consensus, contact: Callable[[str], bool], time: Callable[[], float]
    ) -> None:
        self._consensus = consensus
        self._contact = contact
        self._time = time
        self._ranks: dict[str, int] = {}
        self._founded = False
        """A configuration is known."""
        self._leaderless: float | None = time()
        """Since when nobody leads; None while somebody does."""

    def use(self) -> None:
        """The configuration, newest or committed, has changed."""
        newest, committed = self._consensus.configuration, self._consensus.committed_configuration
        self._founded = bool(newest.members or committed.members)
        self._ranks = dict.fromkeys((one.id for one in (*newest.members, *committed.members)), LEARNER)
        self._ranks |= dict.fromkeys((*newest.voters, *committed.voters), VOTER)

    def look(self) -> None:
        """From time to time: see whether somebody leads."""
        if self._consensus.leader is not None:
            self._leaderless = None
        elif self._leaderless is None:
            self._leaderless = self._time()

    def rank(self, member: str) -> int:
        """Return what a member is here."""
        rank = self._ranks.get(member)
        if rank is None:
            return CONTACT if self._contact(member) else STRANGER
        return rank

    def may(self, member: str, kind: int) -> bool:
        """Tell whether a member may say a message of this kind now."""
        rank = self._ranks.get(member)
        if rank == VOTER and kind not in OF_THE_LEADER:
            return True
        if rank is None:
            rank = self.rank(member)
        if rank == STRANGER:
            return False
        leads = member == self._consensus.leader
        if kind in LEADING:
            return leads or rank == VOTER or self._is_leaderless()
        if kind in OF_THE_LEADER:
            return leads
        if kind in OF_MEMBERS:
            return rank >= LEARNER
        return kind in ANSWERS

    def _is_leaderless(self) -> bool:
        if not self._founded:
            return True
        if self._leaderless is None or self._consensus.leader is not None:
            return False
        return self._time() - self._leaderless >= LEADERLESS_SECONDS
