"""Who may say what to this node: being let in at the door is no licence to lead it, to vote, or to stop it.

    rank        says                                     who that is
    VOTER       everything                               votes by the newest or the committed configuration here, or by
                                                         the word of somebody who does (`proof`)
    LEARNER     what a follower says; no votes, no GONE  is in one of them without a vote
    CONTACT     nothing but who votes                    no member here, but it may know better (`contacts`)
    STRANGER    nothing                                  anybody else

A leader is a voter, as far as it knows; this node may not know yet: it joins, was away while members changed, or the
entry that gave the leader its vote is what it lacks. What that one says is dropped until a voter has vouched for it:
how long this node has had no leader does not matter. The leader that it follows may say what leaders say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from visord.peers import messages as msg
from visord.raft.configuration import Configuration

VOTER: Final = 3
LEARNER: Final = 2
CONTACT: Final = 1
STRANGER: Final = 0

LEADING: Final = frozenset((msg.APPEND, msg.INSTALL, msg.VOTE, msg.PREVOTE, msg.ROUND, msg.TIMEOUT_NOW))
"""What members say that lead, or want to."""
OF_THE_LEADER: Final = frozenset((msg.HASH, msg.SAMPLE, msg.VERDICT))
OF_MEMBERS: Final = frozenset(
    (
        msg.POSITION,
        msg.FORWARD,
        msg.READ_INDEX,
        msg.KEEP,
        msg.CALL,
        msg.OFFER,
        msg.FETCH,
        msg.DIGEST,
        msg.ENROL,
        msg.KEY,
        msg.HASHED,
        msg.SAMPLED,
    )
)
ANSWERS: Final = frozenset(
    (
        msg.PLACED,
        msg.REFUSED,
        msg.READ_AT,
        msg.KEPT,
        msg.RESULT,
        msg.OFFERED,
        msg.CHUNK,
        msg.ENROLLED,
        msg.KEY_IS,
    )
)
"""Answers of a leader, also a former one: they count where it was asked, as the room that asked sees by the number."""


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def leader(self) -> str | None: ...

    @property
    def configuration(self) -> Configuration: ...

    @property
    def committed_configuration(self) -> Configuration: ...


class Standing:
    """What each other member may say to this node.

    `contact(member)`: it is a contact; `proven(member)`: a voter told that it votes.
    """

    def __init__(
        self, consensus: Consensus, contact: Callable[[str], bool], proven: Callable[[str], bool]
    ) -> None:
        self._consensus = consensus
        self._contact = contact
        self._proven = proven
        self._ranks: dict[str, int] = {}

    def use(self) -> None:
        """The configuration, newest or committed, has changed."""
        newest, committed = self._consensus.configuration, self._consensus.committed_configuration
        self._ranks = dict.fromkeys((one.id for one in (*newest.members, *committed.members)), LEARNER)
        self._ranks |= dict.fromkeys((*newest.voters, *committed.voters), VOTER)

    def rank(self, member: str) -> int:
        """Return what a member is here."""
        rank = self._ranks.get(member)
        if rank == VOTER or self._proven(member):
            return VOTER
        if rank is None:
            return CONTACT if self._contact(member) else STRANGER
        return rank

    def may(self, member: str, kind: int) -> bool:
        """Tell whether a message of this kind by a member is taken now."""
        rank = self._ranks.get(member)
        if rank == VOTER and kind not in OF_THE_LEADER:
            return True
        rank = self.rank(member)
        if rank == STRANGER:
            return False
        if kind in OF_THE_LEADER:
            return member == self._consensus.leader
        if kind in LEADING:
            return rank == VOTER or member == self._consensus.leader
        if kind in OF_MEMBERS:
            return rank >= LEARNER
        return rank == VOTER or kind in ANSWERS or kind == msg.WHO_VOTES
