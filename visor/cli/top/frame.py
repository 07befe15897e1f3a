"""One picture of the registry, as lines for a terminal of any size. Pure: what happened so far in, text out.

    visor top  3f2a9c01  leader n1  term 3  rev 812345  files 90210  12:03:04 UTC
    all is well
    writes/s      1204  ▁▂▃▅▇▅▃▂
    ...

A line is a list of pieces of text with a style each. All text is made harmless and cut here, where it is painted, and
nowhere before: nothing that somebody stored can get by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from visor._core.harmless import harmless
from visor.cli.screen import BOLD, DIM, GREEN, RED, YELLOW, cut, painted, width
from visor.cli.spark import bar, spark
from visor.cli.top.figures import Figures, Past, Rate
from visor.cli.top.hot import SECONDS
from visor.cli.top.keys import Shown
from visor.cli.wording import counted

Piece = tuple[str, str]
"""Text, and its style."""
Line = list[Piece]

STATES: Final = {"ok": GREEN, "alarm": YELLOW, "away": RED}
NARROW: Final = 40
"""Columns below which nothing is left out any more, but cut."""
PROBLEMS: Final = 4
HOT: Final = 10
"""Directories where there is no lower edge."""
LEAST_HOT: Final = 3
SPARK: Final = 12
"""Columns of the picture of a member's lag."""
KEYS: Final = "q quit  p pause  s sort  ↑↓ scroll  ←→ depth"
PLAIN_KEYS: Final = "q quit  p pause  s sort  arrows: scroll, depth"


class Canvas(NamedTuple):
    """What it is drawn on. `rows` None: there is no lower edge."""

    columns: int
    rows: int | None = None
    colour: bool = False
    blocks: bool = True


def text(lines: Sequence[Line], canvas: Canvas) -> list[str]:
    """Return the lines as a terminal gets them: no wider, and no more, than there is room for."""
    return [_painted(line, canvas) for line in lines[: canvas.rows]]


def _painted(line: Line, canvas: Canvas) -> str:
    left, drawn = canvas.columns, []
    for said, style in line:
        said = harmless(said)
        if not canvas.blocks:
            said = said.encode("ascii", "backslashreplace").decode()
        piece = cut(said, left) if left > 0 else ""
        if not canvas.blocks:
            piece = piece.replace("…", "~")
        left -= width(piece)
        drawn.append(painted(piece, style, canvas.colour))
    return "".join(drawn).rstrip(" ")


def frame(
    past: Past, shown: Shown, canvas: Canvas, waited: float = 0.0, failure: Exception | None = None
) -> list[Line]:
    """Return the picture. `waited`: seconds since the last look, if too many; `failure`: why there is no newer one."""
    failed: list[Line] = [] if failure is None else [[(f"! {failure}", RED)]]
    if past.last is None:
        return [[("visor top", BOLD), ("  looking ...", DIM)], *failed]
    lines = [_head(past, shown, canvas, waited), *(failed or _problems(past)), [], *_rates(past, canvas), []]
    lines += _members(past, canvas)
    foot: Line = [(KEYS if canvas.blocks else PLAIN_KEYS, DIM)]
    if canvas.rows is None:
        return [*lines, [], *_hot(past, shown, canvas, HOT)]
    room = canvas.rows - len(lines) - 3  # a blank line, the heading, the keys
    if room < LEAST_HOT:
        return [*lines[: canvas.rows - 1], foot]
    lines += [[], *_hot(past, shown, canvas, room)]
    lines += [[] for _ in range(canvas.rows - 1 - len(lines))]
    return [*lines, foot]


def _head(past: Past, shown: Shown, canvas: Canvas, waited: float) -> Line:
    assert past.last is not None
    look = past.last
    late = f"{waited:.0f} s ago" if waited else ""
    words: list[tuple[int, Piece]] = [
        (0, ("visor top", BOLD)),
        (0, ("paused", YELLOW) if shown.paused else ("", "")),
        (0, (late, YELLOW)),
        (1, (f"leader {look.leader}", "") if look.leader else ("no leader", RED)),
        (2, (f"rev {look.rev}", "")),
        (3, (f"{look.time:%H:%M:%S} UTC", DIM)),
        (4, (f"term {look.term}", DIM)),
        (5, ("" if look.files is None else counted(look.files, "file"), DIM)),
        (6, (look.cluster[:8], DIM)),
    ]
    return _fitting(words, canvas.columns)


def _fitting(words: list[tuple[int, Piece]], columns: int) -> Line:
    """Return those of the words that there is room for, the least wanted (highest number) left out first."""
    kept = [each for each in words if each[1][0]]
    while len(kept) > 1 and sum(width(said) + 2 for _, (said, _) in kept) - 2 > max(columns, NARROW):
        kept.remove(max(kept, key=lambda each: each[0]))
    return [piece for _, piece in kept for piece in (piece, ("  ", ""))][:-1]


def _problems(past: Past) -> list[Line]:
    assert past.last is not None
    problems = past.last.problems
    notes: list[Line] = [[(f"{one.name} {one.note}", YELLOW)] for one in past.last.members if one.note]
    if not problems:
        return [[("all is well", GREEN)], *notes[:PROBLEMS]]
    lines: list[Line] = [[("! ", RED), (each, RED)] for each in problems[:PROBLEMS]]
    more = len(problems) - PROBLEMS
    lines += [[(f"  and {more} more: visor cluster health", DIM)]] if more > 0 else []
    return lines + notes[:PROBLEMS]


