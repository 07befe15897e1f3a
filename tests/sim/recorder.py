"""What the nodes of a world did, seen from inside: the part of the history that no client can know."""

from __future__ import annotations

import zlib
from typing import Final

import msgpack

from tests.checkers.history import Commit, Digest, Grant, History, Violation, expired_lease
from tests.sim.scheduler import Scheduler
from visord.node import Node
from visord.state.digest import state_hash
from visord.state.tables import export_tables

TABLES_EVERY: Final = 32
"""Entries between two digests of a machine's tables."""


class Recorder:
    """Fills a history. Contradictions that would make the rest meaningless are raised at once."""

    def __init__(self, history: History, scheduler: Scheduler) -> None:
        self._history = history
        self._scheduler = scheduler
        self._known: dict[str, int] = {}
        """The rev up to which each running node's commits were looked at."""
        self.highest = 0
        """The highest index that anybody applied."""
        self._noted = 0
        """The highest index whose grants were noted."""

    def began(self, name: str, node: Node) -> None:
        """A node was started (or took over a checkpoint): what it has now came from its disk, or from another."""
        self._known[name] = node.store.rev
        if node.store.rev:
            self.hash(name, node, node.store.rev)

    def hash(self, name: str, node: Node, rev: int) -> None:
        """Note what all files of a node are at a rev."""
        digest = state_hash(node.store, rev)
        if isinstance(digest, str):
            self._history.digests.append(Digest(name, "state", rev, digest))

    def applying(self, name: str, index: int, term: int, command: bytes) -> None:
        """A node is about to apply an entry."""
        self._history.applied.setdefault(name, []).append((index, term, zlib.crc32(command)))
        self.highest = max(self.highest, index)

    def applied(self, name: str, node: Node) -> None:
        """A node has applied an entry."""
        store, commits = node.store, self._history.commits
        known = self._known.get(name, 0)
        if store.rev != known:
            self._known[name] = store.rev
            for commit in store.commits(known + 1, store.rev):
                if commit[0] <= len(commits):
                    self._compare(name, commit, commits[commit[0] - 1])
                    continue
                if commit[0] != len(commits) + 1:
                    raise Violation(
                        "replicas are equal", f"{name} commits rev {commit[0]} after {len(commits)}"
                    )
                commits.append(commit)
                self._look_for_expiry(commit)
                self._history.seen_at[commit[0]] = self._scheduler.now
        machine = node.machine
        if machine.index > self._noted:
            self._noted = machine.index
            self._history.grants += [Grant(lease, store.rev) for lease, ttl in store.leases.news if ttl]
        if machine.index % TABLES_EVERY == 0:
            self.tables(name, node)

    def _look_for_expiry(self, commit: Commit) -> None:
        lease = expired_lease(commit)
        if lease:
            self.expired(lease)

    def expired(self, number: int) -> None:
        """Somebody sees that a lease is gone."""
        for lease in self._history.leases:
            if lease.lease == number and lease.expired_at is None:
                lease.expired_at = self._scheduler.now

    def tables(self, name: str, node: Node) -> None:
        """Note everything of a node's machine that is no file: sessions, leases, retention."""
        digest = zlib.crc32(msgpack.packb(export_tables(node.machine)))
        self._history.digests.append(Digest(name, "tables", node.machine.index, digest))

    @staticmethod
    def _compare(name: str, commit: Commit, first: Commit) -> None:
        if commit != first:
            raise Violation(
                "replicas are equal", f"rev {commit[0]} is {commit} at {name} and was {first} elsewhere"
            )
