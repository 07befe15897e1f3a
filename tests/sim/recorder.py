"""What the nodes of a world did, seen from inside: the part of the history that no client can know."""

from __future__ import annotations

import re
import zlib
from typing import Final

import msgpack

from tests.checkers.history import Commit, Digest, Grant, History, Violation, expired_lease, veil
from tests.sim.scheduler import Scheduler
from visord.node import Node
from visord.state.digest import state_hash
from visord.state.tables import export_tables

MARKED: Final = re.compile(rb"(?:secret|redaction)-[0-9a-f]{24}")
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
        self._logged: dict[bytes, tuple[int, int]] = {}
        """Secrets, and what redactions are called: the first and the last entry in which each stood."""
        self._redacted: list[tuple[bytes, bytes]] = []

    def began(self, name: str, node: Node) -> None:
        """A node was started (or took over a checkpoint): what it has now came from its disk, or from another."""
        self._known[name] = node.store.rev
        if node.store.rev:
            self.hash(name, node, node.store.rev)

    def hash(self, name: str, node: Node, rev: int) -> None:
        """Note what all files of a node are at a rev."""
        digest = state_hash(node.store, rev)
        if isinstance(digest, str):
            redacted = node.store.redacted.count
            what = f"state after {redacted} redactions" if redacted else "state"
            self._history.digests.append(Digest(name, what, rev, digest))

    def redacted(self, secrets: list[bytes], name: bytes) -> None:
        """The redaction of this name was acknowledged, before which these were written."""
        self._redacted += [(secret, name) for secret in secrets]

    def gone(self) -> list[bytes]:
        """Return what was redacted, and did not come into the log again behind that."""
        logged = self._logged
        return [secret for secret, name in self._redacted if logged[secret][1] < logged[name][0]]

    def applying(self, name: str, index: int, term: int, command: bytes) -> None:
        """A node is about to apply an entry."""
        self._history.applied.setdefault(name, []).append((index, term, zlib.crc32(command)))
        if index > self.highest:
            self.highest = index
            for name in MARKED.findall(command):
                self._logged[name] = (self._logged.get(name, (index, 0))[0], index)

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
        if commit != first and veil(commit) != veil(first):
            raise Violation(
                "replicas are equal", f"rev {commit[0]} is {commit} at {name} and was {first} elsewhere"
            )
