"""After the faults: what all members have, compared byte by byte, and judged against what clients were told."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from typing import Any, Final

import msgpack

from tests.checkers import check
from tests.checkers.history import Change, Commit, Digest, History, Version, Violation
from tests.cluster.journal import Journal
from tests.cluster.processes import Cluster, Member
from tests.node_process import run
from tests.wire import Wire
from visor.protocol import verbs

BLOCK: Final = 1000
"""Commits that are compared at a time."""
EVERYTHING: Final = [verbs.SEL_TREE, "/"]


def commits_of(wire: Wire, last: int) -> Iterator[list[Any]]:
    """Yield all commits up to a rev as a member has them, with the replaced versions."""
    cursor: int | None = 1
    while cursor is not None:
        _, commits, cursor = wire.call(verbs.LOG, EVERYTHING, cursor, last, 0, {"previous": True})
        yield from commits


def collect(cluster: Cluster, journal: Journal) -> None:
    """Read the whole history from every member; put the first one's into the journal and digests of all of them."""
    members = list(cluster.members.values())
    with members[0].wire(60.0) as wire:
        last = wire.rev()
    for member in members:
        history = journal.history if member is members[0] else History()
        with member.wire(60.0) as wire:
            read_history(wire, member.name, last, history)
        journal.history.digests += history.digests if history is not journal.history else []


def read_history(wire: Wire, name: str, last: int, history: History) -> None:
    """Add all commits up to a rev to `history`, with digests of them and of all files, by what one member has."""
    crc = 0
    for commit in commits_of(wire, last):
        crc = zlib.crc32(msgpack.packb(commit), crc)
        history.commits.append(_commit(commit))
        if commit[0] % BLOCK == 0 or commit[0] == last:
            history.digests.append(Digest(name, "commits", commit[0], crc))
    history.digests.append(Digest(name, "files", last, _files(wire, last)))


def _files(wire: Wire, rev: int) -> int:
    crc, cursor = 0, None
    while True:
        _, rows, cursor, _ = wire.call(verbs.SCAN, EVERYTHING, rev, verbs.STALE, cursor)
        crc = zlib.crc32(msgpack.packb(rows), crc)
        if cursor is None:
            return crc


def _commit(row: list[Any]) -> Commit:
    rev, time_ms, actor, note, changes = row
    return rev, time_ms, actor, note, [_change(*change) for change in changes]


def _change(kind: int, path: str, version: list[Any], previous: list[Any] | None = None) -> Change:
    before: Version | None = None if previous is None else _version(previous)
    return kind, path, _version(version), before


def _version(row: list[Any]) -> Version:
    rev, value, created, count, lease = row
    return rev, value, created, count, lease


def judge(journal: Journal) -> list[Violation]:
    """Return everything that was broken."""
    found = check(journal.history)
    found += [Violation("nothing unexpected", text) for text in journal.unexpected]
    return found


def check_directories(members: list[Member]) -> list[str]:
    """Stop members and verify every byte of their data; return what is wrong."""
    problems = []
    for member in members:
        code = member.terminate()
        if code:
            problems.append(f"{member.name} ended with {code}: {member.errors()[-2000:]}")
        done = run("check", str(member.data), timeout=300.0)
        if done.returncode:
            problems.append(f"visord check of {member.name}: {done.returncode}: {done.stdout}{done.stderr}")
    return problems


def await_equal(cluster: Cluster, seconds: float) -> float | None:
    """Wait until all members have the same rev and nobody lags; return how long that took, None when it did not."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        statuses = cluster.statuses()
        if len(statuses) == len(cluster.members):
            stood = {(one["rev"], one["applied"], one["committed"]) for one in statuses.values()}
            if len(stood) == 1:
                return time.monotonic() - began
        time.sleep(0.05)
    return None
