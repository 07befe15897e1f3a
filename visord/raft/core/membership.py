"""Which configuration counts: the newest in the log, committed or not (Raft, 4.1)."""

from __future__ import annotations

from visord.raft.configuration import Configuration
from visord.raft.core.member_node import node_of
from visord.raft.core.state import (
    Progress,
    State,
)


class Membership(State):
    """The part of a node that knows the members."""

    def _adopt(self, index: int, configuration: Configuration) -> None:
        """A configuration is in the log now: it counts."""
        self._configurations.append((index, configuration))
        self._use(configuration)

    def _take_back(self, index: int) -> None:
        """The log lost its entries from `index` on."""
        configurations = self._configurations
        while len(configurations) > 1 and configurations[-1][0] >= index:
            self.counters["configuration_taken_back"] += 1
            configurations.pop()
            self._use(configurations[-1][1])

    def _use(self, configuration: Configuration) -> None:
        me = self._SyncObj__selfNode.id
        self.is_voter = me in configuration.voters
        self._voters = [node_of(one) for one in configuration.voters if one != me]
        self._learners = [node_of(one) for one in configuration.learners if one != me]
        self._SyncObj__otherNodes = set(self._voters)
        self._SyncObj__readonlyNodes = set(self._learners)
        following, now = self._SyncObj__raftLog.last_index + 1, self._clock()
        everybody = [*self._voters, *self._learners]
        next_index, match, heard = (
            self._SyncObj__raftNextIndex,
            self._SyncObj__raftMatchIndex,
            self._SyncObj__lastResponseTime,
        )
        for node in everybody:
            next_index.setdefault(node, following)
            match.setdefault(node, 0)
            heard.setdefault(node, now)
            self._progress.setdefault(node, Progress())
        known = set(everybody)
        for table in (next_index, match, heard, self._progress):
            for node in [one for one in table if one not in known]:
                del table[node]
        self.on_configuration(configuration)

    def forget_configurations(self, index: int) -> None:
        """Entries up to `index` are committed: of their configurations only the last can be needed again."""
        configurations = self._configurations
        while len(configurations) > 1 and configurations[1][0] <= index:
            configurations.pop(0)
