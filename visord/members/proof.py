"""Who votes, by the word of those who vote: how a node comes to follow a leader that it does not know as a voter.

    D ---- APPEND, VOTE, ... ---> N        D is no voter here: dropped, never stored
    N ---- WHO_VOTES n ---------> A, B     all voters that N knows
    N <--- VOTERS n [A, B, D] --- A        one of them is enough
    D ---- APPEND, again -------> N        followed

Time without a leader proves nothing: an attacker who cuts a node off makes that. And D proves nothing of itself. But
one voter's word is enough: a voter that lies could lead this node itself, so its word gives no one a power that it has
not. No member is demoted, and a removed id never returns: a member that voted once votes until it is removed, and what
was told stays true. A voter that was told of tells in turn: the word goes from voter to voter, however often all of
them were replaced.

A node that has not found itself in a configuration yet (it joins) trusts the voters that it was told of when it was
taken in. What was told is kept in memory only: after a restart it is asked again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from visord.naming import not_an_id
from visord.peers import messages as msg
from visord.peers.messages import Handler
from visord.raft.configuration import MAX_MEMBERS, Configuration

logger = logging.getLogger("visord.peers")

ASK_SECONDS: Final = 0.5
"""Between two questions, whatever the cause of them is."""
LEADERLESS_SECONDS: Final = 3.0
"""Without a leader for so long, while one claims to lead that no voter vouches for, a node is stuck, and says so."""
FRESH_SECONDS: Final = 5.0
"""A claim is forgotten that was not repeated for so long."""
MOST_TOLD: Final = 2 * MAX_MEMBERS
"""Voters that one may tell of (those of two configurations), and voters whose word is kept."""
JOINED: Final = ""
"""Stands for the member that this node joined through, among those that told."""


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def member(self) -> str: ...

    @property
    def leader(self) -> str | None: ...

    @property
    def configuration(self) -> Configuration: ...

    @property
    def committed_configuration(self) -> Configuration: ...


class Proof:
    """What voters told one node of who votes. Questions are numbered from `first_id`, which no other life of it has."""

    def __init__(
        self,
        consensus: Consensus,
        send: Callable[[str, list[Any]], bool],
        time: Callable[[], float],
        first_id: int,
    ) -> None:
        self._consensus = consensus
        self._send = send
        self._time = time
        self._last = first_id
        self._told: dict[str, frozenset[str]] = {}
        """voter -> the members it told of, the oldest word first."""
        self._voters: frozenset[str] = frozenset()
        """All of those together, and not removed since."""
        self._next = 0.0
        self._leaderless: float | None = time()
        """Since when nobody leads; None while somebody does."""
        self._claim: tuple[str, float] | None = None
        """Who was the last to claim what was not proven, and when."""
        self._said = False

    @property
    def handlers(self) -> dict[int, Handler]:
        """What is heard here, by kind."""
        return {
            msg.WHO_VOTES: self.on_who_votes,
            msg.VOTERS: self.on_voters,
        }

    # -- what is known --------------------------------------------------------------------------------

    def votes(self, member: str) -> bool:
        """Tell whether a voter told that this one votes, too."""
        return member in self._voters

    def use(self) -> None:
        """The configuration, newest or committed, has changed."""
        removed = self._consensus.committed_configuration.removed
        gone = {self._consensus.member, *removed}
        self._told = {who: told for who, told in self._told.items() if who not in gone}
        self._voters = frozenset[str]().union(*self._told.values()) - gone

    def _known(self) -> set[str]:
        """Return all who vote, as far as this node knows: by a configuration, or by a voter's word."""
        newest, committed = self._consensus.configuration, self._consensus.committed_configuration
        return {*newest.voters, *committed.voters, *self._voters}

    @property
    def joining(self) -> bool:
        """This node has not found itself in a configuration yet."""
        me = self._consensus.member
        newest, committed = self._consensus.configuration, self._consensus.committed_configuration
        return all(one.id != me for one in (*newest.members, *committed.members))

    def joined(self, members: Iterable[dict[str, Any]]) -> None:
        """This node was taken in by these (rows of `Membership.members`): trusted while it knows no better."""
        if self.joining:
            self._take(JOINED, [one["id"] for one in members if one.get("role") == "voter"])

    def _take(self, teller: str, voters: list[str]) -> None:
        self._told.pop(teller, None)
        while len(self._told) >= MOST_TOLD:
            del self._told[next(iter(self._told))]
        self._told[teller] = frozenset(one for one in voters[:MOST_TOLD] if not_an_id(one) is None)
        self.use()

    # -- asking ---------------------------------------------------------------------------------------

    def claimed(self, member: str) -> None:
        """A member that is no voter here says what only voters say: ask the voters, now and then."""
        now = self._time()
        self._claim = member, now
        if now < self._next:
            return
        self._next = now + ASK_SECONDS
        self._last += 1
        for voter in sorted(self._known() - {self._consensus.member, member}):
            self._send(voter, [msg.WHO_VOTES, self._last])

    def tick(self) -> None:
        """From time to time: see whether a member leads, and tell once when none can be followed."""
        if self._consensus.leader is not None:
            self._leaderless = None
        elif self._leaderless is None:
            self._leaderless = self._time()
        stuck = self.stuck
        if stuck is not None and not self._said:
            logger.error("nobody that may lead this node is heard of: %s", stuck)
        self._said = stuck is not None

    @property
    def stuck(self) -> str | None:
        """Why this node follows none although one claims to lead it; None when that is not so."""
        now = self._time()
        if self._leaderless is None or now - self._leaderless < LEADERLESS_SECONDS or self._claim is None:
            return None
        member, at = self._claim
        if now - at > FRESH_SECONDS:
            return None
        if self.joining:
            known = "this node has not been taken in yet: start it with --join and the addresses of members"
        else:
            others = sorted(self._known() - {self._consensus.member})
            known = (
                f"none of the voters that this node knows ({', '.join(others) or 'itself alone'}) has told that it "
                "votes: let one of them run, or hand leadership to one; if all were replaced while this node was "
                "away, remove it, and let it join again with an empty directory"
            )
        return f"{member} claims to lead, and {known}"

    # -- what members say -----------------------------------------------------------------------------

    def on_who_votes(self, member: str, message: list[Any]) -> None:
        """A node has met a member that it does not know as a voter."""
        if not self.joining:
            self._send(member, [msg.VOTERS, message[1], sorted(self._known())[:MOST_TOLD]])

    def on_voters(self, member: str, message: list[Any]) -> None:
        """A voter (`standing`) tells who votes."""
        _, number, voters = message[:3]
        if number == self._last:
            self._take(member, voters)
