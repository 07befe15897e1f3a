"""What to call a member, whose id is known, in words."""

from __future__ import annotations

from typing import Protocol

from visord.raft.configuration import Configuration


class Consensus(Protocol):
    """What of the engine is used."""

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
