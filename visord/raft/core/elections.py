"""Who leads: pre-votes, votes, and handing leadership on. pysyncobj decides who gets its vote, and who has won.

A node whose timeout ends asks first whether it would win (Raft, 9.6): one that was cut off comes back without
disturbing anybody. Votes are refused while a leader is heard, except when that leader asked for the election itself.
"""

# ruff: noqa: N802 - the names are pysyncobj's

from __future__ import annotations

from typing import Any, cast

from visord.peers import messages as msg
from visord.raft.core.state import (
    CANDIDATE,
    FOLLOWER,
    LEADER,
    Progress,
)
from visord.raft.core.terms import STEP, Terms


class Elections(Terms):
    """The part of a node that stands and votes."""

    def _prepare_to_stand(self, now: float) -> None:
        """Ask whether an election would be won before disturbing others with one (Raft, 9.6)."""
        self._SyncObj__raftElectionDeadline = now + self._SyncObj__generateRaftTimeout()
        self._SyncObj__raftLeader = None
        self._SyncObj__setState(FOLLOWER)
        if not self.is_voter:
            return
        self._prevotes = set()
        if not self._voters:
            self._stand(now)
            return
        self.counters["prevote"] += 1
        _, index, term = self._SyncObj__raftLog[-1]
        self._tell_voters([msg.PREVOTE, self._SyncObj__raftCurrentTerm + 1, index, term])

    def _receive_prevote(self, node: Any, message: list[Any]) -> None:
        _, term, index, last_term = message[:4]
        own = self._SyncObj__raftCurrentTerm
        _, mine, my_term = self._SyncObj__raftLog[-1]
        granted = term > own and (last_term, index) >= (my_term, mine) and not self._hears_leader()
        if granted:
            # The one that asks stands next: to stand in the same moment would split the votes.
            soon = self._clock() + self._timing.gone_timeout * (1.0 + self._random.random())
            self._SyncObj__raftElectionDeadline = max(self._SyncObj__raftElectionDeadline, soon)
        else:
            self.counters["prevote_refused"] += 1
        self.send(node, [msg.PREVOTED, term, granted, own])

    def _receive_prevoted(self, node: Any, message: list[Any]) -> None:
        _, term, granted, own = message[:4]
        if self._SyncObj__raftState == LEADER or node not in self._SyncObj__otherNodes:
            return
        if not self.is_voter or self._SyncObj__raftLeader is not None:
            return  # it has asked nobody, or is led meanwhile
        if own > self._SyncObj__raftCurrentTerm:
            # Without this a node whose log is the longest, but whose term is old, could never win.
            self.counters["prevote_behind"] += 1
            self._SyncObj__setCurrentTerm(own, None)
            self._SyncObj__setState(FOLLOWER)
            return
        if not granted or term != self._SyncObj__raftCurrentTerm + 1:
            return
        self._prevotes.add(node.id)
        if 1 + len(self._prevotes) > (len(self._voters) + 1) / 2:
            self._prevotes = set()
            self._stand(self._clock())

    def _hears_leader(self) -> bool:
        if self._SyncObj__raftState == LEADER:
            return True
        return self._clock() - self._heard < self._timing.min_timeout

    def _stand(self, now: float, *, transfer: bool = False) -> None:
        """Stand for election. Only a voter may: a learner would win nothing, and its term would part it from all."""
        if not self.is_voter:
            return
        self.counters["election"] += 1
        self._SyncObj__raftElectionDeadline = now + self._SyncObj__generateRaftTimeout()
        self._SyncObj__transferInProgress = False
        self._SyncObj__raftLeader = None
        self._SyncObj__setState(CANDIDATE)
        self._SyncObj__setCurrentTerm(self._SyncObj__raftCurrentTerm + 1, self._SyncObj__selfNode.id)
        self._SyncObj__votesCount = 1
        self._granted = set()
        if not self._voters:
            self._SyncObj__onBecomeLeader()
            return
        _, index, term = self._SyncObj__raftLog[-1]
        self._tell_voters([msg.VOTE, self._SyncObj__raftCurrentTerm, index, term, transfer])

    def _receive_vote(self, node: Any, message: list[Any]) -> None:
        _, term, index, last_term, transfer = message[:5]
        if self._hears_leader() and not (transfer and self.is_voter):
            self.counters["vote_ignored"] += 1
            return
        if not self.is_voter and term > self._SyncObj__raftCurrentTerm + STEP:
            # It may have a vote by an entry that is not here. But its own entries tell it of later terms.
            self.counters["vote_ignored"] += 1
            return
        if term > self._SyncObj__raftCurrentTerm and self._SyncObj__raftState == LEADER:
            self._follow_nobody(self._clock())
        super()._SyncObj__onMessageReceived(
            node,
            {"type": "request_vote", "term": term, "last_log_index": index, "last_log_term": last_term},
        )

    def _receive_voted(self, node: Any, message: list[Any]) -> None:
        if node not in self._SyncObj__otherNodes or node.id in self._granted:
            self.counters["vote_not_counted"] += 1
            return
        if self._SyncObj__raftState == CANDIDATE and message[1] == self._SyncObj__raftCurrentTerm:
            self._granted.add(node.id)
            super()._SyncObj__onMessageReceived(node, {"type": "response_vote", "term": message[1]})

    def _SyncObj__onBecomeLeader(self) -> None:
        self._progress = {node: Progress() for node in (*self._voters, *self._learners)}
        self._transfer = None
        self._seq = 0
        self._packed = (0, 0, b"")
        super()._SyncObj__onBecomeLeader()

    def disconnected(self, member: str) -> None:
        """The connection to this member broke. If it leads, do not wait as long as for one that is only silent."""
        leader = self._SyncObj__raftLeader
        if leader is not None and leader.id == member and self._SyncObj__raftState != LEADER:
            self.counters["leader_gone"] += 1
            soon = self._clock() + self._timing.gone_timeout * (1.0 + self._random.random())
            self._SyncObj__raftElectionDeadline = min(self._SyncObj__raftElectionDeadline, soon)
            self._heard = min(self._heard, soon - self._timing.min_timeout)

    # -- transfer of leadership ---------------------------------------------------------------------------

    def transfer_leadership(self, target: str | None) -> str | None:
        """Begin to hand leadership to a voter (None: the one that has most); return its id, None if impossible."""
        match, heard = self._SyncObj__raftMatchIndex, self._SyncObj__lastResponseTime
        ready = [node for node in self._voters if self.peers.reachable(node.id) and target in (None, node.id)]
        if self._SyncObj__raftState != LEADER or not ready:
            return None
        # A connection may stand long after the process behind it does: who answers comes first.
        lately = self._clock() - self._timing.min_timeout
        node = max(ready, key=lambda one: (heard[one] > lately, match[one]))
        self._transfer = (node, self._clock() + self._timing.transfer_timeout)
        self.flush_wanted = True
        return cast(str, node.id)

    def _go_on_with_transfer(self, now: float) -> None:
        assert self._transfer is not None
        node, deadline = self._transfer
        if now > deadline or node not in self._SyncObj__otherNodes:
            self.counters["transfer_failed"] += 1
            self._transfer = None
        elif self._SyncObj__raftMatchIndex[node] == self._SyncObj__raftLog.last_index:
            self.send(node, [msg.TIMEOUT_NOW, self._SyncObj__raftCurrentTerm])

    def _receive_timeout_now(self, node: Any, message: list[Any]) -> None:
        leader = self._SyncObj__raftLeader
        if self.is_voter and leader == node and message[1] == self._SyncObj__raftCurrentTerm:
            self.counters["transferred"] += 1
            self._stand(self._clock(), transfer=True)
