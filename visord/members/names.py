"""What to call a member, whose id is known, in words; and who leads."""

from __future__ import annotations

import logging
from typing import Protocol

from visord.logs import about
from visord.raft.configuration import Configuration, Member

logger = logging.getLogger("visord.node")


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def leader(self) -> str | None: ...

    @property
    def configuration(self) -> Configuration: ...

    @property
    def committed_configuration(self) -> Configuration: ...


class Names:
    """The names of the members, as one node knows them."""

    def __init__(self, consensus: Consensus) -> None:
        self._consensus = consensus

    def of(self, member: str) -> str:
        """Return the name of the member with this id, "" when it is not known."""
        newest, committed = self._consensus.configuration, self._consensus.committed_configuration
        return next((one.name for one in (*newest.members, *committed.members) if one.id == member), "")

    def told(self, member: str) -> str:
        """Return what to call this member in words: its name and its id."""
        name = self.of(member)
        return f"{name} ({member})" if name else member

    @property
    def leader(self) -> Member | None:
        """Who leads, as far as this node knows."""
        leader = self._consensus.leader
        return None if leader is None else self._consensus.configuration.find(leader)

    def tell_leader(self, leader: str | None, term: int) -> None:
        """Log who leads."""
        if leader is None:
            logger.info("term %d: no leader is known yet", term, extra=about(term=term))
        else:
            known = about(term=term, leader=self.of(leader) or None, leader_id=leader)
            logger.info("term %d: %s leads", term, self.told(leader), extra=known)
