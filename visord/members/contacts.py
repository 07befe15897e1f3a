"""Whom a node keeps connections to: the members, those who are just leaving, and its contacts.

A *contact* is no member as far as this node knows, but may know better: who took it in when it joined, or somebody who
connects because members changed while this node was away. It could not be answered unless it is dialled, and it may be
the leader. It stops being a contact when a configuration names it as a member, or as removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from visord.members.farewell import Farewell
from visord.raft.configuration import MAX_MEMBERS
from visord.raft.engine import Engine


class Contacts:
    """The connections of the node `me`. `dial(addresses)` makes them: id -> peer address."""

    def __init__(
        self, me: str, engine: Engine, farewell: Farewell, dial: Callable[[Mapping[str, str]], None]
    ) -> None:
        self._me = me
        self._engine = engine
        self._farewell = farewell
        self._dial = dial
        self._contacts: dict[str, str] = {}
        self._dialled: dict[str, str] = {}

    def look(self) -> None:
        """Dial whom the configuration, the farewells and the contacts name now, and nobody else."""
        configuration, committed = self._engine.configuration, self._engine.committed_configuration
        # Until a change is committed, those before it count too: whoever leads next may not know of it.
        members = {one.id: one.peer for one in committed.members} | self._farewell.addresses(configuration)
        self._contacts = {
            member: address
            for member, address in self._contacts.items()
            if member not in members and member not in committed.removed
        }
        self._dialled = self._contacts | members
        self._dialled.pop(self._me, None)
        self._dial(self._dialled)

    def meet(self, members: list[dict[str, Any]]) -> None:
        """This node joins: until it hears who the members are, it answers these (rows of `Cluster.members`)."""
        self._contacts = {one["id"]: one["peer"] for one in members if one["id"] != self._me}

    def admit(self, member: str, address: str | None) -> bool:
        """Let a stranger who says that others dial it at `address` be a contact; false when it is none."""
        if address is None or member in self._dialled or len(self._contacts) >= MAX_MEMBERS:
            return False
        self._contacts[member] = self._dialled[member] = address
        return True
