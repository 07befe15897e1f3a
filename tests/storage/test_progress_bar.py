"""How far something is, drawn for a person: by a clock that the test turns, and never for a program."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.test_cli_harmless import HOSTILE, raw
from tests.hygiene.test_tasks import settings
from visor import aio
from visor._core.harmless import Careful
from visor._core.progress_bar import CLEAR, FILES, MEGABYTES, ProgressBar, line
from visor.cli.output import Output
from visor.cli.settings import Settings
from visor.cli.streams import Streams
from visord import cli
from visord.progress import untold
from visord.server import Server


@given(
    st.sampled_from(["reading", "loading the checkpoint", *HOSTILE]),
    st.integers(0, 10**13), st.integers(-1, 10**13), st.floats(0, 1e12), st.integers(10, 200), st.booleans(),
    st.sampled_from([FILES, MEGABYTES]),
)  # fmt: skip
def test_it_fits_and_harms_nothing(
    what: str, done: int, of: int, rate: float, columns: int, blocks: bool, unit: Any
) -> None:
    drawn = line(what, done, of, rate, columns, blocks, unit)
    assert len(drawn) < columns
    assert not raw(drawn, "")
    assert blocks or not drawn.isascii() or "▕" not in drawn


def test_it_says_how_much_how_fast_and_how_long() -> None:
    assert line("reading", 12_000_000, 48_000_000, 6e6, 70, blocks=False) == (
        "reading  [###...........]   25 %  12.0 of 48.0 MB  6.0 MB/s  6 s left"
    )
    assert line("reading", 12_000_000, 48_000_000, 6e6, 40, blocks=False) == (
        "reading  [##.........]   25 %  6 s left"
    )
    assert line("reading", 24_000_000, 48_000_000, 6e3, 80).endswith(
        "50 %  24.0 of 48.0 MB  0.0 MB/s  67 min left"
    )
    assert line("reading", 1_000_000, 0, 0.0, 80) == "reading  1.0 MB"
    assert line("found", 41_000, 300_000, 2e3, 90, unit=FILES).endswith("2000 files/s  130 s left") is False


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.written: list[str] = []
        self.bar = ProgressBar(self.written.append, "reading", time=lambda: self.now, columns=lambda: 70)

    def tell(self, seconds: float, done: int, of: int) -> None:
        self.now += seconds
        self.bar(done, of)


def test_what_is_quick_draws_nothing_and_nothing_is_drawn_often() -> None:
    clock = Clock()
    with clock.bar:
        for step in range(49):
            clock.tell(0.01, step, 1000)
    assert clock.written == []
    with clock.bar:
        for step in range(300):
            clock.tell(0.01, step, 1000)
    assert 20 <= len(clock.written) <= 32
    assert all(each.startswith(CLEAR) for each in clock.written)
    assert clock.written[-1] == CLEAR


def test_the_line_goes_when_all_is_done_or_it_fails() -> None:
    clock = Clock()
    clock.tell(1.0, 5, 10)
    clock.tell(1.0, 10, 10)
    assert clock.written[-1] == CLEAR
    with pytest.raises(ZeroDivisionError), clock.bar:
        clock.tell(1.0, 5, 10)
        raise ZeroDivisionError
    assert clock.written[-1] == CLEAR
    assert len(clock.written) == 4


def test_the_rate_is_that_of_the_last_seconds() -> None:
    clock = Clock()
    for _ in range(100):
        clock.tell(0.1, 0, 100_000_000)
    for second in range(1, 60):
        clock.tell(0.1, second * 1_000_000, 100_000_000)
    assert "10.0 MB/s  4 s left" in clock.written[-1]
    clock.tell(0.1, 1_000_000, 100_000_000)  # another part begins
    assert "MB/s" not in clock.written[-1]


# -- where there is a person ------------------------------------------------------------------------------
class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_visord_draws_on_a_terminal_only_and_never_beside_json(monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere() -> Any:
        return elsewhere

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with cli._shown("reading", elsewhere) as tell:
        assert tell is elsewhere
    monkeypatch.setattr(sys, "stderr", Screen())
    with cli._shown("reading", elsewhere, quiet=True) as tell:
        assert tell is untold
    with cli._shown("reading", elsewhere) as tell:
        assert isinstance(tell, ProgressBar)
        tell._due = 0.0
        tell(1_000_000, 4_000_000)
    assert "25 %" in sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert sys.stderr.getvalue().endswith(CLEAR)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("terminal", "form", "drawn"), [(True, "table", True), (True, "json", False), (False, "table", False)]
)
def test_visor_too(terminal: bool, form: str, drawn: bool) -> None:
    said = io.StringIO()
    streams = Streams(io.BytesIO(), io.BytesIO(), Careful(said), False, False, terminal)
    output = Output(Settings({"LANG": "C"}, streams, datetime.now(UTC), {"output": form}))
    bar = output.bar("reading\x1b", FILES)
    assert (bar is not None) is drawn
    if bar is not None:
        bar._due = 0.0
        bar(10, 20)
        bar.end()
        assert said.getvalue().startswith(f"{CLEAR}reading\\x1b  [###")


def test_a_node_that_starts_tells_how_far_it_is_and_when_it_is_over(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    async def work() -> None:
        for tell in (untold, lambda done, of: told.append((done, of))):
            server = Server(settings(), tmp_path, tell_loading=tell)
            await server.start()
            with contextlib.suppress(Exception):
                async with await aio.dial(server.address) as client:
                    await client.set("/a", b"1")
            await server.stop()

    asyncio.run(work())
    assert len(told) > 1
    assert told[-1] == (1, 1)
