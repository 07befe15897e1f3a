"""Every commit is what some client asked for, done to the state before it: whole, with its guards held.

Cross-key atomicity, compare-and-set and the bookkeeping of versions (created, count) are judged here: each commit whose
token is known is done again by a naive model on the state one rev before, and must come out the same.
"""

from __future__ import annotations

from tests.checkers.history import Commit, History, Operation, Version, Violation, token_of, veiled
from tests.checkers.model import Timeline, execute
from visor.protocol import verbs

NAME = "commits"


def check(history: History) -> None:
    """Raise `Violation` for a commit that no request explains."""
    asked = {
        operation.write.token: operation for operation in history.operations if operation.write is not None
    }
    timeline = Timeline(history.commits)
    time = 0
    expected = 1
    for commit in history.commits:
        if commit[0] != expected:
            raise Violation(NAME, f"the revs go from {expected - 1} to {commit[0]}")
        expected += 1
        if commit[1] < time:
            raise Violation(NAME, f"rev {commit[0]} is of time {commit[1]}, the one before it of {time}")
        time = commit[1]
        token = token_of(commit)
        if any(change[0] == verbs.EXPIRE for change in commit[4]):
            _check_expiry(commit, timeline)
        elif token in asked:
            _explain(commit, asked[token], timeline)


def _explain(commit: Commit, operation: Operation, timeline: Timeline) -> None:
    rev, changes = commit[0], commit[4]
    assert operation.write is not None
    effect = execute(operation.write, timeline, rev - 1)
    found = {path: version[1] for _, path, version, _ in changes}
    if found != effect.changes or list(found) != list(effect.changes):
        asked = "nothing (a guard does not hold)" if effect.refused else effect.changes
        raise Violation(NAME, f"rev {rev} ({operation.write.token}) did {found}; it should do {asked}")
    for kind, path, version, previous in changes:
        before = timeline.at(path, rev - 1)
        wanted = _version(rev, version[1], before, effect.leases.get(path, 0))
        if version != wanted:
            raise Violation(NAME, f"rev {rev}: {path} is {version}, expected {wanted} after {before}")
        told = None if previous is None else veiled(path, tuple(previous))
        if told is not None and told != veiled(path, before):
            raise Violation(NAME, f"rev {rev}: {path} was {before}, not {previous}")
        if kind != _kind(version, before):
            raise Violation(NAME, f"rev {rev}: {path} has change kind {kind} after {before}")


def _check_expiry(commit: Commit, timeline: Timeline) -> None:
    """What expires is all that was attached to a lease, and nothing else, in one rev."""
    rev, changes = commit[0], commit[4]
    paths = [path for kind, path, _, _ in changes if kind == verbs.EXPIRE]
    before = [timeline.at(path, rev - 1) for path in paths]
    leases = {version[4] for version in before if version is not None}
    attached = timeline.leased(leases, rev - 1)
    if paths != attached or len(paths) != len(changes) or None in before or 0 in leases:
        raise Violation(NAME, f"rev {rev}: {changes} expired, attached to {leases} were {attached}")


def _version(rev: int, value: bytes | None, before: Version | None, lease: int) -> Version:
    if value is None:
        return (rev, None, 0, 0, 0)
    return (rev, value, rev, 1, lease) if before is None else (rev, value, before[2], before[3] + 1, lease)


def _kind(version: Version, before: Version | None) -> int:
    if version[1] is None:
        return verbs.REMOVE
    return verbs.CREATE if before is None else verbs.UPDATE