def _rates(past: Past, canvas: Canvas) -> list[Line]:
    """Throughput and latency, each with its picture of the last minutes."""
    lines: list[Line] = []
    for name, rates in (("writes/s", past.writes), ("reads/s", past.reads), ("events/s", past.events)):
        lines.append(_drawn(name, _short(rates[-1]), list(rates), canvas))
    for name, pairs in (("commit ms", past.commit), ("read ms", past.asked)):
        middle, long = pairs[-1]
        said = f"p50 {_short(middle):<6} p99 {_short(long)}"
        lines.append(_drawn(name, said, [each for _, each in pairs], canvas))
    return lines


def _drawn(name: str, said: str, values: Sequence[Rate], canvas: Canvas) -> Line:
    head = f"{name:<10} {said:<21} "
    room = canvas.columns - width(head)
    return [(f"{name:<10} ", BOLD), (f"{said:<21} ", ""), (spark(values, room, canvas.blocks), GREEN)]


def _short(value: Rate) -> str:
    """Write a figure in five characters at most: 0.41, 12.3, 980, 15.0k, 1.2M; `-` of none."""
    if value is None:
        return "-"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if value >= size:
            return f"{value / (1e3 if unit == 'k' else size):.1f}{unit}"
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2
    return f"{value:.{digits}f}"


# -- members ------------------------------------------------------------------------------------------
class _Column(NamedTuple):
    name: str
    least_wanted: int
    """The one with the highest number goes first where there is no room."""
    right: bool = True


_COLUMNS: Final = (
    _Column("member", 0, False),
    _Column("role", 1, False),
    _Column("state", 0, False),
    _Column("behind", 0),
    _Column("lag", 2, False),
    _Column("reads/s", 3),
    _Column("events/s", 4),
    _Column("watches", 5),
    _Column("conns", 6),
    _Column("log MB", 7),
    _Column("version", 9, False),
    _Column("client", 8, False),
)
GAP: Final = 2


def _members(past: Past, canvas: Canvas) -> list[Line]:
    assert past.last is not None
    rows = [_cells(past, member, canvas) for member in past.last.members]
    names = [column.name.upper() for column in _COLUMNS]
    wide = [max(width(cell) for cell in cells) for cells in zip(names, *rows, strict=True)]
    shown = _columns_shown(wide, canvas.columns)
    lines = [_row(names, wide, shown, [BOLD] * len(names))]
    for member, cells in zip(past.last.members, rows, strict=True):
        styles = [""] * len(names)
        styles[0] = BOLD if member.role == "leader" else ""
        styles[2], styles[4] = STATES.get(member.state, ""), YELLOW
        lines.append(_row(cells, wide, shown, styles))
    return lines


def _cells(past: Past, member: Figures, canvas: Canvas) -> list[str]:
    reads, events = past.by_member[member.name]
    log = None if member.log_bytes is None else member.log_bytes / 1e6
    counts = [_known(member.watches), _known(member.connections)]
    lag = spark(list(past.behind[member.name]), SPARK, canvas.blocks, most=10.0)
    cells = [
        *(member.name, member.role, member.state, _known(member.behind), lag, _short(reads), _short(events)),
        *(*counts, _short(log), member.version or "-", member.client or "-"),
    ]
    return [harmless(cell) for cell in cells]


def _known(value: int | None) -> str:
    return "-" if value is None else str(value)


def _columns_shown(wide: Sequence[int], columns: int) -> list[int]:
    """Return which columns there is room for. What is empty is left out anyway."""
    shown = [at for at, most in enumerate(wide) if most]
    while sum(wide[at] + GAP for at in shown) - GAP > columns:
        least = max(shown, key=lambda at: _COLUMNS[at].least_wanted)
        if not _COLUMNS[least].least_wanted:
            break
        shown.remove(least)
    return shown


def _row(cells: Sequence[str], wide: Sequence[int], shown: Sequence[int], styles: Sequence[str]) -> Line:
    line: Line = []
    for at in shown:
        space = " " * (wide[at] - width(cells[at]))
        before, after = (space, "") if _COLUMNS[at].right else ("", space)
        line += [(before, ""), (cells[at], styles[at]), (after + " " * GAP, "")]
    return line


# -- directories --------------------------------------------------------------------------------------
def _hot(past: Past, shown: Shown, canvas: Canvas, room: int) -> list[Line]:
    """Where the changes are: a heading, and at most `room` directories."""
    assert past.last is not None
    ranked = past.hot.ranked(shown.depth, shown.order == "name")
    total = sum(count for _, count in ranked)
    read, of = past.hot.commits
    sample = f", the latest {read} of {of} commits" if read < of else ""
    depth = f", {counted(shown.depth, 'level')}" if shown.depth else ""
    said = f"last {SECONDS:.0f} s: {counted(total, 'change')}{sample}; by {shown.order}{depth}"
    lines: list[Line] = [[("HOT DIRECTORIES", BOLD), (f"  {said}", DIM)]]
    if past.last.untold:
        return [*lines, [(past.last.untold, YELLOW)]]
    most = max((count for _, count in ranked), default=0)
    first = max(0, min(shown.first, len(ranked) - room))
    drawn = 10 if canvas.columns >= 80 else 5
    for directory, count in ranked[first : first + room]:
        share = f"{count:>7} {100 * count // total:>3} % "
        picture = bar(count / most, drawn, canvas.blocks)
        lines.append([(share, ""), (picture.ljust(drawn + 1), GREEN), (directory, "")])
    return lines
