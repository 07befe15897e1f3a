"""`top`: the registry at work, live in a terminal; `--once` prints one picture and ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from visor._core.drawing import draws_blocks
from visor.cli.connect import connect
from visor.cli.options import command, interval_option
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.screen import USUAL, colour_wanted, columns, rows
from visor.cli.settings import Settings
from visor.cli.top import frame
from visor.cli.top.figures import Past
from visor.cli.top.keys import Shown, pressed
from visor.cli.top.looking import EACH, Background, Looking
from visor.cli.views import OBJECTS
from visor.errors import Denied

if TYPE_CHECKING:
    from visor.blocking import Client

LATE: Final = 2.0
"""Seconds beyond the interval after which it is told how old a picture is."""
DIRECTORIES: Final = 100
"""In one object of JSON."""


@command("top")
@click.option("--once", is_flag=True, help="Print one picture, of one interval, and end.")
@interval_option
def top_command(settings: Settings, once: bool, interval: float) -> None:
    """Show the registry at work: throughput, latency, members and their lag, and where the changes are.

    Writes (commits), reads, and events (changes delivered to watches) are counted a second, over all members.
    `commit` is how long the leader took from proposing a command to applying it, `read` how long a linearizable read
    takes that is asked from here, both in the last minute. Beside each is a picture of the last minutes.

    q ends it, p pauses it, s sorts directories by changes or by name, up and down scroll them, left and right
    have fewer or more levels of a directory count.
    """
    output = Output(settings)
    if not (once or output.is_json or output.terminal):
        raise Problem(
            "standard output is no terminal: --once prints one picture, --json an object each interval"
        )
    if not (once or output.is_json) and settings.environment.get("TERM") == "dumb":
        raise Problem("this terminal cannot be drawn on (TERM=dumb): --once prints one picture")
    with connect(settings) as client:
        if output.is_json and not once:
            shapes = (past.shape(DIRECTORIES) for past in _pasts(client, interval))
            output.stream(shapes, OBJECTS)
        elif once:
            _print_once(next(_pasts(client, interval)), settings, output)
        else:
            _live(client, settings, output, interval)


def _pasts(client: Client[bytes], interval: float) -> Iterator[Past]:
    """Yield what was seen, each interval: a rate takes two looks."""
    looking, past = Looking(client), Past()
    while True:
        began = time.monotonic()
        past.add(looking.look())
        if past.looks > 1:
            yield past
        for number in range(1, EACH + 1):
            looking.probe()
            time.sleep(max(0.0, began + number * interval / EACH - time.monotonic()))


def _print_once(past: Past, settings: Settings, output: Output) -> None:
    if output.is_json:
        output.document(past.shape(DIRECTORIES))
        return
    said = settings.environment.get("COLUMNS", "")
    wide = columns(settings) or (int(said) if said.isascii() and said.isdigit() and len(said) < 6 else USUAL)
    canvas = frame.Canvas(wide, None, colour_wanted(settings), draws_blocks(settings.environment))
    output.drawn("".join(f"{line}\n" for line in frame.text(frame.frame(past, Shown(), canvas), canvas)))


# -- live -------------------------------------------------------------------------------------------------
def _live(client: Client[bytes], settings: Settings, output: Output, interval: float) -> None:
    """Draw until `q`, Ctrl-C or a signal."""
    from visor.cli.top.terminal import Screen, keyboard

    with (
        Screen(keyboard(settings), output.draw) as screen,
        Background(client, interval, screen.wake) as looking,
    ):
        canvas = partial(_canvas, settings)
        _draw_until_over(screen, looking, canvas, interval)


def _canvas(settings: Settings) -> frame.Canvas:
    """Return what it is drawn on."""
    return frame.Canvas(
        columns(settings) or USUAL,
        rows(settings),
        colour_wanted(settings),
        draws_blocks(settings.environment),
    )


def _draw_until_over(
    screen: Any,
    looking: Any,
    canvas: Callable[[], frame.Canvas],
    interval: float,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Draw what `looking` finds on a `Screen`, as the keys say. Raises what has ended it, or never let it begin."""
    past, shown = Past(), Shown()
    while not shown.over:
        if looking.defect is not None:
            raise looking.defect
        if isinstance(looking.failure, Denied) and past.last is None:
            raise looking.failure
        if not shown.paused:
            for look in looking.taken():
                past.add(look)
        where = canvas()
        age = clock() - past.last.at if past.last is not None and not shown.paused else 0.0
        waited = age if age > interval + LATE else 0.0
        screen.draw(frame.text(frame.frame(past, shown, where, waited, looking.failure), where))
        for key in screen.wait(interval):
            shown = pressed(shown, key)
