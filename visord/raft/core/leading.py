"""What a leader says to its members: entries, heartbeats, rounds for reads; and what it makes of their answers.

Stock pysyncobj sends again what is on its way whenever an acknowledgement comes, and goes back entry by entry when a
suffix conflicts. Here what was sent counts as sent until the connection breaks or the member says that it does not fit;
messages are numbered, so that only the first of several such answers counts.
"""

# ruff: noqa: N802 - the names are pysyncobj's

from __future__ import annotations

from typing import Any

from visord.peers import messages as msg
from visord.raft.core.elections import Elections
from visord.raft.core.member_node import node_of
from visord.raft.core.state import (
    LEADER,
    MAX_ENTRIES,
    MAX_QUEUED,
    NO_ENTRIES,
    PATIENT_SECONDS,
    Progress,
)
from visord.raft.core.terms import STEP
from visord.raft.rounds import Confirmed


class Leading(Elections):
    """The part of a node that leads."""

    def flush(self) -> None:
        """Say what there is to say, once for all that happened since the last time."""
        self.flush_wanted = False
        if self._SyncObj__raftState != LEADER:
            return
        number = self._rounds.start(self._SyncObj__raftCommitIndex)
        if number is not None:
            self._ask_enough([msg.ROUND, self._SyncObj__raftCurrentTerm, number])
        for node in self._voters:
            self._send_to(node)
        for node in self._learners:
            self._send_to(node)

    def _SyncObj__sendAppendEntries(self) -> None:
        self.flush_wanted = True

    def _send_to(self, node: Any) -> None:
        """Send a member what it has not been sent yet; what does not get through is sent again later."""
        progress, log = self._progress[node], self._SyncObj__raftLog
        while self.peers.reachable(node.id) and self.peers.queued(node.id) < MAX_QUEUED:
            following = self._SyncObj__raftNextIndex[node]
            last = log.last_index
            commit = self._SyncObj__raftCommitIndex
            if following > last and progress.told >= commit and not progress.due:
                return
            if following <= log.first_index:
                self._offer_install(node, progress)
                return
            end = self._send_entries(node, following, last)
            if end is None:
                return
            progress.told, progress.due = commit, False
            self._SyncObj__raftNextIndex[node] = end + 1
            if end >= last:
                return

    def _send_entries(self, node: Any, following: int, last: int) -> int | None:
        """Send entries from `following` on; return the last one's index, None when they could not be sent."""
        log = self._SyncObj__raftLog
        end, packed = self._pack(following, last)
        self._seq += 1
        previous = following - 1
        previous_term = log.term_at(previous)
        assert previous_term is not None
        data = msg.pack_append(
            self._SyncObj__raftCurrentTerm,
            previous,
            previous_term,
            self._SyncObj__raftCommitIndex,
            self._seq,
            packed,
        )
        return end if self.peers.send(node.id, data) else None

    def _pack(self, first: int, last: int) -> tuple[int, bytes]:
        """Return (index of the last one, bytes) of the entries from `first` on, as many as make a message."""
        if first > last:
            return last, NO_ENTRIES
        if self._packed[0] == first and self._packed[1] <= last and self._packed[2]:
            end, packed = self._packed[1:]
            if end == last or len(packed) >= self.max_batch or end - first + 1 >= MAX_ENTRIES:
                return end, packed
        log = self._SyncObj__raftLog
        position = end = first - log.first_index
        most, size = min(len(log), position + MAX_ENTRIES), 0
        while end < most and (end == position or size < self.max_batch):
            size += len(log[end][0])
            end += 1
        entries = log[position:end]
        self._packed = (first, entries[-1][1], msg.pack_entries(entries))
        return self._packed[1], self._packed[2]

    def _offer_install(self, node: Any, progress: Progress) -> None:
        if not progress.due:
            return
        progress.due = False
        log = self._SyncObj__raftLog
        self.counters["install_told"] += 1
        self._seq += 1
        _, first, first_term = log[0]
        self.send(node, [msg.INSTALL, self._SyncObj__raftCurrentTerm, first, first_term, self._seq])

    def _receive_position(self, node: Any, message: list[Any]) -> None:
        """A member tells how far it is. What is already on its way is not sent again."""
        _, term, following, reset, success, seq = message[:6]
        if term > self._SyncObj__raftCurrentTerm:
            self._hear_of_later_term(node, term)
            return
        known = self._SyncObj__raftNextIndex
        if (
            term != self._SyncObj__raftCurrentTerm
            or self._SyncObj__raftState != LEADER
            or node not in self._progress
            or following > self._SyncObj__raftLog.last_index + 1
        ):
            self.counters["stale_position"] += 1
            return  # an answer to the leader of an earlier term, or nonsense
        progress = self._progress[node]
        progress.heard = True
        if reset:
            if seq < progress.barrier:
                self.counters["late_reset"] += 1
                reset = False
            else:
                progress.barrier = self._seq + 1
                progress.due = True
                following = max(following, self._SyncObj__raftMatchIndex[node] + 1)
        before = known[node]
        super()._SyncObj__onMessageReceived(
            node,
            {
                "type": "next_node_idx",
                "term": term,
                "next_node_idx": following,
                "reset": reset,
                "success": success,
            },
        )
        if success and not reset and known[node] < before:
            known[node] = before
        if reset or known[node] <= self._SyncObj__raftLog.last_index:
            self.flush_wanted = True

    def _hear_of_later_term(self, node: Any, term: int) -> None:
        """A member answers from a later term. That is for a leader to know: who asked nothing is told nothing."""
        if self._SyncObj__raftState != LEADER:
            self.counters["stale_position"] += 1
        elif node in self._SyncObj__otherNodes:
            self._yield(term)
        else:
            self._believe_learner(term)

    def _believe_learner(self, term: int) -> None:
        """A member that this node takes for a learner speaks of a later term: believe it, once a minute.

        It may vote by an entry that is not here, and have stood for election, or a voter may have lied to it: it would
        never follow again unless it is believed at last. Hardly ever does another stand, so this node does at
        once, in the term after that, as if a leader had asked it to: nobody waits for an election timeout because of
        what a learner says. It goes no further than all others can follow within the same minute: another leader may
        have believed the same learner just before.
        """
        now = self._clock()
        most = self._reach() - STEP // 2 * self.is_voter
        if now - self._deposed < PATIENT_SECONDS or most <= self._SyncObj__raftCurrentTerm:
            self.counters["learner_not_believed"] += 1
            return
        self._deposed = now
        self._yield(min(term, most))
        self._stand(now, transfer=True)

    def reconnected(self, member: str) -> None:
        """What was under way to this member may be lost: begin again behind what it acknowledged."""
        node = node_of(member)
        if self._SyncObj__raftState == LEADER and node in self._progress:
            # Nothing acknowledged yet (a new leader): it will tell where it stands when this does not fit.
            acknowledged = self._SyncObj__raftMatchIndex[node]
            if acknowledged:
                self._SyncObj__raftNextIndex[node] = acknowledged + 1
            self._progress[node].due = True
            self.flush_wanted = True

    # -- rounds -------------------------------------------------------------------------------------------

    def confirm(self, callback: Confirmed) -> None:
        """Have the leadership confirmed: `callback` gets the index to apply before reading, or None."""
        if not self.core_current:
            callback(None)
        elif not self._voters and self.is_voter:
            callback(self._SyncObj__raftCommitIndex)
        else:
            self._rounds.ask(callback)
            self.flush_wanted = True

    def _ask_enough(self, message: list[Any]) -> None:
        """Ask as many voters as make a majority, those that answered last first; the others when these are late.

        Every answer that is not needed would cost two processes a turn of their loops.
        """
        data, heard = msg.pack(message), self._SyncObj__lastResponseTime
        asked = 0
        for node in sorted(self._voters, key=lambda node: -heard[node]):
            asked += self.peers.send(node.id, data)
            if asked >= self._need():
                return

    def _receive_rounded(self, node: Any, message: list[Any]) -> None:
        _, term, number = message[:3]
        if self._SyncObj__raftState != LEADER or node not in self._SyncObj__otherNodes:
            return
        if term > self._SyncObj__raftCurrentTerm:
            self._yield(term)
        elif term == self._SyncObj__raftCurrentTerm:
            self._SyncObj__lastResponseTime[node] = self._clock()
            self._progress[node].heard = True
            if self._rounds.answered(node.id, number, self._need()) and self._rounds.busy:
                self.flush_wanted = True

    def _hurry_round(self, now: float) -> None:
        """A round that was under way at the last tick of the timer, too, is asked of all voters."""
        number = self._rounds.open
        if number is None or self._rounds.oldest != self._seen_round[0]:
            self._seen_round = (self._rounds.oldest, now)
        elif now - self._seen_round[1] > self._timing.late_round:
            self.counters["round_late"] += 1
            self._seen_round = (self._rounds.oldest, now)
            self._tell_voters([msg.ROUND, self._SyncObj__raftCurrentTerm, number])
