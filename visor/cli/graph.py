"""History as a line through time: `visor history PATH --graph`. Pure, and one commit after another.

    ●  812  3m    ann@web  update  /apps/web/head  +12 B = 40 B  "roll out"
    ┆       1 h without a change
    ┆
    ◆  640  2h    ann@web  create  /apps/web/head  28 B
            4 d without /apps/web/head
    ✕  410  5d    cron@x   delete  /apps/web/head  -31 B
    │
    ◆  400  5d    bob@web  create  /apps/web/head  31 B
    │                      update  /apps/web/other  still 3 B

A commit that touches several files has a line for each. Between two commits a gap in time is drawn as long as it
matters; while the file was missing, the line is broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from visor._core.harmless import harmless
from visor.cli.moment import age
from visor.cli.screen import BOLD, DIM, GREEN, RED, YELLOW, cut, painted, width
from visor.cli.wording import counted
from visor.values import Change, Commit, Kind, milliseconds

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
"""Milliseconds."""
WHO, WIDE = 16, 80
"""Columns of an actor, and of a terminal that has room for them."""
CHANGES: Final = 20
"""Of one commit that are drawn; of more it is told how many."""
STYLES: Final = {Kind.CREATE: GREEN, Kind.UPDATE: YELLOW, Kind.DELETE: RED, Kind.EXPIRE: RED}
GONE: Final = (Kind.DELETE, Kind.EXPIRE)


class Marks(NamedTuple):
    """What it is drawn with."""

    update: str = "●"
    create: str = "◆"
    gone: str = "✕"
    along: str = "│"
    gap: str = "┆"
    cut: str = "…"


IN_ASCII: Final = Marks("*", "+", "x", "|", ":", "~")


class Graph(NamedTuple):
    """How it is drawn."""

    now: datetime
    columns: int | None = None
    """None: lines are as long as they are."""
    colour: bool = False
    marks: Marks = Marks()
    revs: int = 8
    """Columns of a rev."""

    def lines(self, commits: Iterable[Commit[Any]]) -> Iterator[str]:
        """Draw commits that come in order, newest or oldest first."""
        before: Commit[Any] | None = None
        for commit in commits:
            if before is not None:
                yield from self._between(before, commit)
            yield from self._commit(commit)
            before = commit

    # -- between two commits ----------------------------------------------------------------------------------
    def _between(self, one: Commit[Any], other: Commit[Any]) -> Iterator[str]:
        """Draw the time between two commits, whichever is the older."""
        older, newer = sorted((one, other), key=lambda commit: commit.rev)
        took = milliseconds(newer.time) - milliseconds(older.time)
        missing = _missing(older, newer)
        if missing:
            yield self._gap(" ", f"{_spell(took)} without {missing}", RED)
            return
        if took < MINUTE:
            yield self._cut(self.marks.along)
            return
        yield self._gap(self.marks.gap, f"{_spell(took)} without a change", DIM)
        for longer in (HOUR, DAY, 30 * DAY):
            if took >= longer:
                yield self._cut(self.marks.gap)

    def _gap(self, mark: str, said: str, style: str) -> str:
        return self._fit([(f"{mark}  {' ' * self.revs}  ", ""), (said, style)])

    # -- one commit -------------------------------------------------------------------------------------------
    def _commit(self, commit: Commit[Any]) -> Iterator[str]:
        when = age(milliseconds(commit.time), self.now)
        note = f'  "{commit.note}"' if commit.note else ""
        who = WHO if self.columns is None or self.columns >= WIDE else WHO // 2
        actor = cut(harmless(commit.actor), who).replace("…", self.marks.cut)
        head = f"{commit.rev:>{self.revs}}  {when:<5} {actor}{' ' * (who - width(actor))}  "
        for at, change in enumerate(commit.changes[:CHANGES]):
            start = [(self._mark(commit), BOLD), (f"  {head}", "")] if not at else [
                (f"{self.marks.along}  {' ' * width(head)}", "")
            ]  # fmt: skip
            what = (f"{change.kind.value:<6}  ", STYLES[change.kind])
            yield self._fit(
                [*start, what, (f"{change.path}  ", ""), (_size(change), DIM), ("" if at else note, BOLD)]
            )
        more = len(commit.changes) - CHANGES
        if more > 0:
            yield self._fit(
                [(f"{self.marks.along}  {' ' * width(head)}", ""), (f"and {counted(more, 'file')} more", DIM)]
            )

    def _mark(self, commit: Commit[Any]) -> str:
        kinds = {change.kind for change in commit.changes}
        if kinds <= set(GONE):
            return self.marks.gone
        return self.marks.create if kinds == {Kind.CREATE} else self.marks.update

    # -- lines ------------------------------------------------------------------------------------------------
    def _cut(self, text: str) -> str:
        return self._fit([(text, "")])

    def _fit(self, pieces: list[tuple[str, str]]) -> str:
        """Return the pieces as one line: harmless, no wider than there is room for, painted."""
        left, drawn = self.columns, []
        for text, style in pieces:
            text = harmless(text)
            if self.marks is IN_ASCII:
                text = text.encode("ascii", "backslashreplace").decode()
            if left is not None:
                text = cut(text, left).replace("…", self.marks.cut) if left > 0 else ""
                left -= width(text)
            drawn.append(painted(text, style, self.colour))
        return "".join(drawn).rstrip()


def _missing(older: Commit[Any], newer: Commit[Any]) -> str:
    """Return the file that was missing between two commits, if both are about one file and that is so."""
    if len(older.changes) != 1 or len(newer.changes) != 1:
        return ""
    ended, began = older.changes[0], newer.changes[0]
    same = ended.path == began.path
    return ended.path if same and ended.kind in GONE and began.kind is Kind.CREATE else ""


def _size(change: Change[Any]) -> str:
    """Say how large it became, and by how much that is more or less than before; "" without values."""
    before = None if change.previous_data is None else len(change.previous_data)
    if change.data is None:
        return "" if before is None else f"-{_bytes(before)}"
    if before is None:
        return _bytes(len(change.data))
    more = len(change.data) - before
    return f"{more:+} B = {_bytes(len(change.data))}" if more else f"still {_bytes(before)}"


def _bytes(count: int) -> str:
    """Say how many bytes: exactly while they are few."""
    if count < 10_000:
        return f"{count} B"
    return f"{count / 1e3:.1f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"


def _spell(span: int) -> str:
    """Say how long, in the largest unit that fits."""
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", 1000)):
        if span >= size:
            return f"{span // size} {unit}"
    return f"{max(span, 0)} ms"
