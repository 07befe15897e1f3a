"""The promises of a watch, each a function that fails when a trace breaks it.

A trace is what one logical watch has seen, over all connections that it was resumed on. The full history
stands beside it; `expected` filters it naively, with nothing of the code under test.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from visor.protocol import verbs

Commit = tuple[int, int, str, str | None, list[Any]]


@dataclass
class Part:
    """One connection of a trace: asked from `start`, then the messages in order, and the sizes of those that count."""

    start: int
    flags: int
    window: int
    messages: list[list[Any]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    under_way: list[int] = field(default_factory=list)
    """After each message that counts: the bytes that the reader has not credited."""


@dataclass
class Trace:
    """A logical watch: one selector, one shape, resumed any number of times."""

    selector: list[Any]
    flags: int
    kinds: int
    start: int
    parts: list[Part] = field(default_factory=list)

    def commits(self) -> list[list[Any]]:
        return [c for part in self.parts for m in part.messages if m[0] == verbs.COMMITS for c in m[2]]


# -- the model ----------------------------------------------------------------------------------------


def parts_of(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def selected(selector: list[Any], path: str) -> bool:
    """Whether a selector wants a path, by its definition."""
    kind, text = selector[0], selector[1]
    mine = parts_of(path)
    if kind == verbs.SEL_ANY:
        return any(selected(part, path) for part in text)
    if kind == verbs.SEL_PATH:
        return path == text
    if kind == verbs.SEL_TREE:
        return mine[: len(parts_of(text))] == parts_of(text)
    if kind == verbs.SEL_CHILDREN:
        return mine[:-1] == parts_of(text)
    if kind == verbs.SEL_RANGE:
        end = selector[2]
        return parts_of(text) <= mine and (end is None or mine < parts_of(end))
    pattern = ""
    for token in re.findall(r"\*\*|\*|\?|[^*?]+", text):
        pattern += {"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(token, re.escape(token))
    return re.fullmatch(pattern, path, re.DOTALL) is not None


def shaped(change: Any, flags: int) -> list[Any]:
    """The change as the wire has it."""
    kind, path, version, previous = change

    def version_of(version: Any) -> Any:
        if version is None:
            return None
        fields = list(version)
        if flags & verbs.W_KEYS:
            fields[1] = None
        return fields

    wire = [kind, path, version_of(version)]
    if flags & verbs.W_PREVIOUS:
        wire.append(version_of(previous))
    return wire


def expected(trace: Trace, history: list[Commit], first: int, last: int) -> list[list[Any]]:
    """What a watch must deliver of the revs from `first` to `last`."""
    commits = []
    for rev, time, actor, note, changes in history:
        if first <= rev <= last:
            wanted = [
                shaped(change, trace.flags)
                for change in changes
                if trace.kinds >> change[0] & 1 and selected(trace.selector, change[1])
            ]
            if wanted:
                commits.append([rev, time, actor, note, wanted])
    return commits


def files_at(selector: list[Any], flags: int, history: list[Commit], rev: int) -> dict[str, list[Any]]:
    """The selected files at `rev`."""
    files: dict[str, Any] = {}
    for commit in history:
        if commit[0] <= rev:
            for kind, path, version, _ in commit[4]:
                files.pop(path, None)
                if kind in (verbs.CREATE, verbs.UPDATE) and selected(selector, path):
                    fields = list(version)
                    if flags & verbs.W_KEYS:
                        fields[1] = None
                    files[path] = fields
    return files


# -- the promises -------------------------------------------------------------------------------------


def ordered(trace: Trace, history: list[Commit]) -> None:
    """Revs ascend, within a message, across messages and across connections."""
    revs = [commit[0] for commit in trace.commits()]
    assert revs == sorted(revs)


def no_duplicate(trace: Trace, history: list[Commit]) -> None:
    """No rev comes twice, also after a resumption."""
    revs = [commit[0] for commit in trace.commits()]
    assert len(revs) == len(set(revs))


def no_gap(trace: Trace, history: list[Commit]) -> None:
    """Between the start and the last commit nothing that was asked for is missing."""
    commits = trace.commits()
    if commits:
        wanted = expected(trace, history, trace.start, commits[-1][0])
        assert [c[0] for c in commits] == [c[0] for c in wanted]


def whole_commits(trace: Trace, history: list[Commit]) -> None:
    """A commit comes once and complete: its time, actor, note, and all changes that match, in path order."""
    by_rev = {commit[0]: commit for commit in expected(trace, history, 1, 1 << 62)}
    for commit in trace.commits():
        assert commit == by_rev.get(commit[0])
        paths = [parts_of(change[1]) for change in commit[4]]
        assert paths == sorted(paths)


def nothing_below_the_start(trace: Trace, history: list[Commit]) -> None:
    """Each connection delivers, marks and ends at or above what it asked for."""
    for part in trace.parts:
        for message in part.messages:
            if message[0] == verbs.COMMITS:
                assert all(commit[0] >= part.start for commit in message[2])
            elif message[0] == verbs.MARK:
                assert message[2] >= part.start - 1
            elif message[0] == verbs.ENDED and message[4]["rev"] is not None:
                assert message[4]["rev"] >= part.start - 1


def honest_marks(trace: Trace, history: list[Commit]) -> None:
    """A MARK (and the rev of ENDED) says that everything up to it came before, and nothing comes after."""
    for part in trace.parts:
        seen: list[int] = []
        marked = part.start - 1
        for message in part.messages:
            if message[0] == verbs.COMMITS:
                seen += [commit[0] for commit in message[2]]
                assert message[2][0][0] > marked
            elif message[0] in (verbs.MARK, verbs.ENDED):
                rev = message[2] if message[0] == verbs.MARK else message[4]["rev"]
                if rev is None:
                    continue
                assert rev >= marked, "marks do not go back"
                marked = rev
                assert seen == [commit[0] for commit in expected(trace, history, part.start, rev)]


def files_first(trace: Trace, history: list[Commit]) -> None:
    """With W_STATE the files at start - 1 come first, each once; `last` is true once, at their end."""
    for part in trace.parts:
        pages = [m for m in part.messages if m[0] == verbs.STATE]
        if not part.flags & verbs.W_STATE:
            assert not pages
            continue
        others = [m for m in part.messages if m[0] in (verbs.COMMITS, verbs.MARK)]
        complete = bool(pages) and pages[-1][4] is True
        assert all(page[4] is False for page in pages[:-1])
        assert all(page[2] == part.start - 1 for page in pages)
        assert complete or not others, "commits and marks wait for the files"
        ends = [m for m in part.messages if m[0] == verbs.ENDED]
        assert all((end[4]["rev"] is None) != complete for end in ends)
        order = [m[0] for m in part.messages]
        assert order[: len(pages)] == [verbs.STATE] * len(pages)
        rows = [tuple(row) for page in pages for row in page[3]]
        paths = [row[0] for row in rows]
        assert len(set(paths)) == len(paths)
        wanted = files_at(trace.selector, part.flags, history, part.start - 1)
        if complete:
            assert dict(rows) == wanted
        else:
            assert all(wanted[path] == version for path, version in rows)


def bounded_window(trace: Trace, history: list[Commit]) -> None:
    """What is under way passes the window by less than the one message that used it up."""
    for part in trace.parts:
        for size, after in zip(part.sizes, part.under_way, strict=True):
            assert after - size < part.window


def nothing_after_the_end(trace: Trace, history: list[Commit]) -> None:
    """ENDED is the last message, and states a reason."""
    for part in trace.parts:
        for message in part.messages[:-1]:
            assert message[0] != verbs.ENDED
        if part.messages and part.messages[-1][0] == verbs.ENDED:
            _, _, code, text, details = part.messages[-1]
            assert code
            assert text
            assert "rev" in details
            if code == "compacted":
                assert details["floor"] > 0


PROMISES: list[Callable[[Trace, list[Commit]], None]] = [
    ordered,
    no_duplicate,
    no_gap,
    whole_commits,
    nothing_below_the_start,
    honest_marks,
    files_first,
    bounded_window,
    nothing_after_the_end,
]


def complete(trace: Trace, history: list[Commit], rev: int) -> None:
    """Once nothing is left to do, everything up to `rev` is there."""
    assert trace.commits() == expected(trace, history, trace.start, rev)
