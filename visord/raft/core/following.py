"""What a replica does with the leader's entries: it shows pysyncobj only what is new, and acknowledges what is durable.

Stock pysyncobj removes what follows the previous entry of a message although nothing conflicts, and so loses what it
has acknowledged as soon as more than one message is under way; and it commits what the message did not vouch for.
"""

# ruff: noqa: N802, N803 - the names are pysyncobj's

from __future__ import annotations

from typing import Any

from visord.peers import messages as msg
from visord.raft.configuration import decode as decode_configuration
from visord.raft.core.membership import Membership
from visord.raft.core.state import (
    CONFIGURATION,
    FRESH_ENTRIES,
    LEADER,
)


class Following(Membership):
    """The part of a node that follows a leader."""

    def _receive_append(self, node: Any, message: list[Any]) -> None:
        """Entries from the leader: pysyncobj sees only those that are new or that conflict.

        Raft figure 2, AppendEntries 3 to 5: what is there already stays, a suffix is removed only by a
        conflict, and commit moves no further than what this message vouches for.
        """
        _, term, previous, previous_term, commit, seq, packed = message[:7]
        if not self._accepts(node, term, seq):
            return
        entries = [(entry[1], previous + 1 + place, entry[0]) for place, entry in enumerate(packed)]
        self._answers_seq = seq
        self._had_entries = bool(entries)
        content = self._only_new(previous, previous_term, commit, entries)
        if not self._storable(node, term, content):
            return
        try:
            super()._SyncObj__onMessageReceived(node, {"type": "append_entries", "term": term, **content})
        finally:
            self._keep_suffix = False
        if content["entries"] and self._SyncObj__raftLog.last_index >= content["entries"][-1][1]:
            for command, index, _ in content["entries"]:
                if command[:1] == CONFIGURATION and self._configurations[-1][0] < index:
                    self._adopt(index, decode_configuration(command))

    def _accepts(self, node: Any, term: int, seq: int) -> bool:
        """Tell whether a message comes from the leader of this or a later term; note that one was heard."""
        if term < self._SyncObj__raftCurrentTerm:
            # It must hear of the later term, or this node would never follow it again.
            self.counters["old_leader"] += 1
            self._send_position(node, 0, False, False, seq)
            return False
        if self._SyncObj__raftState == LEADER:
            if term == self._SyncObj__raftCurrentTerm:
                # Two leaders in one term cannot be: one that says so is broken or lies, and must not stop this one.
                self._refuse("two_leaders", f"it says that it leads term {term}, as this node does")
                return False
            self._follow_nobody(self._clock())
        self._heard = self._clock()
        return True

    def _only_new(
        self, previous: int, previous_term: int, commit: int, entries: list[tuple[bytes, int, int]]
    ) -> dict[str, Any]:
        log = self._SyncObj__raftLog
        vouched = entries[-1][1] if entries else previous
        if log.term_at(previous) == previous_term:
            known = 0
            while known < len(entries) and log.term_at(entries[known][1]) == entries[known][2]:
                known += 1
            if known:
                self.counters["entries_known"] += 1
                _, previous, previous_term = entries[known - 1]
                entries = entries[known:]
            self._keep_suffix = not entries
            if not entries and log.last_index > previous:
                self.counters["suffix_kept"] += 1
        if commit > vouched:
            self.counters["commit_clamped"] += 1
        return {
            "prevLogIdx": previous,
            "prevLogTerm": previous_term,
            "entries": entries,
            "commit_index": min(commit, vouched),
        }

    def _storable(self, node: Any, term: int, content: dict[str, Any]) -> bool:
        """Judge new entries before they are stored: what cannot be read, or contradicts what is committed, never is.

        An entry of a later version stops this node, but only one of the leader that it follows already. Of another
        one the message counts as a heartbeat: it sends the entries again.
        """
        entries = content["entries"]
        if not entries:
            return True
        log, first = self._SyncObj__raftLog, entries[0][1]
        if first <= self._SyncObj__raftCommitIndex and log.last_index >= first:
            if log.term_at(content["prevLogIdx"]) == content["prevLogTerm"]:
                self._refuse("committed_conflict", f"it contradicts entry {first}, which is committed")
                return False
            return True  # it does not fit, which is said
        try:
            content["entries"] = self._read(entries)
        except Exception as error:
            leads = self._SyncObj__raftLeader == node and term == self._SyncObj__raftCurrentTerm
            if leads and node in self._SyncObj__otherNodes:
                raise
            self._refuse("unreadable_entry", f"an entry that cannot be read: {error!s:.200}")
            content["entries"], self._keep_suffix = [], True
            content["commit_index"] = min(content["commit_index"], content["prevLogIdx"])
        return True

    def _read(self, entries: list[tuple[bytes, int, int]]) -> list[tuple[bytes, int, int]]:
        applied = self._SyncObj__raftLastApplied
        found = []
        for command, index, term in entries:
            if command[:1] == CONFIGURATION:
                decode_configuration(command)
                read = command
            else:
                read = self.read_entry(command)
            found.append((read if index - applied <= FRESH_ENTRIES else command, index, term))
        return found

    def _receive_install(self, node: Any, message: list[Any]) -> None:
        """The leader's log begins behind what this node needs, as far as the leader knows.

        leader   log 88..100, believes that this node has nothing behind 77, has only the checkpoint at 92
        node     took that one over: log 92..92, no word of it reached the leader

        It has no entry 88 to compare, but all that it knows committed the leader has, too (leader completeness).
        """
        _, term, first, first_term, seq = message[:5]
        if not self._accepts(node, term, seq):
            return
        commit = self._SyncObj__raftCommitIndex
        fits = commit >= first or self._SyncObj__raftLog.term_at(first) == first_term
        self._answers_seq = seq
        self._reset_to = max(first, commit) + 1 if fits else 0
        try:
            super()._SyncObj__onMessageReceived(
                node,
                {
                    "type": "append_entries",
                    "term": term,
                    "prevLogIdx": None,
                    "prevLogTerm": None,
                    "entries": [],
                    "commit_index": 0,
                },
            )
        finally:
            self._reset_to = None
        if not fits:
            self.counters["install_needed"] += 1
            self.on_install(node.id, first)

    def _SyncObj__deleteEntriesFrom(self, index: int) -> None:
        if not self._keep_suffix:
            log = self._SyncObj__raftLog
            if index <= log.last_index:
                self.counters["conflict"] += 1
            if index <= self._SyncObj__raftLastApplied:
                raise AssertionError(f"the entry {index} is applied and was to be removed")
            super()._SyncObj__deleteEntriesFrom(index)
            self._take_back(index)

    def _SyncObj__sendNextNodeIdx(
        self,
        node: Any,
        reset: bool = False,
        nextNodeIdx: int | None = None,
        success: bool = False,
    ) -> None:
        """Answer the leader; what the disk does not have yet is acknowledged when it has."""
        log, seq = self._SyncObj__raftLog, self._answers_seq
        following = log.last_index + 1 if nextNodeIdx is None else nextNodeIdx
        if self._reset_to is not None:
            following, reset = self._reset_to, self._reset_to > 0
        elif reset and nextNodeIdx is not None:
            # A conflict: back to what is known to match, not by one entry a round trip.
            following = self._SyncObj__raftCommitIndex + 1
        elif success and following - 1 > log.durable_index:
            self.counters["acknowledgement_held"] += 1
            self._held[node] = (self._SyncObj__raftCurrentTerm, following, seq)
            if self._had_entries:
                return
            following = log.durable_index + 1
        self._send_position(node, following, reset, success, seq)

    def _send_position(self, node: Any, following: int, reset: bool, success: bool, seq: int) -> None:
        self.send(node, [msg.POSITION, self._SyncObj__raftCurrentTerm, following, reset, success, seq])

    def _acknowledge_durable(self) -> None:
        """Send the acknowledgements that the disk now allows."""
        durable = self._SyncObj__raftLog.durable_index
        for node, (term, following, seq) in list(self._held.items()):
            if term != self._SyncObj__raftCurrentTerm:
                self.counters["held_of_old_term"] += 1
                del self._held[node]
            elif following - 1 <= durable:
                del self._held[node]
                self._send_position(node, following, False, True, seq)

    def _receive_round(self, node: Any, message: list[Any]) -> None:
        term = self._SyncObj__raftCurrentTerm
        if message[1] > term:
            return  # its entries come first
        if message[1] == term and self._SyncObj__raftLeader == node:
            self.send(node, [msg.ROUNDED, term, message[2]])
        elif message[1] < term:
            self.counters["round_refused"] += 1
            self.send(node, [msg.ROUNDED, term, 0])
