"""What a registry has told of its history, and whether it still tells the same."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import msgpack

from tests.crash.writer import LEAVES, Write
from tests.wire import Wire
from visor.protocol import verbs

Commit = list[Any]
"""`[rev, time, actor, note, changes]` as LOG and COMMITS give it."""


class Broken(AssertionError):  # noqa: N818 - it reads better
    """The registry broke a promise."""


class Record:
    """Every commit that was ever seen, by rev. Anything that contradicts it raises `Broken`."""

    def __init__(self) -> None:
        self.digests: dict[int, int] = {}
        self.tokens: dict[str, int] = {}
        """The rev of each token."""
        self.last = 0
        """The highest rev seen."""
        self.floor = 0
        """Commits up to here cannot be read any more."""

    def see(self, commit: Commit) -> None:
        """Take a commit, new or seen before. Revs may come in any order, but never with other contents."""
        rev, note = commit[0], commit[3]
        digest = digest_of(commit)
        known = self.digests.setdefault(rev, digest)
        if known != digest:
            raise Broken(f"rev {rev} is another commit than before: {commit!r:.300}")
        if self.tokens.setdefault(note, rev) != rev:
            raise Broken(f"{note} was applied twice, as {self.tokens[note]} and {rev}")
        self.last = max(self.last, rev)

    def see_all(self, commits: Iterable[Commit], first: int, last: int) -> None:
        """Take what LOG says of `first` to `last`: every rev of them, once, in order."""
        expected = first
        for commit in commits:
            if commit[0] != expected:
                raise Broken(f"the log goes from rev {expected - 1} to {commit[0]}")
            self.see(commit)
            expected += 1
        if expected != last + 1:
            raise Broken(f"the log ends at rev {expected - 1} instead of {last}")

    def check_write(self, write: Write) -> None:
        """An acknowledged write is there as its rev; a refused one is nowhere."""
        found = self.tokens.get(write.token)
        if write.rev is not None and write.rev > self.floor and found != write.rev:
            raise Broken(f"{write.token} was acknowledged as rev {write.rev}; it is at {found}")
        if write.refused and found is not None:
            raise Broken(f"{write.token} was refused ({write.refused}); it is at {found}")


def digest_of(commit: Commit) -> int:
    """Return a number that differs for commits that differ."""
    data = msgpack.packb(commit)
    return zlib.crc32(data) | len(data) << 32


def check_whole(commit: Commit) -> None:
    """A commit of a `Writer` holds all of one write and nothing else."""
    rev, _, _, note, changes = commit
    written = {path: version[1] for _, path, version in changes}
    paths = sorted(written)
    folder = paths[0].rpartition("/")[0]
    whole = len(paths) == 1 if "/s/" in paths[0] else paths == [f"{folder}/{leaf}" for leaf in LEAVES]
    if not whole or len(changes) != len(paths):
        raise Broken(f"rev {rev} ({note}) is half a write: {paths}")
    for path, value in written.items():
        if value is not None and not value.startswith(f"{note}.".encode()):
            raise Broken(f"rev {rev} ({note}) holds another write's value at {path}: {value[:40]!r}")
        if not path.startswith(f"/{note.partition('-')[0]}/"):
            raise Broken(f"rev {rev} ({note}) writes {path}")


def replay(state: dict[str, tuple[int, bytes]], commits: Iterable[Commit]) -> None:
    """Carry `state` (path to (rev, value)) over `commits`."""
    for rev, _, _, _, changes in commits:
        for kind, path, version in changes:
            if kind == verbs.REMOVE:
                del state[path]
            else:
                state[path] = (rev, version[1])


def state_of(wire: Wire, at: int | None = None) -> dict[str, tuple[int, bytes]]:
    """Return all files as (mod_rev, value) at rev `at`."""
    found: dict[str, tuple[int, bytes]] = {}
    cursor: str | None = None
    while True:
        _, rows, cursor, _ = wire.call(verbs.SCAN, [verbs.SEL_TREE, "/"], at, 0, cursor)
        found |= {path: (version[0], version[1]) for path, version in rows}
        if cursor is None:
            return found
