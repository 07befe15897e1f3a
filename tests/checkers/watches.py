"""What a watch promises: ordered, no gap, no duplicate, whole commits, nothing below its start, honest marks.

One logical watch may have been resumed on many connections and nodes; what it delivered altogether must be exactly what
the history holds from its start on, for its path and kinds.
"""

from __future__ import annotations

from typing import Any

from tests.checkers.history import Commit, Event, History, Violation, Watch, veil, veiled
from tests.checkers.model import Timeline

NAME = "watch promises"


def check(history: History) -> None:
    """Raise `Violation` for the first watch that broke a promise."""
    timeline = Timeline(history.commits)
    for watch in history.watches:
        _Reader(watch, history, timeline).read()


class _Reader:
    """Follows one watch, knowing what has to come next."""

    def __init__(self, watch: Watch, history: History, timeline: Timeline) -> None:
        self._watch = watch
        self._timeline = timeline
        self._last = history.last_rev()
        self._expected = [wanted for commit in history.commits if (wanted := veil(shaped(watch, commit)))[4]]
        self._position: int | None = None
        self._complete = 0
        """Everything up to this rev came, as far as the watch has told."""

    def read(self) -> None:
        for event in self._watch.events:
            if event.rev > self._last + (event.kind == "resumed"):
                self._fail(event, f"rev {event.rev} is not in the history, which ends at {self._last}")
            getattr(self, f"_{event.kind}")(event)
        complete = self._watch.complete_to
        if complete is not None and self._position is not None:
            self._nothing_left(complete, f"at the end, after rev {complete} was there")

    def _resumed(self, event: Event) -> None:
        if self._position is None:
            self._complete = event.rev - 1
            self._position = sum(commit[0] < event.rev for commit in self._expected)

    def _state(self, event: Event) -> None:
        """The files at a rev: the watch begins there, or begins again when it could not go on."""
        tree = self._timeline.tree(self._watch.path, event.rev)
        wanted = {path: veiled(path, version) for path, version in tree.items()}
        found = {path: veiled(path, tuple(version)) for path, version in event.content.items()}
        if found != wanted:
            self._fail(event, f"the files at rev {event.rev} are {wanted}, told were {found}")
        self._complete = event.rev
        self._position = sum(commit[0] <= event.rev for commit in self._expected)

    def _commit(self, event: Event) -> None:
        assert self._position is not None, "a watch delivers after it was asked for"
        if self._position >= len(self._expected):
            self._fail(event, f"rev {event.rev} is delivered, nothing more was to come")
        wanted = self._expected[self._position]
        found = veil(normal(event.content))
        if found != wanted:
            order = (
                "again"
                if event.rev <= self._complete
                else "before"
                if event.rev > wanted[0]
                else "differently"
            )
            self._fail(event, f"rev {event.rev} came {order}: {found}, expected {wanted}")
        self._position += 1
        self._complete = event.rev

    def _mark(self, event: Event) -> None:
        if event.rev < self._complete:
            self._fail(event, f"a mark says {event.rev} after {self._complete}")
        self._nothing_left(event.rev, f"a mark said that all up to {event.rev} had come")
        self._complete = event.rev

    _ended = _mark

    def _nothing_left(self, rev: int, when: str) -> None:
        assert self._position is not None
        if self._position < len(self._expected) and self._expected[self._position][0] <= rev:
            missing = self._expected[self._position][0]
            raise Violation(
                NAME, f"client {self._watch.client}, {self._watch.path}: rev {missing} is missing {when}"
            )

    def _fail(self, event: Event, why: str) -> None:
        raise Violation(NAME, f"client {self._watch.client}, {self._watch.path}, {event.time:.6f}: {why}")


def shaped(watch: Watch, commit: Commit) -> tuple[Any, ...]:
    """Return what a watch has to deliver of a commit."""
    rev, time, actor, note, changes = commit
    start = watch.path.rstrip("/") + "/"
    wanted = []
    for kind, path, version, previous in changes:
        if watch.kinds >> kind & 1 and (path == watch.path or path.startswith(start)):
            wanted.append((kind, path, version, previous) if watch.previous else (kind, path, version))
    return (rev, time, actor, note, wanted)


def normal(commit: Any) -> tuple[Any, ...]:
    """Return a commit as decoded from the wire, in tuples."""
    rev, time, actor, note, changes = commit
    rows = [
        (kind, path, *(None if version is None else tuple(version) for version in versions))
        for kind, path, *versions in changes
    ]
    return (rev, time, actor, note, rows)
