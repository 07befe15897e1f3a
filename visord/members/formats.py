"""Which format commands are written in, while the members of a cluster run different versions.

    member -> all         HELLO or CHALLENGE: "I read commands up to format 3" (nothing said: 1)
    leader, 1 in force    writes format 1 until all members of its configuration have said more while it leads
    leader, 2 in force    has found that all read 2, and writes it until all have said 3; 3 and 4 alike, for good
    any node with 2       lets in no member that reads less, dials none that does, and both sides log why; 3, 4 alike

So no member ever meets a format in its log that it cannot read: it would have to stop (exit 76). A format is in force
on a node as soon as the node has decided it as leader, stored an entry of it, or has it in its state; it never goes
back, also after a restart: the log or the checkpoint has it. What a leader decided and nobody else stored is gone with
it, and the next one decides anew; as long as all commands are of format 1 any member may run either version.

A member that is away and said nothing while this leader leads holds the old format: it may come back as it was. One
that said it, went away, and comes back with the older version is refused at the handshake, before anything is sent to
it; so is one that joins. Being refused costs the cluster that member until its version is right, and nothing else.

Commands are judged by the bounds of their own format (`state.cost`), so members of both versions decide the same.

**The other forms of before.** A leader of the older version asks HASH and says VERDICT in another form: the first is
answered with why there is nothing to compare, the second changes nothing. To a member of the older version neither
HASH, SAMPLE nor VERDICT is sent, which it would take for something else: it is left out of comparisons. It gets and
sends the rows of FORWARD without an owner.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from visord.peers import messages as msg
from visord.raft.configuration import Configuration
from visord.state import command as commands
from visord.state.formats import FORMAT, OLDEST, OWNERS

logger = logging.getLogger("visord.cluster")

OF_NOW: Final = frozenset((msg.HASH, msg.SAMPLE, msg.VERDICT))
"""What a member that reads the oldest format only would not understand."""
NOT_COMPARED: Final = "it runs a later version: compare again when all members do"


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def member(self) -> str: ...

    @property
    def term(self) -> int: ...

    @property
    def is_leader(self) -> bool: ...

    @property
    def configuration(self) -> Configuration: ...

    @property
    def committed_configuration(self) -> Configuration: ...


class Network(Protocol):
    """What of the network is used."""

    def reads(self, member: str) -> int: ...

    def reachable(self, member: str) -> bool: ...


class Formats:
    """The format in force at one node. `require(form)` is called when it rises: a member that reads less is refused
    then."""

    def __init__(
        self,
        consensus: Consensus,
        network: Network,
        send: Callable[[str, list[Any]], bool],
        require: Callable[[int], object],
    ) -> None:
        self._consensus = consensus
        self._network = network
        self._send = send
        self._require = require
        self.in_force = OLDEST
        self._led_term = 0
        """The term in which this node leads; 0 while it does not."""
        self._said: dict[str, int] = {}
        """What each member said last while this node leads."""
        self._told: tuple[str, ...] = ()

    def reached(self, form: int) -> None:
        """A command of this format was stored, applied or decided on."""
        if form <= self.in_force:
            return
        self.in_force = form
        self._said = {}
        logger.info("commands have format %d from now on: who reads less cannot be a member", form)
        self._require(form)

    def stored(self, entries: Iterable[bytes]) -> None:
        """This node has these entries in its log, the newest first."""
        found = (commands.format_of(entry) for entry in entries if entry[:2] == commands.BEGINNING)
        self.reached(max(found, default=OLDEST))

    def read(self, entry: bytes) -> bytes:
        """Return an entry of the leader's with its decoded form. Raises `UnknownFormat` where it is not known."""
        if entry[:1] in commands.OTHER_FIRST_BYTES:
            return entry
        if entry[:1] != commands.FIRST_BYTE:
            raise commands.UnknownFormat(
                f"an entry begins with {entry[:1]!r}: this version of visord knows no such kind"
            )
        command = commands.decode(entry)
        self.reached(commands.format_of(entry))
        return command

    def next(self) -> int:
        """Return the format of this leader's next command."""
        if self.in_force < FORMAT:
            self.tick()
        return self.in_force

    def tick(self) -> None:
        """From time to time: as leader, see whether all members can read the newest format by now."""
        if self.in_force >= FORMAT:
            return
        consensus, network = self._consensus, self._network
        if not consensus.is_leader:
            self._led_term, self._said = 0, {}
            return
        if consensus.term != self._led_term:
            self._led_term, self._said = consensus.term, {}
        others = self._others()
        for member in others:
            if network.reachable(member):
                self._said[member] = network.reads(member)
        read_by_all = min((self._said.get(member, OLDEST) for member in others), default=FORMAT)
        self.reached(min(read_by_all, FORMAT))
        behind = tuple(member for member in others if self._said.get(member, OLDEST) < FORMAT)
        if behind and behind != self._told:
            self._told = behind
            names = ", ".join(map(self._name, behind))
            logger.info("commands keep format %d: %s run an older version or are away", self.in_force, names)

    def waits_for(self) -> list[str]:
        """Return the names of the members that keep the newest format from being used, as far as this node knows."""
        if self.in_force >= FORMAT:
            return []
        said = self._said if self._led_term else {one: self._network.reads(one) for one in self._others()}
        return [self._name(one) for one in self._others() if said.get(one, OLDEST) < FORMAT]

    def _others(self) -> list[str]:
        newest, committed = self._consensus.configuration, self._consensus.committed_configuration
        found = dict.fromkeys(one.id for one in (*newest.members, *committed.members))
        return [one for one in found if one != self._consensus.member]

    def _name(self, member: str) -> str:
        found = self._consensus.configuration.find(member)
        return member if found is None else found.name

    # -- the older version's messages -----------------------------------------------------------------

    def send(self, member: str, message: list[Any]) -> bool:
        """Send a message about comparing, unless the member would take it for something else."""
        if message[0] in OF_NOW and self._network.reads(member) < OWNERS:
            return False
        return self._send(member, message)

    def on_earlier(self, member: str, message: list[Any]) -> None:
        """A leader of the older version compares replicas: see `messages.earlier`."""
        if message[0] == msg.HASH:
            _, number, rev = message
            self._send(member, [msg.HASHED, number, rev, None, NOT_COMPARED])
