"""Being told that one was removed: by how many a member must be told before it stops for good.

A removed member gets no more entries, not even the one that removes it; all members tell it (`removal`): with GONE, or
when it was away meanwhile and dials them, by refusing it as `removed`. One of them may lie, and a member that believed
it would stop for good. So it takes a majority of the other voters that it knows (those that they vouch for do not count
here), and a node that leads does not stop at all: a leader is removed when it has handed on. Of two voters the other
one is that majority: it may decide it alone, too.

Which it knows: by its committed configuration and by the newest one in its log, a majority of each. A member that was
killed knows neither how much of its log is committed nor, by what it has applied, more than who founded the cluster,
perhaps nobody: then the log's counts alone. Only a leader can put something there, and it can have that committed as
well.

A member that was away for so long that it knows few of today's voters may never hear enough of them. It has no leader
then, serves stale reads only, and says in an alarm what it was told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from visord.peers import messages as msg
from visord.peers.messages import Handler
from visord.raft.configuration import Configuration, UnknownConfiguration, decode


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def member(self) -> str: ...

    @property
    def leader(self) -> str | None: ...

    @property
    def is_leader(self) -> bool: ...

    @property
    def configuration(self) -> Configuration: ...

    @property
    def committed_configuration(self) -> Configuration: ...


class Dismissal:
    """What one node was told about its removal.

    `bad(member, kind, why)`: a member said what no honest one says; `leave()`: enough voters told it, this node has to
    stop (called again and again then).
    """

    def __init__(
        self,
        consensus: Consensus,
        bad: Callable[[str, int, str], None],
        leave: Callable[[], None],
    ) -> None:
        self._consensus = consensus
        self._bad = bad
        self._leave = leave
        self._told: set[str] = set()
        """Voters who said that this node was removed."""

    @property
    def handlers(self) -> dict[int, Handler]:
        """What is heard here, by kind."""
        return {msg.GONE: self.on_gone}

    def on_gone(self, member: str, message: list[Any]) -> None:
        """A voter tells that this node was removed: it gets no more entries, and stops when enough have told it."""
        try:
            configuration = decode(message[1])
        except UnknownConfiguration as error:
            self._bad(member, message[0], str(error))
            return
        wrong = self.fault(configuration)
        if wrong:
            self._bad(member, message[0], wrong)
        else:
            self.told_by(member)

    def fault(self, configuration: Configuration) -> str:
        """Return why these cannot be the members after those that are known; "" when they can."""
        me, before = self._consensus.member, self._consensus.committed_configuration
        if before.voters == [me]:
            return "nobody but this node votes: nobody could have decided that"
        if not configuration.voters or not set(before.removed) <= set(configuration.removed):
            return "these cannot be the members after those that are known"
        if configuration.find(me) is not None or me not in configuration.removed:
            return "this node was not removed from them"
        return ""

    def told_by(self, member: str) -> None:
        """A voter says that this node was removed, or refuses it for that."""
        self._told = (self._told | {member}) & set[str]().union(*self._others())
        self.tick()

    def tick(self) -> None:
        """From time to time: what it takes may have become less."""
        if self.complete:
            self._leave()

    @property
    def complete(self) -> bool:
        """Enough voters have said so."""
        juries = self._others()
        agreed = all(len(self._told & jury) > len(jury) // 2 for jury in juries)
        return bool(juries) and agreed and not self._consensus.is_leader

    def _others(self) -> list[set[str]]:
        """Return the other voters of each configuration that has any."""
        newest, committed = self._consensus.configuration, self._consensus.committed_configuration
        others = [set(one.voters) - {self._consensus.member} for one in (newest, committed)]
        return [one for one in others if one]

    @property
    def told(self) -> str | None:
        """Which members say that this node was removed while it knows no leader; None when none does."""
        if not self._told or self._consensus.leader is not None:
            return None
        return ", ".join(sorted(self._told))
