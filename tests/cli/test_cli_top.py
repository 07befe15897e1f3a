"""`visor top`: the figures, the picture at any size, and the terminal, which is given back whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.cli_harness import ROOT, Visor
from tests.cli.test_cli_harmless import HOSTILE, raw
from tests.patience import PATIENCE
from visor._core.drawing import draws_blocks
from visor._core.percentile import percentile
from visor.cli.cluster import fetching
from visor.cli.commands import top
from visor.cli.screen import width
from visor.cli.spark import bar, spark
from visor.cli.top import hot, keys
from visor.cli.top.figures import Figures, Look, Past
from visor.cli.top.frame import Canvas, frame, text
from visor.cli.top.hot import Churn, Hot
from visor.cli.top.keys import Shown
from visor.cli.top.terminal import GIVE_BACK, TAKE, Screen, picture
from visor.errors import Denied, NoQuorum

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def member(name: str, **changes: Any) -> Figures:
    known = Figures(name, "voter", f"{name}:8046", "ok", 0, 10, 100, 50, 3, 4, 4_000_000)
    return known._replace(**changes)


def look(at: float, *members: Figures, **changes: Any) -> Look:
    known = Look(at, datetime(2026, 3, 1, 12, tzinfo=UTC), "c" * 32, "n1", 3, 10, 7, members, ())
    return known._replace(**changes)


def past(*looks: Look) -> Past:
    found = Past()
    for each in looks:
        found.add(each)
    return found


THREE = (member("n1", role="leader", commit=(0.4, 2.5)), member("n2"), member("n3"))


# -- figures ------------------------------------------------------------------------------------------
def test_rates_are_a_second_over_all_members() -> None:
    later = [each._replace(reads=200, events=51) for each in THREE]
    found = past(look(0.0, *THREE), look(2.0, *later, rev=30))
    assert (found.writes[-1], found.reads[-1], found.events[-1]) == (10.0, 150.0, 1.5)
    assert found.by_member["n2"] == (50.0, 0.5)
    assert found.commit[-1] == (0.4, 2.5)


def test_what_is_not_known_is_a_gap_and_no_zero() -> None:
    away = member("n2", state="away", reads=None, events=None)
    began_anew = member("n2", reads=3, events=0)
    found = past(look(0.0, member("n2")), look(1.0, away), look(2.0, began_anew), look(3.0, member("n2")))
    assert list(found.reads) == [None, None, None, 97.0]
    assert list(found.commit) == [(None, None)] * 4


def test_reads_of_the_last_minute_count() -> None:
    found = past(look(0.0, *THREE, reads=(1000.0,)), look(30.0, *THREE, reads=(1.0, 2.0, 3.0)))
    assert found.asked[-1] == (3.0, 1000.0)
    found.add(look(61.0, *THREE))
    assert found.asked[-1] == (2.0, 3.0)
    found.add(look(200.0, *THREE))
    assert found.asked[-1] == (None, None)
    assert percentile([], 0.5) is None


def test_a_member_that_left_is_forgotten() -> None:
    found = past(look(0.0, *THREE), look(1.0, THREE[0]))
    assert set(found.behind) == set(found.by_member) == {"n1"}


@pytest.mark.parametrize(
    "told,said",
    [
        (None, ""),
        ({"from": "x", "bytes": 12_000_000, "of": 48_000_000}, "fetches a checkpoint: 12.0 of 48.0 MB, 25 %"),
        ({"bytes": 0, "of": 0}, "fetches a checkpoint"),
        ({"bytes": "\x1b", "of": 3}, "fetches a checkpoint"),
        ({"installing": True}, "takes over the checkpoint that it fetched"),
        ("nonsense", ""),
    ],
)
def test_a_checkpoint_on_its_way_is_told(told: Any, said: str) -> None:
    assert fetching(told) == said


# -- where the changes are ------------------------------------------------------------------------------
def commit(*paths: str) -> Any:
    return SimpleNamespace(changes=[SimpleNamespace(path=path) for path in paths])


def test_changes_are_counted_by_directory_and_forgotten_after_a_while() -> None:
    found = hot.changes_of([commit("/apps/web/a", "/apps/web/b"), commit("/top")], 9)
    assert found == Churn(Counter({"/apps/web/": 2, "/": 1}), 2, 9)
    where = Hot()
    where.add(0.0, found)
    where.add(1.0, hot.changes_of([commit("/apps/db/a")], 1))
    assert where.ranked() == [("/apps/web/", 2), ("/", 1), ("/apps/db/", 1)]
    assert where.ranked(1) == [("/apps/", 3), ("/", 1)]
    assert where.ranked(by_name=True)[0] == ("/", 1)
    assert where.commits == (3, 10)
    where.add(hot.SECONDS + 0.5, hot.changes_of([], 0))
    assert where.ranked() == [("/apps/db/", 1)]


def test_what_is_kept_of_them_is_bounded() -> None:
    where = Hot()
    for number in range(20):
        paths = [f"/{number}/{each}/x" for each in range(5000)]
        where.add(number / 100, hot.changes_of([commit(*paths)], 1))
    assert len(where.ranked()) <= hot.DIRECTORIES


PRESSED = {b"q": "q", b"\x1b[A": "up", b"\x1bOB": "down", b"\x1b[1;5C": "right", b"\x1b[15~": ""}
"""What a terminal sends, and which key it is."""


# -- keys -----------------------------------------------------------------------------------------------
@given(st.lists(st.sampled_from(sorted(PRESSED))), st.integers(0, 99))
def test_keys_come_in_whatever_pieces(pressed: list[bytes], at: int) -> None:
    data = b"".join(pressed)
    first, rest = keys.read(data[:at])
    more, left = keys.read(rest + data[at:])
    assert (first + more, left) == ([PRESSED[each] for each in pressed if PRESSED[each]], b"")


@given(st.lists(st.binary(max_size=40)))
def test_nothing_that_is_typed_harms(pieces: list[bytes]) -> None:
    shown, rest = Shown(), b""
    for piece in pieces:
        pressed, rest = keys.read(rest + piece)
        for key in pressed:
            shown = keys.pressed(shown, key)
        assert len(rest) < 16
    text(frame(past(look(0.0, *THREE)), shown, Canvas(80, 24)), Canvas(80, 24))


def test_what_keys_do() -> None:
    shown = Shown()
    for key, expected in (
        ("p", {"paused": True}),
        ("p", {"paused": False}),
        ("s", {"order": "name"}),
        ("s", {"order": "changes"}),
        ("up", {"first": 0}),
        ("down", {"first": 1}),
        ("left", {"depth": 3, "first": 0}),
        ("right", {"depth": 4}),
        ("x", {}),
        ("q", {"over": True}),
    ):
        shown = keys.pressed(shown, key)
        assert shown._asdict() == {**shown._asdict(), **expected}, key
    for _ in range(20):
        shown = keys.pressed(shown, "left")
    assert shown.depth == 1
    for _ in range(20):
        shown = keys.pressed(shown, "right")
    assert shown.depth == 0


# -- the picture ------------------------------------------------------------------------------------------
def busy(name: str = "n") -> Past:
    """Some looks at three members, one of which goes away; `name` is in all words that come from elsewhere."""
    found = Past()
    for at in range(30):
        members = [
            member(f"{name}{each}", behind=at * each, reads=100 * at, client=name, version=name)
            for each in range(3)
        ]
        if at > 20:
            members[2] = members[2]._replace(state="away", reads=None, events=None)
        members[1] = members[1]._replace(note=f"fetches {name}")
        changes = Churn(Counter({f"/{name}/{each}/": each for each in range(1, 40)}), 40, 80)
        found.add(
            look(
                float(at), *members,
                rev=at * 1000, leader=name, cluster=name, problems=(f"{name}: is away",) * (at % 7),
                reads=(at / 10,), changes=changes,
            )
        )  # fmt: skip
    return found


@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("rows", [3, 24, 60, None])
@pytest.mark.parametrize("columns", [20, 59, 80, 200])
def test_it_fits_whatever_the_size(columns: int, rows: int | None, blocks: bool) -> None:
    for name in ("n", "名前" * 30, *HOSTILE):
        for colour in (False, True):
            canvas = Canvas(columns, rows, colour, blocks)
            lines = text(frame(busy(name), Shown(), canvas), canvas)
            bare = [COLOURS.sub("", line) for line in lines]
            assert rows is None or len(lines) <= rows
            assert max(map(width, bare)) <= columns
            assert not raw("\n".join(bare)), (name, bare)
            assert colour or bare == lines
            assert blocks or "".join(bare).isascii()


def test_at_sixty_columns_what_matters_most_is_there() -> None:
    canvas = Canvas(59, 24)
    lines = text(frame(busy(), Shown(), canvas), canvas)
    found = "\n".join(lines)
    for word in ("leader n", "rev 29000", "writes/s", "p50", "p99", "away", "BEHIND", "/n/39/", "q quit"):
        assert word in found
    assert "CLIENT" not in found
    assert "CLIENT" in "\n".join(text(frame(busy(), Shown(), Canvas(200)), Canvas(200)))


def test_what_went_wrong_is_said_in_words() -> None:
    canvas = Canvas(100, 30)

    def drawn(found: Past, **options: Any) -> str:
        return "\n".join(text(frame(found, Shown(), canvas, **options), canvas))

    assert "all is well" in drawn(past(look(0.0, *THREE)))
    assert "no leader" in drawn(past(look(0.0, *THREE, leader="")))
    assert "! n3: no answer" in drawn(past(look(0.0, *THREE, problems=("n3: no answer",))))
    assert "and 3 more" in drawn(past(look(0.0, *THREE, problems=("x",) * 7)))
    assert "7 s ago" in drawn(past(look(0.0, *THREE)), waited=7.0)
    assert "nobody" in drawn(Past(), failure=NoQuorum("nobody"))
    assert "not told: no" in drawn(past(look(0.0, *THREE, untold="not told: no")))


def test_directories_are_scrolled_and_sorted() -> None:
    canvas = Canvas(80, 22)
    first = text(frame(busy(), Shown(), canvas), canvas)
    down = text(frame(busy(), Shown(first=1), canvas), canvas)
    at = next(at for at, line in enumerate(first) if line.startswith("HOT"))
    assert first[at + 2] == down[at + 1] != first[at + 1]
    far = text(frame(busy(), Shown(first=10_000), canvas), canvas)
    assert far[-2].endswith("/n/1/")
    assert text(frame(busy(), Shown(order="name"), canvas), canvas)[at + 1].endswith("/n/1/")


def test_sparks() -> None:
    assert spark([None, 0, 1, 7], 4) == " ▁▂█"
    assert spark([None, 0, 1, 7], 2) == "▂█"
    assert spark([0, 0], 9) == "▁▁" and spark([1], 0) == "" and spark([], 5) == ""
    assert spark([0, 4, 7], 3, blocks=False) == "_=#"
    assert spark([1], 1, most=100.0) == "▂"
    assert (bar(0, 4), bar(1, 4), bar(9, 4)) == ("", "████", "████")
    assert not draws_blocks({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"})
    assert draws_blocks({"LC_ALL": "", "LANG": "en_US.utf8"})


class Glass:
    """A terminal, as far as `picture` uses one."""

    def __init__(self, rows: int) -> None:
        self.lines = ["old"] * rows

    def write(self, written: str) -> None:
        row = 0
        for mark, number, kind, words in re.findall(
            r"(\x1b\[\??([0-9]*)(?:;1)?([A-Za-z]))([^\x1b]*)", written
        ):
            if kind == "H":
                row = int(number) - 1
                assert row < len(self.lines), mark
            elif mark == "\x1b[2J":
                self.lines = [""] * len(self.lines)
            elif mark == "\x1b[J":
                self.lines[row:] = [""] * (len(self.lines) - row)
            if words:
                self.lines[row] = words


@given(st.lists(st.lists(st.sampled_from(["", "a", "bb", "c"]), max_size=5), max_size=8))
def test_only_what_has_changed_is_written(pictures: list[list[str]]) -> None:
    glass, before = Glass(5), list[str]()
    for now in pictures:
        moved = picture(before, now)
        assert bool(moved) is (before != now)
        glass.write(moved)
        if before or now:
            assert glass.lines[: len(now)] == now or "" in now
        before = now


# -- live -------------------------------------------------------------------------------------------------
class Played:
    """A screen whose keys are known before, and what was drawn on it."""

    def __init__(self, *pressed: str) -> None:
        self.pressed = list(pressed)
        self.pictures: list[str] = []

    def draw(self, lines: list[str]) -> None:
        self.pictures.append("\n".join(lines))

    def wait(self, seconds: float) -> list[str]:
        return [self.pressed.pop(0)]


class Found:
    """What the threads found: a look each time it is asked for."""

    def __init__(self, failure: Exception | None = None, defect: Exception | None = None) -> None:
        self.failure, self.defect = failure, defect
        self.at = 0.0

    def taken(self) -> list[Look]:
        if self.failure is not None:
            return []
        self.at += 1
        return [look(self.at, *THREE, rev=int(self.at))]


def live(screen: Played, found: Found) -> list[str]:
    top._draw_until_over(screen, found, lambda: Canvas(80, 24), 1.0, lambda: found.at)
    return screen.pictures


def test_it_goes_on_until_q_and_stands_still_while_paused() -> None:
    pictures = live(Played("x", "p", "x", "p", "q"), Found())
    revs = [found[1] for each in pictures if (found := re.search(r"rev (\d+)", each))]
    assert revs == ["1", "2", "2", "2", "3"]
    assert ["paused" in each for each in pictures] == [False, False, True, True, False]


def test_a_registry_that_cannot_be_asked_is_told_and_asked_again() -> None:
    assert "nobody leads" in live(Played("x", "q"), Found(NoQuorum("nobody leads")))[-1]


def test_who_may_not_look_is_told_so_at_once_and_a_defect_ends_it() -> None:
    with pytest.raises(Denied):
        live(Played("x"), Found(Denied("no")))
    with pytest.raises(ZeroDivisionError):
        live(Played("x"), Found(defect=ZeroDivisionError()))


# -- against a node ---------------------------------------------------------------------------------------
def test_once(own_visor: Visor) -> None:
    own_visor.ok("set", "/apps/web/\u540d", "1")
    found = own_visor.json("top", "--once", "--interval", "100ms")
    assert (found["rev"], found["problems"], found["term"]) == (1, [], 1)
    (alone,) = found["members"]
    assert (alone["role"], alone["state"], alone["behind"]) == ("leader", "ok", 0)
    assert alone["reads"] > 0
    assert found["read_ms"]["p50"] > 0
    assert found["commit_ms"]["p99"] >= found["commit_ms"]["p50"] > 0
    drawn = own_visor.ok("top", "--once", "--interval", "0.1", COLUMNS="60")
    assert all(width(line) <= 60 for line in drawn.lines)
    assert "\x1b" not in drawn.text
    assert "\x1b[32m" in own_visor.ok("top", "--once", "--interval", "0.1", FORCE_COLOR="1", TERM="x").text


def test_off_a_terminal_it_says_what_to_give(visor: Visor) -> None:
    for answer in (visor("top"), visor("top", terminal="o", TERM="dumb")):
        assert answer.code == 2
        assert "--once" in answer.err
    for wrong in ("0", "1h", "soon"):
        assert visor("top", "--once", "--interval", wrong).code == 2


def test_a_stream_for_programs(visor: Visor) -> None:
    with visor.start("top", "--json", "--interval", "100ms") as process:
        assert process.stdout is not None
        found = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert found[0]["time"] < found[1]["time"]


# -- the terminal -----------------------------------------------------------------------------------------
class Terminal:
    """A pseudo-terminal with `visor top` on it."""

    def __init__(self, visor: Visor) -> None:
        self.outside, self.inside = pty.openpty()
        self.mode = termios.tcgetattr(self.inside)
        self.seen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "visor", "top", "--interval", "100ms"],
            env={**os.environ, **visor.environment, "COLUMNS": "", "TERM": "xterm", "LC_ALL": "C.UTF-8"},
            cwd=ROOT, stdin=self.inside, stdout=self.inside, stderr=self.inside, process_group=0,
        )  # fmt: skip

    def until(self, words: str) -> None:
        """Read what it shows until these words are there, and forget it."""
        while words not in self.seen:
            self.seen += os.read(self.outside, 1 << 16).decode("utf-8", "replace")
        self.seen = self.seen.partition(words)[2]

    def is_as_it_was(self) -> bool:
        return termios.tcgetattr(self.inside) == self.mode


@pytest.fixture
def terminal(visor: Visor) -> Iterator[Terminal]:
    found = Terminal(visor)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.wait()
        for end in (found.outside, found.inside):
            os.close(end)


@pytest.mark.parametrize(
    ("how", "code"), [("q", 0), (signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_the_terminal_is_given_back(terminal: Terminal, how: str | signal.Signals, code: int) -> None:
    terminal.until(TAKE)
    terminal.until("writes/s")
    assert not terminal.is_as_it_was()
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN and how == signal.SIGHUP:
        pytest.skip("whoever started these tests has SIGHUP ignored, and so does what they start")
    if isinstance(how, str):
        os.write(terminal.outside, how.encode())
    else:
        terminal.process.send_signal(how)
    terminal.until(GIVE_BACK)
    assert terminal.process.wait(PATIENCE) == code
    assert terminal.is_as_it_was()


def test_a_stop_gives_it_back_and_going_on_takes_it_again(terminal: Terminal) -> None:
    terminal.until("writes/s")
    terminal.process.send_signal(signal.SIGTSTP)
    terminal.until(GIVE_BACK)
    _, status = os.waitpid(terminal.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    assert terminal.is_as_it_was()
    terminal.process.send_signal(signal.SIGCONT)
    terminal.until(TAKE)
    terminal.until("writes/s")
    assert not terminal.is_as_it_was()
    os.write(terminal.outside, b"q")
    assert terminal.process.wait(PATIENCE) == 0
    assert terminal.is_as_it_was()


def test_another_size_is_drawn_anew(terminal: Terminal) -> None:
    terminal.until("HOT")
    termios.tcsetwinsize(terminal.inside, (10, 40))
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.until("\x1b[2J")
    terminal.until("q quit")
    assert "\x1b[11;" not in terminal.seen


def test_a_failure_gives_it_back_too() -> None:
    outside, inside = pty.openpty()
    mode, written = termios.tcgetattr(inside), list[str]()
    handlers = [signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)]
    with pytest.raises(ZeroDivisionError), Screen(inside, written.append) as screen:
        assert termios.tcgetattr(inside) != mode
        os.write(outside, b"p\x1b[A")
        assert screen.wait(PATIENCE) == ["p", "up"]
        screen.wake()
        assert screen.wait(PATIENCE) == []
        raise ZeroDivisionError
    assert termios.tcgetattr(inside) == mode
    assert written == [TAKE, GIVE_BACK]
    after = [signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)]
    assert after == handlers
    for end in (outside, inside):
        os.close(end)


def test_a_terminal_that_nobody_can_write_to_gets_its_mode_back() -> None:
    outside, inside = pty.openpty()
    mode = termios.tcgetattr(inside)

    def closed(words: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError), Screen(inside, closed):
        pass
    assert termios.tcgetattr(inside) == mode
    os.close(outside)
    with contextlib.suppress(OSError):
        os.close(inside)
