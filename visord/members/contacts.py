"""Where a node keeps connections to: the members, those that are just leaving, and its contacts.

A *contact* is no member as far as this node knows, but may know better: the one that took it in when it joined, or one
that connects because members changed while this node was away. It could not be answered unless it is dialled, and it
may be the leader. It stops being a contact when a configuration names it as a member, or as removed.

Anybody who holds the secret can make up ids. So there are at most `MAX_MEMBERS` contacts, and a newcomer takes the
place of the oldest one of the host that has most of them, unless that is its own: those that dial from one host never
keep those of other hosts out. What a contact may say: `standing`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from visord.addresses import split
from visord.members.removal import Removal
from visord.naming import not_an_address, not_an_id
from visord.raft.configuration import MAX_MEMBERS
from visord.raft.engine import Engine
from visord.state.refusal import describe


class Contacts:
    """The connections of the node `me`. `dial(addresses)` makes them: id -> peer address."""

    def __init__(
        self, me: str, engine: Engine, removal: Removal, dial: Callable[[Mapping[str, str]], None]
    ) -> None:
        self._me = me
        self._engine = engine
        self._removal = removal
        self._dial = dial
        self._contacts: dict[str, str] = {}
        self._dialled: dict[str, str] = {}

    def tick(self) -> None:
        """Dial what the configuration, those that leave and the contacts name now, and nothing else."""
        configuration, committed = self._engine.configuration, self._engine.committed_configuration
        # Until a change is committed, those before it count too: the next leader may not know of it.
        members = {one.id: one.peer for one in committed.members} | self._removal.addresses(configuration)
        self._contacts = {
            member: address
            for member, address in self._contacts.items()
            if member not in members and member not in committed.removed
        }
        self._dialled = self._contacts | members
        self._dialled.pop(self._me, None)
        self._dial(self._dialled)

    def meet(self, members: list[dict[str, Any]]) -> None:
        """This node joins: until it hears who the members are, it answers these (rows of `Membership.members`)."""
        self._contacts = {one["id"]: one["peer"] for one in members[:MAX_MEMBERS] if one["id"] != self._me}

    def knows(self, member: str) -> bool:
        """Tell whether this is a contact, and no member."""
        return member in self._contacts

    def admit(self, member: str, address: str | None) -> str | None:
        """Return why a node that says that others dial it at `address` may not connect; None when it may.

        One that is no member here becomes a contact by that.
        """
        if member in self._dialled:
            return None
        why = not_an_id(member)
        if why is None:
            why = "it says no address" if address is None else not_an_address(address)
        if why is not None or address is None:
            return f"{describe(member)} is no member here: {why}"
        if len(self._contacts) >= MAX_MEMBERS and not self._make_place(address):
            return f"{MAX_MEMBERS} others that are no members are connected"
        self._contacts[member] = self._dialled[member] = address
        return None

    def _make_place(self, address: str) -> bool:
        """Let go of the oldest contact of the host with most of them, unless this one is of that host."""
        hosts = Counter(split(one)[0] for one in self._contacts.values())
        crowded, most = max(hosts.items(), key=lambda row: row[1])
        if hosts[split(address)[0]] >= most:
            return False
        oldest = next(one for one, at in self._contacts.items() if split(at)[0] == crowded)
        del self._contacts[oldest], self._dialled[oldest]
        return True
