"""What members say to one node: checked once, then handed to the room that it is for.

    message -- well formed? -- may it be said? --+-- Raft's: the engine
               (`conduct`)     (`standing`)      `-- else: the room whose `handlers` name its kind

What is no message, or may not be said, is dropped and counted. A defect of ours in taking a message costs nobody else
anything. Two rooms that hear the same kind, or a kind that no room hears, are a defect that shows when a node is made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from visord.logs import about
from visord.members.conduct import Conduct
from visord.members.formats import Formats
from visord.members.names import Names
from visord.members.proof import Proof
from visord.members.standing import LEADING, OF_THE_LEADER, Standing
from visord.peers import messages as msg
from visord.peers.messages import Handler
from visord.raft.engine import is_for_engine

logger = logging.getLogger("visord.node")

OF_STRANGERS: Final = frozenset((msg.WHO, msg.IS, msg.JOIN, msg.JOINED))
"""What is asked by nodes that are no members, and the answers: see `joining`."""
OF_THE_STATE: Final = frozenset((msg.OFFER, msg.FETCH))
"""What leads to others having the state of this node."""


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def leader(self) -> str | None: ...

    def receive(self, member: str, message: list[Any], /) -> str:
        """Take a message of Raft's kinds; return what was wrong with it, "" when nothing was."""


class Room(Protocol):
    """Who hears some kinds of messages."""

    @property
    def handlers(self) -> Mapping[int, Handler]: ...


def table_of(rooms: Iterable[Room]) -> dict[int, Handler]:
    """Return who hears which kind. Raises `ValueError` where a kind has two hearers, or none."""
    table: dict[int, Handler] = {}
    for room in rooms:
        for kind, handler in room.handlers.items():
            if kind in table:
                raise ValueError(f"two rooms hear messages of kind {kind}")
            table[kind] = handler
    wanted = {kind for kind in msg.KINDS - OF_STRANGERS if not is_for_engine(kind)}
    if table.keys() != wanted:
        raise ValueError(f"messages of these kinds have no hearer, or are none: {table.keys() ^ wanted}")
    return table


class Inbox:
    """See the module. `fail(error)`: the engine cannot go on."""

    def __init__(
        self,
        consensus: Consensus,
        standing: Standing,
        conduct: Conduct,
        formats: Formats,
        proof: Proof,
        names: Names,
        fail: Callable[[BaseException], None],
        rooms: Iterable[Room],
    ) -> None:
        self._consensus = consensus
        self._standing = standing
        self._conduct = conduct
        self._formats = formats
        self._proof = proof
        self._names = names
        self._fail = fail
        self._table = table_of(rooms)
        self._closed = False
        self.diverged = False
        """This node's state differs from that of the others: nobody may take it over."""

    def close(self) -> None:
        """Hear nothing more."""
        self._closed = True

    def receive(self, member: str, message: list[Any]) -> None:
        """A member says something."""
        if self._closed:
            return
        kind = message[0]
        if not msg.well_formed(message):
            if msg.earlier(message) and self._standing.may(member, kind):
                self._formats.on_earlier(member, message)
            else:
                self._conduct.bad(member, kind, "it is not what a message of this kind is")
        elif not self._standing.may(member, kind):
            early = kind in OF_THE_LEADER and self._consensus.leader is None
            self._conduct.unbidden(member, kind, early=early)
            if kind in LEADING:
                self._proof.claimed(member)
        elif is_for_engine(kind):
            try:
                refused = self._consensus.receive(member, message)
            except Exception as error:  # the log holds what this version does not know, or an invariant broke
                self._fail(error)
                return
            if refused:
                self._conduct.bad(member, kind, refused)
        elif not self.diverged or kind not in OF_THE_STATE:
            self._take(member, message)

    def _take(self, member: str, message: list[Any]) -> None:
        handler = self._table.get(message[0])
        if handler is None:
            return  # of strangers
        try:
            handler(member, message)
        except Exception as error:  # a defect here: what one member says must not cost the others theirs
            known = about(member=self._names.of(member) or None, member_id=member)
            who = self._names.told(member)
            logger.error("a message of kind %d from member %s", message[0], who, exc_info=error, extra=known)
            self._conduct.bad(member, message[0], f"taking it failed: {type(error).__name__}")
