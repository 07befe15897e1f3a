"""Values that were taken out of history: REDACT, and what is remembered of it.

[41, id, acked, path, first = 1, last = nil (the latest), why = nil]  ->  [rev, versions, first, last, next]

Each version of the file at `path` that was written by one of the revs gets a mark for a value: who took it out, when,
how large it was, why. Its rev, its lease and its counts stay, and the size that it had is kept beside it. No rev is
taken: nothing was changed that a watch could be told of.

    versions of /a   (3, "s3cret") (7, None) (9, "s3cret2")     REDACT /a 1..8
                     (3, mark)     (7, None) (9, "s3cret2")     sizes {"/a": {3: 6}}

Which versions there are below the floor depends on what a member has trimmed: those are taken out as well, and neither
counted nor told. What a command may do is bounded: `next` is the rev to go on from, 0 at the end.

A version is a tuple that others may hold, so a new one takes its place: who reads, or sends, what was there before goes
on with that. The bytes on disk are `visord/scrubbing.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from visor.protocol.limits import Limits
from visord.state import fields, past, refusal
from visord.state.calendar import spelled
from visord.state.refusal import Refusal
from visord.state.store import Store
from visord.state.tree import File
from visord.state.version import Version

MOST: Final = 10_000
"""Versions that one write takes out: about 10 ms."""
LOOKED: Final = 100_000
"""Versions that one write looks at: those that are marks, or deletions, are passed by."""
SIZES: Final = 1_000
"""Sizes in one row of a checkpoint."""
MAX_WHY: Final = 512
"""Bytes of the reason: it stands in each version on disk."""
_DEFAULTS: Final[list[Any]] = [1, None, None]


Mark: TypeAlias = Callable[[int], bytes]
"""What stands where a value of so many bytes was: `redacted by ACTOR at 2026-11-29T20:15:00Z (28 bytes): WHY`."""


class Doomed(NamedTuple):
    """What a REDACT asks for."""

    path: str
    first: int
    last: int
    why: str | None


class Done(NamedTuple):
    """What came of one: `revs` are those whose versions were taken out; `next`: 0, or the rev to go on from."""

    revs: list[int]
    next: int

    def answer(self, rev: int) -> list[int]:
        """Return the outcome."""
        first, last = (self.revs[0], self.revs[-1]) if self.revs else (0, 0)
        return [rev, len(self.revs), first, last, self.next]


def asked(store: Store, frame: list[Any]) -> Doomed | Refusal:
    """Return what a well-formed frame asks for."""
    wrong = fields.length(frame, 4, 7)
    if wrong is not None:
        return wrong
    path, first, last, why = frame[3:] + _DEFAULTS[len(frame) - 4 :]
    refused = (
        fields.path("path", path, store.limits, root=False)
        or fields.integer("first", first, 1)
        or (None if last is None else fields.integer("last", last, first))
        or _why(why, store.limits)
    )
    if refused is not None:
        return refused
    if last is not None and last > store.rev:
        return refusal.future_rev(store.rev, last)
    return Doomed(path, first, store.rev if last is None else last, why)


def _why(content: Any, limits: Limits) -> Refusal | None:
    wrong = fields.note(content, limits)
    if wrong is not None or content is None:
        return wrong
    size = len(content.encode("utf-8", "replace"))
    return refusal.too_large("why", MAX_WHY, size) if size > MAX_WHY else None


def mark(actor: str, time: int, why: str | None) -> Mark:
    """Return what stands where a value of so many bytes was."""
    before = f"redacted by {actor or 'somebody'} at {spelled(time)} ("
    after = f" bytes): {why}" if why else " bytes)"

    def marked(size: int) -> bytes:
        return f"{before}{size}{after}".encode("utf-8", "replace")

    return marked


def redact(store: Store, what: Doomed, marked: Mark) -> Done:
    """Put a mark where the file's values were. Cannot fail."""
    path, first, last, _ = what
    store.redacted.note(path, first, last)
    file = store.files.get(path)
    if file is None:
        return Done([], 0)
    known = store.redacted.sizes.get(path, {})
    begin, end = file.position_after(first - 1), file.position_after(last)
    visible = max(begin, _first_visible(file, store.floor))
    revs: list[int] = []
    for position in range(begin, end):
        version = file.at(position)
        if len(revs) == MOST or position - visible == LOOKED:
            return Done(revs, version[0])
        if version[1] is None or version[0] in known:
            continue
        if position >= visible:
            revs.append(version[0])
        elif position < past.size(file.past):
            continue  # nobody can read it, and its file goes
        _replace(store, file, position, marked)
    return Done(revs, 0)


def _first_visible(file: File, floor: int) -> int:
    """Return the position of the first version that a readable rev sees."""
    return max(file.position_after(floor) - 1, 0)


def _replace(store: Store, file: File, position: int, marked: Mark) -> None:
    rev, old, created, count, lease = store.filled(file.path, file.at(position))
    size = len(old or b"")
    value = marked(size)
    store.redacted.sizes.setdefault(file.path, {})[rev] = size
    position -= past.size(file.past)
    # Also of what a slice has let go ahead of `spilled`: of a file goes what it can (`spilling.py`).
    if position < 0 or rev <= store.spilled:
        # Until the next checkpoint has written it again, the mark stands beside what is on disk.
        store.redacted.marks[(file.path, rev)] = value
    if position < 0:
        return
    version: Version = (rev, value, created, count, lease)
    file.replace(position, version)
    store.held += len(value) - size
    store.history.replace_recent(version)


def rows(store: Store, floor: int) -> Iterator[list[Any]]:
    """Yield `[path, [rev, size, ...]]`, several of a path where there are many, of what a rev from `floor` on sees.

    The same on all members, whatever they have trimmed.
    """
    for path, sizes in sorted(store.redacted.sizes.items()):
        file = store.files.get(path)
        if file is None or not file.versions:
            continue
        begin = file.rev_at(_first_visible(file, floor))
        known = [number for rev in sorted(sizes) if rev >= begin for number in (rev, sizes[rev])]
        for start in range(0, len(known), 2 * SIZES):
            yield [path, known[start : start + 2 * SIZES]]


def load(store: Store, row: list[Any]) -> None:
    """Add a row that `rows` gave. Raises ValueError for any other."""
    path, known = row
    numbers = type(path) is str and type(known) is list and all(type(one) is int for one in known)
    if not numbers or not known or len(known) % 2:
        raise ValueError(f"not the sizes of what was redacted: {row!r:.80}")
    store.redacted.sizes.setdefault(path, {}).update(zip(known[::2], known[1::2], strict=True))


def cannot_restore(path: str, rev: int) -> Refusal:
    """What a REVERT meets that would have to write a value which is not there any more."""
    expected, actual = "a rev without values that were redacted", f"one that brings back {path} of rev {rev}"
    details = {"field": "to_rev", "expected": expected, "actual": actual, "path": path, "rev": rev}
    return Refusal(
        "bad_request",
        f"{path}: the value that rev {rev} wrote was redacted, and cannot be brought back",
        details,
    )
