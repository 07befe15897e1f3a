"""Who may connect to one node, what it dials, and whose word counts: all that follows from who belongs to the cluster.

a configuration is appended, or committed --> use   contacts (dial), standing (who may say what), proof
a node connects                           --> admit
this node was taken in                    --> meet
a member refuses this node                --> dismissed
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from visord.members.contacts import Contacts
from visord.members.dismissal import Dismissal
from visord.members.proof import Proof
from visord.members.standing import Standing
from visord.raft.configuration import Configuration


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def committed_configuration(self) -> Configuration: ...


class Gate:
    """See the module. `soon` calls in this turn of the loop; `used()`: what the members may say has changed."""

    def __init__(
        self,
        consensus: Consensus,
        contacts: Contacts,
        standing: Standing,
        proof: Proof,
        dismissal: Dismissal,
        soon: Callable[[Callable[[], None]], object],
        used: Callable[[], None],
    ) -> None:
        self._consensus = consensus
        self._contacts = contacts
        self._standing = standing
        self._proof = proof
        self._dismissal = dismissal
        self._soon = soon
        self._used = used
        self._closed = False

    def close(self) -> None:
        """Dial nothing and hear nothing any more."""
        self._closed = True

    def use(self) -> None:
        """The configuration, newest or committed, or the contacts have changed."""
        if not self._closed:
            self._contacts.tick()
            self._standing.use()
            self._proof.use()
            self._used()

    def meet(self, members: list[dict[str, Any]]) -> None:
        """This node joins, and is to answer these (rows of `Membership.members`)."""
        self._contacts.meet(members)
        self._proof.joined(members)
        self.use()

    def admit(self, member: str, address: str | None = None) -> str | None:
        """Return why this member may not connect; None when it may. `address`: where it says that others dial it."""
        if self.removed(member):
            return f"{member} was removed from the cluster and can never return"
        known = self._contacts.knows(member)
        why = self._contacts.admit(member, address)
        if not known and self._contacts.knows(member):
            self._soon(self.use)
        return why

    def removed(self, member: str) -> bool:
        """Tell whether this member was removed from the cluster, as far as is committed here."""
        return member in self._consensus.committed_configuration.removed

    def dismissed(self, member: str) -> None:
        """This member refuses this node: it was removed. It counts as when it says GONE."""
        if not self._closed:
            self._dismissal.told_by(member)
